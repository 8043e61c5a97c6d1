//! How lists of numbers and texts are written.
//!
//! ```text
//! varint  = 7 bits a byte, the lowest first; the high bit says that more follow
//! numbers = width (u8)  planes: byte 0 of all numbers, then byte 1 of all, up to the width
//! text    = bytes (varint)  UTF-8
//! ```
//!
//! How many numbers a list has follows from what was read before. Byte planes pack better than
//! varints: zstd sees the high bytes, which hardly differ, as runs.

/// Appends to the body of `meta`.
#[derive(Debug, Default)]
pub(super) struct Out(pub(super) Vec<u8>);

impl Out {
    pub(super) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }

        self.0.push(value.to_le_bytes()[0]);
    }

    pub(super) fn length(&mut self, length: usize) {
        self.varint(length as u64);
    }

    pub(super) fn text(&mut self, text: &[u8]) {
        self.length(text.len());
        self.0.extend_from_slice(text);
    }

    pub(super) fn numbers(&mut self, numbers: &[u64]) {
        let all = numbers.iter().fold(0, |all, number| all | number);
        let width = u64::BITS.div_ceil(8) - all.leading_zeros() / 8;

        self.0.push(width.to_le_bytes()[0]);
        for plane in 0..width as usize {
            self.0.extend(
                numbers
                    .iter()
                    .filter_map(|number| number.to_le_bytes().get(plane).copied()),
            );
        }
    }
}

/// Reads what [`Out`] wrote. It trusts nothing.
#[derive(Debug)]
pub(super) struct In<'a>(pub(super) &'a [u8]);

impl<'a> In<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, behind) = self.0.split_at_checked(length)?;
        self.0 = behind;
        Some(taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut value = 0;

        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            value |= bits << shift;

            if bits << shift >> shift != bits {
                return None;
            }
            if byte < 0x80 {
                return Some(value);
            }
        }

        None
    }

    /// Reads a number of things, at most `max`.
    pub(super) fn length(&mut self, max: usize) -> Option<usize> {
        usize::try_from(self.varint()?)
            .ok()
            .filter(|length| *length <= max)
    }

    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.length(self.0.len())?;
        self.take(length)
    }

    /// Reads a list of `count` numbers, which the caller has bounded.
    pub(super) fn numbers(&mut self, count: usize) -> Option<Vec<u64>> {
        let width = usize::from(self.byte()?);
        let planes = (width <= 8).then(|| self.take(count.checked_mul(width)?))??;

        if width == 0 {
            return Some(vec![0; count]);
        }

        let mut numbers = vec![0u64; count];

        for (shift, plane) in (0..u64::BITS).step_by(8).zip(planes.chunks(count.max(1))) {
            for (number, byte) in numbers.iter_mut().zip(plane) {
                *number |= u64::from(*byte) << shift;
            }
        }

        Some(numbers)
    }

    /// Reads a list of `count` numbers of 32 bits.
    pub(super) fn small_numbers(&mut self, count: usize) -> Option<Vec<u32>> {
        let numbers = self.numbers(count)?;
        numbers
            .into_iter()
            .map(|number| u32::try_from(number).ok())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_widths_come_back() {
        for list in [
            vec![],
            vec![0, 0],
            vec![255, 1],
            vec![256],
            vec![u64::from(u32::MAX), 7, 1 << 24],
            vec![u64::MAX, 0],
        ] {
            let mut out = Out::default();
            out.numbers(&list);
            list.iter().for_each(|number| out.varint(*number));

            let mut rest = In(&out.0);
            assert_eq!(rest.numbers(list.len()).unwrap(), list);

            for number in &list {
                assert_eq!(rest.varint().unwrap(), *number);
            }

            assert!(rest.0.is_empty());
        }
    }

    #[test]
    fn a_varint_that_is_too_long_is_refused() {
        assert_eq!(In(&[0xff; 9]).varint(), None);
        assert_eq!(In(&[0xff; 11]).varint(), None);

        let mut ten = [0xff; 10];
        ten[9] = 1;
        assert_eq!(In(&ten).varint(), Some(u64::MAX));

        ten[9] = 2;
        assert_eq!(In(&ten).varint(), None);
    }
}
