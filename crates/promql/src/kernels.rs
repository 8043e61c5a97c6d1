//! The arithmetic of the language: pure functions over slices.

pub(crate) mod aggregate;
pub(crate) mod arithmetic;
pub(crate) mod binary;
pub(crate) mod cell;
pub(crate) mod date;
pub(crate) mod extended;
pub(crate) mod histogram;
pub(crate) mod histogram_rate;
pub(crate) mod histogram_total;
pub(crate) mod integral;
pub(crate) mod mixed;
pub(crate) mod native;
pub(crate) mod natural;
pub(crate) mod over_time;
pub(crate) mod range;
pub(crate) mod rate;
pub(crate) mod regression;
pub(crate) mod start;
pub(crate) mod sum;
pub(crate) mod trim;

/// The samples of one series in one window `(start_ms, end_ms]`; no stale markers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    /// Ascending strictly.
    pub(crate) ts: &'a [i64],
    /// As many as `ts`.
    pub(crate) values: &'a [f64],
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// `end_ms - start_ms` as the query says it.
    pub(crate) range_ms: i64,
    /// Whether any value of the series, inside or outside of the window, is below the one before
    /// it. `true` when that is not known.
    pub(crate) falls: bool,
    /// The step that is evaluated; `offset` and `@` move the window and not the step.
    pub(crate) time_ms: i64,
}
