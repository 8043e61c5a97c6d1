//! The ingester: it takes writes, keeps heads and flushes them.

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use duramen_api::http::{IngesterState, Intake};
use duramen_blocks::Staging;
use duramen_ingest::{Ingester, StartReport};
use duramen_model::ErrorKind;
use duramen_runtime::Tasks;

use super::shared::{Lease, Shared};
use crate::config::Config;

/// Replays the log, and starts to take writes.
pub(crate) async fn start(
    shared: &Shared,
    lease: &mut Lease,
    config: &Config,
    metrics: duramen_ingest::Metrics,
    tasks: &Tasks,
) -> anyhow::Result<(Ingester, StartReport)> {
    let settings = duramen_ingest::Config {
        flush_interval: config.flush.interval,
        head_bytes_max: config.head.bytes_max,
        series_bytes_max: config.head.series_bytes_max,
        wal_segment_bytes_max: config.wal.segment_bytes_max as u64,
        writes_in_flight_bytes_max: config.writes.in_flight_bytes_max,
        write_wait_max: config.writes.wait_max,
        tenants_max: config.tenants_max,
        type_and_unit_labels: config.features.type_and_unit_labels(),
        ..duramen_ingest::Config::default()
    };

    let staging = Staging::open(Arc::clone(&shared.disk), config.data_dir.join("staging"))
        .context("empty the directory for staged blocks")?;

    let parts = duramen_ingest::Parts {
        wal_dir: config.data_dir.join("wal"),
        staging,
        disk: Arc::clone(&shared.disk),
        ballast: Some(Arc::clone(lease.data_dir.ballast())),
        clock: Arc::clone(&shared.clock),
        bucket: shared.bucket.clone(),
        register: Arc::clone(&shared.register),
        manifests: shared.manifests.clone(),
        writer: lease.claim.identity(),
        log: lease.data_dir.log(),
        limits: shared.limits(),
        metrics,
        memory: Arc::clone(&shared.memory),
        hash_seed: shared.clock.entropy().number(),
    };

    let started = Ingester::start(parts, settings, tasks).await;
    if started
        .as_ref()
        .is_err_and(|error| error.kind() == ErrorKind::Fenced)
    {
        lease.disown();
    }
    started.context("start the ingester")
}

/// Returns the routes of the ingester.
pub(crate) fn routes(shared: &Shared, config: &Config, ingester: &Ingester) -> Router {
    let state = IngesterState {
        door: shared.door.clone(),
        limits: shared.limits(),
        ingester: ingester.clone(),
        bodies: Intake::of_writes(&shared.bodies, &shared.memory, &shared.clock),
        flush_all: config.http.flush_all,
        admin_api: config.http.admin_api,
        clean: Arc::clone(&shared.clean),
    };

    Arc::new(state).routes()
}
