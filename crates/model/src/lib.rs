//! Labels, matchers, samples, time ranges, ids and tenants: values only, no I/O, no async.

pub mod block;
pub mod error;
pub mod ids;
pub mod labels;
pub mod matcher;
pub mod regex;
pub mod sample;
pub mod tenant;
pub mod time;

pub use block::{BlockEntry, BlockFile, BlockStats, Order, OrderRange};
pub use error::ErrorKind;
pub use ids::{BlockId, SeriesId, TenantId, WriterId};
pub use labels::{Labels, LabelsBuilder};
pub use matcher::{MatchOp, Matcher};
pub use regex::GoRegex;
pub use sample::{STALE_NAN, STALE_NAN_BITS, Sample, is_stale};
pub use tenant::TenantName;
pub use time::TimeRange;

/// The label that carries the metric name.
pub const METRIC_NAME: &str = "__name__";
