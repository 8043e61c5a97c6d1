//! What all queries of an engine use.

use std::sync::Arc;

use duramen_model::Regexes;
use duramen_qos::Account;
use duramen_runtime::{Clock, Workers};

use crate::engine::config::EngineConfig;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Resources {
    pub(super) config: Arc<EngineConfig>,
    /// Measures how long things take; an answer does not depend on it.
    pub(super) clock: Arc<dyn Clock>,
    /// What reads and computes.
    pub(super) workers: Workers,
    /// The account of the process.
    pub(super) memory: Arc<Account>,
    /// What trees are parsed from; may be unknown: "".
    pub(super) text: Arc<str>,
    /// Of the request.
    pub(super) regexes: Arc<Regexes>,
}
