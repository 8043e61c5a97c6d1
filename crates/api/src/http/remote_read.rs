//! Remote read: another Prometheus reads the samples that are stored here, and evaluates its
//! queries with them.

mod batch;
mod metrics;
mod samples;
mod streamed;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use duramen_model::{AsOf, Regexes, TenantName};
use duramen_proto::remote_read::{ReadLimits, ReadQuery, ReadRequest, ResponseType, Wanted};
use duramen_proto::snappy;
use duramen_query::Selection;
use duramen_source::Columns;
pub use metrics::RemoteReadMetrics;

use crate::http::answer::text_failure::TextFailure;
use crate::http::request::form::Params;
use crate::http::request::intake::{Fault, Received};
use crate::http::request::tenant::Tenant;
use crate::http::roles::state::querier::QuerierState;

/// The most bytes of a request, before and after decompression. A request has only selectors, and
/// tens of thousands of them fit.
const BODY_BYTES_MAX: usize = 1 << 20;

pub(crate) async fn read(
    State(state): State<Arc<QuerierState>>,
    Tenant(tenant): Tenant,
    request: Request,
) -> Result<Response, TextFailure> {
    let as_of = as_of(request.uri())?;
    let body = body(&state, &tenant, request).await?;
    let regexes = state.querier.regexes(&tenant);
    let decoded = state
        .querier
        .compute(move || decode(&body, &regexes))
        .await?;

    let request = decoded.map_err(|why| TextFailure::new(StatusCode::BAD_REQUEST, why))?;
    let selections = request.queries.iter().map(selection).collect();
    state.remote_read.requested(request.response);

    match request.response {
        ResponseType::Samples => samples::answer(&state, tenant, as_of, selections).await,
        ResponseType::StreamedXorChunks => {
            streamed::answer(&state, tenant, as_of, selections).await
        }
    }
}

/// Returns the past state that the URL names.
fn as_of(url: &Uri) -> Result<Option<AsOf>, TextFailure> {
    let params = Params::of_url(url);
    let as_of = params.and_then(|params| params.as_of());
    as_of.map_err(|failure| TextFailure::new(StatusCode::BAD_REQUEST, failure.message()))
}

async fn body(
    state: &QuerierState,
    tenant: &TenantName,
    request: Request,
) -> Result<Received, TextFailure> {
    let (parts, body) = request.into_parts();
    let read = state
        .door
        .forms()
        .read(tenant.as_str(), &parts.headers, body, BODY_BYTES_MAX)
        .await;

    read.map_err(|fault| match fault {
        Fault::TooLarge { bytes_max } => {
            let why = format!("the body is too large. read_body_bytes_max=`{bytes_max}`");
            TextFailure::new(StatusCode::PAYLOAD_TOO_LARGE, why)
        }
        other => TextFailure::of_body(&other),
    })
}

fn decode(body: &[u8], regexes: &Regexes) -> Result<ReadRequest, String> {
    let decoded = snappy::decompress(body, BODY_BYTES_MAX).map_err(|e| e.to_string())?;
    ReadRequest::decode(&decoded, &ReadLimits::default(), regexes).map_err(|e| e.to_string())
}

/// Returns the selection of a query, or `None` if it selects nothing.
fn selection(query: &ReadQuery) -> Option<Selection> {
    let columns = match query.wanted {
        Wanted::Samples => Columns::Samples,
        Wanted::Series => Columns::Labels,
    };

    let range = query.range.filter(|_| !query.matchers.is_empty())?;
    Some(Selection {
        matchers: query.matchers.clone(),
        range,
        columns,
    })
}
