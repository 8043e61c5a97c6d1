//! Functions of a range: the samples of one series in, one value out.

use super::selectors::Window;

/// The value of function `name`; `None` for none. `parameter` is that of `quantile_over_time` and `predict_linear`, and `time_ms` when the
/// query is evaluated.
pub(super) fn evaluate(name: &str, window: &Window, parameter: f64, time_ms: i64) -> Option<Option<f64>> {
    let samples = &window.samples;
    let values: Vec<f64> = samples.iter().map(|(_, value)| *value).collect();
    let some = |value: f64| Some(Some(value));
    match name {
        "count_over_time" => some(values.len() as f64),
        "present_over_time" => some(1.0),
        "sum_over_time" => some(sum(&values)),
        "avg_over_time" => some(average(&values)),
        "min_over_time" => some(least(&values)),
        "max_over_time" => some(-least(&values.iter().map(|value| -value).collect::<Vec<_>>())),
        "stdvar_over_time" => some(variance(&values)),
        "stddev_over_time" => some(variance(&values).sqrt()),
        "quantile_over_time" => some(quantile(parameter, &values)),
        "last_over_time" => Some(values.last().copied()),
        "first_over_time" => Some(values.first().copied()),
        "changes" => {
            let differ = |two: &&[f64]| two[0] != two[1] && !(two[0].is_nan() && two[1].is_nan());
            some(values.windows(2).filter(differ).count() as f64)
        }
        "resets" => some(values.windows(2).filter(|two| two[1] < two[0]).count() as f64),
        "rate" => {
            Some(extrapolated(window, Kind::Counter).map(|value| value / seconds(window.end_ms - window.start_ms)))
        }
        "increase" => Some(extrapolated(window, Kind::Counter)),
        "delta" => Some(extrapolated(window, Kind::Gauge)),
        "irate" => Some(last_two(samples).map(|(before, last, passed)| {
            let risen = if last < before { last } else { last - before };
            risen / passed
        })),
        "idelta" => Some(last_two(samples).map(|(before, last, _)| last - before)),
        "deriv" => Some(line(samples, samples.first()?.0).map(|(slope, _)| slope)),
        "predict_linear" => Some(line(samples, time_ms).map(|(slope, at)| slope * parameter + at)),
        _ => None,
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

pub(super) fn sum(values: &[f64]) -> f64 {
    values.iter().sum()
}

pub(super) fn average(values: &[f64]) -> f64 {
    sum(values) / values.len() as f64
}

/// NaN counts only when there is nothing else.
pub(super) fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, |least, value| if least.is_nan() || value < least { value } else { least })
}

/// Of the whole, not of a part of it.
pub(super) fn variance(values: &[f64]) -> f64 {
    let average = average(values);
    values.iter().map(|value| (value - average).powi(2)).sum::<f64>() / values.len() as f64
}

/// Between the two nearest values; NaN sorts first.
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
    values.sort_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal)));
    let rank = q * (values.len() - 1) as f64;
    let lower = rank.floor();
    let weight = rank - lower;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and the length")]
    let lower = lower as usize;
    let upper = (lower + 1).min(values.len() - 1);
    values[lower] * (1.0 - weight) + values[upper] * weight
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Counter,
    Gauge,
}

/// How much a series rises over the whole of its window, of which the samples cover a part.
///
/// To each side it goes on as far as the window, but only half of the average gap where the next sample is further away than the samples are
/// from each other (and a tenth), and a counter not below zero.
fn extrapolated(window: &Window, kind: Kind) -> Option<f64> {
    let samples = &window.samples;
    let ((first_ms, first), (last_ms, last)) = (*samples.first()?, *samples.last()?);
    if samples.len() < 2 {
        return None;
    }
    let mut rise = last - first;
    if kind == Kind::Counter {
        rise += samples.windows(2).filter(|two| two[1].1 < two[0].1).map(|two| two[0].1).sum::<f64>();
    }
    let covered = seconds(last_ms - first_ms);
    let gap = covered / (samples.len() - 1) as f64;
    let reach = |to_edge: f64| if to_edge >= gap * 1.1 { gap / 2.0 } else { to_edge };
    let mut before = reach(seconds(first_ms - window.start_ms));
    if kind == Kind::Counter && rise > 0.0 && first >= 0.0 {
        before = before.min(covered * (first / rise));
    }
    let behind = reach(seconds(window.end_ms - last_ms));
    Some(rise * ((covered + before + behind) / covered))
}

/// The last two values, and the seconds between them.
fn last_two(samples: &[(i64, f64)]) -> Option<(f64, f64, f64)> {
    let [.., (before_ms, before), (last_ms, last)] = samples else { return None };
    Some((*before, *last, seconds(last_ms - before_ms)))
}

/// The straight line with the least squares: its slope in 1/s and its value at `at_ms`.
fn line(samples: &[(i64, f64)], at_ms: i64) -> Option<(f64, f64)> {
    let (_, first) = *samples.first()?;
    if samples.len() < 2 {
        return None;
    }
    if samples.iter().all(|(_, value)| *value == first) {
        return Some(if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) });
    }
    let xs: Vec<f64> = samples.iter().map(|(ts, _)| seconds(ts - at_ms)).collect();
    let ys: Vec<f64> = samples.iter().map(|(_, value)| *value).collect();
    let (x, y) = (average(&xs), average(&ys));
    let covariance: f64 = xs.iter().zip(&ys).map(|(xi, yi)| (xi - x) * (yi - y)).sum();
    let spread: f64 = xs.iter().map(|xi| (xi - x).powi(2)).sum();
    let slope = covariance / spread;
    Some((slope, y - slope * x))
}
