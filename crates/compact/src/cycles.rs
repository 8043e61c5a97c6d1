//! Collects what nothing needs of all tenants of a store, again and again.

use std::sync::Arc;

use duramen_bucket::Tenants;
use tracing::{info, warn};

use crate::collector::{Collected, Collector};
use crate::metrics::Metrics;

/// Collects of all tenants.
#[derive(Debug)]
pub struct Cycles {
    pub collector: Collector,
    pub register: Arc<Tenants>,
    pub metrics: Metrics,
}

impl Cycles {
    /// Collects what nothing needs of all tenants. What fails for a tenant is logged, and done in
    /// the next cycle.
    ///
    /// Requests: those of [`Collector::begin`] and [`Collector::end`], and those of
    /// [`Collector::collect`] for each tenant.
    pub async fn cycle(&self) {
        let time = match self.collector.begin().await {
            Ok(time) => time,
            Err(error) => {
                warn!(%error, "the store does not say what time it is there, so nothing is deleted");
                return;
            }
        };

        let mut all = Collected::default();

        for tenant in self.register.all() {
            match self.collector.collect(tenant.id, &time).await {
                Ok(collected) => all.add(&collected),
                Err(error) => {
                    warn!(%error, tenant = %tenant.name, "what nothing needs of a tenant could not be deleted");
                }
            }
        }

        if !all.is_empty() {
            info!(?all, "objects that nothing needs were deleted");
        }

        self.metrics.note_collected(&all);
        if let Err(error) = self.collector.end().await {
            warn!(%error, "the object of this worker was left behind");
        }
    }
}
