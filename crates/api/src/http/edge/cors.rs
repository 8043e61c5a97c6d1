//! Which pages of other origins may call the API from a browser.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use duramen_model::GoRegex;

use crate::http::edge::habits;

/// Answers OPTIONS for every path below `/api/v1/`, known or not, and adds the CORS headers to the
/// other answers there.
pub(crate) async fn allow(
    State(cors_origin): State<Arc<GoRegex>>,
    request: Request,
    next: Next,
) -> Response {
    if !habits::without_prefix(request.uri().path()).starts_with("/api/v1/") {
        return next.run(request).await;
    }

    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = match *request.method() {
        Method::OPTIONS => StatusCode::NO_CONTENT.into_response(),
        _ => next.run(request).await,
    };

    if let Some(origin) = origin {
        put_headers(response.headers_mut(), allowed(&cors_origin, &origin));
    }

    response
}

fn put_headers(headers: &mut HeaderMap, allowed: Option<HeaderValue>) {
    let fixed = [
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Accept, Authorization, Content-Type, Origin",
        ),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
        (header::VARY, "Origin"),
    ];

    for (name, value) in fixed {
        headers.append(name, HeaderValue::from_static(value));
    }

    if let Some(allowed) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    }
}

/// Returns the allowed origin for a page of `origin`, or `None` if the page is not allowed.
/// `let_in` is a regex over the whole origin.
fn allowed(let_in: &GoRegex, origin: &HeaderValue) -> Option<HeaderValue> {
    if let_in.pattern() == ".*" {
        return Some(HeaderValue::from_static("*"));
    }

    let is_allowed = origin.to_str().is_ok_and(|text| let_in.is_match(text));
    is_allowed.then(|| origin.clone())
}
