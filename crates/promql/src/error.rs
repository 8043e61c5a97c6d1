//! Why a query has no answer.

use std::sync::Arc;

use datafusion_common::error::DataFusionError;
use duramen_model::ErrorKind;

/// A query that failed. A query has a complete answer or one of these errors.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// PromQL has this, but the engine does not support it yet.
    #[error("not supported yet: {what}")]
    Unsupported { what: String },
    /// The query can never be evaluated in this form.
    #[error("{reason}")]
    Invalid { reason: String },
    /// The query is well formed, but the data does not fit it. The text is that of Prometheus.
    #[error("{reason}")]
    Execution { reason: String },
    /// More samples would be held in memory at the same time than the limit allows.
    #[error(
        "query processing would load too many samples into memory in query execution. held=`{held}`, samples_max=`{limit}`"
    )]
    Samples { held: usize, limit: usize },
    /// One selector reads more series than the tenant may read.
    #[error("a selector reads too many series. series_max=`{limit}`")]
    Series { limit: usize },
    /// An operator found no memory in the budget of the query, or in one above it.
    #[error("{exceeded}, operator=`{operator}`")]
    Memory {
        operator: Box<str>,
        exceeded: duramen_qos::Exceeded,
    },
    /// The source could not answer.
    #[error(transparent)]
    Source(#[from] duramen_source::Error),
    /// The future of the query was dropped.
    #[error("the query was cancelled")]
    Cancelled,
    /// DataFusion or other code below failed.
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

    /// Returns the error for two series of a vector with the same labels.
    pub(crate) fn same_labels() -> Self {
        Self::execution("vector cannot contain metrics with the same labelset")
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unsupported { .. } | Self::Invalid { .. } => ErrorKind::Invalid,
            Self::Execution { .. } => ErrorKind::Execution,
            Self::Samples { .. } | Self::Series { .. } => ErrorKind::TooMuch,
            Self::Memory { exceeded, .. } => match exceeded.passes() {
                true => ErrorKind::Unavailable,
                false => ErrorKind::TooMuch,
            },
            Self::Source(error) => error.kind(),
            Self::Cancelled | Self::Internal(_) => ErrorKind::Internal,
        }
    }

    /// Unwraps our own error if DataFusion wrapped it.
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
