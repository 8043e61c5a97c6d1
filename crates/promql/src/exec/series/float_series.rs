//! A series with floats only, as a selector reads it.

use std::ops::Range;

use duramen_model::is_stale;

use crate::exec::series::samples_seen::SamplesSeen;
use crate::grid::Grid;
use crate::kernels::{Window, rate};
use crate::plan::lookup::Lookup;

/// The samples of one row, in ascending order of time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FloatSeries<'a> {
    pub(crate) ts: &'a [i64],
    pub(crate) values: &'a [f64],
}

/// The windows of an operator's steps, and the counter of the samples in them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps<'a> {
    pub(crate) grid: Grid,
    pub(crate) lookup: Lookup,
    pub(crate) samples_seen: &'a SamplesSeen,
}

impl Steps<'_> {
    /// Returns the steps whose windows may hold a sample at one of the times `ts`, which are
    /// sorted. In a long query, many series begin late or end early, so the steps outside are
    /// skipped.
    pub(crate) fn reaching(&self, ts: &[i64]) -> Range<usize> {
        let (Some(&first_ms), Some(&last_ms)) = (ts.first(), ts.last()) else {
            return 0..0;
        };
        let start = self
            .grid
            .partition_point(|time_ms| self.lookup.read_end_ms(time_ms) < first_ms);
        let end = self
            .grid
            .partition_point(|time_ms| self.lookup.read_start_ms(time_ms) < last_ms);

        start..end.max(start)
    }
}

/// Returns how many of the sorted times `ts` are at or before `last_ms`. The first `known` are
/// known to be. The search starts there, because the end is usually near.
#[inline]
pub(crate) fn reached(ts: &[i64], known: usize, last_ms: i64) -> usize {
    let mut from = known;
    let mut stride = 1;

    while let Some(&ts_ms) = ts.get(from + stride - 1) {
        if ts_ms > last_ms {
            break;
        }

        from += stride;
        stride *= 2;
    }

    let end = ts.len().min(from + stride - 1);
    from + ts[from..end].partition_point(|&ts_ms| ts_ms <= last_ms)
}

/// [`reached`], which tries `guess` first, and then the next few samples.
#[inline]
fn reached_near(ts: &[i64], known: usize, guess: usize, last_ms: i64) -> usize {
    let is_behind = |at: usize| ts.get(at).is_none_or(|&ts_ms| ts_ms > last_ms);
    let is_reached = |at: usize| at == known || at <= ts.len() && ts[at - 1] <= last_ms;

    if is_reached(guess) && is_behind(guess) {
        return guess;
    }

    match (known..known + NEAR).find(|at| is_behind(*at)) {
        Some(at) => at,
        None => reached(ts, known + NEAR, last_ms),
    }
}

/// So many samples are looked at one by one before the end is searched for.
const NEAR: usize = 3;

/// An end that moves forward over the times of a series. Scrapes and steps are regular: the end
/// moves on by the same number of samples at nearly every step, or by one at some steps, if steps
/// are shorter than the scrape interval.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    at: usize,
    /// How far it moved at the last step.
    stride: usize,
}

impl End {
    /// Moves behind the times at or before `last_ms`.
    #[inline]
    fn advance(&mut self, ts: &[i64], last_ms: i64) {
        let at = reached_near(ts, self.at, self.at + self.stride, last_ms);
        *self = Self {
            at,
            stride: at - self.at,
        };
    }
}

impl<'a> FloatSeries<'a> {
    /// Returns the samples that any of the steps reads. A source may return more.
    pub(crate) fn read_by(self, steps: Steps<'_>) -> Self {
        let Steps { grid, lookup, .. } = steps;
        let Self { ts, values } = self;

        let before_ms = lookup.read_start_ms(grid.at(0));
        let last_ms = lookup.read_end_ms(grid.last_ms());
        let first = ts.partition_point(|&ts_ms| ts_ms <= before_ms);
        let behind = ts.partition_point(|&ts_ms| ts_ms <= last_ms).max(first);

        Self {
            ts: &ts[first..behind],
            values: &values[first..behind],
        }
    }

    /// Returns a function that gives the cell of each step, in order. `read` makes the cell from
    /// the index of the newest sample in the window, unless the series ended there.
    pub(crate) fn latest(
        self,
        steps: Steps<'a>,
        read: impl Fn(usize) -> f64 + 'a,
    ) -> impl FnMut(usize) -> Option<f64> + 'a {
        let Steps {
            grid,
            lookup,
            samples_seen,
        } = steps;

