//! Which past state a reader wants.

use std::fmt;
use std::sync::Arc;

/// A past state of what the bucket has of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// The state after the last edit of the manifest that was made at or before this time, in
    /// milliseconds since the epoch.
    Time(i64),
    /// The state after so many edits of the manifest.
    Sequence(u64),
    /// The state that the snapshot with this name holds.
    Snapshot(Arc<str>),
}

/// As it is written in a request.
impl fmt::Display for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time_ms) => {
                let seconds = time_ms.div_euclid(1000);
                let millis = time_ms.rem_euclid(1000);
                write!(f, "{seconds}.{millis:03}")
            }
            Self::Sequence(sequence) => write!(f, "seq:{sequence}"),
            Self::Snapshot(name) => write!(f, "snapshot:{name}"),
        }
    }
}
