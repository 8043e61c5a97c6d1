//! Decodes DELTA_BINARY_PACKED integers of 64 bits.
//!
//! An encoded column is a header and blocks:
//!
//! ```text
//! header = values of a block (ULEB128)  miniblocks of a block (ULEB128)
//!          values (ULEB128)  first value (zigzag)
//! block  = smallest delta (zigzag)  bit width (u8) of each miniblock  miniblocks
//! ```
//!
//! A miniblock has a multiple of 32 values. Each is the distance of a delta to the smallest one.
//! The distances are packed bit by bit, lowest bit first. The last miniblock is padded, but the
//! decoder does not need the padding. Sums wrap around.
//!
//! The decoder works in groups of 32 values. A group of width `W` has `4 * W` bytes, so groups
//! begin at whole bytes. One function for each width unpacks a group.

use parquet::errors::Result;

use crate::read::varint::{self, malformed};

/// This many values are unpacked at a time.
const GROUP: usize = 32;
/// Unpacking may read this many bytes behind the group, whose contents do not matter.
const SLACK: usize = 8;
/// The largest group, and what unpacking may read behind it.
const GROUP_BYTES_MAX: usize = GROUP * 8 + SLACK;

/// The values of a page that have not been decoded.
#[derive(Debug)]
pub(crate) struct DeltaDecoder<'a> {
    /// The bytes behind the last group.
    input: &'a [u8],
    /// How many values are left, those in `ready` included.
    left: usize,
    miniblocks: usize,
    groups_per_miniblock: u64,

    /// The smallest delta of the block.
    delta_min: i64,
    /// The widths of the miniblocks behind this one, in the same block.
    widths: &'a [u8],
    /// The width of this miniblock.
    width: usize,
    /// The groups of this miniblock that are still packed.
    groups: u64,

    /// The group that was unpacked last.
    ready: [i64; GROUP],
    /// Where in `ready` the next value is.
    at: usize,
}

impl<'a> DeltaDecoder<'a> {
    /// Begins to decode `input`, which must have exactly `values` values.
    ///
    /// Nothing is allocated. The time is bounded by `values` and by the length of the input.
    pub(crate) fn new(mut input: &'a [u8], values: usize) -> Result<Self> {
        if values == 0 {
            input = &[];
        }

        let mut header = Header::NONE;
        if values > 0 {
            header = Header::read(&mut input)?;
        }

        if header.values != values as u64 {
            return Err(malformed("a page has another number of deltas than values"));
        }

        Ok(Self {
            input,
            left: values,
            miniblocks: header.miniblocks,
            groups_per_miniblock: header.groups_per_miniblock,
            delta_min: 0,
            widths: &[],
            width: 0,
            groups: 0,
            ready: [header.first; GROUP],
            at: GROUP - 1,
        })
    }

    /// Passes the next `values` values to `visit`, at most 32 at a time.
    #[inline]
    pub(crate) fn visit(&mut self, mut values: usize, mut visit: impl FnMut(&[i64])) -> Result<()> {
        if values > self.left {
            return Err(malformed("a page has fewer deltas than values"));
        }

        self.left -= values;

        while values > 0 {
            if self.at == GROUP {
                self.unpack(values + self.left)?;
            }

            let end = GROUP.min(self.at + values);
            visit(&self.ready[self.at..end]);
            values -= end - self.at;
            self.at = end;
        }

        Ok(())
    }

    /// Unpacks the next group. `left` values, at least one, are in this group and behind it.
    fn unpack(&mut self, left: usize) -> Result<()> {
        while self.groups == 0 {
            self.next_miniblock()?;
        }

        let bytes = 4 * self.width;
        let first = self.ready[GROUP - 1];
        let unpack = UNPACK
            .get(self.width)
            .ok_or_else(|| malformed("a miniblock is wider than 64 bits"))?;

        if self.input.len() >= bytes + SLACK {
            unpack(self.input, self.delta_min, first, &mut self.ready);
            self.input = &self.input[bytes..];
        } else {
            if self.input.len() * 8 < self.width * left.min(GROUP) {
                return Err(malformed("a page ends in the middle of a miniblock"));
            }

            let (last, rest) = self.input.split_at(bytes.min(self.input.len()));
            let mut padded = [0; GROUP_BYTES_MAX];
            padded[..last.len()].copy_from_slice(last);
            unpack(&padded, self.delta_min, first, &mut self.ready);
            self.input = rest;
        }

        self.groups -= 1;
        self.at = 0;

        Ok(())
    }

