//! Numbers of few bits. A prefix of ones gives the width.
//!
//! ```text
//! 0          zero        11110      12 bits       11111110   56 bits
//! 10          3 bits     111110     18 bits       11111111   64 bits
//! 110         6 bits     1111110    25 bits
//! 1110        9 bits
//! ```
//!
//! A signed number of `n` bits lies in `-(2^(n-1) - 1) ..= 2^(n-1)`, which is two's complement
//! shifted by one.

use super::bits::{BitReader, BitWriter};

/// The prefixes with their lengths, and the number of bits that follow. The narrowest comes first.
const WIDTHS: [(u64, u32, u32); 8] = [
    (0b10, 2, 3),
    (0b110, 3, 6),
    (0b1110, 4, 9),
    (0b1_1110, 5, 12),
    (0b11_1110, 6, 18),
    (0b111_1110, 7, 25),
    (0b1111_1110, 8, 56),
    (0b1111_1111, 8, 64),
];

/// Whether `value` fits into a signed number of `bits` bits.
pub(super) const fn fits(value: i64, bits: u32) -> bool {
    if bits == 64 {
        return true;
    }

    let most = 1i64 << (bits - 1);
    -most < value && value <= most
}

/// The signed number whose lowest `bits` bits are `raw`.
pub(super) const fn signed(raw: u64, bits: u32) -> i64 {
    if bits == 64 || raw <= 1 << (bits - 1) {
        raw.cast_signed()
    } else {
        raw.wrapping_sub(1 << bits).cast_signed()
    }
}

pub(super) fn put_int(out: &mut BitWriter, value: i64) {
    put(out, value.cast_unsigned(), |bits| fits(value, bits));
}

pub(super) fn put_uint(out: &mut BitWriter, value: u64) {
    put(out, value, |bits| bits == 64 || value >> bits == 0);
}

fn put(out: &mut BitWriter, value: u64, fits: impl Fn(u32) -> bool) {
    if value == 0 {
        return out.put(0, 1);
    }

    let [.., widest] = WIDTHS;
    let (prefix, length, bits) = WIDTHS
        .into_iter()
        .find(|(_, _, bits)| fits(*bits))
        .unwrap_or(widest);

    out.put(prefix, length);
    out.put(value, bits);
}

pub(super) fn take_int(input: &mut BitReader<'_>) -> Option<i64> {
    match width(input)? {
        0 => Some(0),
        bits => Some(signed(input.take(bits)?, bits)),
    }
}

pub(super) fn take_uint(input: &mut BitReader<'_>) -> Option<u64> {
    let bits = width(input)?;
    input.take(bits)
}

/// Reads a prefix. Returns how many bits follow; 0 for the number zero.
fn width(input: &mut BitReader<'_>) -> Option<u32> {
    for bits in [0, 3, 6, 9, 12, 18, 25, 56] {
        if !input.bit()? {
            return Some(bits);
        }
    }

    Some(64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0..64u32).prop_map(|(number, shift)| number >> shift)
    }

    proptest! {
        #[test]
        fn numbers_come_back(unsigned in numbers(), signed in numbers(), negative: bool) {
            let signed = signed.cast_signed();
            let signed = if negative { signed.wrapping_neg() } else { signed };
            let mut out = BitWriter::default();

            put_uint(&mut out, unsigned);
            put_int(&mut out, signed);

            let bytes = out.into_bytes();
            let mut input = BitReader::new(&bytes);

            prop_assert_eq!(take_uint(&mut input), Some(unsigned));
            prop_assert_eq!(take_int(&mut input), Some(signed));
        }
    }

    #[test]
    fn a_width_reaches_one_further_up_than_down() {
        for bits in [3, 6, 9, 12, 18, 25, 56] {
            let most = 1 << (bits - 1);
            assert!(fits(most, bits) && fits(1 - most, bits), "{bits}");
            assert!(!fits(most + 1, bits) && !fits(-most, bits), "{bits}");
        }
    }
}
