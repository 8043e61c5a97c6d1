//! Answers to requests that no endpoint takes: plain text, not the envelope of the API.

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

pub(super) async fn not_found() -> Response {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

pub(super) async fn method_not_allowed() -> Response {
    text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n")
}

fn text(status: StatusCode, text: &'static str) -> Response {
    let no_guessing = (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    (status, [no_guessing], text).into_response()
}
