//! Why a source could not answer.

use std::sync::Arc;

use duramen_model::ErrorKind;

/// A failure to read. Cheap to clone, so that one failure can end several partitions.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot read series. part=`{part}`")]
pub struct Error {
    /// What could not be read: a block, a head, a limit.
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

    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }
}
