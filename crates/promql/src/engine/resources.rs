//! What all queries of an engine use.

use std::sync::Arc;

use duramen_model::Regexes;
use duramen_qos::Account;
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
    /// The text that trees are parsed from; "" if it is unknown.
    pub(super) text: Arc<str>,
    /// The compiled regexes of the request.
    pub(super) regexes: Arc<Regexes>,
}
