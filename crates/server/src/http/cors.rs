//! Which pages of other origins may call the API from a browser.

use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use duramen_model::GoRegex;
use serde::{Deserialize, Serialize};

use super::habits;
use crate::wiring::System;

/// The origins that are let in: a regex over the whole origin, such as
/// `https?://(a|b)\.example\.org`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CorsOrigin(GoRegex);

impl Default for CorsOrigin {
    fn default() -> Self {
        Self(GoRegex::parse(".*").expect("it is a regex"))
    }
}

impl PartialEq for CorsOrigin {
    fn eq(&self, other: &Self) -> bool {
        self.0.pattern() == other.0.pattern()
    }
}

impl TryFrom<String> for CorsOrigin {
    type Error = String;

    fn try_from(pattern: String) -> Result<Self, String> {
        pattern.parse()
    }
}

impl From<CorsOrigin> for String {
    fn from(origin: CorsOrigin) -> Self {
        origin.0.pattern().to_owned()
    }
}

impl FromStr for CorsOrigin {
    type Err = String;

    fn from_str(pattern: &str) -> Result<Self, String> {
        GoRegex::parse(pattern).map(Self).map_err(|e| e.to_string())
    }
}

impl CorsOrigin {
    /// What to answer to a page of this origin; `None` when it is not let in.
    fn allowed(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        if self.0.pattern() == ".*" {
            return Some(HeaderValue::from_static("*"));
        }

        let is_allowed = origin.to_str().is_ok_and(|text| self.0.is_match(text));
        is_allowed.then(|| origin.clone())
    }
}

/// Answers OPTIONS for everything under `/api/v1/`, known or not, and says who may read the other
/// answers there.
pub(super) async fn allow(
    State(system): State<Arc<System>>,
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
        put_headers(
            response.headers_mut(),
            system.config.http.cors_origin.allowed(&origin),
        );
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
