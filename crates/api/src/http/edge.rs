//! What all requests pass, whoever handles them.
//!
//! A connection: [`serve`] takes it and ends it, [`crowd`] says whether there is room for it,
//! [`link`] when its client has been waited for long enough, [`head_errors`] answers heads that are
//! not HTTP. A request: [`habits`] settles its path, [`metrics`] counts it, [`cors`] says which
//! pages may ask, [`compression`] makes the answer smaller, [`panics`] answers for a handler that
//! fails, [`plain`] where there is none.

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

use std::sync::Arc;

use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Extension, Router};
use duramen_model::GoRegex;
use duramen_runtime::Clock;
use metrics::{HttpMetrics, Observer};
use tower::ServiceExt;

use crate::http::request::door::OperatorListener;

/// What the edge sees, whichever roles are behind it.
#[derive(Debug)]
pub struct EdgeState {
    pub clock: Arc<dyn Clock>,
    pub metrics: HttpMetrics,
    /// The origins whose pages may call the API: a regex over the whole origin.
    pub cors_origin: GoRegex,
}

/// The routes of all `roles`, also behind the prefixes of [`habits::PREFIXES`].
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

    // Before the routes are looked at.
    Router::new().fallback_service(answered.map_request(habits::settle))
}

/// The same for whoever reaches the operator's own listener.
pub fn operator_router(router: Router) -> Router {
    router.layer(Extension(OperatorListener))
}
