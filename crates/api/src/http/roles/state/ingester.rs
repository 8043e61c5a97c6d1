//! The state of the ingester's routes.

use std::sync::Arc;

use axum::extract::FromRef;
use duramen_ingest::Ingester;
use duramen_limits::LimitsHandle;
use tokio::sync::Notify;

use crate::http::request::door::Door;
use crate::http::request::intake::Intake;

/// The state of requests that write.
#[derive(Debug)]
pub struct IngesterState {
    pub door: Door,
    /// The current limits of each tenant.
    pub limits: LimitsHandle,
    pub ingester: Ingester,
    /// The intake for the bodies of writes.
    pub bodies: Intake,
    /// Whether everybody may flush the heads of all tenants.
    pub flush_all: bool,
    /// Whether everybody may delete series of their tenant.
    pub admin_api: bool,
    /// Wakes the compactor of this process, which removes deleted samples.
    pub clean: Arc<Notify>,
}

impl FromRef<Arc<IngesterState>> for Door {
    fn from_ref(state: &Arc<IngesterState>) -> Self {
        state.door.clone()
    }
}
