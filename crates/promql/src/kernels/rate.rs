//! `rate` and similar functions.

use crate::kernels::Window;

/// The kind of a series' values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nature {
    /// Values only grow. A drop is a restart from zero.
    Counter,
    Gauge,
}

/// Returns the growth over the whole window, extrapolated from the samples inside it to its ends.
/// Needs two samples.
///
/// If the next sample might be just outside of the window (within 1.1 times the average distance of
/// samples), the extrapolation goes to the end of the window, else half the average distance. For a
/// counter, it goes no further back than the time at which it was zero.
pub(crate) fn extrapolated_growth(window: &Window<'_>, nature: Nature) -> Option<f64> {
    sampled_growth(window, nature).map(|(growth, factor)| growth * factor)
}

/// Returns the growth between the samples, and the factor that extrapolates it.
#[inline]
fn sampled_growth(window: &Window<'_>, nature: Nature) -> Option<(f64, f64)> {
    let ts = window.ts;
    let values = window.values;

    if ts.len() < 2 {
        return None;
    }

    let first_ms = ts[0];
    let last_ms = ts[ts.len() - 1];
    let mut growth = values[values.len() - 1] - values[0];

    if nature == Nature::Counter && window.falls {
        for two in values.windows(2) {
            if two[1] < two[0] {
                growth += two[0];
            }
        }
    }

    // The divisions are done together, because they are most of the work.
    let spans_ms = [
        first_ms - window.start_ms,
        window.end_ms - last_ms,
        last_ms - first_ms,
    ];

    let [mut to_start, mut to_end, sampled] = spans_ms.map(|ms| ms as f64).map(|ms| ms / 1000.0);
    let average = sampled / (ts.len() - 1) as f64;
    let threshold = average * 1.1;

    if to_start >= threshold {
        to_start = average / 2.0;
    }

    // If the first value is at least the growth, the counter was zero at least a whole sampled time
    // before the first sample. If the start of the window is nearer, that zero lies outside of the
    // window.
    let is_near_zero = !(values[0] >= growth && to_start <= sampled);

    if nature == Nature::Counter && is_near_zero {
        let to_zero = if growth > 0.0 && values[0] >= 0.0 {
            sampled * (values[0] / growth)
        } else {
            to_start
        };

        if to_zero < to_start {
            to_start = to_zero;
        }
    }

    if to_end >= threshold {
        to_end = average / 2.0;
    }

    Some((growth, (sampled + to_start + to_end) / sampled))
}

/// The samples that growth is extrapolated from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sampled {
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    /// The number of samples less one.
    pub(crate) gaps: usize,
}

impl Sampled {
    /// Returns the factor for the growth, by the rules of [`extrapolated_growth`]. `start_ms`: a
    /// time before the first sample and inside of the window, at which the counter was zero.
    /// `to_zero`: how long before the first sample a counter was zero, as a share of the sampled
    /// time.
    pub(crate) fn factor(
        &self,
        window: &Window<'_>,
        start_ms: Option<i64>,
        to_zero: Option<f64>,
    ) -> f64 {
        let spans_ms = [
            self.first_ms - window.start_ms,
            window.end_ms - self.last_ms,
            self.last_ms - self.first_ms,
        ];

        let [mut to_start, mut to_end, mut sampled] = spans_ms.map(|ms| ms as f64 / 1000.0);
        let average = if self.gaps > 0 {
            sampled / self.gaps as f64
        } else {
            0.0
        };

        let threshold = average * 1.1;

        if let Some(start_ms) = start_ms {
            to_start = 0.0;
            sampled = (self.last_ms - start_ms) as f64 / 1000.0;
        } else {
            if to_start >= threshold {
                to_start = average / 2.0;
            }

            to_start = to_zero.map_or(to_start, |share| (sampled * share).min(to_start));
        }

        if to_end >= threshold {
            to_end = average / 2.0;
        }

        if sampled == 0.0 {
            1.0
        } else {
            (sampled + to_start + to_end) / sampled
        }
    }
}

