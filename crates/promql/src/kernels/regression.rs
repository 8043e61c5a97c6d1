//! Straight lines through samples.

use duramen_model::Compensated;

/// Returns the slope per second and the value at `intercept_ms` of the least squares line. Needs
/// two samples.
pub(crate) fn line(ts: &[i64], values: &[f64], intercept_ms: i64) -> Option<(f64, f64)> {
    if ts.len() < 2 {
        return None;
    }

    let first = values[0];
    if values.iter().all(|&value| value == first) {
        return Some(if first.is_infinite() {
            (f64::NAN, f64::NAN)
        } else {
            (0.0, first)
        });
    }

    let mut sums = [Compensated::default(); 4];
    for (&ts_ms, &y) in ts.iter().zip(values) {
        let x = ts_ms.saturating_sub(intercept_ms) as f64 / 1000.0;
        for (sum, value) in sums.iter_mut().zip([x, y, x * y, x * x]) {
            sum.add(value);
        }
    }

    let n = ts.len() as f64;
    let [x, y, xy, xx] = sums.map(|sum| sum.sum + sum.rest);
    let slope = (xy - x * y / n) / (xx - x * x / n);

    Some((slope, y / n - slope * x / n))
}

/// Returns the last value of Holt's double exponential smoothing. `smoothing` is the weight of each
/// value, and `trend` the weight of each step in the trend. Needs two values.
pub(crate) fn double_smoothed(values: &[f64], smoothing: f64, trend: f64) -> Option<f64> {
    let [first, second, ..] = *values else {
        return None;
    };
    let mut before = 0.0;
    let mut level = first;
    let mut slope = second - first;

    for (at, value) in values.iter().enumerate().skip(1) {
        if at > 1 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }

        let next = smoothing * value + (1.0 - smoothing) * (level + slope);
        before = std::mem::replace(&mut level, next);
    }

    Some(level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_again() {
        assert_eq!(
            line(&[0, 1000, 2000], &[1.0, 3.0, 5.0], 3000),
            Some((2.0, 7.0))
        );

        assert_eq!(line(&[0, 1000], &[4.0, 4.0], 9000), Some((0.0, 4.0)));
        assert_eq!(line(&[0], &[4.0], 0), None);
        assert!(line(&[0, 1], &[f64::INFINITY; 2], 0).is_some_and(|(slope, _)| slope.is_nan()));
    }

    #[test]
    fn a_straight_line_is_smoothed_to_itself() {
        assert_eq!(double_smoothed(&[1.0, 3.0, 5.0, 7.0], 0.5, 0.25), Some(7.0));
        assert_eq!(double_smoothed(&[0.0, 0.0, 8.0], 0.5, 0.5), Some(4.0));
        assert_eq!(double_smoothed(&[1.0], 0.5, 0.5), None);
    }
}
