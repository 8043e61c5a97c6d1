//! Errors in the envelope of the API.

use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value as Json;

use crate::http::answer::statuses::{self, ApiStatus};
use crate::http::request::intake::Fault;

/// An error of the query API: `{"status":"error","errorType":..,"error":..}`.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    error_type: &'static str,
    message: String,
    /// Whether the connection ends with the answer, because the rest of the request is not read.
    closes: Closes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closes {
    No,
    Yes,
}

impl Failure {
    fn new((status, error_type): ApiStatus, message: impl Into<String>) -> Self {
        Self {
            status,
            error_type,
            message: message.into(),
            closes: Closes::No,
        }
    }

    /// What went wrong, for answers without the envelope.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn bad_data(message: impl Into<String>) -> Self {
        Self::new((StatusCode::BAD_REQUEST, "bad_data"), message)
    }

    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new((StatusCode::UNAUTHORIZED, "unauthorized"), message)
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new((StatusCode::FORBIDDEN, "forbidden"), message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new((StatusCode::NOT_FOUND, "not_found"), message)
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new((StatusCode::PAYLOAD_TOO_LARGE, "bad_data"), message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new((StatusCode::INTERNAL_SERVER_ERROR, "internal"), message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new((StatusCode::SERVICE_UNAVAILABLE, "unavailable"), message)
    }

    /// `invalid parameter "query": ...`
    pub(crate) fn parameter(name: &str, why: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter \"{name}\": {why}"))
    }

    pub(crate) fn method_not_allowed(method: &Method) -> Self {
        let message = format!(
            "the method {method} is not allowed here; the header Allow lists the methods that are"
        );
        Self::new((StatusCode::METHOD_NOT_ALLOWED, "bad_data"), message)
    }

    /// Returns the error for a body that was not read to its end.
    pub(crate) fn of_body(fault: &Fault) -> Self {
        Self {
            closes: Closes::Yes,
            ..Self::new(statuses::of_body(fault), fault.to_string())
        }
    }

    /// Returns the error for a request of the administrator, such as a flush, that failed.
    pub(crate) fn of_command(error: &duramen_ingest::Error) -> Self {
        Self::new(statuses::of(error.kind()).command, with_causes(error))
    }

    /// Returns the error for a deletion that failed.
    pub(crate) fn of_deletion(error: &duramen_ingest::Error) -> Self {
        Self::new(statuses::of(error.kind()).api, with_causes(error))
    }

    /// Converts the error of a query whose selectors came from the parameter `name`. If a selector
    /// is at fault, the message names that parameter.
    pub(crate) fn of_selectors(name: &str, error: duramen_query::Error) -> Self {
        use duramen_query::Error::{EmptyMatcher, NotASelector, Parse};
        match error {
            Parse(_) | EmptyMatcher | NotASelector(_) => Self::parameter(name, error),
            other => other.into(),
        }
    }
}

/// A syntax error becomes the fault of the parameter `query`.
impl From<duramen_query::Error> for Failure {
    fn from(error: duramen_query::Error) -> Self {
        if let duramen_query::Error::Parse(error) = error {
            return Self::parameter("query", error);
        }

        let is_damage = error.is_damage();
        let failure = Self::new(statuses::of_query(&error).api, with_causes(&error));
        if failure.status == StatusCode::INTERNAL_SERVER_ERROR || is_damage {
            tracing::error!(error = failure.message, "a query failed");
        }

        failure
    }
}

/// Returns the text of an error and of its sources.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();

    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }

        source = cause.source();
    }

    text
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        // The members have the order of Prometheus, because some clients compare bytes.
        let error_type = Json::from(self.error_type);
        let message = Json::from(self.message);
        let body =
            format!("{{\"status\":\"error\",\"errorType\":{error_type},\"error\":{message}}}");
        let json = HeaderValue::from_static("application/json");
        let mut response = (self.status, [(header::CONTENT_TYPE, json)], body).into_response();

        if self.closes == Closes::Yes {
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }

        response
    }
}
