//! A series of floats only, as a selector reads it.

use duramen_model::is_stale;

use crate::exec::looked_at::LookedAt;
use crate::exec::lookup::Lookup;
use crate::grid::Grid;
use crate::kernels::Window;

/// The samples of one row, times ascending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FloatSeries<'a> {
    pub(crate) ts: &'a [i64],
    pub(crate) values: &'a [f64],
}

/// Where the steps of an operator look, and who counts that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps<'a> {
    pub(crate) grid: Grid,
    pub(crate) lookup: Lookup,
    pub(crate) looked_at: &'a LookedAt,
}

impl<'a> FloatSeries<'a> {
    /// The cell of each step, in order, that `read` makes of the place of the newest sample in its window, unless the series ended there.
    pub(crate) fn latest(
        self,
        steps: Steps<'a>,
        read: impl Fn(usize) -> f64 + 'a,
    ) -> impl FnMut(usize) -> Option<f64> + 'a {
        let Steps { grid, lookup, looked_at } = steps;
        let Self { ts, values } = self;
        let mut behind = 0;
        move |step| {
            let time_ms = grid.at(step);
            behind += ts[behind..].iter().take_while(|&&ts| ts <= lookup.end_ms(time_ms)).count();
            let at = behind.checked_sub(1)?;
            (ts[at] > lookup.start_ms(time_ms) && !is_stale(values[at])).then(|| {
                looked_at.add(step, 1);
                read(at)
            })
        }
    }

    /// The cell of each step, in order, that `evaluate` gives for the samples that are read for it. `falls`: whether a value is ever
    /// below the one before.
    pub(crate) fn over_windows(
        self,
        steps: Steps<'a>,
        falls: bool,
        evaluate: impl Fn(&Window<'_>, usize) -> Option<f64> + 'a,
    ) -> impl FnMut(usize) -> Option<f64> + 'a {
        let Steps { grid, lookup, looked_at } = steps;
        let Self { ts, values } = self;
        let (mut first, mut behind) = (0, 0);
        move |step| {
            let time_ms = grid.at(step);
            let (before_ms, last_ms) = (lookup.read_start_ms(time_ms), lookup.read_end_ms(time_ms));
            behind += ts[behind..].iter().take_while(|&&ts| ts <= last_ms).count();
            first += ts[first..behind].iter().take_while(|&&ts| ts <= before_ms).count();
            looked_at.add(step, behind - first);
            if looked_at.is_cancelled() {
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

/// Memory for the samples of a series.
#[derive(Debug, Default)]
pub(crate) struct Fresh {
    ts: Vec<i64>,
    values: Vec<f64>,
}

impl Fresh {
    /// The samples that are data. Copied only when there are others.
    pub(crate) fn of<'a>(&'a mut self, series: FloatSeries<'a>) -> FloatSeries<'a> {
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
        FloatSeries { ts: &self.ts, values: &self.values }
    }
}
