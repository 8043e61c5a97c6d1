//! Remote read: another Prometheus calculates with the samples that lie here.

mod batch;
mod metrics;
mod samples;
mod streamed;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use duramen_proto::remote_read::{ReadLimits, ReadQuery, ReadRequest, ResponseType, Wanted};
use duramen_proto::snappy;
use duramen_query::Selection;
use duramen_source::Columns;
pub(super) use metrics::RemoteReadMetrics;

use super::tenant::Tenant;
use super::text_failure::TextFailure;
use crate::wiring::System;

/// A request before and after decompression, in bytes. It holds selectors only; one of a mebibyte has tens of thousands of them.
const BODY_BYTES_MAX: usize = 1 << 20;

pub(super) async fn read(
    State(system): State<Arc<System>>,
    Tenant(tenant): Tenant,
    request: Request,
) -> Result<Response, TextFailure> {
    let request = decode(request).await?;
    let selections = request.queries.iter().map(selection).collect();
    system.http_metrics.remote_read.requested(request.response);
    match request.response {
        ResponseType::Samples => samples::answer(&system, tenant, selections).await,
        ResponseType::StreamedXorChunks => streamed::answer(&system, tenant, selections).await,
    }
}

async fn decode(request: Request) -> Result<ReadRequest, TextFailure> {
    if announced_bytes(request.headers()).is_some_and(|bytes| bytes > BODY_BYTES_MAX as u64) {
        let why = format!("the body is too large. read_body_bytes_max=`{BODY_BYTES_MAX}`");
        return Err(TextFailure::new(StatusCode::PAYLOAD_TOO_LARGE, why));
    }
    let bad = |why: String| TextFailure::new(StatusCode::BAD_REQUEST, why);
    let body = axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX).await;
    let body =
        body.map_err(|e| bad(format!("the body cannot be read: {e}. read_body_bytes_max=`{BODY_BYTES_MAX}`")))?;
    let decoded = snappy::decompress(&body, BODY_BYTES_MAX).map_err(|e| bad(e.to_string()))?;
    ReadRequest::decode(&decoded, &ReadLimits::default()).map_err(|e| bad(e.to_string()))
}

fn announced_bytes(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What a query selects; `None` for nothing.
fn selection(query: &ReadQuery) -> Option<Selection> {
    let columns = match query.wanted {
        Wanted::Samples => Columns::Samples,
        Wanted::Series => Columns::Labels,
    };
    let range = query.range.filter(|_| !query.matchers.is_empty())?;
    Some(Selection { matchers: query.matchers.clone(), range, columns })
}
