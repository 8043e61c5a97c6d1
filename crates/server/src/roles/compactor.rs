//! The compactor: it merges the blocks of all tenants, and deletes what was replaced.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use duramen_blocks::{MergeOptions, Staging};
use duramen_compact::{
    ClaimWhen, Claims, Collector, CollectorSettings, Compactor, Cycles, Executor, Metrics, Policy,
    RoundSettings, RoundState, Rounds, Worker,
};
use duramen_metrics::Registry;
use duramen_runtime::{OnFailure, Tasks};

use super::shared::Shared;
use crate::config::Config;

/// A merge takes at most one in so many parts of the memory.
const MEMORY_SHARE: usize = 8;

/// The first cycle of the collector comes so long after a start, so that a process that is started
/// again every few hours collects too.
pub(super) const FIRST_CYCLE: Duration = Duration::from_secs(10 * 60);

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
        compactor: compactor(shared, config, executor),
        register: Arc::clone(&shared.register),
        limits: shared.limits(),
        settings: RoundSettings {
            merges: config.compact.merge,
            memory_bytes,
            grace: config.compact.grace,
            history: config.compact.kept(),
        },
        memory: Arc::clone(&shared.memory),
        metrics,
        state: RoundState::default(),
    };

    start_cycles(shared, config, &rounds, tasks);

    let interval = config.compact.interval;
    let clock = Arc::clone(&shared.clock);
    let clean = Arc::clone(&shared.clean);
    let shutdown = tasks.shutdown();

    tasks.spawn::<_, String>("compactor", OnFailure::Log, async move {
        let again = async {
            loop {
                tokio::select! {
                    () = clock.sleep(interval) => {}
                    () = clean.notified() => {}
                }

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

/// The compactor of a server. Workers may run beside it, and then it claims its jobs.
fn compactor(shared: &Shared, config: &Config, executor: Executor) -> Compactor {
    let worker = Worker::new(shared.bucket.clone(), &*shared.clock);
    let claims = Claims::new(shared.bucket.clone(), worker, Arc::clone(&shared.clock));
    let compactor = Compactor::new(executor, Policy::with_rollups(config.compact.rollups));

    compactor.claiming(claims, ClaimWhen::OthersMerge)
}

/// Starts the collection of what nothing needs, if it is wanted.
fn start_cycles(shared: &Shared, config: &Config, rounds: &Rounds, tasks: &Tasks) {
    let interval = config.compact.clean_interval;
    if interval.is_zero() {
        return;
    }

    let collector = Collector::new(
        shared.bucket.clone(),
        shared.manifests.clone(),
        Worker::new(shared.bucket.clone(), &*shared.clock),
        CollectorSettings {
            age: config.compact.clean_age,
            grace: config.compact.kept(),
            slots: CollectorSettings::SLOTS,
        },
        rounds.state.replaced().clone(),
        rounds.state.named().clone(),
    );

    let register = Arc::clone(&shared.register);
    let cycles = Cycles::new(collector, register, rounds.metrics.clone());

    let clock = Arc::clone(&shared.clock);
    let shutdown = tasks.shutdown();

    tasks.spawn::<_, String>("collector", OnFailure::Log, async move {
        let again = async {
            clock.sleep(interval.min(FIRST_CYCLE)).await;

            loop {
                cycles.cycle().await;
                clock.sleep(interval).await;
            }
        };

        // The next cycle does what this one has left.
        tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            () = again => Ok(()),
        }
    });
}
