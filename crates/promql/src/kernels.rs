//! The arithmetic of the language: pure functions over slices, which know no plan, no operator and
//! no storage.
//!
//! From the samples of one window to one value:
//!
//! - [`range`]: which range function is which, and its value over a [`Window`] of floats. The
//!   families: `rate` (with `start`, the times at which counters began, and `extended`, windows
//!   whose ends are settled), `over_time`, `regression`, `integral`.
//! - [`mixed`]: the same over windows that have histograms as well ([`mixed_window`]), with
//!   `histogram_rate` for how histograms grow.
//!
//! From cells to cells, all at one step:
//!
//! - [`cell`]: the functions of one cell; `date` for its calendar.
//! - [`binary`]: an operator between two samples; `arithmetic` for two floats and `trim` for what is
//!   cut off a histogram.
//! - [`aggregate`]: the states of aggregations, with `sum` for compensated sums; `histogram_total`
//!   for sums and means of histograms.
//! - [`histogram`], [`native`]: quantiles and fractions of classic and of native histograms.
//! - [`natural`]: the order of label values that hold numbers.

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
pub(crate) mod mixed_window;
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

/// Milliseconds as the language has them: seconds, with a fraction.
#[inline]
pub(crate) fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
