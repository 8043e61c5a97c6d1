//! Decides which samples are stored as scaled integers, and at which scale. Pure.

use duramen_model::is_stale;

/// The powers of ten that an `f64` holds exactly.
pub(crate) const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
/// The largest exponent of the format.
pub(crate) const EXPONENT_MAX: u8 = 22;
/// 2^53. Every smaller integer is exact as an `f64`.
const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;
/// 2^51. Below this, `value * 10^exponent` is less than a half away from the intended integer;
/// above it, at most one.
const ROUNDED_MAX: f64 = 2_251_799_813_685_248.0;
/// A fraction with more digits than this is long. One in a hundred arbitrary doubles is a fraction
/// of 15 digits by chance, and most are one of 16, so a long fraction alone says nothing.
const DIGITS_MAX: i64 = 10_000_000_000_000;

/// At most one in so many decimals of a series is stored as a float instead of widening the scale.
const OUTLIERS: usize = 32;
/// Long fractions are decimals if the series has at least so many samples, ...
const LONG_SAMPLES_MIN: usize = 100;
/// ... and if the deltas have at most so many bits on average. A float takes about 52.
const LONG_DELTA_BITS_MAX: usize = 40;

/// Returns the integer that stands for `value` at `exponent`, if it gives back the same bits.
#[inline]
pub(crate) fn scaled(value: f64, exponent: u8) -> Option<i64> {
    let power = POWERS[usize::from(exponent)];
    let rounded = (value * power).round_ties_even();

    if rounded.abs() <= INTEGER_MAX {
        #[expect(clippy::cast_possible_truncation, reason = "|rounded| <= 2^53")]
        let integer = rounded as i64;

        // The check goes through the integer, where -0.0 becomes 0, so -0.0 fails it.
        let stands = |integer: i64| (to_float(integer) / power).to_bits() == value.to_bits();

        if stands(integer) {
            return Some(integer);
        }

        if rounded.abs() >= ROUNDED_MAX && exponent > 0 {
            let fits = |near: &i64| near.unsigned_abs() <= 1 << 53 && stands(*near);
            return [integer - 1, integer + 1].into_iter().find(fits);
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

/// A value that is an integer at some exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Decimal {
    /// The smallest such exponent.
    exponent: u8,
    /// Whether it is a fraction of so many digits that it may be one by chance.
    is_long: bool,
}

impl Decimal {
    /// `value` has `integer` at `exponent`.
    fn new(integer: i64, exponent: u8) -> Self {
        let (integer, exponent) = without_zeros(integer, exponent);

        Self {
            exponent,
            is_long: exponent > 0 && integer.unsigned_abs() >= DIGITS_MAX.unsigned_abs(),
        }
    }

    /// Returns `None` if `value` stays a float.
    ///
    /// A value that is exact at one exponent is exact at every larger one that still fits, so one
    /// test at the largest exponent decides.
    fn of(value: f64) -> Option<Self> {
        if scaled(value, 0).is_some() {
            return Some(Self {
                exponent: 0,
                is_long: false,
            });
        }

        if !value.is_finite() || value == 0.0 {
            return None;
        }

        let exponent = largest_exponent(value.abs())?;
        Some(Self::new(scaled(value, exponent)?, exponent))
    }
}

/// Returns the largest exponent at which `magnitude` stays below [`INTEGER_MAX`].
fn largest_exponent(magnitude: f64) -> Option<u8> {
    let mut low = 0;
    let mut high = EXPONENT_MAX;

    if magnitude >= INTEGER_MAX {
        return None;
    }

    while low < high {
        let middle = (low + high).div_ceil(2);
        if magnitude * POWERS[usize::from(middle)] < INTEGER_MAX {
            low = middle;
        } else {
            high = middle - 1;
        }
    }

    Some(low)
}

/// How many decimals of a series need each exponent.
#[derive(Default)]
struct Needed([usize; EXPONENT_MAX as usize + 1]);

impl Needed {
    fn all(&self) -> usize {
        self.0.iter().sum()
    }

    /// Returns the smallest exponent that serves all decimals but one in [`OUTLIERS`].
    fn exponent(&self) -> u8 {
        let decimals = self.all();
        let mut left_out = 0;

        for (exponent, needed) in (0..=EXPONENT_MAX).zip(self.0).skip(1).rev() {
            left_out += needed;
            if left_out * OUTLIERS > decimals {
                return exponent;
            }
        }

        0
    }
}

/// Chooses the exponent of a series. A series has one, because a common scale keeps the deltas
/// small.
///
/// It is the smallest that serves all decimals of the series but one in [`OUTLIERS`]; the others go
/// into the float column. A series of mostly floats stores only its whole numbers as integers. Long
/// fractions are decimals only if nearly all samples are exact at one exponent, and if that is
/// smaller.
pub(crate) fn scale_of(values: &[f64]) -> u8 {
    let mut short = Needed::default();
    let mut long = Needed::default();
    let mut floats = 0usize;
    let mut widest = 0u8;

    for &value in values {
        // First guess: the widest exponent so far also serves this sample.
        let decimal = match scaled(value, widest) {
            Some(integer) => Some(Decimal::new(integer, widest)),
            None => Decimal::of(value),
        };

        match decimal {
            Some(Decimal { exponent, is_long }) => {
                let needed = if is_long { &mut long } else { &mut short };
                needed.0[usize::from(exponent)] += 1;
                widest = widest.max(exponent);
            }
            None if is_stale(value) => {}
            None => floats += 1,
        }
    }

    let longs = long.all();

    if longs > 0 {
        let both = Needed(std::array::from_fn(|exponent| {
            short.0[exponent] + long.0[exponent]
        }));
        let exponent = both.exponent();

        if are_decimals(values, exponent) {
            return exponent;
        }
    }

    let fractions = short.all() - short.0[0];

    if fractions * 8 <= floats + longs {
        return 0;
    }

    short.exponent()
}

/// Whether a series with long fractions is one of decimals: nearly all of many samples are exact at
/// `exponent`, and their deltas are small.
fn are_decimals(values: &[f64], exponent: u8) -> bool {
    let mut samples = 0;
    let mut floats = 0;
    let mut bits = 0;
    let mut previous = None;

    for &value in values.iter().filter(|value| !is_stale(**value)) {
        samples += 1;

        match scaled(value, exponent) {
            Some(integer) => {
                let delta = integer - previous.unwrap_or(integer);
                bits += 64 - delta.unsigned_abs().leading_zeros() as usize;
                previous = Some(integer);
            }
            None => floats += 1,
        }
    }

    samples >= LONG_SAMPLES_MIN
        && floats * OUTLIERS <= samples
        && bits <= LONG_DELTA_BITS_MAX * (samples - floats)
}

fn without_zeros(mut integer: i64, mut exponent: u8) -> (i64, u8) {
    while exponent > 0 && integer % 10 == 0 {
        integer /= 10;
        exponent -= 1;
    }

    (integer, exponent)
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

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
        for (value, exponent, is_long) in [
            (0.0, 0, false),
            (7.0, 0, false),
            (0.1, 1, false),
            (12.25, 2, false),
            (-3.125, 3, false),
            (0.0001, 4, false),
            (1e15, 0, false),
            (123_456.123_456_789, 9, true),
            (-4_000_000.123_456_789, 9, true),
            (8_999_999.999_999_999, 9, true),
            (std::f64::consts::PI, 15, true),
        ] {
            let decimal = Some(Decimal { exponent, is_long });
            assert_eq!(Decimal::of(value), decimal, "{value}");
            let integer = scaled(value, exponent).unwrap();
            assert_eq!(
                unscaled(integer, i32::from(exponent)).to_bits(),
                value.to_bits()
            );
        }

        assert_eq!(Decimal::of(0.1 + 0.2), None);
    }

    #[test]
    fn every_fraction_of_sixteen_digits_is_exact() {
        let mut random = StdRng::seed_from_u64(5);

        for exponent in 1..=EXPONENT_MAX {
            for _ in 0..20_000 {
                let integer = random.random_range(1..=1i64 << 53) >> random.random_range(0..53);
                let value = unscaled(integer, exponent.into());
                let found = scaled(value, exponent);
                let read = found.map(|found| unscaled(found, exponent.into()).to_bits());
                assert_eq!(read, Some(value.to_bits()), "{integer} {exponent}");
            }
        }
    }

    #[test]
    fn arbitrary_doubles_are_no_decimals_by_chance() {
        let mut random = StdRng::seed_from_u64(6);

        for _ in 0..2000 {
            let magnitude = 10f64.powf(random.random_range(-20.0..20.0));
            let count = random.random_range(1..400);
            let values: Vec<f64> = (0..count)
                .map(|_| magnitude * random.random_range(-1.0..1.0))
                .collect();
            let scale = scale_of(&values);
            assert!(scale == 0 || count < 16, "{scale} {values:?}");

            // Magnitudes at which all doubles are fractions of 16 digits.
            let values: Vec<f64> = (0..count).map(|_| random.random_range(0.5..0.9)).collect();
            assert!(scale_of(&values) == 0 || count < 16, "{values:?}");
        }
    }

    #[test]
    fn long_fractions_are_decimals_if_all_of_a_series_are() {
        let mut random = StdRng::seed_from_u64(7);

        // Seconds of CPU time, counted in nanoseconds.
        for start in [
            10_000_000_000_000u64,
            2_251_000_000_000_000,
            8_000_000_000_000_000,
        ] {
            let mut at = start;
            let mut values: Vec<f64> = (0..480)
                .map(|_| {
                    at += random.random_range(0..15_000_000_000);
                    at as f64 / 1e9
                })
                .collect();

            assert_eq!(scale_of(&values), 9, "{start}");
            assert_eq!(scale_of(&values[..99]), 0, "few samples");

            values
                .iter_mut()
                .step_by(20)
                .for_each(|v| *v = v.sqrt().sin() / 3.0);
            assert_eq!(scale_of(&values), 0, "one in twenty is another float");
        }
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
