//! The state of the querier's routes.

use std::sync::Arc;

use axum::extract::FromRef;
use duramen_bucket::Tenants;
use duramen_limits::LimitsHandle;
use duramen_model::TenantName;
use duramen_qos::Account;
use duramen_query::{Querier, Storage};
use duramen_runtime::Clock;

use crate::http::answer::pieces::Recipient;
use crate::http::remote_read::RemoteReadMetrics;
use crate::http::request::door::Door;

/// The state of requests that read. Nothing in it writes.
#[derive(Debug)]
pub struct QuerierState {
    pub door: Door,
    pub clock: Arc<dyn Clock>,
    /// The current limits of each tenant.
    pub limits: LimitsHandle,
    /// The account that answers draw from while they are being sent.
    pub memory: Arc<Account>,
    pub querier: Arc<Querier>,
    /// The storage that the querier reads.
    pub storage: Arc<Storage>,
    pub register: Arc<Tenants>,
    /// How long a sample stays valid if it does not say so itself.
    pub lookback_ms: i64,
    pub remote_read: RemoteReadMetrics,
}

impl FromRef<Arc<QuerierState>> for Door {
    fn from_ref(state: &Arc<QuerierState>) -> Self {
        state.door.clone()
    }
}

impl QuerierState {
    /// The recipient of an answer to `tenant`, with the limits that hold now.
    pub(crate) fn recipient(&self, tenant: &TenantName) -> Recipient {
        Recipient {
            tenant: tenant.clone(),
            bytes_max: self.limits.of(tenant).query.answer_bytes_max,
            memory: Arc::clone(&self.memory),
            querier: Arc::clone(&self.querier),
        }
    }
}
