//! The state of the routes that every process has.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::FromRef;
use duramen_bucket::Tenants;
use duramen_limits::LiveLimits;
use duramen_promql::Features;
use duramen_runtime::{Clock, Workers};

use crate::http::admin::metrics_page::MetricsPage;
use crate::http::request::door::Door;

/// The state of requests about the process.
#[derive(Debug)]
pub struct ProcessState {
    pub door: Door,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<MetricsPage>,
    /// The ids of tenants: metrics name tenants by name or by id.
    pub register: Arc<Tenants>,
    /// The threads that compile and match regexes over the metrics.
    pub workers: Workers,
    /// The settings as YAML with their origins, secrets hidden.
    pub config_yaml: String,
    /// The settings by the names of their flags.
    pub flags: BTreeMap<String, String>,
    pub limits: Arc<LiveLimits>,
    pub features: Features,
    /// The time at which the process was started.
    pub started_ms: i64,
    /// The number of log records that the replay could not read.
    pub lost_records: u64,
}

impl FromRef<Arc<ProcessState>> for Door {
    fn from_ref(state: &Arc<ProcessState>) -> Self {
        state.door.clone()
    }
}
