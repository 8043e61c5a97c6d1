//! What all queries of an engine use.

use std::sync::Arc;

use duramen_model::Regexes;
use duramen_qos::{Account, Budget};
use duramen_runtime::{Clock, Workers};

use crate::engine::config::EngineConfig;

/// What all queries of an engine use. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Resources {
    pub(super) config: Arc<EngineConfig>,
    /// Measures durations. An answer does not depend on it.
    pub(super) clock: Arc<dyn Clock>,
    /// Where queries read and compute.
    pub(super) workers: Workers,
    /// The account of the process.
    pub(super) memory: Arc<Account>,
    /// The budget of the tenant that asks.
    pub(super) tenant: Option<Budget>,
    /// The text that trees are parsed from; "" if it is unknown.
    pub(super) text: Arc<str>,
    /// The compiled regexes of the request.
    pub(super) regexes: Arc<Regexes>,
}

impl Resources {
    /// Makes the budget of a query.
    pub(super) fn budget(&self, max: usize) -> Budget {
        match &self.tenant {
            Some(tenant) => tenant.query(max),
            None => Budget::of_query(&self.memory, max),
        }
    }
}
