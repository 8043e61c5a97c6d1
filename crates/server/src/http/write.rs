//! Remote write 1.0.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use duramen_ingest::WriteReport;
use duramen_model::{ErrorKind, TenantName};
use duramen_proto::{Version, snappy};

use super::BODY_BYTES_MAX;
use super::failure::with_causes;
use super::tenant::Tenant;
use crate::wiring::System;

/// What a 2xx promises: `local`, fsynced on this disk.
const ACK: HeaderName = HeaderName::from_static("x-duramen-ack");
/// Seconds after which a refused write is worth another try.
const RETRY_AFTER: &str = "1";

pub(super) async fn write(State(system): State<Arc<System>>, Tenant(tenant): Tenant, request: Request) -> Response {
    // Before the body is touched: a sender of something else sends a body that would not decode anyway.
    if let Err(refused) = negotiate(request.headers()) {
        return *refused;
    }
    if announced_bytes(request.headers()).is_some_and(|bytes| bytes > BODY_BYTES_MAX as u64) {
        return too_large();
    }
    match take(&system, &tenant, request).await {
        Ok(report) => written(&report),
        Err(Refused::Unreadable(rejection)) => unreadable(&rejection),
        Err(Refused::Failed(error)) => failed(&error),
    }
}

/// Why nothing of a request was stored.
enum Refused {
    Unreadable(BytesRejection),
    Failed(duramen_ingest::Error),
}

impl<E: Into<duramen_ingest::Error>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Reads and stores a request. Each buffer is accounted for before it is there.
async fn take(system: &Arc<System>, tenant: &TenantName, request: Request) -> Result<WriteReport, Refused> {
    let announced = announced_bytes(request.headers()).and_then(|bytes| usize::try_from(bytes).ok());
    let mut turn = system.ingester.turn(announced.unwrap_or(BODY_BYTES_MAX)).await?;
    let body = Bytes::from_request(request, system).await.map_err(Refused::Unreadable)?;
    let max = system.limits.of(tenant).ingest.decoded_body_bytes_max;
    system.ingester.grow(&mut turn, snappy::declared_bytes(&body, max)?).await?;
    let decoded = snappy::decompress(&body, max)?;
    drop(body);
    Ok(system.ingester.write_in_turn(turn, tenant, Version::One, &decoded).await?)
}

/// Refuses what is not remote write 1.0 in snappy with 415. Both headers may be absent.
fn negotiate(headers: &HeaderMap) -> Result<(), Box<Response>> {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
    if let Some(encoding) = text(header::CONTENT_ENCODING)
        && !encoding.trim().eq_ignore_ascii_case("snappy")
    {
        return Err(unsupported(format!("Content-Encoding is {encoding:?}, and only \"snappy\" is supported")));
    }
    let Some(content_type) = text(header::CONTENT_TYPE) else { return Ok(()) };
    let mut parts = content_type.split(';').map(str::trim);
    let media = parts.next().unwrap_or("");
    let message = parts.find_map(|part| part.strip_prefix("proto="));
    if !media.eq_ignore_ascii_case("application/x-protobuf") {
        let why = format!("Content-Type is {content_type:?}, and only \"application/x-protobuf\" is supported");
        return Err(unsupported(why));
    }
    match message {
        None | Some("prometheus.WriteRequest") => Ok(()),
        Some(other) => {
            let why = format!(
                "the message {other:?} is not supported yet, only \"prometheus.WriteRequest\" (remote write 1.0)"
            );
            Err(unsupported(why))
        }
    }
}

fn unsupported(why: String) -> Box<Response> {
    Box::new((StatusCode::UNSUPPORTED_MEDIA_TYPE, why).into_response())
}

fn unreadable(rejection: &BytesRejection) -> Response {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large();
    }
    (rejection.status(), rejection.body_text()).into_response()
}

fn too_large() -> Response {
    let why = format!("the body is too large. body_bytes_max=`{BODY_BYTES_MAX}`");
    (StatusCode::PAYLOAD_TOO_LARGE, why).into_response()
}

/// What the sender says the body will have. The body itself is held to the limit as well, but only once that much of it is here.
fn announced_bytes(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// 204 when everything is durable; otherwise the rest is, and the answer says what was refused.
fn written(report: &WriteReport) -> Response {
    let ack = [(ACK, HeaderValue::from_static("local"))];
    match report.rejection_kind() {
        None => (StatusCode::NO_CONTENT, ack).into_response(),
        Some(ErrorKind::Limited) => {
            let retry = [(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER))];
            (StatusCode::TOO_MANY_REQUESTS, ack, retry, report.rejected.to_string()).into_response()
        }
        Some(_) => (StatusCode::BAD_REQUEST, ack, report.rejected.to_string()).into_response(),
    }
}

fn failed(error: &duramen_ingest::Error) -> Response {
    let status = match error.kind() {
        ErrorKind::Invalid | ErrorKind::Execution => StatusCode::BAD_REQUEST,
        ErrorKind::Limited => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Fenced | ErrorKind::Corrupt | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let text = with_causes(error);
    if status.is_server_error() {
        tracing::error!(error = text, "a write failed");
    }
    let retry = [(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER))];
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => (status, retry, text).into_response(),
        _ => (status, text).into_response(),
    }
}
