//! The layers that all requests pass, whatever their handler.
//!
//! Before the roles are there, [`starting`] answers for them. For a connection: [`serve`] takes it and ends it, [`crowd`] limits how many are open, [`link`]
//! tells when its client has kept it waiting for too long, and [`head_errors`] answers heads that
//! are not HTTP. For a request: [`habits`] normalizes its path, [`metrics`] counts it, [`cors`]
//! tells which pages may send it, [`compression`] compresses the answer, [`panics`] answers when a
//! handler panics, and [`plain`] answers when no route fits.

mod compression;
mod cors;
mod crowd;
mod habits;
mod head_errors;
pub(crate) mod link;
pub(crate) mod metrics;
mod panics;
mod plain;
pub(crate) mod serve;
pub(crate) mod starting;

use std::sync::Arc;

use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Extension, Router};
use duramen_model::GoRegex;
use duramen_runtime::Clock;
use metrics::{HttpMetrics, Observer};
use tower::ServiceExt;

use crate::http::request::door::OperatorListener;

/// The state of the edge, which does not depend on the roles behind it.
#[derive(Debug)]
pub struct EdgeState {
    pub clock: Arc<dyn Clock>,
    pub metrics: HttpMetrics,
    /// The origins whose pages may call the API: a regex over the whole origin.
    pub cors_origin: GoRegex,
}

/// The routes of all `roles`, which are also served below the prefixes of [`habits::PREFIXES`].
pub fn router(edge: EdgeState, roles: impl IntoIterator<Item = Router>) -> Router {
    let observer = Arc::new(Observer {
        clock: edge.clock,
        metrics: edge.metrics,
    });
    let cors_origin = Arc::new(edge.cors_origin);

    let api = roles.into_iter().fold(Router::new(), Router::merge);
    let all = habits::PREFIXES
        .iter()
        .fold(api.clone(), |all, prefix| all.nest(prefix, api.clone()));

    let answered = all
        .fallback(plain::not_found)
        .method_not_allowed_fallback(plain::method_not_allowed)
        .layer(from_fn(panics::answer))
        .layer(from_fn(compression::compress))
        .layer(from_fn_with_state(cors_origin, cors::allow))
        .layer(from_fn_with_state(observer, metrics::observe));

    // The path is normalized before a route is chosen.
    Router::new().fallback_service(answered.map_request(habits::settle))
}

/// The same routes for the operator's own listener. Their requests are marked as the operator's.
pub fn operator_router(router: Router) -> Router {
    router.layer(Extension(OperatorListener))
}
