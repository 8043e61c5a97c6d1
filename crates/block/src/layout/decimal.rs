//! Decides which samples are stored as scaled integers, and at which scale. Pure.

/// The powers of ten that an `f64` holds exactly.
pub(crate) const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
/// The largest exponent of the format.
pub(crate) const EXPONENT_MAX: u8 = 22;
/// 2^53. Every smaller integer is exact as an `f64`.
const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;
/// Below this, `value * 10^exponent` is less than a half away from the intended integer.
const SEARCH_MAX: f64 = 1e15;
/// A fraction with more digits than this is not a decimal that a person wrote. With a limit of 15
/// digits, one in a hundred arbitrary doubles would pass by chance and need deltas of 50 bits.
const DIGITS_MAX: i64 = 10_000_000_000_000;

/// At most one in so many decimals of a series is stored as a float instead of widening the scale.
const OUTLIERS: usize = 32;

/// Returns the integer that stands for `value` at `exponent`, if it gives back the same bits.
#[inline]
pub(crate) fn scaled(value: f64, exponent: u8) -> Option<i64> {
    let power = POWERS[usize::from(exponent)];
    let rounded = (value * power).round_ties_even();

    if rounded.abs() <= INTEGER_MAX {
        #[expect(clippy::cast_possible_truncation, reason = "|rounded| <= 2^53")]
        let integer = rounded as i64;

        // The check goes through the integer, where -0.0 becomes 0, so -0.0 fails it.
        if (to_float(integer) / power).to_bits() == value.to_bits() {
            return Some(integer);
        }
    }

    None
}

/// Returns the value that `integer` stands for. This division is the only right way to read it: a
/// multiplication by a negative power of ten gives other bits.
///
/// An `exponent` outside of the table is not valid in the format. It is read as the largest.
#[inline]
pub(crate) fn unscaled(integer: i64, exponent: i32) -> f64 {
    to_float(integer)
        / POWERS[usize::try_from(exponent)
            .unwrap_or(usize::MAX)
            .min(POWERS.len() - 1)]
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the format has no larger integer than 2^53"
)]
const fn to_float(integer: i64) -> f64 {
    integer as f64
}

/// Returns the smallest exponent at which `value` is an integer, or `None` if it stays a float.
///
/// A value that is exact at one exponent is exact at every larger one that still fits, so one test
/// at the largest exponent decides.
fn smallest_exponent(value: f64) -> Option<u8> {
    if scaled(value, 0).is_some() {
        return Some(0);
    }

    if !value.is_finite() || value == 0.0 {
        return None;
    }

    let mut exponent = largest_exponent(value.abs())?;
    let mut integer = scaled(value, exponent)?;

    while exponent > 0 && integer % 10 == 0 {
        integer /= 10;
        exponent -= 1;
    }

    (integer.abs() < DIGITS_MAX).then_some(exponent)
}

/// Returns the largest exponent at which `magnitude` stays below [`SEARCH_MAX`].
fn largest_exponent(magnitude: f64) -> Option<u8> {
    let mut low = 0;
    let mut high = EXPONENT_MAX;

    if magnitude >= SEARCH_MAX {
        return None;
    }

    while low < high {
        let middle = (low + high).div_ceil(2);
        if magnitude * POWERS[usize::from(middle)] < SEARCH_MAX {
            low = middle;
        } else {
            high = middle - 1;
        }
    }

    Some(low)
}

/// Chooses the exponent of a series. A series has one, because a common scale keeps the deltas
/// small.
///
/// It is the smallest that serves all decimals of the series but one in [`OUTLIERS`]; the others go
/// into the float column. A series of mostly floats stores only its whole numbers as integers.
pub(crate) fn scale_of(values: &[f64]) -> u8 {
    let mut needed = [0usize; EXPONENT_MAX as usize + 1];
    let mut floats = 0usize;
    let mut widest = 0u8;

    for &value in values {
        // First guess: the widest exponent so far also serves this sample. Trailing zeros then tell
        // the exponent that it needs.
        let exponent = match scaled(value, widest) {
            Some(integer) if widest == 0 || integer % 10 != 0 => Some(widest),
            Some(integer) => Some(without_zeros(integer, widest)),
            None => smallest_exponent(value),
        };

        match exponent {
            Some(exponent) => {
                needed[usize::from(exponent)] += 1;
                widest = widest.max(exponent);
            }
            None => floats += 1,
        }
    }

    let decimals = values.len() - floats;
    let fractions = decimals - needed[0];

    if fractions * 8 <= floats {
        return 0;
    }

    let mut left_out = 0;
    for exponent in (1..=widest).rev() {
        left_out += needed[usize::from(exponent)];
        if left_out * OUTLIERS > decimals {
            return exponent;
        }
    }

    0
}

fn without_zeros(mut integer: i64, mut exponent: u8) -> u8 {
    while exponent > 0 && integer % 10 == 0 {
        integer /= 10;
        exponent -= 1;
    }

    exponent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_exact_is_no_integer() {
        for value in [
            -0.0,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::from_bits(0x7ff0_0000_0000_0002),
            5e-324,
        ] {
            for exponent in 0..=EXPONENT_MAX {
                assert_eq!(scaled(value, exponent), None, "{value} {exponent}");
            }
        }

        assert_eq!(scaled(9_007_199_254_740_992.0, 0), Some(1 << 53));
        assert_eq!(scaled(9_007_199_254_740_994.0, 0), None);
        assert_eq!(scaled(1e22, 0), None);
    }

    #[test]
    fn a_decimal_finds_its_digits() {
        for (value, exponent) in [
            (0.0, 0),
            (7.0, 0),
            (0.1, 1),
            (12.25, 2),
            (-3.125, 3),
            (0.0001, 4),
            (1e15, 0),
        ] {
            assert_eq!(smallest_exponent(value), Some(exponent), "{value}");
            let integer = scaled(value, exponent).unwrap();
            assert_eq!(
                unscaled(integer, i32::from(exponent)).to_bits(),
                value.to_bits()
            );
        }

        assert_eq!(smallest_exponent(std::f64::consts::PI), None);
        assert_eq!(smallest_exponent(0.1 + 0.2), None);
    }

    #[test]
    fn a_series_gets_one_scale() {
        assert_eq!(scale_of(&[1.0, 2.5, 3.25, 4.0]), 2);
        assert_eq!(scale_of(&[1.0, f64::NAN, 3.0]), 0);

        let mut values = vec![0.5; 100];
        values.push(0.123_456_789);

        assert_eq!(
            scale_of(&values),
            1,
            "one of a hundred does not widen the others"
        );

        let floats: Vec<_> = (1..100)
            .map(|i| f64::from(i).sqrt().sin())
            .chain([0.25])
            .collect();

        assert_eq!(scale_of(&floats), 0, "a decimal among floats is a float");
    }
}
