//! Errors as the API answers them.

use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use duramen_model::ErrorKind;
use serde_json::Value as Json;

use crate::http::request::intake::Fault;

/// An error of the query API: `{"status":"error","errorType":..,"error":..}`.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    error_type: &'static str,
    message: String,
    /// Whether the connection ends with the answer, as the rest of the request is not read.
    closes: Closes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closes {
    No,
    Yes,
}

impl Failure {
    pub(crate) fn bad_data(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            error_type: "bad_data",
            message: message.into(),
            closes: Closes::No,
        }
    }

    /// `invalid parameter "query": ...`
    pub(crate) fn parameter(name: &str, why: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter \"{name}\": {why}"))
    }

    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            error_type: "unauthorized",
            message: message.into(),
            closes: Closes::No,
        }
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            error_type: "forbidden",
            message: message.into(),
            closes: Closes::No,
        }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            error_type: "not_found",
            message: message.into(),
            closes: Closes::No,
        }
    }

    pub(crate) fn method_not_allowed(method: &Method) -> Self {
        let message =
            format!("the method {method} is not allowed here; the header Allow has those that are");
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            error_type: "bad_data",
            message,
            closes: Closes::No,
        }
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            error_type: "bad_data",
            message: message.into(),
            closes: Closes::No,
        }
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            error_type: "internal",
            message: message.into(),
            closes: Closes::No,
        }
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            error_type: "unavailable",
            message: message.into(),
            closes: Closes::No,
        }
    }

    /// A body that was not read to its end.
    pub(crate) fn unread(fault: &Fault) -> Self {
        let error_type = match fault {
            Fault::Slow { .. } => "timeout",
            Fault::Crowded { .. } | Fault::Memory(_) => "unavailable",
            Fault::TooLarge { .. } | Fault::Broken(_) => "bad_data",
        };

        Self {
            status: fault.status(),
            error_type,
            message: fault.to_string(),
            closes: Closes::Yes,
        }
    }
}

impl Failure {
    /// A query that failed; a fault of its selectors is told as one of the parameter that they were
    /// in.
    pub(crate) fn of_selectors(name: &str, error: duramen_query::Error) -> Self {
        use duramen_query::Error::{EmptyMatcher, NotASelector, Parse};
        match error {
            Parse(_) | EmptyMatcher | NotASelector(_) => Self::parameter(name, error),
            other => other.into(),
        }
    }
}

/// The text of a query is the parameter `query`.
impl From<duramen_query::Error> for Failure {
    fn from(error: duramen_query::Error) -> Self {
        use duramen_query::Error::{NoTurn, Parse, Timeout, Waiting};
        if let Parse(error) = error {
            return Self::parameter("query", error);
        }

        let message = with_causes(&error);
        let (status, error_type) = match error.kind() {
            _ if matches!(error, Timeout(_) | NoTurn { .. }) => {
                (StatusCode::SERVICE_UNAVAILABLE, "timeout")
            }
            _ if matches!(error, Waiting { .. }) => {
                (StatusCode::TOO_MANY_REQUESTS, "too_many_requests")
            }
            ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "bad_data"),
            ErrorKind::Execution | ErrorKind::Limited => {
                (StatusCode::UNPROCESSABLE_ENTITY, "execution")
            }
            ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            ErrorKind::Fenced | ErrorKind::Corrupt | ErrorKind::Internal => {
                tracing::error!(error = message, "a query failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "internal")
            }
        };

        Self {
            status,
            error_type,
            message,
            closes: Closes::No,
        }
    }
}

/// The error's text with those of its sources behind it.
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
        // In the order of Prometheus: some clients read bytes.
        let of = Json::from(self.error_type);
        let message = Json::from(self.message);
        let body = format!("{{\"status\":\"error\",\"errorType\":{of},\"error\":{message}}}");
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
