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
    let extrapolation = Extrapolation::of(Spans::of(window)?);
    let growth = sampled_growth(window, nature);
    let factor = match nature {
        Nature::Counter => extrapolation.factor_from_zero(window.values[0], growth),
        Nature::Gauge => None,
    };

    Some(growth * factor.unwrap_or(extrapolation.factor))
}

/// Returns the growth between the samples.
#[inline]
fn sampled_growth(window: &Window<'_>, nature: Nature) -> f64 {
    let values = window.values;
    let mut growth = values[values.len() - 1] - values[0];

    if nature == Nature::Counter && window.falls {
        for two in values.windows(2) {
            if two[1] < two[0] {
                growth += two[0];
            }
        }
    }

    growth
}

/// Where the samples lie in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spans {
    to_start_ms: i64,
    to_end_ms: i64,
    sampled_ms: i64,
    /// The number of samples less one.
    gaps: usize,
}

impl Spans {
    /// Returns `None` if there are less than two samples.
    #[inline]
    fn of(window: &Window<'_>) -> Option<Self> {
        let [first_ms, .., last_ms] = *window.ts else {
            return None;
        };

        Some(Self {
            to_start_ms: first_ms - window.start_ms,
            to_end_ms: window.end_ms - last_ms,
            sampled_ms: last_ms - first_ms,
            gaps: window.ts.len() - 1,
        })
    }
}

/// How far growth is extrapolated, in seconds.
#[derive(Clone, Copy, Debug)]
struct Extrapolation {
    to_start: f64,
    to_end: f64,
    sampled: f64,
    /// The factor for the growth, unless a counter was zero in the window.
    factor: f64,
}

impl Extrapolation {
    #[inline]
    fn of(spans: Spans) -> Self {
        // The divisions are done together, because they are most of the work.
        let spans_ms = [spans.to_start_ms, spans.to_end_ms, spans.sampled_ms];
        let seconds = spans_ms.map(|ms| ms as f64).map(|ms| ms / 1000.0);
        let [mut to_start, mut to_end, sampled] = seconds;
        let average = sampled / spans.gaps as f64;
        let threshold = average * 1.1;

        if to_start >= threshold {
            to_start = average / 2.0;
        }

        if to_end >= threshold {
            to_end = average / 2.0;
        }

        Self {
            to_start,
            to_end,
            sampled,
            factor: (sampled + to_start + to_end) / sampled,
        }
    }

    /// Returns the factor for the growth of a counter whose first value is `first`, if it was zero
    /// inside of the extrapolated window.
    #[inline]
    fn factor_from_zero(&self, first: f64, growth: f64) -> Option<f64> {
        // If the first value is at least the growth, the counter was zero at least a whole sampled
        // time before the first sample. If the start of the window is nearer, that zero lies
        // outside of the window.
        if first >= growth && self.to_start <= self.sampled {
            return None;
        }

        if !(growth > 0.0 && first >= 0.0) {
            return None;
        }

        let to_zero = self.sampled * (first / growth);
        (to_zero < self.to_start).then(|| (self.sampled + to_zero + self.to_end) / self.sampled)
    }
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

/// Returns the factor for the growth over the window `(start_ms, end_ms]`, by the rules of
/// [`extrapolated_growth`], of samples of which only this is known. `first` is the first value.
pub(crate) fn factor_of(
    sampled: Sampled,
    (start_ms, end_ms): (i64, i64),
    first: f64,
    growth: f64,
    nature: Nature,
) -> Option<f64> {
    if sampled.gaps == 0 {
        return None;
    }

    let extrapolation = Extrapolation::of(Spans {
        to_start_ms: sampled.first_ms - start_ms,
        to_end_ms: end_ms - sampled.last_ms,
        sampled_ms: sampled.last_ms - sampled.first_ms,
        gaps: sampled.gaps,
    });

    let from_zero = match nature {
        Nature::Counter => extrapolation.factor_from_zero(first, growth),
        Nature::Gauge => None,
    };

    Some(from_zero.unwrap_or(extrapolation.factor))
}

/// Calculates [`extrapolated_growth`] of counters per second, window after window.
///
/// Scrapes and steps are regular: the samples lie in a window as they did in the one before, or, if
/// the steps are shorter than the scrape interval, as they did a few windows ago. So the divisions
/// are done once for several windows. They are two thirds of the work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    range_seconds: f64,
    /// What was calculated for the last steps of these numbers, by their remainder.
    last: [Option<(Spans, LastRate)>; Self::LAST],
}

#[derive(Clone, Copy, Debug)]
struct LastRate {
    extrapolation: Extrapolation,
    /// The factor for the growth, by the range.
    per_second: f64,
}

impl Rates {
    const LAST: usize = 4;

    pub(crate) fn over(range_ms: i64) -> Self {
        Self {
            range_seconds: range_ms as f64 / 1000.0,
            last: [None; Self::LAST],
        }
    }

    /// Returns the rate over the window of this step.
    #[inline]
    pub(crate) fn of(&mut self, window: &Window<'_>, step: usize) -> Option<f64> {
        let spans = Spans::of(window)?;
        let slot = &mut self.last[step % Self::LAST];

        let last = match slot {
            Some((known, last)) if *known == spans => *last,
            _ => {
                let extrapolation = Extrapolation::of(spans);
                // The factor is divided and not the product, as in Prometheus, because the last
                // bits differ.
                let per_second = extrapolation.factor / self.range_seconds;
                let last = LastRate {
                    extrapolation,
                    per_second,
                };

                slot.insert((spans, last)).1
            }
        };

        let growth = sampled_growth(window, Nature::Counter);
        let from_zero = last
            .extrapolation
            .factor_from_zero(window.values[0], growth);
        let factor = from_zero.map(|factor| factor / self.range_seconds);
        Some(growth * factor.unwrap_or(last.per_second))
    }
}

/// Returns [`extrapolated_growth`] of a counter per second.
pub(crate) fn rate(window: &Window<'_>) -> Option<f64> {
    Rates::over(window.range_ms).of(window, 0)
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
