//! The roles of a process, and how they are put together.
//!
//! Settings come in. [`shared`] opens what all roles use, and claims the store. [`ingester`] and
//! [`querier`] start one role each, from the parts that they name, and return its routes.
//! [`compactor`] has no routes. [`worker`] is a process of its own, which only merges and collects.
//! [`System`] is the whole in one process: it has the router, and the steps of a clean end.

mod basics;
mod compactor;
mod disk_cache;
mod ingester;
mod querier;
mod shared;
pub(crate) mod worker;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
pub(crate) use basics::Basics;
use duramen_api::http::{EdgeState, MetricsPage, ProcessState, router};
use duramen_ingest::{Ingester, StartReport};
use duramen_metrics::Registry;
use duramen_runtime::Tasks;
pub(crate) use shared::open_bucket;
use shared::{Lease, Shared};

use crate::config::Config;
use crate::config::settings::Settings;
use crate::self_scrape::SelfScrape;

/// A process that has all roles.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) config: Config,
    pub(crate) shared: Shared,
    lease: Lease,
    ingester: Ingester,
    pub(crate) replayed: StartReport,
    metrics: Arc<MetricsPage>,
    /// The router of all roles.
    pub(crate) router: Router,
}

impl System {
    /// Probes the store, replays the log and starts the roles.
    pub(crate) async fn start(
        settings: Settings,
        basics: &Basics,
        tasks: &Tasks,
    ) -> anyhow::Result<Self> {
        let mut registry = Registry::default();
        let config_yaml = settings.yaml();
        let config = settings.config;

        let (shared, mut lease) = Shared::open(&config, basics, &mut registry).await?;
        lease.watch(tasks);

        let metrics = basics.ingest_metrics.clone();
        metrics.register(&mut registry);

        let (ingester, replayed) =
            ingester::start(&shared, &mut lease, &config, metrics, tasks).await?;
        let heads = Arc::new(ingester.clone());
        let disk = disk_cache::open(&shared, &config, &mut registry, tasks).await?;
        let answering = querier::start(&shared, heads, disk, &config, &mut registry, tasks);
        compactor::start(&shared, &config, &mut registry, tasks)?;
        shared.live_limits.watch(tasks)?;

        let http_metrics = &basics.http_metrics;
        http_metrics.register(&mut registry);

        let metrics = Arc::new(MetricsPage::new(registry, {
            let ingester = ingester.clone();
            move || ingester.observe()
        }));

        let process = process_state(&shared, &config, config_yaml, &metrics, &replayed);

        let edge = EdgeState {
            clock: Arc::clone(&shared.clock),
            metrics: http_metrics.clone(),
            cors_origin: config.http.cors_origin.0.clone(),
        };

        let remote_read = http_metrics.remote_read.clone();
        let roles = [
            querier::routes(&shared, &config, &answering, remote_read),
            ingester::routes(&shared, &config, &ingester),
            Arc::new(process).routes(),
        ];

        Ok(Self {
            config,
            shared,
            lease,
            ingester,
            replayed,
            metrics,
            router: router(edge, roles),
        })
    }

    /// Returns the task that writes the metrics of the process.
    pub(crate) fn self_scrape(&self) -> SelfScrape {
        SelfScrape {
            clock: Arc::clone(&self.shared.clock),
            metrics: Arc::clone(&self.metrics),
            ingester: self.ingester.clone(),
            tenant: self.shared.own_tenant.clone(),
            types: self.config.features.type_and_unit_labels(),
        }
    }

    /// Flushes at the end of a process that was asked to stop at `stopped`, by the monotonic clock.
    /// It ends before the process is killed for not having ended.
    pub(crate) async fn flush(&self, stopped: Duration) {
        let stopping = self.shared.clock.monotonic().saturating_sub(stopped);
        let left = self.config.http.stop_wait_max.saturating_sub(stopping);
        let wait_max = self.config.flush.end_wait_max.min(left);

        if !wait_max.is_zero() {
            self.ingester.flush_before_end(wait_max).await;
        }
    }

    /// If another process has published under this one's name, makes the next start take a new
    /// name.
    pub(crate) fn note_end(&mut self) {
        if self.ingester.is_fenced() {
            self.lease.disown();
        }
    }

    /// Releases the store at the end of a process that was asked to stop.
    pub(crate) async fn release(&self) {
        self.lease
            .release(self.ingester.close(), &*self.shared.clock)
            .await;
    }
}

fn process_state(
    shared: &Shared,
    config: &Config,
    config_yaml: String,
    metrics: &Arc<MetricsPage>,
    replayed: &StartReport,
) -> ProcessState {
    ProcessState {
        door: shared.door.clone(),
        clock: Arc::clone(&shared.clock),
        metrics: Arc::clone(metrics),
        register: Arc::clone(&shared.register),
        workers: shared.workers.clone(),
        config_yaml,
        flags: config.flags(),
        limits: Arc::clone(&shared.live_limits),
        features: config.features.0,
        started_ms: shared.clock.now_ms(),
        lost_records: replayed.lost_records,
    }
}
