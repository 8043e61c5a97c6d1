//! Answers to writes.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use duramen_ingest::WriteReport;
use duramen_proto::Version;

use crate::http::answer::failure::with_causes;
use crate::http::answer::statuses;
use crate::http::request::intake::Fault;

/// The promise for the stored part: `local` means that it is fsynced on this disk.
const ACK: HeaderName = HeaderName::from_static("x-duramen-ack");
/// How much of a request of 2.0 is stored, whatever the status is.
const WRITTEN: [HeaderName; 3] = [
    HeaderName::from_static("x-prometheus-remote-write-samples-written"),
    HeaderName::from_static("x-prometheus-remote-write-histograms-written"),
    HeaderName::from_static("x-prometheus-remote-write-exemplars-written"),
];
/// When to retry a refused write if no better time is known.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why nothing of a request was stored.
pub(super) enum Refused {
    TooLarge { bytes_max: usize },
    Body(Fault),
    Failed(duramen_ingest::Error),
}

impl<E: Into<duramen_ingest::Error>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Returns the answer to a request whose headers could be read.
///
/// A 2xx says that the whole request is stored. With any other status a part may be stored and
/// acknowledged. Samples that are sent again are a success, so a sender may repeat the whole
/// request.
pub(super) fn answer(version: Version, outcome: &Result<WriteReport, Refused>) -> Response {
    let mut response = match outcome {
        Ok(report) => stored(version, report),
        Err(Refused::TooLarge { bytes_max }) => too_large(*bytes_max),
        Err(Refused::Body(fault)) => fault.close(body_response(fault)),
        Err(Refused::Failed(error)) => failed(error),
    };

    if version == Version::Two {
        count(response.headers_mut(), outcome.as_ref().ok());
    }

    response
}

fn stored(version: Version, report: &WriteReport) -> Response {
    let mut lines = Vec::new();
    if !report.rejected.is_empty() {
        lines.push(report.rejected.to_string());
    }

    // 1.0 cannot report exemplars that were not kept, and its senders would count the samples
    // beside them as lost.
    if version == Version::Two && !report.lost_exemplars.is_empty() {
        lines.extend_from_slice(report.lost_exemplars.texts());
        lines.push(format!("lost {}", report.lost_exemplars.lost()));
    }

    let mut response = if lines.is_empty() {
        StatusCode::NO_CONTENT.into_response()
    } else {
        // A part that was refused beside a stored one never passes by waiting, whatever its limit
        // is. A sender that retried it would be stuck.
        (StatusCode::BAD_REQUEST, lines.join("\n")).into_response()
    };

    response
        .headers_mut()
        .insert(ACK, HeaderValue::from_static("local"));
    response
}

fn count(headers: &mut HeaderMap, report: Option<&WriteReport>) {
    let counts = report.map_or([0; 3], WriteReport::written);
    for (name, count) in WRITTEN.into_iter().zip(counts) {
        headers.insert(name, HeaderValue::from(count));
    }
}

fn too_large(bytes_max: usize) -> Response {
    (
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body is too large. body_bytes_max=`{bytes_max}`"),
    )
        .into_response()
}

fn body_response(fault: &Fault) -> Response {
    match statuses::of_body(fault).0 {
        status @ StatusCode::SERVICE_UNAVAILABLE => later(status, RETRY_AFTER, fault.to_string()),
        status => (status, fault.to_string()).into_response(),
    }
}

fn failed(error: &duramen_ingest::Error) -> Response {
    let status = statuses::of(error.kind()).write;

    let text = with_causes(error);
    if status.is_server_error() {
        tracing::error!(error = text, "a write failed");
    }

    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            later(status, error.retry_after().unwrap_or(RETRY_AFTER), text)
        }
        _ => (status, text).into_response(),
    }
}

/// Returns an answer that asks the sender to repeat the request later.
fn later(status: StatusCode, wait: Duration, text: String) -> Response {
    // The header has whole seconds, so the time is rounded up.
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    (
        status,
        [(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))],
        text,
    )
        .into_response()
}
