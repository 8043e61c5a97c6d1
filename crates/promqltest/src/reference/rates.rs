//! Computes how much a series rises in a window.

use super::dates::seconds;
use super::histogram::Histogram;
use super::value::Sample;
use super::window::{Edges, Window};

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

/// Returns the rise over the whole window, divided by `divisor`. `None` if there are both floats
/// and histograms.
pub(super) fn rise(window: &Window, kind: Kind, divisor: f64) -> Option<Sample> {
    let floats: Option<Vec<(i64, f64)>> = window
        .samples
        .iter()
        .map(|(ts, sample)| Some((*ts, sample.float()?)))
        .collect();

    if let Some(floats) = floats {
        return match window.edges {
            Edges::Plain => extrapolated(window, &floats, kind, divisor),
            _ => between_edges(window, &floats, kind).map(|rise| rise / divisor),
        }
        .map(Sample::Float);
    }

    let histograms: Option<Vec<(i64, &Histogram)>> = window
        .samples
        .iter()
        .map(|(ts, sample)| Some((*ts, sample.histogram()?)))
        .collect();

    let histograms = histograms?;
    match window.edges {
        Edges::Plain => extrapolated_histogram(window, &histograms, kind, divisor),
        _ => histogram_between_edges(window, &histograms, kind).map(|rise| rise.divided(divisor)),
    }
    .map(|rise| {
        Sample::from(Histogram {
            hint: duramen_model::ResetHint::Gauge,
            ..rise
        })
    })
}

/// Returns the factor that extends the rise between the first and the last of `times` to the whole
/// window.
///
/// On each side, the rise extends to the edge of the window if that is closer than 1.1 times the
/// average gap between samples, otherwise by half of the gap. A counter does not extend to before
/// it was zero: `to_zero` is the time from zero to the first sample, as a share of the covered
/// time.
fn extent(window: &Window, times: &[i64], to_zero: Option<f64>) -> Option<f64> {
    let first_ms = *times.first()?;
    let last_ms = *times.last()?;

    if times.len() < 2 {
        return None;
    }

    let covered = seconds(last_ms - first_ms);
    let gap = covered / (times.len() - 1) as f64;

    let reach = |to_edge: f64| {
        if to_edge >= gap * 1.1 {
            gap / 2.0
        } else {
            to_edge
        }
    };

    let mut before = reach(seconds(first_ms - window.start_ms));
    if let Some(to_zero) = to_zero {
        before = before.min(covered * to_zero);
    }

    let behind = reach(seconds(window.end_ms - last_ms));
    Some((covered + before + behind) / covered)
}

fn extrapolated(window: &Window, samples: &[(i64, f64)], kind: Kind, divisor: f64) -> Option<f64> {
    let times: Vec<i64> = samples.iter().map(|(ts, _)| *ts).collect();
    let first = samples.first()?.1;
    let last = samples.last()?.1;
    let mut rise = last - first;

    if kind == Kind::Counter {
        rise += samples
            .windows(2)
            .filter(|two| two[1].1 < two[0].1)
            .map(|two| two[0].1)
            .sum::<f64>();
    }

    let to_zero = (kind == Kind::Counter && rise > 0.0 && first >= 0.0).then(|| first / rise);
    Some(rise * (extent(window, &times, to_zero)? / divisor))
}

/// Does the same for histograms. If the counter was reset between the first two samples, the rise
/// begins at an empty histogram.
fn extrapolated_histogram(
    window: &Window,
    samples: &[(i64, &Histogram)],
    kind: Kind,
    divisor: f64,
) -> Option<Histogram> {
    let times: Vec<i64> = samples.iter().map(|(ts, _)| *ts).collect();
    if samples.len() < 2 {
        return None;
    }

    let first = samples[0].1;
    let second = samples[1].1;
    let last = samples[samples.len() - 1].1;
    let counts = kind == Kind::Counter;
    let starts_anew = counts && second.began_anew_after(first);

    let from = if starts_anew {
        second.emptied()
    } else {
        first.clone()
    };

    let between = &samples[1..samples.len() - 1];
    if counts
        && between
            .iter()
            .any(|(_, histogram)| histogram.is_custom() != from.is_custom())
    {
        return None;
    }

    let coarsest = between
        .iter()
        .filter(|_| counts)
        .map(|(_, histogram)| histogram.schema());

    let coarsest = coarsest.fold(last.schema().min(from.schema()), i32::min);
    let mut rise = last.at_schema(coarsest).minus(&from)?;

    if counts {
        let mut before = &from;
        for (_, after) in &samples[1..] {
            if after.began_anew_after(before) {
                rise = rise.plus(before)?;
            }

            before = after;
        }
    }

    let to_zero =
        (counts && rise.count > 0.0 && first.count >= 0.0).then(|| first.count / rise.count);
    let factor = extent(window, &times, to_zero)? / divisor;
    Some(rise.compact().scaled(factor))
}

