//! Functions over the samples of one window, at least one.

use duramen_model::Compensated;

/// Returns the smallest value. NaN only if all are NaN.
pub(crate) fn min(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, |best, value| {
        if value < best || best.is_nan() {
            value
        } else {
            best
        }
    })
}

/// Returns the largest value. NaN only if all are NaN.
pub(crate) fn max(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, |best, value| {
        if value > best || best.is_nan() {
            value
        } else {
            best
        }
    })
}

pub(crate) fn sum(values: &[f64]) -> f64 {
    let mut sum = Compensated::default();
    values.iter().for_each(|&value| sum.add(value));
    sum.total()
}

/// Returns the population variance, by Welford's method with compensated sums.
pub(crate) fn variance(values: &[f64]) -> f64 {
    let mut mean = Compensated::default();
    let mut squares = Compensated::default();
    let mut count = 0.0;

    for &value in values {
        count += 1.0;

        let delta = value - (mean.sum + mean.rest);
        mean.add(delta / count);
        squares.add(delta * (value - (mean.sum + mean.rest)));
    }

    (squares.sum + squares.rest) / count
}

/// Returns the median distance from the median. NaN if any value is NaN.
pub(crate) fn median_absolute_deviation(values: &[f64]) -> f64 {
    if values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }

    let mut sorted = values.to_vec();
    let median = quantile(0.5, &mut sorted);

    for value in &mut sorted {
        *value = (*value - median).abs();
    }

    quantile(0.5, &mut sorted)
}

/// Returns the `q` quantile, interpolated between the two nearest values. NaN counts as the
/// smallest value. Sorts `values`.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }

    if q < 0.0 {
        return f64::NEG_INFINITY;
    }

    if q > 1.0 {
        return f64::INFINITY;
    }

    values.sort_unstable_by(|a, b| {
        b.is_nan()
            .cmp(&a.is_nan())
            .then_with(|| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal))
    });

    let rank = q * (values.len() - 1) as f64;
    let lower = rank.floor();
    let weight = rank - lower;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank lies within the length"
    )]
    let lower = (lower as usize).min(values.len() - 1);
    let upper = (lower + 1).min(values.len() - 1);

    // Avoids 0 * infinity, which is NaN.
    if weight == 0.0 {
        return values[lower];
    }

    values[lower] * (1.0 - weight) + values[upper] * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_counts_for_the_extremes_only_when_alone() {
        assert_eq!(min(&[f64::NAN, 2.0, 1.0]), 1.0);
        assert_eq!(max(&[f64::NAN, 2.0, 3.0]), 3.0);
        assert!(max(&[f64::NAN]).is_nan());
    }

    #[test]
    fn equal_values_have_no_variance() {
        assert_eq!(variance(&[1.5990505637277868; 3]), 0.0);
        assert!((variance(&[0.0, 8.0, 8.0, 2.0, 3.0]) - 10.56).abs() < 1e-12);
    }

    #[test]
    fn quantiles_interpolate_and_take_nan_for_the_smallest() {
        let q = |q, values: &[f64]| quantile(q, &mut values.to_vec());
        assert_eq!(q(0.8, &[0.0, 1.0, 4.0]), 2.8000000000000003);
        assert_eq!(q(0.8, &[0.0, 1.0, f64::NAN]), 0.6000000000000001);
        assert!(q(0.2, &[0.0, 1.0, f64::NAN]).is_nan());
        assert_eq!(
            (q(-0.1, &[1.0]), q(1.1, &[1.0])),
            (f64::NEG_INFINITY, f64::INFINITY)
        );

        assert!(q(f64::NAN, &[1.0]).is_nan());
        assert_eq!(q(0.5, &[f64::NEG_INFINITY, 1.0, f64::INFINITY]), 1.0);
        assert_eq!(q(1.0, &[1.0, f64::INFINITY]), f64::INFINITY);
    }

    #[test]
    fn the_median_deviation_is_nan_when_a_value_is() {
        assert_eq!(
            median_absolute_deviation(&[4.0, 6.0, 2.0, 1.0, 999.0, 1.0, 2.0]),
            1.0
        );

        assert!(median_absolute_deviation(&[1.0, f64::NAN]).is_nan());
    }
}
