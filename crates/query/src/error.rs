//! Why a query has no answer.

use std::time::Duration;

use duramen_model::ErrorKind;
use duramen_qos::Exceeded;

/// A query that failed. A query has a complete answer or one of these errors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("{0}")]
    Parse(#[source] Box<duramen_syntax::ParseError>),
    #[error(transparent)]
    Engine(#[from] duramen_promql::Error),
    #[error("{}", with_cause(.0))]
    Source(#[from] duramen_source::Error),
    /// A budget has no memory left: the one of the query, of its tenant, or of the process.
    #[error(transparent)]
    Memory(#[from] Exceeded),
    #[error("the bucket failed")]
    Bucket(#[source] Box<duramen_bucket::Error>),
    #[error("the manifest failed")]
    Manifest(#[source] Box<duramen_manifest::Error>),
    #[error("query timed out in expression evaluation. timeout=`{0:?}`")]
    Timeout(Duration),
    #[error(
        "query timed out in query queue. timeout=`{timeout:?}`, concurrency_max=`{concurrency_max}`"
    )]
    NoTurn {
        timeout: Duration,
        concurrency_max: usize,
    },
    #[error(
        "too many queries of the tenant wait for their turn. waiting_max=`{max}`, concurrency_max=`{concurrency_max}`"
    )]
    Waiting { max: usize, concurrency_max: usize },
    #[error("too many queries of all tenants wait for their turn. process_waiting_max=`{max}`")]
    Busy { max: usize },
    #[error("{}", too_many_steps(*.max))]
    TooManySteps { max: usize },
    #[error("the query covers too long a time. range=`{range:?}`, range_max=`{max:?}`")]
    TooLong { range: Duration, max: Duration },
    #[error(
        "the answer has too many series. series=`more than {max}`, metadata_series_max=`{max}`"
    )]
    TooManySeries { max: usize },
    #[error("the answer has too many names or values. metadata_series_max=`{max}`")]
    TooManyTexts { max: usize },
    #[error("the answer has too many exemplars. exemplars=`{exemplars}`, exemplars_max=`{max}`")]
    TooManyExemplars { exemplars: usize, max: usize },
    #[error("the answer has too many samples. remote_read_samples_max=`{max}`")]
    TooManyReadSamples { max: usize },
    #[error("the answer has more bytes than a client can read. message_bytes_max=`{max}`")]
    AnswerTooLarge { max: usize },
    /// It is reported before the head of the answer is sent, or the connection is cut. So no client
    /// takes a part of an answer for the whole.
    #[error("the answer has too many bytes. bytes=`at least {bytes}`, answer_bytes_max=`{max}`")]
    TooManyAnswerBytes { bytes: usize, max: usize },
    /// Histograms are checked when they are written, so this means that stored data is damaged.
    #[error("a stored histogram cannot be read. series=`{series}`, ts_ms=`{ts_ms}`")]
    Histogram { series: String, ts_ms: i64 },
    #[error("the read panicked")]
    Panicked(#[source] Box<tokio::task::JoinError>),
    #[error("match[] must contain at least one non-empty matcher")]
    EmptyMatcher,
    #[error("not a series selector: `{0}`")]
    NotASelector(String),
}

/// Boxes the large errors, so that every `Result` stays small.
macro_rules! boxed {
    ($($variant:ident($cause:ty)),* $(,)?) => {$(
        impl From<$cause> for Error {
            fn from(cause: $cause) -> Self {
                Self::$variant(Box::new(cause))
            }
        }
    )*};
}

boxed!(
    Parse(duramen_syntax::ParseError),
    Bucket(duramen_bucket::Error),
    Manifest(duramen_manifest::Error)
);

/// Returns the text of Prometheus. A configured limit is named as well.
fn too_many_steps(max: usize) -> String {
    let text = |max: &str| {
        format!(
            "exceeded maximum resolution of {max} points per timeseries. Try decreasing the query resolution (?step=XX)"
        )
    };

    match max {
        11_000 => text("11,000"),
        other => format!("{}. steps_max=`{other}`", text(&other.to_string())),
    }
}

fn with_cause(error: &duramen_source::Error) -> String {
    format!("{error}: {}", error.source)
}

