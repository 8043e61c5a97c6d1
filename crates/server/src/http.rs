//! The HTTP edge: the only place that knows status codes.

mod admin;
mod answer;
mod cardinality;
mod compression;
mod cors;
mod crowd;
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
mod intake;
mod link;
mod matrix;
mod metadata;
mod metrics;
mod number;
mod openapi;
mod panics;
mod parameters;
mod params;
mod pieces;
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

use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Extension, Router};
pub use cors::CorsOrigin;
pub use intake::Intakes;
pub use metrics::HttpMetrics;
pub use serve::{Serving, serve};
use tower::ServiceExt;
use viewer::OperatorListener;

use crate::wiring::System;

/// All routes, also behind the prefixes of [`habits::PREFIXES`]. Bodies are read by [`Intakes`]
/// only, which bound them.
pub fn router(system: Arc<System>) -> Router {
    let api = api();
    let all = habits::PREFIXES
        .iter()
        .fold(api.clone(), |all, prefix| all.nest(prefix, api.clone()));

    let answered = all
        .fallback(plain::not_found)
        .method_not_allowed_fallback(plain::method_not_allowed)
        .layer(from_fn(panics::answer))
        .layer(from_fn(compression::compress))
        .layer(from_fn_with_state(Arc::clone(&system), cors::allow))
        .layer(from_fn_with_state(Arc::clone(&system), metrics::observe))
        .with_state(system);

    // Before the routes are looked at.
    Router::new().fallback_service(answered.map_request(habits::settle))
}

/// The same for whoever reaches the operator's own listener.
pub fn operator_router(router: Router) -> Router {
    router.layer(Extension(OperatorListener))
}

fn api() -> Router<Arc<System>> {
    routes::table()
        .into_iter()
        .fold(Router::new(), |router, endpoint| {
            router.route(endpoint.path, endpoint.handler)
        })
}
