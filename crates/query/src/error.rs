//! Why a query has no answer.

use std::time::Duration;

use duramen_model::ErrorKind;

/// A query that failed. An answer is complete or one of these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("{0}")]
    Parse(#[from] duramen_syntax::ParseError),
    #[error(transparent)]
    Engine(#[from] duramen_promql::Error),
    #[error("{}", with_cause(.0))]
    Source(#[from] duramen_source::Error),
    #[error("the bucket failed")]
    Bucket(#[from] duramen_bucket::Error),
    #[error("the manifest failed")]
    Manifest(#[from] duramen_manifest::Error),
    #[error("the query took too long. query_timeout=`{0:?}`")]
    Timeout(Duration),
    #[error("too many queries are in work. query_concurrency_max=`{max}`")]
    Busy { max: usize },
    #[error("the answer has too many series. series=`more than {max}`, metadata_series_max=`{max}`")]
    TooManySeries { max: usize },
    #[error("match[] must contain at least one non-empty matcher")]
    EmptyMatcher,
    #[error("not a series selector: `{0}`")]
    NotASelector(String),
}

fn with_cause(error: &duramen_source::Error) -> String {
    format!("{error}: {}", error.source)
}

impl Error {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Parse(_) | Self::EmptyMatcher | Self::NotASelector(_) => ErrorKind::Invalid,
            Self::Engine(e) => e.kind(),
            Self::Source(e) => e.kind(),
            Self::Bucket(e) => e.kind(),
            Self::Manifest(e) => e.kind(),
            Self::Timeout(_) | Self::Busy { .. } => ErrorKind::Unavailable,
            Self::TooManySeries { .. } => ErrorKind::Execution,
        }
    }
}
