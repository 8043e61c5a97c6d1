//! The limits of each tenant. They come from a file and can be replaced while the process runs.
//!
//! A [`LimitsFile`] is parsed from YAML (`file`) and checked (`validate`). It has complete
//! [`Limits`] for each tenant that it names, and for all others. A [`LimitsHandle`] (`handle`) has
//! the limits in force: a request asks it once and keeps the answer. [`Effective`] shows where each
//! value comes from. `live` reads the file again when it changes. `retention`: which series are
//! kept for how long.

mod file;
mod handle;
mod limits;
mod live;
mod retention;
mod validate;

pub use file::LimitsFile;
pub use handle::{Effective, LimitsHandle, Origin};
pub use limits::{HaLimits, IngestLimits, Limits, QueryLimits, RetentionLimits, RollupUse};
pub use live::{LiveError, LiveLimits, check};
pub use retention::{RetentionRule, Selector};
