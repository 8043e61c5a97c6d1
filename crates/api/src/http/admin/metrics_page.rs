//! All metrics of a process, as they are now.

use std::fmt;

use duramen_metrics::{MetricFamily, Registry};

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

    /// What all metrics count now.
    pub fn families(&self) -> Vec<MetricFamily> {
        (self.observe)();
        self.registry.collect()
    }
}
