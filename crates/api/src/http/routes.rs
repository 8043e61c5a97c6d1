//! The table of the API: every route with its handler, its parameters and its answer. A route that
//! is not in a section of a role, or in [`documents`], is neither served nor documented.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::http::docs::endpoint::{Answer, Description, Endpoint, on_get};
use crate::http::docs::openapi;
use crate::http::roles::state::ingester::IngesterState;
use crate::http::roles::state::process::ProcessState;
use crate::http::roles::state::querier::QuerierState;
use crate::http::roles::{ingester, process, querier};

impl QuerierState {
    /// The routes of the querier.
    pub fn routes(self: Arc<Self>) -> Router {
        let sections = [
            querier::queries(),
            querier::series(),
            querier::cardinality(),
            querier::remote(),
            querier::empty_sets(),
        ];

        router(sections.into_iter().flatten(), self)
    }
}

impl IngesterState {
    /// The routes of the ingester.
    pub fn routes(self: Arc<Self>) -> Router {
        let sections = [ingester::writing(), ingester::orders()];
        router(sections.into_iter().flatten(), self)
    }
}

impl ProcessState {
    /// The routes that every process serves.
    pub fn routes(self: Arc<Self>) -> Router {
        let sections = [
            process::about(),
            documents(),
            process::settings(),
            process::probes(),
        ];

        router(sections.into_iter().flatten(), self)
    }
}

/// The routes of the OpenAPI document. They are listed here because the document describes the
/// whole table.
fn documents() -> Vec<Endpoint<Arc<ProcessState>>> {
    vec![
        on_get("/api/v1/openapi.yaml", openapi_yaml)
            .says("This API as an OpenAPI 3.1 document.")
            .answers(Answer::Raw(openapi::YAML)),
        on_get("/openapi.yaml", openapi_yaml)
            .says("As `/api/v1/openapi.yaml`.")
            .answers(Answer::Raw(openapi::YAML)),
    ]
}

async fn openapi_yaml() -> Response {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| openapi::yaml(&descriptions()));

    let media_type = HeaderValue::from_static(openapi::YAML);
    ([(header::CONTENT_TYPE, media_type)], DOCUMENT.as_str()).into_response()
}

/// The descriptions of all routes, in the order of the documents: first the routes of Prometheus by
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
        described(documents()),
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

/// The router of a role's endpoints. Their handlers see `state` and no other.
fn router<S: Clone + Send + Sync + 'static>(
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
