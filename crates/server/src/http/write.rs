//! Remote write, 1.0 and 2.0.

mod negotiation;
mod outcome;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use duramen_ingest::{RequestLimit, WriteReport};
use duramen_model::TenantName;
use duramen_proto::{Version, snappy};
use outcome::Refused;

use super::tenant::Tenant;
use crate::wiring::System;

pub(super) async fn write(State(system): State<Arc<System>>, Tenant(tenant): Tenant, request: Request) -> Response {
    // Before the body is touched: a sender of something else sends a body that would not decode anyway.
    match negotiation::version(request.headers()) {
        Ok(version) => outcome::answer(version, &take(&system, &tenant, version, request).await),
        Err(why) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, why).into_response(),
    }
}

/// Reads and stores a request. Each buffer is accounted for before it is there.
async fn take(
    system: &Arc<System>,
    tenant: &TenantName,
    version: Version,
    mut request: Request,
) -> Result<WriteReport, Refused> {
    let limits = system.limits.of(tenant);
    let (bytes_max, decoded_bytes_max) = (limits.ingest.body_bytes_max, limits.ingest.decoded_body_bytes_max);
    let too_large = || {
        system.ingester.note_limited(tenant, RequestLimit::BodyBytes);
        Refused::TooLarge { bytes_max }
    };
    let announced = announced_bytes(request.headers());
    if announced.is_some_and(|bytes| bytes > bytes_max) {
        return Err(too_large());
    }
    let mut turn = system.ingester.turn(announced.unwrap_or(bytes_max)).await?;
    DefaultBodyLimit::max(bytes_max).apply(&mut request);
    let body = Bytes::from_request(request, system).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        _ => Refused::Unreadable(rejection),
    })?;
    let declared = snappy::declared_bytes(&body, decoded_bytes_max).inspect_err(|error| {
        if let duramen_proto::Error::DecodedTooLarge { .. } = error {
            system.ingester.note_limited(tenant, RequestLimit::DecodedBodyBytes);
        }
    })?;
    system.ingester.grow(&mut turn, declared).await?;
    let decoded = snappy::decompress(&body, decoded_bytes_max)?;
    drop(body);
    Ok(system.ingester.write_in_turn(turn, tenant, version, &decoded).await?)
}

/// What the sender says the body will have. The body itself is held to the limit as well, but only once that much of it is here.
fn announced_bytes(headers: &HeaderMap) -> Option<usize> {
    let announced: u64 = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()?;
    Some(usize::try_from(announced).unwrap_or(usize::MAX))
}
