//! OpenMetrics text with times.
//!
//! ```text
//! # TYPE requests counter
//! # HELP requests What was asked for.
//! requests_total{job="api"} 7 1700000000.123 # {trace_id="a"} 0.5 1700000000.1
//! # EOF
//! ```
//!
//! [`writer`] writes it, and [`reader`] reads it with the help of `scan`. The form has no native
//! histograms and no stale markers, and one NaN; what it has no place for is left out and counted.
//! `family` says which family a name belongs to.

mod family;
pub mod reader;
mod scan;
pub mod writer;

pub use reader::OpenMetricsReader;
pub use writer::OpenMetricsForm;
