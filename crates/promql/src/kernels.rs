//! The arithmetic of PromQL: pure functions over slices. They do not depend on plans, operators or
//! storage.
//!
//! From the samples of one window to one value:
//!
//! - [`range`]: the range functions by name, and their values over a [`Window`] of floats. The
//!   families: `rate` (with `start` for the start times of counters, and `extended` for windows
//!   whose ends are computed from the samples around them), `over_time`, `regression`, `integral`.
//! - [`mixed`]: the same over windows with histograms ([`mixed_window`]), with `histogram_rate` for
//!   the growth of histograms.
//! - [`rollup`]: the functions that rollups answer in place of samples.
//!
//! From cells to cells, all at one step:
//!
//! - [`cell`]: the functions of one cell; `date` for its calendar.
//! - [`binary`]: an operator between two samples; `arithmetic` for two floats and `trim` to trim a
//!   histogram.
//! - [`aggregate`]: the states of aggregations, with `mean` for means; `histogram_total`
//!   for sums and means of histograms.
//! - [`histogram`], [`native`]: quantiles and fractions of classic and of native histograms.
//! - [`natural`]: the order of label values that contain numbers.

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
pub(crate) mod mean;
pub(crate) mod mixed;
pub(crate) mod mixed_window;
pub(crate) mod native;
pub(crate) mod natural;
pub(crate) mod over_time;
pub(crate) mod range;
pub(crate) mod rate;
pub(crate) mod regression;
pub(crate) mod rollup;
pub(crate) mod start;
pub(crate) mod trim;

/// The samples of one series in one window `(start_ms, end_ms]`, without stale markers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    /// Strictly ascending.
    pub(crate) ts: &'a [i64],
    /// One for each of `ts`.
    pub(crate) values: &'a [f64],
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// The range in the query: `end_ms - start_ms`.
    pub(crate) range_ms: i64,
    /// Whether any value of the series, inside or outside of the window, is below the previous one.
    /// `true` if that is not known.
    pub(crate) falls: bool,
    /// The time of the step. `offset` and `@` move the window and not the step.
    pub(crate) time_ms: i64,
}

/// Returns milliseconds as fractional seconds, as PromQL has them.
#[inline]
pub(crate) fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
