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

/// What requests about the process see.
#[derive(Debug)]
pub struct ProcessState {
    pub door: Door,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<MetricsPage>,
    /// Who has which id: metrics tell of tenants by either.
    pub register: Arc<Tenants>,
    /// Where regexes over the metrics are compiled and matched.
    pub workers: Workers,
    /// The settings as YAML, secrets hidden, with where each is from.
    pub config_yaml: String,
    /// The settings by the names of the flags.
    pub flags: BTreeMap<String, String>,
    pub limits: Arc<LiveLimits>,
    pub features: Features,
    /// When the process was started.
    pub started_ms: i64,
    /// Records of the log that the replay could not read.
    pub lost_records: u64,
}

impl FromRef<Arc<ProcessState>> for Door {
    fn from_ref(state: &Arc<ProcessState>) -> Self {
        state.door.clone()
    }
}
