//! The responses of the server: statuses, headers, error documents, and damaged bodies.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::clock;
use super::xml::Document;

/// A response body on its way to the client.
pub(super) type Wire = UnsyncBoxBody<Bytes, Dropped>;

/// An error that drops the connection.
#[derive(Debug)]
pub(super) struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is dropped on purpose")
    }
}

impl std::error::Error for Dropped {}

/// How the body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    Whole,
    /// Sends this many bytes of the body, then drops the connection.
    Cut(usize),
    /// Sends the body in pieces, with a pause before each.
    Trickle {
        piece_bytes: usize,
        pause: Duration,
    },
}

/// A response that has not been sent yet.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
    /// The `Content-Length`, if it is not that of `body`: in the response to HEAD.
    declared_length: Option<usize>,
    delivery: Delivery,
}

impl Answer {
    pub(super) fn new(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
            declared_length: None,
            delivery: Delivery::Whole,
        }
    }

    pub(super) fn xml(status: StatusCode, document: Document) -> Self {
        Self::new(status)
            .with(CONTENT_TYPE, "application/xml")
            .body(Bytes::from(document.into_string()))
    }

    pub(super) fn json(text: String) -> Self {
        Self::new(StatusCode::OK)
            .with(CONTENT_TYPE, "application/json")
            .body(Bytes::from(text))
    }

    pub(super) fn body(self, body: Bytes) -> Self {
        Self { body, ..self }
    }

    /// Adds a header. A value that HTTP cannot carry is left out.
    pub(super) fn with(self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => self.with_value(name, value),
            Err(_) => self,
        }
    }

    pub(super) fn with_value(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Keeps the headers and the length but drops the body, for HEAD.
    pub(super) fn without_body(self) -> Self {
        Self {
            declared_length: Some(self.body.len()),
            body: Bytes::new(),
            ..self
        }
    }

    /// Sends at most `bytes` of the body under its full length, then drops the connection.
    pub(super) fn truncated(self, bytes: u64) -> Self {
        match usize::try_from(bytes) {
            Ok(bytes) if bytes < self.body.len() => Self {
                delivery: Delivery::Cut(bytes),
                ..self
            },
            _ => self,
        }
    }

    /// Sends at most `bytes` of the body, as if that were all of it.
    pub(super) fn shortened(mut self, bytes: u64) -> Self {
        self.body
            .truncate(usize::try_from(bytes).unwrap_or(usize::MAX));
        self
    }

    /// Flips one bit of the byte at `offset` of the body. Does nothing if the body is shorter.
    pub(super) fn flipped(self, offset: u64) -> Self {
        let mut body = self.body.to_vec();
        if let Some(byte) = usize::try_from(offset)
            .ok()
            .and_then(|offset| body.get_mut(offset))
        {
            *byte ^= 1;
        }
        self.body(Bytes::from(body))
    }

    /// Sends the body in pieces with a pause before each.
    pub(super) fn trickled(self, piece_bytes: usize, pause: Duration) -> Self {
        Self {
            delivery: Delivery::Trickle {
                piece_bytes: piece_bytes.max(1),
                pause,
            },
            ..self
        }
    }

    /// Returns how many bytes of the body are sent.
    pub(super) fn bytes_out(&self) -> u64 {
        let bytes = match self.delivery {
            Delivery::Cut(bytes) => bytes.min(self.body.len()),
            Delivery::Whole | Delivery::Trickle { .. } => self.body.len(),
        };

        bytes as u64
    }

    pub(super) fn into_response(self) -> Response<Wire> {
        let length = self.declared_length.unwrap_or(self.body.len());
        let body = match self.delivery {
            Delivery::Whole => Full::new(self.body)
                .map_err(|never| match never {})
                .boxed_unsync(),
            Delivery::Cut(bytes) => cut(self.body.slice(..bytes.min(self.body.len()))),
            Delivery::Trickle { piece_bytes, pause } => trickle(self.body, piece_bytes, pause),
        };

        let mut response = Response::new(body);
        *response.status_mut() = self.status;

        if self.status != StatusCode::NO_CONTENT && self.status != StatusCode::NOT_MODIFIED {
            response
                .headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from(length));
        }

        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }

        response
    }
}

/// Sends the bytes, then an error. The pause in between lets the bytes leave first.
fn cut(body: Bytes) -> Wire {
    let first = stream::once(async move { Ok(Frame::data(body)) });
    let then = stream::once(async {
        clock::pause(Duration::from_millis(1)).await;
        Err(Dropped)
    });

    StreamBody::new(first.chain(then)).boxed_unsync()
}

fn trickle(body: Bytes, piece_bytes: usize, pause: Duration) -> Wire {
    let pieces = stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }

        clock::pause(pause).await;

        let piece = rest.split_to(piece_bytes.min(rest.len()));
        Some((Ok(Frame::data(piece)), rest))
    });

    StreamBody::new(pieces).boxed_unsync()
}

/// Why a request is not carried out.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    headers: Vec<(HeaderName, String)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            headers: Vec::new(),
        }
    }

    pub(super) fn no_such_key() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NoSuchKey",
            "there is no object of this key",
        )
    }

    pub(super) fn precondition_failed(condition: &str) -> Self {
        let message = format!("a precondition does not hold. condition=`{condition}`");
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "PreconditionFailed",
            message,
        )
    }

    pub(super) fn invalid(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidArgument", message)
    }

    pub(super) fn malformed_xml() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "MalformedXML",
            "the body is not the XML of this operation",
        )
    }

    pub(super) fn with(mut self, name: HeaderName, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Returns the error document, which names the resource.
    pub(super) fn answer(&self, resource: &str) -> Answer {
        if self.status == StatusCode::NOT_MODIFIED {
            return Answer::new(self.status);
        }

        let document = Document::new("Error", |error| {
            error.text("Code", self.code);
            error.text("Message", &self.message);
            error.text("Resource", resource);
        });

        let answer = Answer::xml(self.status, document);
        self.headers.iter().fold(answer, |answer, (name, value)| {
            answer.with(name.clone(), value)
        })
    }
}
