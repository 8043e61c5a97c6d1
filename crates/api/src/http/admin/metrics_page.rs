//! All metrics of a process, as a scrape gets them.

use std::fmt;

use prometheus_client::registry::Registry;

/// The registry of a process, and what has to be counted before it is read.
pub struct MetricsPage {
    registry: Registry,
    observe: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for MetricsPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsPage").finish_non_exhaustive()
    }
}

impl MetricsPage {
    /// `observe` brings those metrics up to date that are counted only when somebody asks.
    pub fn new(registry: Registry, observe: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            registry,
            observe: Box::new(observe),
        }
    }

    /// All metrics in the OpenMetrics text format.
    pub fn text(&self) -> String {
        (self.observe)();

        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("a String takes every write");
        text
    }
}
