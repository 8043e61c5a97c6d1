//! Why a query has no answer.

use std::sync::Arc;

use datafusion_common::error::DataFusionError;
use duramen_model::ErrorKind;

/// A query that failed. An answer is complete or one of these.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The language has it and this engine does not have it yet.
    #[error("not supported yet: {what}")]
    Unsupported { what: String },
    /// The query can never be evaluated as it is.
    #[error("{reason}")]
    Invalid { reason: String },
    /// The query is well formed and the data does not fit it. The text is the one that Prometheus
    /// gives.
    #[error("{reason}")]
    Execution { reason: String },
    /// More samples would be held in memory at once than the engine's limit.
    #[error(
        "query processing would load too many samples into memory in query execution. held=`{held}`, samples_max=`{limit}`"
    )]
    Samples { held: usize, limit: usize },
    /// One selector reads more series than the tenant may.
    #[error("a selector reads too many series. series_max=`{limit}`")]
    Series { limit: usize },
    /// The query's share of memory is used up.
    #[error(
        "query exceeds its memory. operator=`{operator}`, asked_bytes=`{asked}`, held_bytes=`{held}`, memory_bytes_max=`{limit}`"
    )]
    Memory {
        operator: Box<str>,
        asked: usize,
        held: usize,
        limit: usize,
    },
    /// All queries and whatever else the process does have used its memory up. It passes.
    #[error(transparent)]
    ProcessMemory(#[from] duramen_qos::Full),
    /// The source could not answer.
    #[error(transparent)]
    Source(#[from] duramen_source::Error),
    /// The future of the query was dropped.
    #[error("the query was cancelled")]
    Cancelled,
    /// A fault of the machinery below.
    #[error("query execution failed")]
    Internal(#[source] Arc<DataFusionError>),
}

impl Error {
    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into() }
    }

    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid {
            reason: reason.into(),
        }
    }

    pub(crate) fn execution(reason: impl Into<String>) -> Self {
        Self::Execution {
            reason: reason.into(),
        }
    }

    /// Two series of a vector have the same labels.
    pub(crate) fn same_labels() -> Self {
        Self::execution("vector cannot contain metrics with the same labelset")
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unsupported { .. } | Self::Invalid { .. } => ErrorKind::Invalid,
            Self::Execution { .. } => ErrorKind::Execution,
            Self::Samples { .. } | Self::Series { .. } | Self::Memory { .. } => ErrorKind::TooMuch,
            Self::ProcessMemory(_) => ErrorKind::Unavailable,
            Self::Source(error) => error.kind(),
            Self::Cancelled | Self::Internal(_) => ErrorKind::Internal,
        }
    }

    /// Takes our own error out of what DataFusion wrapped around it on the way up.
    pub(crate) fn from_datafusion(error: DataFusionError) -> Self {
        match error {
            DataFusionError::External(inner) => match inner.downcast::<Self>() {
                Ok(own) => *own,
                Err(other) => Self::Internal(Arc::new(DataFusionError::External(other))),
            },
            DataFusionError::Context(_, inner) => Self::from_datafusion(*inner),
            DataFusionError::Shared(shared) => Self::from_shared(&shared),
            other => Self::Internal(Arc::new(other)),
        }
    }

    fn from_shared(shared: &Arc<DataFusionError>) -> Self {
        match shared.find_root() {
            DataFusionError::External(inner) if inner.is::<Self>() => inner
                .downcast_ref::<Self>()
                .cloned()
                .expect("the type was just asked for"),
            _ => Self::Internal(Arc::clone(shared)),
        }
    }
}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        Self::External(Box::new(error))
    }
}
