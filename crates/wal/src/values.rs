//! A column of sample values: an integer takes the bytes that it needs, any other value its 64
//! bits.
//!
//! First come the lengths of all values, one byte each, then the bytes of all values. A length from
//! 0 to 7 means a zigzag integer of so many bytes, little-endian; it is used only if it gives back
//! exactly the bits of the value. A length of 8 means the bits themselves, little-endian. Most
//! samples are counters, sizes and flags, so this halves the column before any compression, at a
//! cost of a few nanoseconds per sample.

#![deny(clippy::indexing_slicing)]

use crate::varint::{Input, unzigzag, zigzag};

/// Integers with a smaller absolute value are exact both as `f64` and as `i64`, and their zigzag
/// form has at most seven bytes.
const INTEGER_MAX: u64 = 1 << 53;
const BITS: u8 = 8;

pub(crate) fn put_values(out: &mut Vec<u8>, values: &[f64]) {
    let lengths = out.len();
    out.resize(lengths + values.len(), 0);
    out.reserve(values.len() * 8);

    for (index, value) in values.iter().enumerate() {
        let (length, word) = shortest(*value);
        if let Some(slot) = out.get_mut(lengths + index) {
            *slot = length;
        }

        let end = out.len() + usize::from(length);
        out.extend_from_slice(&word.to_le_bytes());
        out.truncate(end);
    }
}

/// Returns the length in bytes, and the word whose low bytes are the value.
fn shortest(value: f64) -> (u8, u64) {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates; the bits are compared below"
    )]
    let integer = value as i64;
    if integer.unsigned_abs() < INTEGER_MAX && (integer as f64).to_bits() == value.to_bits() {
        let word = zigzag(integer);
        let bits = u64::BITS - word.leading_zeros();
        (bits.div_ceil(8).to_le_bytes()[0], word)
    } else {
        (BITS, value.to_bits())
    }
}

/// Returns `None` if the input is too short or a length is above 8. Allocates at most eight times
/// the bytes of the input.
pub(crate) fn take_values(input: &mut Input<'_>, count: usize) -> Option<Vec<f64>> {
    let lengths = input.take(count)?;
    let mut values = Vec::with_capacity(count);

    for &length in lengths {
        if length > BITS {
            return None;
        }

        let word = input.word(length)?;
        values.push(if length == BITS {
            f64::from_bits(word)
        } else {
            unzigzag(word) as f64
        });
    }

    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: f64, length: u8) {
        let mut bytes = vec![];
        put_values(&mut bytes, &[value]);

        assert_eq!(
            (bytes.first(), bytes.len()),
            (Some(&length), usize::from(length) + 1),
            "{value}"
        );

        let back = take_values(&mut Input::new(&bytes), 1).unwrap();
        assert_eq!(
            back.first().map(|back| back.to_bits()),
            Some(value.to_bits()),
            "{value}"
        );
    }

    #[test]
    fn integers_are_short_and_every_bit_comes_back() {
        check(0.0, 0);
        check(-1.0, 1);
        check(127.0, 1);
        check(-129.0, 2);
        check(9_007_199_254_740_991.0, 7);
        check(-9_007_199_254_740_991.0, 7);
        check(9_007_199_254_740_992.0, 8);
        check(-0.0, 8);
        check(0.1, 8);
        check(f64::INFINITY, 8);
        check(f64::MIN, 8);
        check(f64::from_bits(0x7ff0_0000_0000_0002), 8);
    }

    #[test]
    fn impossible_lengths_are_refused() {
        assert!(take_values(&mut Input::new(&[9, 0, 0, 0, 0, 0, 0, 0, 0, 0]), 1).is_none());
        assert!(take_values(&mut Input::new(&[2, 0]), 1).is_none());
        assert!(take_values(&mut Input::new(&[0]), usize::MAX).is_none());
    }
}
