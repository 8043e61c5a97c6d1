//! Numbers that take only as many bytes as they need: little-endian groups of seven bits (LEB128).
//! Signed numbers are in zigzag form.

#![deny(clippy::indexing_slicing)]

/// Bytes that are read from front to back.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*taken)
    }

    /// Reads a little-endian number of `length` bytes, at most 8.
    pub(crate) fn word(&mut self, length: u8) -> Option<u64> {
        // It is faster to read eight bytes and drop the upper ones than to copy. That is possible
        // except at the very end.
        let word = match self.rest.first_chunk() {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => self
                .rest
                .iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };

        self.take(usize::from(length))?;

        let unused = u64::BITS.checked_sub(u32::from(length) * 8)?;
        Some(if length == 0 {
            0
        } else {
            word << unused >> unused
        })
    }

    /// Reads a varint. Returns `None` if the bytes end inside the number or if it needs more than
    /// 64 bits.
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut number = 0;

        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let group = u64::from(byte & 0x7f);

            if shift == 63 && group > 1 {
                return None;
            }

            number |= group << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }

        None
    }

    /// Reads a varint that is a count or a length in memory.
    pub(crate) fn length(&mut self) -> Option<usize> {
        usize::try_from(self.varint()?).ok()
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }

    out.push(number.to_le_bytes()[0]);
}

/// Maps signed numbers with a small absolute value to small numbers: 0, -1, 1, -2, ... become 0, 1,
/// 2, 3, ...
pub(crate) const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

pub(crate) const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_of_number_comes_back() {
        for number in (0..64)
            .flat_map(|bit| [(1u64 << bit) - 1, 1 << bit])
            .chain([u64::MAX])
        {
            let mut bytes = vec![];
            put_varint(&mut bytes, number);

            let mut input = Input::new(&bytes);
            assert_eq!(input.varint(), Some(number));
            assert!(input.is_empty());
            assert_eq!(zigzag(unzigzag(number)), number);
        }
    }

    #[test]
    fn a_number_that_is_cut_off_or_too_long_is_refused() {
        assert_eq!(Input::new(&[]).varint(), None);
        assert_eq!(Input::new(&[0x80]).varint(), None);
        assert_eq!(Input::new(&[0xff; 10]).varint(), None);
        assert_eq!(
            Input::new(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02]).varint(),
            None
        );
    }
}
