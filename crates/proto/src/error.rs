//! Why bytes from outside are refused.

use duramen_model::ErrorKind;

/// A body that is not what it claims to be, or that passes a limit. Each names the fault or the limit with its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("the body is not snappy block format: {reason}")]
    Snappy { reason: String },
    #[error(
        "the body declares more bytes than are decoded. declared_bytes=`{declared}`, decoded_body_bytes_max=`{max}`"
    )]
    DecodedTooLarge { declared: usize, max: usize },
    #[error("the body is not a protobuf message: {reason}. message=`{message}`, byte_offset=`{offset}`")]
    Protobuf { message: &'static str, reason: &'static str, offset: usize },
    #[error("the request has too many samples. request_samples_max=`{max}`")]
    TooManySamples { max: usize },
    #[error("the request has too many series. request_series_max=`{max}`")]
    TooManySeries { max: usize },
}

impl Error {
    #[expect(clippy::unused_self, reason = "every error of a crate has a kind; here all ask for another request")]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}
