//! Reads and writes single bits, the highest bit of a byte first.

/// Appends bits to bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// The number of unused bits in the last byte.
    free: u32,
}

impl BitWriter {
    /// A writer that continues after these bytes.
    pub(super) const fn behind(bytes: Vec<u8>) -> Self {
        Self { bytes, free: 0 }
    }

    /// Appends the lowest `count` bits of `value`; `count` is at most 64.
    pub(super) fn put(&mut self, value: u64, count: u32) {
        let mut left = count;

        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }

            let taken = left.min(self.free);
            let part = (value >> (left - taken)) & ((1 << taken) - 1);

            if let Some(last) = self.bytes.last_mut() {
                *last |= (part << (self.free - taken)).to_le_bytes()[0];
            }

            self.free -= taken;
            left -= taken;
        }
    }

    pub(super) fn put_byte(&mut self, byte: u8) {
        self.put(u64::from(byte), 8);
    }

    pub(super) fn put_f64(&mut self, value: f64) {
        self.put(value.to_bits(), 64);
    }

    /// The bytes. The unused bits of the last byte are zero.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads bits from bytes. Every method returns `None` at the end.
#[derive(Clone, Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// The number of bits that were read.
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Reads the next `count` bits as the lowest bits of a number; `count` is at most 64.
    pub(super) fn take(&mut self, count: u32) -> Option<u64> {
        let mut value = 0;
        let mut left = count;

        while left > 0 {
            let byte = u64::from(*self.bytes.get(self.at / 8)?);
            let unread = 8 - u32::try_from(self.at % 8).ok()?;
            let taken = left.min(unread);
            let part = (byte >> (unread - taken)) & ((1 << taken) - 1);

            value = value << taken | part;
            self.at += taken as usize;
            left -= taken;
        }

        Some(value)
    }

    pub(super) fn bit(&mut self) -> Option<bool> {
        Some(self.take(1)? == 1)
    }

    pub(super) fn f64(&mut self) -> Option<f64> {
        self.take(64).map(f64::from_bits)
    }

    /// How many bits are left.
    pub(super) const fn left(&self) -> usize {
        self.bytes.len() * 8 - self.at
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_highest_bit_of_a_byte_comes_first() {
        let mut writer = BitWriter::default();
        writer.put(0b101, 3);
        writer.put(0x1ff, 9);

        assert_eq!(writer.into_bytes(), [0b1011_1111, 0b1111_0000]);
    }

    proptest! {
        #[test]
        fn numbers_of_any_width_come_back(numbers in prop::collection::vec((any::<u64>(), 1..=64u32), 0..50)) {
            let numbers: Vec<_> = numbers.into_iter().map(|(n, count)| (n >> (64 - count), count)).collect();
            let mut writer = BitWriter::default();

            for (number, count) in &numbers {
                writer.put(*number, *count);
            }

            let bytes = writer.into_bytes();
            let mut reader = BitReader::new(&bytes);

            for (number, count) in numbers {
                prop_assert_eq!(reader.take(count), Some(number));
            }

            prop_assert!(reader.left() < 8);

            let rest = u32::try_from(reader.left()).unwrap();
            prop_assert_eq!(reader.take(rest + 1), None);
        }
    }
}
