//! A series with floats only, as a selector reads it.

use std::ops::Range;

use duramen_model::is_stale;

use crate::exec::series::samples_seen::SamplesSeen;
use crate::grid::Grid;
use crate::kernels::Window;
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

impl<'a> FloatSeries<'a> {
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
        let mut behind = 0;

        move |step| {
            let time_ms = grid.at(step);
            behind = reached(ts, behind, lookup.end_ms(time_ms));

            let at = behind.checked_sub(1)?;
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
        evaluate: impl Fn(&Window<'_>, usize) -> Option<f64> + 'a,
    ) -> impl FnMut(usize) -> Option<f64> + 'a {
        let Steps {
            grid,
            lookup,
            samples_seen,
        } = steps;

        let Self { ts, values } = self;
        let mut first = 0;
        let mut behind = 0;

        move |step| {
            let time_ms = grid.at(step);
            let before_ms = lookup.read_start_ms(time_ms);
            let last_ms = lookup.read_end_ms(time_ms);

            behind = reached(ts, behind, last_ms);
            first = reached(&ts[..behind], first, before_ms);
            samples_seen.add(step, behind - first);

            if samples_seen.is_cancelled() {
                return None;
            }

            let window = Window {
                ts: &ts[first..behind],
                values: &values[first..behind],
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

/// A buffer for the samples of a series.
#[derive(Debug, Default)]
pub(crate) struct SampleBuffer {
    ts: Vec<i64>,
    values: Vec<f64>,
}

impl SampleBuffer {
    /// Returns the samples without stale markers. They are copied only if there are stale markers.
    pub(crate) fn without_stale<'a>(&'a mut self, series: FloatSeries<'a>) -> FloatSeries<'a> {
        if !series.values.iter().any(|&value| is_stale(value)) {
            return series;
        }

        self.ts.clear();
        self.values.clear();

        let samples = series.ts.iter().zip(series.values);
        for (&ts, &value) in samples.filter(|(_, value)| !is_stale(**value)) {
            self.ts.push(ts);
            self.values.push(value);
        }

        FloatSeries {
            ts: &self.ts,
            values: &self.values,
        }
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
