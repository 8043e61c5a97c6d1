//! The HTTP edge: the only place that knows status codes.

mod admin;
mod answer;
mod cardinality;
mod compression;
mod cors;
mod empty_sets;
mod endpoint;
mod exemplars;
mod explain;
mod exposition;
mod failure;
mod federate;
mod forms;
mod go_time;
mod habits;
mod head_errors;
mod metadata;
mod metrics;
mod number;
mod openapi;
mod panics;
mod parameters;
mod params;
mod plain;
mod query;
#[cfg(test)]
mod reference;
mod remote_read;
mod routes;
mod self_metrics;
mod serve;
mod settings;
mod stats;
mod status;
mod syntax;
mod tenant;
mod text_failure;
mod viewer;
mod write;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Extension, Router};
pub use cors::CorsOrigin;
pub use metrics::HttpMetrics;
pub use serve::{HEAD_READ_MAX, serve};
use tower::ServiceExt;
use tower_http::timeout::RequestBodyTimeoutLayer;
use viewer::OperatorListener;

use crate::wiring::System;

/// A request's body as it comes over the wire, in bytes.
const BODY_BYTES_MAX: usize = 32 << 20;
/// A sender that announces a body and then sends nothing of it for so long is given up.
const BODY_IDLE_MAX: Duration = Duration::from_secs(30);

/// All routes, also behind the prefixes of [`habits::PREFIXES`].
pub fn router(system: Arc<System>) -> Router {
    let api = api();
    let all = habits::PREFIXES.iter().fold(api.clone(), |all, prefix| all.nest(prefix, api.clone()));
    let answered = all
        .fallback(plain::not_found)
        .method_not_allowed_fallback(plain::method_not_allowed)
        .layer(from_fn(panics::answer))
        .layer(from_fn(compression::compress))
        .layer(from_fn_with_state(Arc::clone(&system), cors::allow))
        .layer(from_fn_with_state(Arc::clone(&system), metrics::observe))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(RequestBodyTimeoutLayer::new(BODY_IDLE_MAX))
        .with_state(system);

    // Before the routes are looked at.
    Router::new().fallback_service(answered.map_request(habits::settle))
}

/// The same for whoever reaches the operator's own listener.
pub fn operator_router(router: Router) -> Router {
    router.layer(Extension(OperatorListener))
}

fn api() -> Router<Arc<System>> {
    routes::table().into_iter().fold(Router::new(), |router, endpoint| router.route(endpoint.path, endpoint.handler))
}
