//! Remote write, 1.0 and 2.0.

mod negotiation;
mod outcome;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use duramen_ingest::{RequestLimit, WriteReport};
use duramen_model::TenantName;
use duramen_proto::Version;
use outcome::Refused;

use crate::http::request::intake::Fault;
use crate::http::request::tenant::Tenant;
use crate::http::roles::state::ingester::IngesterState;

pub(crate) async fn write(
    State(state): State<Arc<IngesterState>>,
    Tenant(tenant): Tenant,
    request: Request,
) -> Response {
    // Before the body is touched: a sender of something else sends a body that would not decode
    // anyway.
    match negotiation::version(request.headers()) {
        Ok(version) => outcome::answer(version, &take(&state, &tenant, version, request).await),
        Err(why) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, why).into_response(),
    }
}

/// Reads and stores a request. Its body is counted as it comes; what its decoding takes is waited
/// for once, when the body is complete.
async fn take(
    state: &Arc<IngesterState>,
    tenant: &TenantName,
    version: Version,
    request: Request,
) -> Result<WriteReport, Refused> {
    let limits = state.limits.of(tenant);
    let bytes_max = limits.ingest.body_bytes_max;
    let intake = state.ingester.intake();

    let too_large = || {
        intake.note_limited(tenant, RequestLimit::BodyBytes);
        Refused::TooLarge { bytes_max }
    };

    intake.check_room()?;

    let (parts, body) = request.into_parts();
    let read = state
        .bodies
        .read(tenant.as_str(), &parts.headers, body, bytes_max)
        .await;

    let body = read.map_err(|fault| match fault {
        Fault::TooLarge { .. } => too_large(),
        other => Refused::Body(other),
    })?;

    let decompressed = intake.decompress(tenant, &limits.ingest, &body).await?;
    drop(body);

    Ok(state
        .ingester
        .write_body(tenant, version, decompressed)
        .await?)
}
