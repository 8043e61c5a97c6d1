//! Statistics of several values.

pub(super) fn sum(values: &[f64]) -> f64 {
    values.iter().sum()
}

pub(super) fn average(values: &[f64]) -> f64 {
    sum(values) / values.len() as f64
}

/// Returns the smallest value. It is NaN only if all values are.
pub(super) fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, |least, value| {
        if least.is_nan() || value < least {
            value
        } else {
            least
        }
    })
}

pub(super) fn most(values: &[f64]) -> f64 {
    -least(&values.iter().map(|value| -value).collect::<Vec<_>>())
}

/// Returns the population variance.
pub(super) fn variance(values: &[f64]) -> f64 {
    let average = average(values);
    values
        .iter()
        .map(|value| (value - average).powi(2))
        .sum::<f64>()
        / values.len() as f64
}

/// Returns the quantile, interpolated between the two nearest values. NaN sorts first.
pub(super) fn quantile(q: f64, values: &[f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }

    if q < 0.0 {
        return f64::NEG_INFINITY;
    }

    if q > 1.0 {
        return f64::INFINITY;
    }

    let mut values = values.to_vec();
    values.sort_by(|a, b| {
        b.is_nan()
            .cmp(&a.is_nan())
            .then(a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal))
    });

    let rank = q * (values.len() - 1) as f64;
    let lower = rank.floor();
    let weight = rank - lower;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 0 and the length"
    )]
    let lower = lower as usize;
    let upper = (lower + 1).min(values.len() - 1);

    if weight == 0.0 {
        return values[lower];
    }

    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// Returns the median of the distances from the median.
pub(super) fn median_deviation(values: &[f64]) -> f64 {
    if values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }

    let middle = quantile(0.5, values);
    quantile(
        0.5,
        &values
            .iter()
            .map(|value| (value - middle).abs())
            .collect::<Vec<_>>(),
    )
}

/// Smooths the values with a level and a trend, and returns the last level. `factor` and
/// `trend_factor` are the weights of the newest value and trend.
pub(super) fn smoothed(values: &[f64], factor: f64, trend_factor: f64) -> Option<f64> {
    let mut level = *values.first()?;
    let mut trend = values.get(1)? - values.first()?;

    for (at, value) in values.iter().enumerate().skip(1) {
        let before = level;
        level = factor * value + (1.0 - factor) * (level + trend);

        if at + 1 < values.len() {
            trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
        }
    }

    Some(level)
}

/// Returns the area under the values. Strategy 0 takes rectangles of the left ends, 1 those of the
/// right ends, any other trapezoids.
pub(super) fn area(points: &[(i64, f64)], strategy: f64) -> f64 {
    let known = |value: f64| if value.is_nan() { 0.0 } else { value };
    let piece = |two: &[(i64, f64)]| {
        let width = (two[1].0 - two[0].0) as f64 / 1000.0;
        let left = known(two[0].1);
        let right = known(two[1].1);

        let height = match strategy {
            0.0 => left,
            1.0 => right,
            _ => f64::midpoint(left, right),
        };

        if height == 0.0 { 0.0 } else { height * width }
    };

    points.windows(2).map(piece).sum()
}

/// Fits a line by least squares. Returns its slope and its value at 0.
pub(super) fn line(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let (_, first) = *points.first()?;
    if points.len() < 2 {
        return None;
    }

    if points.iter().all(|(_, y)| *y == first) {
        return Some(if first.is_infinite() {
            (f64::NAN, f64::NAN)
        } else {
            (0.0, first)
        });
    }

    let xs: Vec<f64> = points.iter().map(|(x, _)| *x).collect();
    let ys: Vec<f64> = points.iter().map(|(_, y)| *y).collect();
    let x = average(&xs);
    let y = average(&ys);
    let covariance: f64 = xs.iter().zip(&ys).map(|(xi, yi)| (xi - x) * (yi - y)).sum();
    let spread: f64 = xs.iter().map(|xi| (xi - x).powi(2)).sum();
    let slope = covariance / spread;

    Some((slope, y - slope * x))
}
