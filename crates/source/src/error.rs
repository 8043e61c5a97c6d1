//! The error of a source.

use std::sync::Arc;

use duramen_model::ErrorKind;
use duramen_qos::Exceeded;

/// A source could not read a part of its data. A clone is cheap, so that one failure can end
/// several partitions.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot read series. part=`{part}`")]
pub struct Error {
    /// The part that failed: a block, a head, a limit.
    pub part: String,
    pub kind: ErrorKind,
    #[source]
    pub source: Arc<dyn std::error::Error + Send + Sync>,
}

impl Error {
    pub fn new(
        part: impl Into<String>,
        kind: ErrorKind,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            part: part.into(),
            kind,
            source: Arc::from(source.into()),
        }
    }

    /// Makes the error for a part that found no memory.
    pub fn memory(part: impl Into<String>, exceeded: Exceeded) -> Self {
        let kind = match exceeded.passes() {
            true => ErrorKind::Unavailable,
            false => ErrorKind::TooMuch,
        };

        Self::new(part, kind, exceeded)
    }

    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }
}
