//! The metrics of a process about itself.
//!
//! Any code counts events; [`Registry::collect`] reads all metrics at once, as [`MetricFamily`]s.
//! `/metrics` prints them, the process stores them as its own samples, and the API shows them as
//! JSON. None of these has to parse a text.
//!
//! The files, in the order from an event to the text:
//!
//! - `count.rs`, `histogram.rs`: a metric. It is cheap to clone; clones share.
//! - `family.rs`: a metric for each set of labels; `labels.rs`: such a set.
//! - `registry.rs`: all metrics by name, and collectors, which are read only at a collection.
//! - `collected.rs`: the values that were read, by family and as single series.
//! - `text.rs`: the text format of `OpenMetrics`.

mod collected;
mod count;
mod family;
mod histogram;
mod labels;
mod registry;
mod text;

pub use collected::{Collected, CollectedValue, MetricFamily, MetricKind, Number, Series};
pub use count::{Counter, FloatGauge, Gauge};
pub use family::Family;
pub use histogram::Histogram;
pub use labels::LabelSet;
pub use registry::{Collector, Metric, Registry};
pub use text::text;