    fn next_miniblock(&mut self) -> Result<()> {
        if self.widths.is_empty() {
            self.delta_min = varint::signed(&mut self.input)?;
            self.widths = varint::bytes(&mut self.input, self.miniblocks)?;
        }

        self.width = usize::from(varint::byte(&mut self.widths)?);
        self.groups = self.groups_per_miniblock;
        Ok(())
    }
}

/// What an encoded column begins with.
struct Header {
    miniblocks: usize,
    groups_per_miniblock: u64,
    values: u64,
    first: i64,
}

impl Header {
    /// The header of a column without values, which may be absent.
    const NONE: Self = Self {
        miniblocks: 1,
        groups_per_miniblock: 1,
        values: 0,
        first: 0,
    };

    fn read(input: &mut &[u8]) -> Result<Self> {
        let block = varint::unsigned(input)?;
        let miniblocks = varint::unsigned(input)?;
        let values = varint::unsigned(input)?;
        let first = varint::signed(input)?;

        if block == 0 || block % 128 != 0 {
            return Err(malformed("the values of a block are no multiple of 128"));
        }

        let miniblock = block
            .checked_div(miniblocks)
            .filter(|values| values * miniblocks == block && values % GROUP as u64 == 0)
            .ok_or_else(|| malformed("the values of a miniblock are no multiple of 32"))?;

        Ok(Self {
            miniblocks: usize::try_from(miniblocks).unwrap_or(usize::MAX),
            groups_per_miniblock: miniblock / GROUP as u64,
            values,
            first,
        })
    }
}

/// Unpacks the group at the front of the bytes, which have at least its length and [`SLACK`]. The
/// integers are the smallest delta, and the value in front of the group.
type Unpack = fn(&[u8], i64, i64, &mut [i64; GROUP]);

macro_rules! unpack_of_each_width {
    ($($width:literal)*) => { [unpack_zeros, $(unpack::<$width>),*] };
}

/// The function of each width.
static UNPACK: [Unpack; 65] = unpack_of_each_width!(
    1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
    33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64
);

/// All deltas are the smallest one.
fn unpack_zeros(_: &[u8], delta: i64, before: i64, out: &mut [i64; GROUP]) {
    // Four values do not depend on each other.
    let step = delta.wrapping_mul(4);
    let mut next: [i64; 4] =
        std::array::from_fn(|i| before.wrapping_add(delta.wrapping_mul(i as i64 + 1)));

    for four in out.as_chunks_mut().0 {
        *four = next;
        next = next.map(|value| value.wrapping_add(step));
    }
}

fn unpack<const WIDTH: usize>(input: &[u8], delta_min: i64, before: i64, out: &mut [i64; GROUP]) {
    // The compiler knows the length, so it drops all later checks.
    let input = &input[..4 * WIDTH + SLACK];
    let mut last = before;

    // Eight values take `WIDTH` bytes, so their shifts are constants.
    for (i, eight) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let packed = &input[i * WIDTH..i * WIDTH + WIDTH + SLACK];
        let deltas: [i64; 8] = std::array::from_fn(|k| bits::<WIDTH>(packed, k));

        for (value, delta) in eight.iter_mut().zip(deltas) {
            last = last.wrapping_add(delta_min.wrapping_add(delta));
            *value = last;
        }
    }
}

/// Returns integer `i` of those that are packed with `WIDTH` bits each.
#[inline(always)]
fn bits<const WIDTH: usize>(packed: &[u8], i: usize) -> i64 {
    let byte = i * WIDTH / 8;
    let shift = i * WIDTH % 8;

    let mut word = [0; 8];
    word.copy_from_slice(&packed[byte..byte + 8]);
    let mut bits = u64::from_le_bytes(word) >> shift;

    if shift + WIDTH > 64 {
        bits |= u64::from(packed[byte + 8]) << (64 - shift);
    }

    (bits & (u64::MAX >> (64 - WIDTH))).cast_signed()
}

#[cfg(test)]
pub(crate) mod tests;
