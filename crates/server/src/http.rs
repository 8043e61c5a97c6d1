//! The HTTP edge: the only place that knows status codes.

mod admin;
mod answer;
mod failure;
mod metadata;
mod metrics;
mod number;
mod params;
mod query;
mod status;
mod tenant;
mod write;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
pub use metrics::HttpMetrics;
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::wiring::System;

/// A request's body as it comes over the wire, in bytes.
const BODY_BYTES_MAX: usize = 32 << 20;
/// A sender that announces a body and then sends nothing of it for so long is given up.
const BODY_IDLE_MAX: Duration = Duration::from_secs(30);

/// All routes; those of the API also under `/prometheus`.
pub fn router(system: Arc<System>) -> Router {
    let api = api();
    Router::new()
        .merge(api.clone())
        .nest("/prometheus", api)
        .layer(from_fn_with_state(Arc::clone(&system), metrics::observe))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(RequestBodyTimeoutLayer::new(BODY_IDLE_MAX))
        .with_state(system)
}

fn api() -> Router<Arc<System>> {
    Router::new()
        .route("/", get(status::index))
        .route("/api/v1/write", post(write::write))
        .route("/api/v1/push", post(write::write))
        .route("/api/v1/query", get(query::instant).post(query::instant))
        .route("/api/v1/query_range", get(query::range).post(query::range))
        .route("/api/v1/labels", get(metadata::labels).post(metadata::labels))
        .route("/api/v1/label/{name}/values", get(metadata::label_values))
        .route("/api/v1/series", get(metadata::series).post(metadata::series))
        .route("/api/v1/status/buildinfo", get(status::buildinfo))
        .route("/api/v1/admin/tsdb/flush", post(admin::flush).put(admin::flush))
        .route("/-/healthy", get(status::healthy))
        .route("/-/ready", get(status::ready))
        .route("/metrics", get(status::metrics))
}
