//! What each tenant may use. One file says it, and it is replaced while the process runs.

mod handle;
mod limits;

pub use handle::LimitsHandle;
pub use limits::{HaLimits, IngestLimits, Limits, QueryLimits};
