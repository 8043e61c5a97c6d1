//! The table of the API: every route with its handler, its parameters and its answer. A route that
//! is not in a section of a role is neither served nor documented.

use axum::Router;

use crate::http::docs::endpoint::{Description, Endpoint};
use crate::http::roles::{ingester, process, querier};

pub(crate) const TEXT: &str = "text/plain";
pub(crate) const PROTOBUF: &str = "application/x-protobuf";

/// What the documents say of all routes, in their order: those of a Prometheus first by their
/// section, then our own.
pub(crate) fn descriptions() -> Vec<Description> {
    let sections = [
        described(querier::queries()),
        described(querier::series()),
        described(querier::cardinality()),
        described(ingester::writing()),
        described(querier::remote()),
        described(querier::empty_sets()),
        described(process::about()),
        described(ingester::orders()),
        described(process::settings()),
        described(process::probes()),
    ];

    sections.into_iter().flatten().collect()
}

fn described<S>(section: Vec<Endpoint<S>>) -> Vec<Description> {
    section
        .into_iter()
        .map(|endpoint| endpoint.description)
        .collect()
}

/// The routes of a role, whose handlers see its state and no other.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(
    endpoints: impl IntoIterator<Item = Endpoint<S>>,
    state: S,
) -> Router {
    endpoints
        .into_iter()
        .fold(Router::new(), |router, endpoint| {
            router.route(endpoint.description.path, endpoint.handler)
        })
        .with_state(state)
}
