//! Collects what nothing needs of all tenants of a store, again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use duramen_bucket::Tenants;
use duramen_model::TenantId;
use parking_lot::Mutex;
use tracing::{info, warn};

use crate::collector::{Collected, Collector};
use crate::metrics::Metrics;
use crate::worker::StoreTime;

/// Collects of all tenants.
#[derive(Debug)]
pub struct Cycles {
    collector: Collector,
    register: Arc<Tenants>,
    metrics: Metrics,
    /// The deleted tenants, and when this process first knew of it, on the monotonic clock.
    seen: Mutex<BTreeMap<TenantId, Duration>>,
    /// Those of which nothing is left, as far as this process has seen.
    gone: Mutex<BTreeSet<TenantId>>,
}

impl Cycles {
    pub const fn new(collector: Collector, register: Arc<Tenants>, metrics: Metrics) -> Self {
        Self {
            collector,
            register,
            metrics,
            seen: Mutex::new(BTreeMap::new()),
            gone: Mutex::new(BTreeSet::new()),
        }
    }

    /// Collects what nothing needs of all tenants. What fails for a tenant is logged, and done in
    /// the next cycle.
    ///
    /// Requests: those of [`Collector::begin`] and [`Collector::end`], those of
    /// [`Collector::collect`] for each tenant, and for each tenant that was deleted 1 LIST for each
    /// 1,000 objects and 1 DELETE for each object, until nothing is left.
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

        self.collect_deleted(&time, &mut all).await;

        if !all.is_empty() {
            info!(?all, "objects that nothing needs were deleted");
        }

        self.metrics.note_collected(&all);
        if let Err(error) = self.collector.end().await {
            warn!(%error, "the object of this worker was left behind");
        }
    }

    /// Deletes the objects of the tenants that were deleted.
    async fn collect_deleted(&self, time: &StoreTime, all: &mut Collected) {
        for tenant in self.register.deleted() {
            if self.gone.lock().contains(&tenant.id) {
                continue;
            }

            let now = self.collector.clock().monotonic();
            let seen = *self.seen.lock().entry(tenant.id).or_insert(now);
            let collected = self
                .collector
                .collect_deleted(&tenant, &self.register, time, seen)
                .await;

            match collected {
                Ok(Some(collected)) => all.add(&collected),
                Ok(None) => {
                    self.gone.lock().insert(tenant.id);
                    info!(tenant = %tenant.name, id = %tenant.id, "nothing is left of a deleted tenant");
                }
                Err(error) => {
                    warn!(%error, tenant = %tenant.name, id = %tenant.id, "the objects of a deleted tenant could not be deleted");
                }
            }
        }
    }
}