/// Returns the samples that matter for an anchored or smoothed window. They begin with the last one
/// at or before the start. Smoothed ones end with the first one at or after the end. `None` if
/// there is no sample within reach of the window.
fn reached<T: Clone>(window: &Window, samples: &[(i64, T)]) -> Option<Vec<(i64, T)>> {
    let begin = samples
        .iter()
        .rposition(|(ts, _)| *ts <= window.start_ms)
        .unwrap_or(0);

    let end = match window.edges {
        Edges::Smoothed => samples
            .iter()
            .position(|(ts, _)| *ts >= window.end_ms)
            .unwrap_or(samples.len() - 1),
        _ => samples.len() - 1,
    };

    let says_nothing = samples[end].0 <= window.start_ms || samples[begin].0 > window.end_ms;
    if says_nothing {
        None
    } else {
        Some(samples[begin..=end].to_vec())
    }
}

/// Returns the difference of the values at the end and at the start of the window. Each is the
/// value of the nearest sample or, if smoothed, is interpolated between two samples. A counter that
/// was reset begins at zero.
fn between_edges(window: &Window, samples: &[(i64, f64)], kind: Kind) -> Option<f64> {
    let samples = reached(window, samples)?;
    let smooth = window.edges == Edges::Smoothed;

    let value_at = |(a_ms, a): (i64, f64), (b_ms, b): (i64, f64), time_ms: i64| {
        let a = if kind == Kind::Counter && b < a {
            0.0
        } else {
            a
        };

        a + (b - a) * (time_ms - a_ms) as f64 / (b_ms - a_ms) as f64
    };

    let left = match samples[..] {
        [first, second, ..] if smooth && first.0 < window.start_ms => {
            value_at(first, second, window.start_ms)
        }
        _ => samples.first()?.1,
    };

    let right = match samples[..] {
        [.., before, last] if smooth && last.0 > window.end_ms => {
            value_at(before, last, window.end_ms)
        }
        _ => samples.last()?.1,
    };

    let mut rise = right - left;

    if kind == Kind::Counter {
        let inside = samples
            .iter()
            .filter(|(ts, _)| *ts > window.start_ms && *ts < window.end_ms);
        let mut before = left;

        for after in inside.map(|(_, value)| *value).chain([right]) {
            rise += if after < before { before } else { 0.0 };
            before = after;
        }
    }

    Some(rise)
}

/// Does the same as [`between_edges`], for histograms.
fn histogram_between_edges(
    window: &Window,
    samples: &[(i64, &Histogram)],
    kind: Kind,
) -> Option<Histogram> {
    let samples = reached(window, samples)?;
    let smooth = window.edges == Edges::Smoothed;

    if samples
        .iter()
        .any(|(_, histogram)| histogram.is_custom() != samples[0].1.is_custom())
    {
        return None;
    }

    let counts = kind == Kind::Counter;
    let left = match samples[..] {
        [first, second, ..] if smooth && first.0 < window.start_ms => {
            between(first, second, window.start_ms, kind)?
        }
        _ => samples.first()?.1.clone(),
    };

    let right = match samples[..] {
        [.., before, last] if smooth && last.0 > window.end_ms => {
            between(before, last, window.end_ms, kind)?
        }
        _ => samples.last()?.1.clone(),
    };

    let mut rise = right.minus(&left)?;

    if counts && samples.len() > 1 {
        rise = corrected(rise, &samples, window, &left, &right)?;
    }

    Some(rise.compact())
}

