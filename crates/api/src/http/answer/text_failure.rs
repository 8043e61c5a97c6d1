//! Errors as plain text, for the routes outside of the query API.

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::http::answer::failure::with_causes;
use crate::http::answer::statuses;
use crate::http::request::intake::Fault;

/// An error whose body is its text and a line feed, as in Prometheus's remote read and federation.
#[derive(Debug)]
pub(crate) struct TextFailure {
    status: StatusCode,
    message: String,
    /// The fault of a body that was given up. The connection ends with the answer.
    body_fault: Option<Fault>,
}

impl TextFailure {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            body_fault: None,
        }
    }

    /// Returns the error for a body that was not read to its end.
    pub(crate) fn of_body(fault: &Fault) -> Self {
        Self {
            status: statuses::of_body(fault).0,
            message: fault.to_string(),
            body_fault: Some(fault.clone()),
        }
    }
}

impl From<duramen_query::Error> for TextFailure {
    fn from(error: duramen_query::Error) -> Self {
        let message = with_causes(&error);
        let status = statuses::of_query(&error).text;
        if status == StatusCode::INTERNAL_SERVER_ERROR || error.is_damage() {
            tracing::error!(error = message, "a read failed");
        }

        Self {
            status,
            message,
            body_fault: None,
        }
    }
}

impl IntoResponse for TextFailure {
    fn into_response(self) -> Response {
        let no_guessing = (
            HeaderName::from_static("x-content-type-options"),
            HeaderValue::from_static("nosniff"),
        );

        let response = (self.status, [no_guessing], format!("{}\n", self.message)).into_response();
        match self.body_fault {
            Some(fault) => fault.close(response),
            None => response,
        }
    }
}
