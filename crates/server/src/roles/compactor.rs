//! The compactor: it merges the blocks of all tenants, and deletes what was replaced.

use std::sync::Arc;

use anyhow::Context;
use duramen_blocks::{MergeOptions, Staging};
use duramen_compact::{Compactor, Executor, Metrics, Policy, RoundSettings, RoundState, Rounds};
use duramen_metrics::Registry;
use duramen_runtime::{OnFailure, Tasks};

use super::shared::Shared;
use crate::config::Config;

/// A merge takes at most one in so many parts of the memory.
const MEMORY_SHARE: usize = 8;

/// Starts the rounds. The first one is after the first pause, so that a start has the store for
/// itself.
pub(crate) fn start(
    shared: &Shared,
    config: &Config,
    registry: &mut Registry,
    tasks: &Tasks,
) -> anyhow::Result<()> {
    let metrics = Metrics::default();
    metrics.register(registry);

    let folder = config.data_dir.join("compact");
    let staging = Staging::open(Arc::clone(&shared.disk), folder)
        .context("empty the directory for merged blocks")?;

    let memory_max = shared.memory.bytes_max() / MEMORY_SHARE;
    let memory_bytes = config.compact.memory_bytes.min(memory_max);
    let options = MergeOptions {
        memory_bytes_max: memory_bytes,
        ..MergeOptions::default()
    };

    let executor = Executor::new(
        shared.bucket.clone(),
        shared.manifests.clone(),
        staging,
        Arc::clone(&shared.clock),
        options,
    );

    let rounds = Rounds {
        compactor: Compactor::new(executor, Policy::default()),
        bucket: shared.bucket.clone(),
        register: Arc::clone(&shared.register),
        limits: shared.limits(),
        settings: RoundSettings {
            merges: config.compact.merge,
            memory_bytes,
            grace: config.compact.grace,
        },
        memory: Arc::clone(&shared.memory),
        metrics,
        state: RoundState::default(),
    };

    let interval = config.compact.interval;
    let clock = Arc::clone(&shared.clock);
    let shutdown = tasks.shutdown();

    tasks.spawn::<_, String>("compactor", OnFailure::Log, async move {
        let again = async {
            loop {
                clock.sleep(interval).await;
                rounds.round().await;
            }
        };

        // A merge that is given up leaves its inputs as they are.
        tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            () = again => Ok(()),
        }
    });

    Ok(())
}
