//! One entry of the API's table: where it is, what answers there, and what the documents say of it.

use std::sync::Arc;

use axum::handler::Handler;
use axum::routing::{MethodRouter, get, post};

use super::openapi::schemas::Schema;
use crate::wiring::System;

/// A path with its handler and its description. The router and the documents are made of the same
/// entries.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// With `{name}` for a part that varies.
    pub(super) path: &'static str,
    pub(super) methods: &'static [&'static str],
    pub(super) summary: &'static str,
    /// Of the URL, and with POST also of a form in the body.
    pub(super) parameters: &'static [Parameter],
    /// The media type of a body that is not a form.
    pub(super) body: Option<&'static str>,
    pub(super) answer: Answer,
    pub(super) handler: MethodRouter<Arc<System>>,
}

/// What an endpoint answers when all went well.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// The envelope of the API with `data` of this shape.
    Data(Schema),
    /// As [`Answer::Data`], or plain text where the request asks for it.
    DataOrText(Schema),
    /// A body of this media type, without the envelope; errors are plain text.
    Raw(&'static str),
    /// JSON of this shape, without the envelope; errors are in it.
    Json(Schema),
    /// 204; errors are in the envelope of the API.
    Nothing,
    /// 204; errors are plain text.
    Accepted,
    /// Nothing but this error, in the envelope of the API: what is asked for is never there.
    Absent(u16),
}

/// A parameter of the URL or of a form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) is_required: bool,
    pub(super) about: &'static str,
}

/// How a parameter's text is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    /// A PromQL expression.
    Query,
    /// One of these.
    Choice(&'static [&'static str]),
    /// Unix seconds or RFC 3339.
    Time,
    /// Seconds or a Prometheus duration.
    Duration,
    /// A whole number from here on.
    Integer {
        min: i64,
    },
    /// May be given several times.
    Texts,
    /// Selectors of series; may be given several times.
    Selectors,
}

impl Endpoint {
    fn new(
        path: &'static str,
        methods: &'static [&'static str],
        handler: MethodRouter<Arc<System>>,
    ) -> Self {
        let answer = Answer::Raw("text/plain");
        Self {
            path,
            methods,
            summary: "",
            parameters: &[],
            body: None,
            answer,
            handler,
        }
    }

    pub(super) fn says(mut self, summary: &'static str) -> Self {
        self.summary = summary;
        self
    }

    pub(super) fn takes(mut self, parameters: &'static [Parameter]) -> Self {
        self.parameters = parameters;
        self
    }

    pub(super) fn reads(mut self, media_type: &'static str) -> Self {
        self.body = Some(media_type);
        self
    }

    pub(super) fn answers(mut self, answer: Answer) -> Self {
        self.answer = answer;
        self
    }
}

/// GET, and with it HEAD.
pub(super) fn on_get<H: Handler<T, Arc<System>>, T: 'static>(
    path: &'static str,
    handler: H,
) -> Endpoint {
    Endpoint::new(path, &["get"], get(handler))
}

/// GET, HEAD, and POST of a form.
pub(super) fn on_get_post<H: Handler<T, Arc<System>>, T: 'static>(
    path: &'static str,
    handler: H,
) -> Endpoint {
    Endpoint::new(path, &["get", "post"], get(handler.clone()).post(handler))
}

pub(super) fn on_post<H: Handler<T, Arc<System>>, T: 'static>(
    path: &'static str,
    handler: H,
) -> Endpoint {
    Endpoint::new(path, &["post"], post(handler))
}

/// What changes something: POST and PUT.
pub(super) fn on_post_put<H: Handler<T, Arc<System>>, T: 'static>(
    path: &'static str,
    handler: H,
) -> Endpoint {
    Endpoint::new(path, &["post", "put"], post(handler.clone()).put(handler))
}
