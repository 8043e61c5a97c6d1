//! The state of the ingester's routes.

use std::sync::Arc;

use axum::extract::FromRef;
use duramen_ingest::Ingester;
use duramen_limits::LimitsHandle;

use crate::http::request::door::Door;
use crate::http::request::intake::Intake;

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