/// Returns the kind of an error of a source. Damage of stored data concerns only the queries that
/// need it, and they work again once it is repaired.
const fn of_source(error: &duramen_source::Error) -> ErrorKind {
    match error.kind() {
        ErrorKind::Corrupt => ErrorKind::Unavailable,
        kind => kind,
    }
}

/// Returns the first cause of an error that is about a budget.
fn in_causes<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Exceeded> {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.find_map(|error| error.downcast_ref())
}

impl Error {
    /// Returns whether stored data is damaged. Somebody should look.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Engine(duramen_promql::Error::Source(e)) | Self::Source(e) => {
                e.kind() == ErrorKind::Corrupt
            }
            Self::Histogram { .. } => true,
            _ => false,
        }
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::EmptyMatcher | Self::NotASelector(_) => ErrorKind::Invalid,
            Self::Parse(e) => e.kind(),
            Self::Engine(duramen_promql::Error::Source(e)) | Self::Source(e) => of_source(e),
            Self::Engine(e) => e.kind(),
            Self::Bucket(e) => e.kind(),
            Self::Manifest(e) => e.kind(),
            Self::Timeout(_) | Self::NoTurn { .. } | Self::Busy { .. } => ErrorKind::Unavailable,
            Self::Memory(exceeded) => match exceeded.passes() {
                true => ErrorKind::Unavailable,
                false => ErrorKind::TooMuch,
            },
            Self::TooManySteps { .. }
            | Self::TooLong { .. }
            | Self::TooManySeries { .. }
            | Self::TooManyTexts { .. }
            | Self::TooManyExemplars { .. }
            | Self::TooManyReadSamples { .. }
            | Self::AnswerTooLarge { .. }
            | Self::TooManyAnswerBytes { .. } => ErrorKind::TooMuch,
            Self::Waiting { .. } => ErrorKind::Limited,
            Self::Histogram { .. } => ErrorKind::Corrupt,
            Self::Panicked(_) => ErrorKind::Internal,
        }
    }

    /// Returns the budget that had no memory left, if this is why the query failed.
    pub fn exceeded(&self) -> Option<&Exceeded> {
        match self {
            Self::Memory(exceeded) => Some(exceeded),
            Self::Engine(duramen_promql::Error::Memory { exceeded, .. }) => Some(exceeded),
            Self::Engine(duramen_promql::Error::Source(error)) | Self::Source(error) => {
                in_causes(&*error.source)
            }
            _ => None,
        }
    }

    /// Returns the field of [`duramen_limits::QueryLimits`] whose limit the query has reached.
    /// `process_waiting_max` and `process_memory_bytes_max` are the limits of the process.
    pub fn limit(&self) -> Option<&'static str> {
        if let Some(exceeded) = self.exceeded() {
            return Some(exceeded.limit());
        }

        Some(match self {
            Self::Timeout(_) => "timeout",
            Self::NoTurn { .. } => "concurrency_max",
            Self::Waiting { .. } => "waiting_max",
            Self::Busy { .. } => "process_waiting_max",
            Self::TooManySteps { .. } => "steps_max",
            Self::TooLong { .. } => "range_max",
            Self::TooManySeries { .. } | Self::TooManyTexts { .. } => "metadata_series_max",
            Self::TooManyExemplars { .. } => "exemplars_max",
            Self::TooManyReadSamples { .. } => "remote_read_samples_max",
            Self::TooManyAnswerBytes { .. } => "answer_bytes_max",
            Self::Parse(error) => return error.limit(),
            Self::Engine(duramen_promql::Error::Samples { .. }) => "samples_max",
            Self::Engine(duramen_promql::Error::Series { .. }) => "series_max",
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_small_enough_to_be_passed_by_value() {
        assert!(size_of::<Error>() <= 64, "{}", size_of::<Error>());
    }

    #[test]
    fn a_limit_of_steps_is_told_in_the_words_of_prometheus_and_named_when_it_is_not_its_own() {
        let text = |max| Error::TooManySteps { max }.to_string();
        let words = "points per timeseries. Try decreasing the query resolution (?step=XX)";

        assert_eq!(
            text(11_000),
            format!("exceeded maximum resolution of 11,000 {words}")
        );

        assert_eq!(
            text(50),
            format!("exceeded maximum resolution of 50 {words}. steps_max=`50`")
        );
    }
}
