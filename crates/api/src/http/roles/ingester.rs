//! The ingester's side of the API: its state, and the routes that write.

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use duramen_ingest::Ingester;
use duramen_limits::LimitsHandle;

use crate::http::admin::flush;
use crate::http::docs::endpoint::Answer::{Accepted, Nothing};
use crate::http::docs::endpoint::{Endpoint, on_post, on_post_put};
use crate::http::docs::parameter_docs::ALL_TENANTS;
use crate::http::request::door::Door;
use crate::http::request::intake::Intake;
use crate::http::routes;
use crate::http::routes::PROTOBUF;
use crate::http::write;

/// What requests that write see.
#[derive(Debug)]
pub struct IngesterState {
    pub door: Door,
    /// What each tenant may use, now.
    pub limits: LimitsHandle,
    pub ingester: Ingester,
    /// Where the bodies of writes are read.
    pub bodies: Intake,
    /// Whether everybody may flush the heads of all tenants.
    pub flush_all: bool,
}

impl FromRef<Arc<IngesterState>> for Door {
    fn from_ref(state: &Arc<IngesterState>) -> Self {
        state.door.clone()
    }
}

impl IngesterState {
    /// What the ingester serves.
    pub fn routes(self: Arc<Self>) -> Router {
        let sections = [writing(), orders()];
        routes::router(sections.into_iter().flatten(), self)
    }
}

/// Writing.
pub(crate) fn writing() -> Vec<Endpoint<Arc<IngesterState>>> {
    vec![
        on_post("/api/v1/write", write::write)
            .says("Stores the samples of a remote write, in snappy.")
            .reads(PROTOBUF)
            .answers(Accepted),
        on_post("/api/v1/push", write::write)
            .says("As `/api/v1/write`.")
            .reads(PROTOBUF)
            .answers(Accepted),
        on_post("/api/v1/receive", write::write)
            .says("As `/api/v1/write`, where a Thanos has it.")
            .reads(PROTOBUF)
            .answers(Accepted),
        on_post("/api/prom/push", write::write)
            .says("As `/api/v1/write`, where the first Cortex had it.")
            .reads(PROTOBUF)
            .answers(Accepted),
    ]
}

/// What an operator orders.
pub(crate) fn orders() -> Vec<Endpoint<Arc<IngesterState>>> {
    vec![
        on_post_put("/api/v1/admin/tsdb/flush", flush::flush)
            .says("Writes what is in memory to the store and returns when it is there.")
            .takes(&[ALL_TENANTS])
            .answers(Nothing),
    ]
}
