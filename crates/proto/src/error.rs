//! Why bytes from outside are refused.

use duramen_model::ErrorKind;

use crate::remote_write::Version;

/// The fault of a body that is malformed or over a limit. Each variant names the fault, or the
/// limit with its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("the body is not snappy block format: {reason}")]
    Snappy { reason: String },
    #[error(
        "the body declares more bytes than are decoded. declared_bytes=`{declared}`, decoded_body_bytes_max=`{max}`"
    )]
    DecodedTooLarge { declared: usize, max: usize },
    #[error(
        "the body is not a protobuf message: {reason}. message=`{message}`, byte_offset=`{offset}`"
    )]
    Protobuf {
        message: &'static str,
        reason: &'static str,
        offset: usize,
    },
    #[error(
        "the request takes too much memory decoded; send less at once. request_memory_bytes_max=`{max}`"
    )]
    TooMuchMemory { max: usize },
    #[error("the first symbol of a request is not the empty string. bytes=`{bytes}`")]
    FirstSymbol { bytes: usize },
    #[error(
        "field {number} is of remote write {found}, and the content type says that the message is `{declared}`, which is {}",
        .found.other()
    )]
    OtherVersion {
        number: u32,
        found: Version,
        declared: &'static str,
    },
    #[error("the request has only unknown fields. message=`{message}`, first_field=`{number}`")]
    NothingKnown { message: &'static str, number: u32 },
    #[error("a frame is cut off, or its checksum is not that of its message")]
    Frame,
    #[error("the request has too many queries. read_queries_max=`{max}`")]
    TooManyReadQueries { max: usize },
    #[error("the request has too many matchers. read_matchers_max=`{max}`")]
    TooManyReadMatchers { max: usize },
    #[error("invalid matcher type. type=`{number}`")]
    MatcherType { number: u64 },
    #[error("a matcher is not UTF-8")]
    MatcherNotText,
    #[error("a matcher's pattern cannot be used: {reason}. label=`{label}`")]
    MatcherPattern { label: String, reason: String },
    /// The text is that of Prometheus, because clients of several servers may know it.
    #[error(
        "server does not support any of the requested response types: {}; \
         supported: map[SAMPLES:{{}} STREAMED_XOR_CHUNKS:{{}}]", listed(.asked)
    )]
    NoResponseType { asked: Vec<u64> },
}

fn listed(numbers: &[u64]) -> String {
    let texts: Vec<String> = numbers.iter().map(u64::to_string).collect();
    format!("[{}]", texts.join(" "))
}

impl Error {
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::DecodedTooLarge { .. }
            | Self::TooMuchMemory { .. }
            | Self::TooManyReadQueries { .. }
            | Self::TooManyReadMatchers { .. } => ErrorKind::TooMuch,
            _ => ErrorKind::Invalid,
        }
    }
}