/// Returns [`extrapolated_growth`] of a counter per second.
#[inline]
pub(crate) fn rate(window: &Window<'_>) -> Option<f64> {
    // The factor is divided and not the product, as in Prometheus, because the last bits differ.
    let (growth, factor) = sampled_growth(window, Nature::Counter)?;
    Some(growth * (factor / (window.range_ms as f64 / 1000.0)))
}

/// Returns the difference of the last two samples.
pub(crate) fn last_difference(window: &Window<'_>) -> Option<f64> {
    let [.., before, last] = window.values else {
        return None;
    };
    Some(last - before)
}

/// Returns the growth between the last two samples per second. A drop is a restart from zero.
pub(crate) fn last_rate(window: &Window<'_>) -> Option<f64> {
    let ([.., before_ms, last_ms], [.., before, last]) = (window.ts, window.values) else {
        return None;
    };
    let growth = if last < before { *last } else { last - before };
    Some(growth / ((last_ms - before_ms) as f64 / 1000.0))
}

/// Returns how often the value differs from the previous one. NaN does not differ from NaN.
pub(crate) fn changes(values: &[f64]) -> f64 {
    values
        .windows(2)
        .filter(|two| two[0] != two[1] && !(two[0].is_nan() && two[1].is_nan()))
        .count() as f64
}

/// Returns whether any value is below the previous one.
pub(crate) fn falls(values: &[f64]) -> bool {
    // There is no early exit, so that several pairs are compared at the same time.
    values
        .windows(2)
        .fold(false, |falls, two| falls | (two[1] < two[0]))
}

/// Returns how often the value is below the previous one.
pub(crate) fn resets(values: &[f64]) -> f64 {
    values.windows(2).filter(|two| two[1] < two[0]).count() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        start_ms: i64,
        end_ms: i64,
        samples: &[(i64, f64)],
        increase: Option<f64>,
        delta: Option<f64>,
    ) {
        let (ts, values): (Vec<_>, Vec<_>) = samples.iter().copied().unzip();
        let window = Window {
            ts: &ts,
            values: &values,
            start_ms,
            end_ms,
            range_ms: end_ms - start_ms,
            falls: true,
            time_ms: end_ms,
        };

        let rounded = |growth: f64| (growth * 1e9).round() / 1e9;
        assert_eq!(
            extrapolated_growth(&window, Nature::Counter).map(rounded),
            increase,
            "{samples:?}"
        );

        assert_eq!(
            extrapolated_growth(&window, Nature::Gauge).map(rounded),
            delta,
            "{samples:?}"
        );
    }

    #[test]
    fn growth_is_extrapolated_to_the_ends_of_the_window() {
        check(0, 100, &[(10, 1.0)], None, None);
        check(
            0,
            100,
            &[(10, 100.0), (50, 140.0), (90, 180.0)],
            Some(100.0),
            Some(100.0),
        );

        // Far from both ends: half of the average distance.
        check(
            0,
            1000,
            &[(400, 100.0), (440, 140.0), (480, 180.0)],
            Some(120.0),
            Some(120.0),
        );

        // A counter that was zero 10 ms before its first sample.
        check(
            0,
            100,
            &[(30, 10.0), (60, 40.0), (90, 70.0)],
            Some(80.0),
            Some(100.0),
        );

        // A restart.
        check(
            0,
            100,
            &[(10, 100.0), (50, 20.0), (90, 60.0)],
            Some(75.0),
            Some(-50.0),
        );
    }

    #[test]
    fn the_last_two_samples_decide_the_instant_rate() {
        let window = |values| Window {
            ts: &[0, 1000, 3000],
            values,
            start_ms: -1,
            end_ms: 5000,
            range_ms: 5001,
            falls: true,
            time_ms: 5000,
        };

        assert_eq!(last_rate(&window(&[0.0, 1.0, 5.0])), Some(2.0));
        assert_eq!(last_rate(&window(&[0.0, 9.0, 4.0])), Some(2.0));
        assert_eq!(last_difference(&window(&[0.0, 9.0, 4.0])), Some(-5.0));
    }

    #[test]
    fn nan_to_nan_is_no_change() {
        assert_eq!(changes(&[1.0, f64::NAN, f64::NAN, 2.0]), 2.0);
        assert_eq!(resets(&[3.0, 1.0, 2.0, 0.0]), 2.0);
    }
}