        let Self { ts, values } = self;
        let mut behind = End::default();

        move |step| {
            let time_ms = grid.at(step);
            behind.advance(ts, lookup.end_ms(time_ms));

            let at = behind.at.checked_sub(1)?;
            (ts[at] > lookup.start_ms(time_ms) && !is_stale(values[at])).then(|| {
                samples_seen.add(step, 1);
                read(at)
            })
        }
    }

    /// Returns a function that gives the cell of each step, in order. `evaluate` makes the cell
    /// from the samples that are read for the step. `falls`: whether any value is below the
    /// previous one.
    pub(crate) fn over_windows(
        self,
        steps: Steps<'a>,
        falls: bool,
        mut evaluate: impl FnMut(&Window<'_>, usize) -> Option<f64> + 'a,
    ) -> impl FnMut(usize) -> Option<f64> + 'a {
        let Steps {
            grid,
            lookup,
            samples_seen,
        } = steps;

        let Self { ts, values } = self;
        let mut first = End::default();
        let mut behind = End::default();

        move |step| {
            let time_ms = grid.at(step);
            let before_ms = lookup.read_start_ms(time_ms);
            let last_ms = lookup.read_end_ms(time_ms);

            behind.advance(ts, last_ms);
            first.advance(&ts[..behind.at], before_ms);
            let within = first.at..behind.at;
            samples_seen.add(step, within.len());

            if samples_seen.is_cancelled() {
                return None;
            }

            let window = Window {
                ts: &ts[within.clone()],
                values: &values[within],
                start_ms: lookup.start_ms(time_ms),
                end_ms: lookup.end_ms(time_ms),
                range_ms: lookup.range_ms,
                falls,
                time_ms,
            };

            evaluate(&window, step)
        }
    }
}

/// Returns whether no value is below the previous one or NaN. This is so for nearly all counters,
/// and such a series has no stale markers.
///
/// Eight pairs are compared at the same time. The compiler does that only if the function is not
/// part of a larger one and the lanes are apart.
#[inline(never)]
fn ascends(values: &[f64]) -> bool {
    let Some((first, next)) = values.split_first() else {
        return true;
    };

    let before = &values[..next.len()];
    let (eights, rest) = next.as_chunks::<8>();
    let (eights_before, rest_before) = before.as_chunks::<8>();
    let mut breaks = [0u64; 8];

    for (next, before) in eights.iter().zip(eights_before) {
        for (lane, (next, before)) in breaks.iter_mut().zip(next.iter().zip(before)) {
            *lane |= u64::from(!at_least(*next, *before));
        }
    }

    let mut rest = rest.iter().zip(rest_before);
    breaks == [0; 8] && !first.is_nan() && rest.all(|(next, before)| next >= before)
}

/// NaN is not at least anything, and nothing is at least NaN.
#[inline]
fn at_least(value: f64, other: f64) -> bool {
    value >= other
}

/// A buffer for the samples of a series.
#[derive(Debug, Default)]
pub(crate) struct SampleBuffer {
    ts: Vec<i64>,
    values: Vec<f64>,
}

impl SampleBuffer {
    /// Returns the samples without stale markers. They are copied only if there are stale markers.
    pub(crate) fn without_stale<'a>(&'a mut self, series: FloatSeries<'a>) -> FloatSeries<'a> {
        let next = |from: usize| {
            let mut values = series.values[from..].iter();
            values
                .position(|&value| is_stale(value))
                .map(|at| from + at)
        };

        let Some(mut marker) = next(0) else {
            return series;
        };

        self.ts.clear();
        self.values.clear();
        let mut from = 0;

        // Markers are rare, so what is between them is copied in one go.
        loop {
            self.ts.extend_from_slice(&series.ts[from..marker]);
            self.values.extend_from_slice(&series.values[from..marker]);
            from = marker + 1;

            match next(from) {
                Some(at) => marker = at,
                None => break,
            }
        }

        self.ts.extend_from_slice(&series.ts[from..]);
        self.values.extend_from_slice(&series.values[from..]);

        FloatSeries {
            ts: &self.ts,
            values: &self.values,
        }
    }

