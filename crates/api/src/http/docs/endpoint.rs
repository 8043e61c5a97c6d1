//! One entry of the API's table: the path, the handler, and the description.

use axum::handler::Handler;
use axum::routing::{MethodRouter, get, post};

use crate::http::docs::openapi::schemas::Schema;

/// The media type of plain text.
pub(crate) const TEXT: &str = "text/plain";

/// The media type of protocol buffers.
pub(crate) const PROTOBUF: &str = "application/x-protobuf";

/// A path with its description and its handler, which sees `S`, the state of a role. The router and
/// the documents are made from the same entries.
#[derive(Debug)]
pub(crate) struct Endpoint<S> {
    pub(crate) description: Description,
    pub(crate) handler: MethodRouter<S>,
}

/// The description of a path in the documents.
#[derive(Debug)]
pub(crate) struct Description {
    /// The path, with `{name}` for a variable part.
    pub(crate) path: &'static str,
    pub(crate) methods: &'static [&'static str],
    pub(crate) summary: &'static str,
    /// The parameters of the URL, and with POST also of a form in the body.
    pub(crate) parameters: &'static [Parameter],
    /// The media type of a body that is not a form.
    pub(crate) body: Option<&'static str>,
    pub(crate) answer: Answer,
}

/// The answer of an endpoint on success.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// The envelope of the API with `data` of this shape.
    Data(Schema),
    /// The envelope of the API, or 204 without a body if the request names nothing to look for.
    DataOrNothing(Schema),
    /// As [`Answer::Data`], or plain text if the request asks for it.
    DataOrText(Schema),
    /// A body of this media type, without the envelope; errors are plain text.
    Raw(&'static str),
    /// JSON of this shape, without the envelope. Errors have the envelope of the API.
    Json(Schema),
    /// 204; errors are in the envelope of the API.
    Nothing,
    /// 204; errors are plain text.
    Accepted,
    /// Always this error, in the envelope of the API: the thing never exists.
    Absent(u16),
}

/// A parameter of the URL or of a form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) is_required: bool,
    pub(crate) about: &'static str,
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Text,
    /// A PromQL expression.
    Query,
    /// One of these.
    Choice(&'static [&'static str]),
    /// Unix seconds or RFC 3339.
    Time,
    /// Seconds or a Prometheus duration.
    Duration,
    /// A whole number of at least `min`.
    Integer {
        min: i64,
    },
    /// Texts; the parameter may be given several times.
    Texts,
    /// Selectors of series; the parameter may be given several times.
    Selectors,
}

impl<S: Clone + Send + Sync + 'static> Endpoint<S> {
    fn new(path: &'static str, methods: &'static [&'static str], handler: MethodRouter<S>) -> Self {
        let description = Description {
            path,
            methods,
            summary: "",
            parameters: &[],
            body: None,
            answer: Answer::Raw("text/plain"),
        };

        Self {
            description,
            handler,
        }
    }

    pub(crate) fn says(mut self, summary: &'static str) -> Self {
        self.description.summary = summary;
        self
    }

    pub(crate) fn takes(mut self, parameters: &'static [Parameter]) -> Self {
        self.description.parameters = parameters;
        self
    }

    pub(crate) fn reads(mut self, media_type: &'static str) -> Self {
        self.description.body = Some(media_type);
        self
    }

    pub(crate) fn answers(mut self, answer: Answer) -> Self {
        self.description.answer = answer;
        self
    }
}

/// An endpoint for GET and HEAD.
pub(crate) fn on_get<S, H, T>(path: &'static str, handler: H) -> Endpoint<S>
where
    S: Clone + Send + Sync + 'static,
    H: Handler<T, S>,
    T: 'static,
{
    Endpoint::new(path, &["get"], get(handler))
}

/// An endpoint for GET, HEAD, and POST of a form.
pub(crate) fn on_get_post<S, H, T>(path: &'static str, handler: H) -> Endpoint<S>
where
    S: Clone + Send + Sync + 'static,
    H: Handler<T, S>,
    T: 'static,
{
    Endpoint::new(path, &["get", "post"], get(handler.clone()).post(handler))
}

pub(crate) fn on_post<S, H, T>(path: &'static str, handler: H) -> Endpoint<S>
where
    S: Clone + Send + Sync + 'static,
    H: Handler<T, S>,
    T: 'static,
{
    Endpoint::new(path, &["post"], post(handler))
}

/// An endpoint that changes something, for POST and PUT.
pub(crate) fn on_post_put<S, H, T>(path: &'static str, handler: H) -> Endpoint<S>
where
    S: Clone + Send + Sync + 'static,
    H: Handler<T, S>,
    T: 'static,
{
    Endpoint::new(path, &["post", "put"], post(handler.clone()).put(handler))
}
