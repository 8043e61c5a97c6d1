//! Decodes small integers that are stored as runs: definition levels, and indexes of a dictionary.
//!
//! The encoding is Parquet's hybrid of RLE and bit packing. A run begins with a ULEB128 header. If
//! its lowest bit is 0, the other bits say how often the value behind it repeats. If it is 1, the
//! other bits say how many groups of eight packed values follow.

use parquet::errors::Result;

use crate::read::varint::{self, malformed};

/// Bits beyond which no value is packed.
const WIDTH_MAX: u32 = 32;

/// A sequence of integers, as maximal runs of equal ones.
#[derive(Clone, Debug)]
pub(crate) struct Runs<'a> {
    input: &'a [u8],
    width: u32,
    /// How many values are behind the run at the front.
    behind: usize,

    /// The value of the run at the front, and how often it is left.
    value: u32,
    length: usize,
    /// Packed values behind it. They come before `input`.
    packed: &'a [u8],
    /// The bit of `packed` at which the next value begins.
    bit: usize,
    packed_left: usize,
}

impl<'a> Runs<'a> {
    /// Begins to decode `values` integers of `width` bits.
    ///
    /// Nothing is allocated. The time is bounded by `values` and by the length of the input.
    pub(crate) fn new(input: &'a [u8], width: u32, values: usize) -> Result<Self> {
        if width > WIDTH_MAX {
            return Err(malformed("a level or an index is wider than 32 bits"));
        }

        Ok(Self {
            input,
            width,
            behind: values,
            value: 0,
            length: 0,
            packed: &[],
            bit: 0,
            packed_left: 0,
        })
    }

    /// Returns the next value and how often it follows, at least once. It is an error if there is
    /// no value left.
    #[inline]
    pub(crate) fn peek(&mut self) -> Result<(u32, usize)> {
        if self.length == 0 {
            self.next_run()?;
        }

        Ok((self.value, self.length))
    }

    /// Leaves out `values` values of the run that [`Runs::peek`] returned, at most its length.
    #[inline]
    pub(crate) fn pass(&mut self, values: usize) {
        self.length = self.length.saturating_sub(values);
    }

    /// Leaves out `values` values and returns their sum. The sum of levels is the number of values
    /// that are not null.
    pub(crate) fn sum(&mut self, mut values: usize) -> Result<usize> {
        let mut sum = 0usize;

        while values > 0 {
            let (value, length) = self.peek()?;
            let passed = values.min(length);
            self.pass(passed);
            values -= passed;
            sum = sum.saturating_add(passed.saturating_mul(value as usize));
        }

        Ok(sum)
    }

    fn next_run(&mut self) -> Result<()> {
        if self.behind == 0 {
            return Err(malformed("a page has fewer levels or indexes than rows"));
        }

        while self.packed_left == 0 && self.length == 0 {
            self.next_header()?;
        }

        if self.length == 0 {
            self.next_packed();
        }

        self.length = self.length.min(self.behind);
        self.behind -= self.length;
        Ok(())
    }

    /// Reads the header of a run. A run of equal values becomes the run at the front.
    fn next_header(&mut self) -> Result<()> {
        let header = varint::unsigned(&mut self.input)?;
        let count = usize::try_from(header >> 1).unwrap_or(usize::MAX);

        if header & 1 == 0 {
            let mut bytes = [0; 4];
            let stored = self.width.div_ceil(8) as usize;
            bytes[..stored].copy_from_slice(varint::bytes(&mut self.input, stored)?);
            self.value = u32::from_le_bytes(bytes);
            self.length = count;

            if u64::from(self.value) >> self.width != 0 {
                return Err(malformed("a level or an index is wider than its page says"));
            }
        } else {
            let bytes = count.saturating_mul(self.width as usize);
            self.packed = varint::bytes(&mut self.input, bytes)?;
            self.bit = 0;
            self.packed_left = count.saturating_mul(8);
        }

        Ok(())
    }

    /// Makes the packed values at the front that are equal the run at the front.
    fn next_packed(&mut self) {
        let mut length = 1;
        self.value = self.packed_at(self.bit);

        match self.width {
            0 => length = self.packed_left,
            1 => {
                let bits = self.word(self.bit);
                let same = if self.value == 1 { !bits } else { bits };
                let here = 64 - self.bit % 8;
                length = (same.trailing_zeros() as usize)
                    .min(here)
                    .min(self.packed_left);
            }
            width => {
                while length < self.packed_left
                    && self.packed_at(self.bit + length * width as usize) == self.value
                {
                    length += 1;
                }
            }
        }

        self.length = length;
        self.packed_left -= length;
        self.bit = self
            .bit
            .saturating_add(length.saturating_mul(self.width as usize));
    }

    /// Returns the packed value at bit `bit`.
    fn packed_at(&self, bit: usize) -> u32 {
        let value = self.word(bit) & ((1 << self.width) - 1);
        u32::try_from(value).unwrap_or(u32::MAX)
    }