    /// Returns the samples without stale markers, as [`SampleBuffer::without_stale`] does, and
    /// whether any value is below the previous one.
    pub(crate) fn counter<'a>(&'a mut self, series: FloatSeries<'a>) -> (FloatSeries<'a>, bool) {
        if ascends(series.values) {
            return (series, false);
        }

        let series = self.without_stale(series);
        (series, rate::falls(series.values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::support::cancellation::Cancellation;

    #[test]
    fn what_is_reached_does_not_depend_on_what_is_known() {
        let ts: Vec<i64> = (0..100).map(|at| at * 10).collect();
        for last_ms in -1..1001 {
            let wanted = ts.iter().filter(|&&ts_ms| ts_ms <= last_ms).count();
            assert!(
                (0..=wanted).all(|known| reached(&ts, known, last_ms) == wanted),
                "{last_ms}"
            );
        }

        assert_eq!(reached(&[], 0, 5), 0);
    }

    #[test]
    fn what_is_reached_does_not_depend_on_the_guess() {
        let ts: Vec<i64> = (0..20).map(|at| at * 10).collect();

        for last_ms in -1..201 {
            let wanted = ts.iter().filter(|&&ts_ms| ts_ms <= last_ms).count();

            for known in 0..=wanted {
                for guess in known..30 {
                    assert_eq!(
                        reached_near(&ts, known, guess, last_ms),
                        wanted,
                        "{last_ms}: {known}, {guess}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_counter_falls_wherever_a_value_is_smaller() {
        let rising = |length: usize| (0..length).map(|at| at as f64).collect::<Vec<_>>();
        let falls = |values: &[f64]| {
            let ts: Vec<i64> = (0..).take(values.len()).collect();
            let series = FloatSeries { ts: &ts, values };
            let mut buffer = SampleBuffer::default();
            let (series, falls) = buffer.counter(series);
            (series.ts.len(), falls)
        };

        for length in 0..30 {
            assert_eq!(falls(&rising(length)), (length, false));

            for at in 0..length {
                let mut values = rising(length);
                values[at] = -1.0;
                assert_eq!(falls(&values), (length, at > 0), "{length}: {at}");

                values[at] = f64::NAN;
                assert_eq!(falls(&values), (length, false), "{length}: {at}");

                values[at] = duramen_model::STALE_NAN;
                assert_eq!(falls(&values), (length - 1, false), "{length}: {at}");

                if at > 0 && at + 1 < length {
                    values[at - 1] = 1000.0;
                    assert_eq!(falls(&values), (length - 1, true), "{length}: {at}");
                }
            }
        }
    }

    #[test]
    fn a_series_is_cut_to_what_the_steps_read() {
        let samples_seen = SamplesSeen::new(0, Cancellation::default());
        let steps = Steps {
            grid: Grid::range(100, 200, 10),
            lookup: Lookup {
                range_ms: 30,
                offset_ms: 5,
                at_ms: None,
                ends: None,
                ttl_max_ms: 0,
            },
            samples_seen: &samples_seen,
        };

        let ts = [0, 65, 66, 195, 196];
        let values = [0.0, 1.0, 2.0, 3.0, 4.0];
        let series = FloatSeries {
            ts: &ts,
            values: &values,
        };

        let cut = series.read_by(steps);
        assert_eq!((cut.ts, cut.values), (&ts[2..4], &values[2..4]));
    }

    #[test]
    fn steps_around_a_series_are_those_whose_windows_hold_none_of_it() {
        let samples_seen = SamplesSeen::new(0, Cancellation::default());
        let lookup = Lookup {
            range_ms: 30,
            offset_ms: 5,
            at_ms: None,
            ends: None,
            ttl_max_ms: 0,
        };

        let steps = Steps {
            grid: Grid::range(0, 200, 10),
            lookup,
            samples_seen: &samples_seen,
        };

        for ts in [
            vec![],
            vec![-100],
            vec![-5],
            vec![42, 60, 77],
            vec![195],
            vec![196],
            vec![-100, 500],
        ] {
            let reached = steps.reaching(&ts);
            for step in 0..21 {
                let end_ms = steps.grid.at(step) - 5;
                let holds = ts
                    .iter()
                    .any(|&ts_ms| ts_ms > end_ms - 30 && ts_ms <= end_ms);

                assert!(
                    !holds || reached.contains(&step),
                    "{ts:?}: {step} is not in {reached:?}"
                );
            }
            assert!(ts.len() != 1 || reached.len() <= 3, "{ts:?}: {reached:?}");
        }
    }
}
