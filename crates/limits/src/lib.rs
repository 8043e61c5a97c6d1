//! What each tenant may use. One file says it, and it is replaced while the process runs.

mod file;
mod handle;
mod limits;
mod live;
mod validate;

pub use file::LimitsFile;
pub use handle::{Effective, LimitsHandle, Origin};
pub use limits::{HaLimits, IngestLimits, Limits, QueryLimits};
pub use live::{LiveError, LiveLimits, check};
