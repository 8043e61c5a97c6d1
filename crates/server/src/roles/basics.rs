//! What a process has from its first moment on.

use std::sync::Arc;

use duramen_api::http::{ConnectionBounds, HttpMetrics, Serving};
use duramen_qos::Account;
use duramen_runtime::{Clock, SystemClock};

use crate::config::Config;

/// What a process has before its store is open, so that it can answer from its first moment on.
#[derive(Debug)]
pub(crate) struct Basics {
    pub(crate) clock: Arc<dyn Clock>,
    /// The account that bodies, heads, queries, answers and caches draw from.
    pub(crate) memory: Arc<Account>,
    pub(crate) http_metrics: HttpMetrics,
    pub(crate) ingest_metrics: duramen_ingest::Metrics,
}

impl Basics {
    pub(crate) fn new(config: &Config) -> Self {
        // Only settings that a test makes may leave the size out.
        let memory = config
            .memory
            .bytes_max
            .map_or_else(Account::unbounded, Account::new);

        Self {
            clock: Arc::new(SystemClock::default()),
            memory,
            http_metrics: HttpMetrics::default(),
            ingest_metrics: duramen_ingest::Metrics::default(),
        }
    }

    /// Returns how connections are served.
    pub(crate) fn serving(&self, config: &Config) -> Serving {
        let bounds = connection_bounds(config);
        Serving::new(&bounds, &self.memory, &self.http_metrics.connections)
    }
}

fn connection_bounds(config: &Config) -> ConnectionBounds {
    let http = &config.http;
    ConnectionBounds {
        connections_max: http.connections_max,
        answer_stall_max: http.answer_stall_max,
        answer_write_max: http.answer_write_max,
        stop_wait_max: http.stop_wait_max,
    }
}
