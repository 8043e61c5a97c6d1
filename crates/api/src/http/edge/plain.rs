//! Answers to requests that no route takes: in the envelope below `/api/`, plain text elsewhere.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::http::answer::failure::Failure;
use crate::http::edge::habits;

pub(crate) async fn not_found(request: Request) -> Response {
    let path = request.uri().path();
    let elsewhere = habits::elsewhere(path);

    if habits::is_api(path) {
        let why = elsewhere
            .unwrap_or_else(|| "page not found; all routes are in /api/v1/openapi.yaml".to_owned());
        return Failure::not_found(why).into_response();
    }

    let hint = elsewhere.map_or_else(String::new, |hint| format!("{hint}\n"));
    text(StatusCode::NOT_FOUND, format!("404 page not found\n{hint}"))
}

/// Answers a request whose method the route does not take. The router adds the header `Allow`.
pub(crate) async fn method_not_allowed(request: Request) -> Response {
    if habits::is_api(request.uri().path()) {
        return Failure::method_not_allowed(request.method()).into_response();
    }

    text(
        StatusCode::METHOD_NOT_ALLOWED,
        "Method Not Allowed\n".to_owned(),
    )
}

fn text(status: StatusCode, text: String) -> Response {
    let no_guessing = (
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );

    (status, [no_guessing], text).into_response()
}