/// Adds to `rise` the counts that were lost by resets between `left` and `right`, the values at the
/// edges of the window. Returns `None` if the histograms cannot be added.
fn corrected(
    rise: Histogram,
    samples: &[(i64, &Histogram)],
    window: &Window,
    left: &Histogram,
    right: &Histogram,
) -> Option<Histogram> {
    // The value at the left edge accounts for a reset between the first two already.
    let reset_at_edge = window.edges == Edges::Smoothed
        && samples[0].0 < window.start_ms
        && samples[1].1.began_anew_after(samples[0].1);
    let mut before = if reset_at_edge { samples[1].1 } else { left };
    let skipped = if reset_at_edge { 2 } else { 1 };
    let inside = samples[..samples.len() - 1]
        .iter()
        .skip(skipped)
        .map(|(_, histogram)| *histogram);

    let ends = (samples.len() > skipped || !reset_at_edge).then_some(right);
    let mut corrections: Option<Histogram> = None;

    for after in inside.chain(ends) {
        if after.began_anew_after(before) {
            corrections = Some(match corrections {
                None => before.clone(),
                Some(sum) => sum.plus(before)?,
            });
        }

        before = after;
    }

    match corrections {
        None => Some(rise),
        Some(corrections) => rise.plus(&corrections),
    }
}

/// Interpolates linearly between two histograms. A counter that was reset begins empty.
fn between(
    (a_ms, a): (i64, &Histogram),
    (b_ms, b): (i64, &Histogram),
    time_ms: i64,
    kind: Kind,
) -> Option<Histogram> {
    if time_ms == a_ms || time_ms == b_ms {
        return Some(if time_ms == a_ms {
            a.clone()
        } else {
            b.clone()
        });
    }

    let part = (time_ms - a_ms) as f64 / (b_ms - a_ms) as f64;
    if kind == Kind::Counter && b.began_anew_after(a) {
        return Some(b.scaled(part));
    }

    b.minus(a)?.scaled(part).plus(a)
}

/// Returns the value of a smoothed instant vector. `samples` are on both sides of `time_ms`.
pub(super) fn smoothed_at(samples: &[(i64, Sample)], time_ms: i64) -> Option<Sample> {
    let histograms = samples
        .iter()
        .filter(|(_, sample)| sample.histogram().is_some())
        .count();

    if histograms != 0 && histograms != samples.len() {
        return None;
    }

    let behind = samples
        .iter()
        .position(|(ts, _)| *ts >= time_ms)
        .unwrap_or(samples.len());

    if let Some((_, sample)) = samples.get(behind).filter(|(ts, _)| *ts == time_ms) {
        return Some(sample.clone());
    }

    let before = samples.get(behind.checked_sub(1)?)?;

    match (&before.1, samples.get(behind)) {
        (Sample::Float(value), None) => Some(Sample::Float(*value)),
        (Sample::Histogram(histogram), None) => Some(Sample::from(Histogram {
            hint: duramen_model::ResetHint::Unknown,
            ..(**histogram).clone()
        })),
        (Sample::Float(a), Some((b_ms, Sample::Float(b)))) => Some(Sample::Float(
            a + (b - a) * (time_ms - before.0) as f64 / (b_ms - before.0) as f64,
        )),
        (Sample::Histogram(a), Some((b_ms, Sample::Histogram(b))))
            if a.is_custom() == b.is_custom() =>
        {
            let kind = if a.is_gauge() && b.is_gauge() {
                Kind::Gauge
            } else {
                Kind::Counter
            };

            between((before.0, a), (*b_ms, b), time_ms, kind).map(Sample::from)
        }
        _ => None,
    }
}

/// Returns the rise between the last two samples: per second for a counter, the whole for a gauge.
pub(super) fn last_rise(window: &Window, kind: Kind) -> Option<Sample> {
    let [.., (before_ms, before), (last_ms, last)] = &window.samples[..] else {
        return None;
    };
    let passed = seconds(last_ms - before_ms);
    let counts = kind == Kind::Counter;

    match (before, last) {
        (Sample::Float(before), Sample::Float(last)) => {
            let risen = if counts && last < before {
                *last
            } else {
                last - before
            };

            Some(Sample::Float(if counts { risen / passed } else { risen }))
        }
        (Sample::Histogram(before), Sample::Histogram(last)) => {
            let anew = counts && last.began_anew_after(before);
            let risen = if anew {
                (**last).clone()
            } else {
                last.minus(before)?
            };

            let risen = Histogram {
                hint: duramen_model::ResetHint::Gauge,
                ..risen.compact()
            };

            Some(Sample::from(if counts {
                risen.scaled(1.0 / passed)
            } else {
                risen
            }))
        }
        _ => None,
    }
}
