//! Takes numbers from the front of bytes. `None`: the bytes end before, or are no such number.

/// The most bytes that a varint of 64 bits has.
pub(crate) const VARINT_BYTES_MAX: usize = 10;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*bytes))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*bytes))
    }

    /// An unsigned varint: 7 bits a byte, the lowest first.
    pub(crate) fn uvarint(&mut self) -> Option<u64> {
        let mut value = 0u64;

        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);

            if shift == 63 && bits > 1 {
                return None;
            }

            value |= bits << shift;

            if byte & 0x80 == 0 {
                return Some(value);
            }
        }

        None
    }

    /// A signed varint, zigzag-encoded.
    pub(crate) fn varint(&mut self) -> Option<i64> {
        let value = self.uvarint()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A number that is used as a length or a count in memory.
    pub(crate) fn length(&mut self) -> Option<usize> {
        usize::try_from(self.uvarint()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn put_uvarint(mut value: u64, out: &mut Vec<u8>) {
        while value >= 0x80 {
            out.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        out.push(value.to_le_bytes()[0]);
    }

    proptest! {
        #[test]
        fn numbers_come_back(value: i64) {
            let mut bytes = Vec::new();
            put_uvarint(value.cast_unsigned(), &mut bytes);
            prop_assert_eq!(Bytes(&bytes).uvarint(), Some(value.cast_unsigned()));

            bytes.clear();
            put_uvarint(((value << 1) ^ (value >> 63)).cast_unsigned(), &mut bytes);
            prop_assert_eq!(Bytes(&bytes).varint(), Some(value));

            bytes.pop();
            prop_assert_eq!(Bytes(&bytes).varint(), None);
        }
    }

    #[test]
    fn a_number_of_more_than_64_bits_is_none() {
        assert_eq!(Bytes(&[0xff; 10]).uvarint(), None);
        assert_eq!(Bytes(&[0x80; 11]).uvarint(), None);
    }
}