    /// Returns at least 57 packed bits from `bit` on. Those behind the end are 0.
    fn word(&self, bit: usize) -> u64 {
        let rest = self.packed.get(bit / 8..).unwrap_or_default();
        let mut bytes = [0; 8];

        match rest.first_chunk() {
            Some(first) => bytes = *first,
            None => bytes[..rest.len()].copy_from_slice(rest),
        }

        u64::from_le_bytes(bytes) >> (bit % 8)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::read::delta::tests::{pack, put_unsigned};

    /// One run of the encoding.
    #[derive(Clone, Debug)]
    enum Run {
        Equal(u32, usize),
        Packed(Vec<u32>),
    }

    /// Encodes `runs`. Returns the bytes and the values.
    fn encode(runs: &[Run], width: u32) -> (Vec<u8>, Vec<u32>) {
        let mut bytes = Vec::new();
        let mut values = Vec::new();

        for run in runs {
            match run {
                Run::Equal(value, count) => {
                    put_unsigned(&mut bytes, (*count as u64) << 1);
                    bytes.extend(&value.to_le_bytes()[..width.div_ceil(8) as usize]);
                    values.resize(values.len() + count, *value);
                }
                Run::Packed(packed) => {
                    let groups = packed.len().div_ceil(8);
                    put_unsigned(&mut bytes, (groups as u64) << 1 | 1);
                    let padded = packed.iter().chain([&0; 7]).take(groups * 8);
                    bytes.extend(pack(
                        padded.flat_map(|v| (0..width).map(move |bit| v >> bit & 1 == 1)),
                    ));
                    values.extend(packed);
                }
            }
        }

        (bytes, values)
    }

    fn decode(bytes: &[u8], width: u32, values: usize) -> Result<Vec<u32>> {
        let mut runs = Runs::new(bytes, width, values)?;
        let mut out = Vec::new();
        while out.len() < values {
            let (value, length) = runs.peek()?;
            runs.pass(length);
            out.resize(out.len() + length, value);
        }

        assert!(runs.peek().is_err());
        Ok(out)
    }

    /// Runs of a width, of which only the last may be packed and not a multiple of eight.
    fn runs() -> impl Strategy<Value = (u32, Vec<Run>)> {
        (0..=32u32).prop_flat_map(|width| {
            let value =
                any::<u32>().prop_map(move |v| v & u32::MAX.checked_shr(32 - width).unwrap_or(0));
            let packed = prop::collection::vec(value.clone(), 1..20).prop_map(|mut values| {
                values.resize(values.len().next_multiple_of(8), 0);
                Run::Packed(values)
            });
            let equal = (value.clone(), 0..100usize).prop_map(|(v, count)| Run::Equal(v, count));
            let last = prop::collection::vec(value, 1..20).prop_map(Run::Packed);
            let all = prop::collection::vec(prop_oneof![packed, equal], 0..10);

            (Just(width), all, last).prop_map(|(width, mut runs, last)| {
                runs.push(last);
                (width, runs)
            })
        })
    }

    proptest! {
        #[test]
        fn runs_come_back(case in runs(), at in any::<prop::sample::Index>()) {
            let (width, runs) = case;
            let (bytes, values) = encode(&runs, width);
            assert_eq!(decode(&bytes, width, values.len()).unwrap(), values);

            let at = at.index(values.len());
            let sum: usize = values[..at].iter().map(|v| *v as usize).sum();
            let mut runs = Runs::new(&bytes, width, values.len()).unwrap();
            assert_eq!(runs.sum(at).unwrap(), sum);
            assert_eq!(runs.peek().unwrap().0, values[at]);
        }
    }

    #[test]
    fn packed_levels_are_runs() {
        let values: Vec<u32> = (0..900).map(|i| u32::from(i % 127 < 67)).collect();
        let (bytes, _) = encode(&[Run::Packed(values.clone())], 1);
        assert_eq!(decode(&bytes, 1, 900).unwrap(), values);

        let mut runs = Runs::new(&bytes, 1, 900).unwrap();
        assert_eq!(runs.peek().unwrap(), (1, 64));
    }

    #[test]
    fn malformed_runs_are_refused() {
        let too_long = [[0xff; 9].as_slice(), &[1]].concat();

        for (bytes, width, values) in [
            (&[][..], 1, 1),
            (&[2], 1, 1),
            (&[2, 2], 1, 1),
            (&[2, 1], 1, 2),
            (&[3], 1, 1),
            (&[3, 0], 2, 1),
            (&[0, 0], 1, 1),
            (&too_long, 1, 1),
            (&[2, 1], 33, 1),
            (&[2, 1], 255, 1),
        ] {
            assert!(decode(bytes, width, values).is_err(), "{bytes:?}");
        }

        // More than there are rows: the rest is left out.
        assert_eq!(
            decode(&[0xfe, 0xff, 0xff, 0xff, 0x0f, 1], 1, 3).unwrap(),
            [1; 3]
        );
        assert_eq!(decode(&too_long, 0, 3).unwrap(), [0; 3]);
    }
}
