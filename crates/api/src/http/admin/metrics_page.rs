//! All metrics of a process, with their current values.

use std::fmt;

use duramen_metrics::{MetricFamily, Registry};

/// The registry of a process, and a function that updates metrics before they are read.
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
    /// `observe` updates the metrics that are counted only when they are read.
    pub fn new(registry: Registry, observe: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            registry,
            observe: Box::new(observe),
        }
    }

    /// Returns all metrics with their current values.
    pub fn families(&self) -> Vec<MetricFamily> {
        (self.observe)();
        self.registry.collect()
    }
}
