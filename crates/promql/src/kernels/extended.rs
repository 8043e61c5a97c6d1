//! `anchored` and `smoothed`: the values at the ends of a window are computed from the samples
//! around it instead of extrapolation.

use crate::kernels::Window;
use crate::kernels::rate::Nature;

/// How the values at the ends of a window are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// The newest samples at or before the ends.
    Anchored,
    /// Interpolation between the samples around each end.
    Smoothed,
}

/// Returns the growth over exactly the window. `window` must also have the samples around it: those
/// of a look-back before its start and, if smoothed, one after its end.
pub(crate) fn growth(window: &Window<'_>, ends: Ends, nature: Nature) -> Option<f64> {
    let ts = window.ts;
    let values = window.values;
    let first = anchor(window)?;

    let last = match ends {
        Ends::Anchored => ts.len() - 1,
        Ends::Smoothed => ts
            .partition_point(|&ts| ts < window.end_ms)
            .min(ts.len() - 1),
    };

    if ts[last] <= window.start_ms || ts[first] > window.end_ms {
        return None;
    }

    let smoothed = ends == Ends::Smoothed;
    let mut left = values[first];

    if smoothed && ts[first] < window.start_ms {
        left = interpolate(window, first, window.start_ms, nature);
    }

    let mut right = values[last];
    if smoothed && last > 0 && ts[last] > window.end_ms {
        right = interpolate(window, last - 1, window.end_ms, nature);
    }

    let growth = right - left;
    if nature == Nature::Gauge {
        return Some(growth);
    }

    let inside = values
        .iter()
        .zip(ts)
        .filter(|(_, ts)| **ts > window.start_ms && **ts < window.end_ms);

    let mut before = left;
    let mut lost = 0.0;

    for value in inside.map(|(&value, _)| value).chain([right]) {
        if value < before {
            lost += before;
        }

        before = value;
    }

    Some(growth + lost)
}

/// Returns the samples of a window, with one at each of its ends.
pub(crate) fn settled(window: &Window<'_>, ends: Ends) -> Vec<(i64, f64)> {
    let ts = window.ts;
    let values = window.values;
    let start_ms = window.start_ms;
    let end_ms = window.end_ms;
    let Some(first) = anchor(window) else {
        return Vec::new();
    };
    let smoothed = ends == Ends::Smoothed;

    let last = if smoothed {
        ts.partition_point(|&ts| ts < end_ms).min(ts.len() - 1)
    } else {
        ts.len() - 1
    };

    if ts[last] <= start_ms {
        return Vec::new();
    }

    let left = match smoothed && ts[first] < start_ms {
        true => interpolate(window, first, start_ms, Nature::Gauge),
        false => values[first],
    };

    let right = match smoothed && last > 0 && ts[last] > end_ms {
        true => interpolate(window, last - 1, end_ms, Nature::Gauge),
        false => values[last],
    };

    let inside = ts
        .iter()
        .copied()
        .zip(values.iter().copied())
        .filter(|(ts, _)| *ts > start_ms && *ts < end_ms);

    [(start_ms, left)]
        .into_iter()
        .chain(inside)
        .chain([(end_ms, right)])
        .collect()
}

/// Returns the values from the anchor of the window to its end.
pub(crate) fn anchored_values<'a>(window: &Window<'a>) -> Option<&'a [f64]> {
    let first = anchor(window)?;
    (window.ts[window.ts.len() - 1] > window.start_ms).then(|| &window.values[first..])
}

/// Returns the index of the newest sample at or before the start of the window, or of the first
/// sample if there is none.
fn anchor(window: &Window<'_>) -> Option<usize> {
    (!window.ts.is_empty()).then(|| {
        window
            .ts
            .partition_point(|&ts| ts <= window.start_ms)
            .saturating_sub(1)
    })
}

/// Returns the value at a time between sample `at` and the next. A counter that drops starts from
/// zero.
fn interpolate(window: &Window<'_>, at: usize, time_ms: i64, nature: Nature) -> f64 {
    let mut before = window.values[at];
    let behind = window.values[at + 1];

    if nature == Nature::Counter && behind < before {
        before = 0.0;
    }

    before
        + (behind - before) * (time_ms - window.ts[at]) as f64
            / (window.ts[at + 1] - window.ts[at]) as f64
}

/// Returns the value at the end of the window, interpolated between the samples around it. If there
/// is none after the end, the newest value.
pub(crate) fn smoothed_value(window: &Window<'_>) -> Option<f64> {
    let at = window
        .ts
        .partition_point(|&ts| ts <= window.end_ms)
        .checked_sub(1)?;

    if window.ts[at] == window.end_ms || at + 1 == window.ts.len() {
        return Some(window.values[at]);
    }

    Some(interpolate(window, at, window.end_ms, Nature::Gauge))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        samples: &[(i64, f64)],
        span: (i64, i64),
        ends: Ends,
        nature: Nature,
        wanted: Option<f64>,
    ) {
        let (ts, values): (Vec<_>, Vec<_>) = samples.iter().copied().unzip();
        let (start_ms, end_ms) = span;
        let range_ms = end_ms - start_ms;

        let window = Window {
            ts: &ts,
            values: &values,
            start_ms,
            end_ms,
            range_ms,
            falls: true,
            time_ms: end_ms,
        };

        assert_eq!(
            growth(&window, ends, nature),
            wanted,
            "{samples:?} {span:?} {ends:?}"
        );
    }

    #[test]
    fn the_ends_are_settled_by_the_samples_around_them() {
        let samples = [(0, 1.0), (10, 2.0), (20, 3.0), (30, 7.0)];
        check(
            &samples[..3],
            (5, 25),
            Ends::Anchored,
            Nature::Counter,
            Some(2.0),
        );

        check(
            &samples,
            (5, 25),
            Ends::Smoothed,
            Nature::Counter,
            Some(3.5),
        );

        check(
            &samples[..2],
            (10, 15),
            Ends::Anchored,
            Nature::Counter,
            None,
        );

        check(
            &samples[1..],
            (-5, 5),
            Ends::Smoothed,
            Nature::Counter,
            None,
        );
    }

    #[test]
    fn a_counter_that_drops_starts_from_zero() {
        let samples = [(0, 100.0), (10, 10.0), (20, 30.0)];
        check(
            &samples[..2],
            (2, 6),
            Ends::Smoothed,
            Nature::Counter,
            Some(4.0),
        );

        check(
            &samples,
            (0, 20),
            Ends::Anchored,
            Nature::Counter,
            Some(30.0),
        );

        check(
            &samples,
            (0, 20),
            Ends::Anchored,
            Nature::Gauge,
            Some(-70.0),
        );
    }
}
