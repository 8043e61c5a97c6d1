//! A worker: a process that only merges and collects, beside servers and other workers.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use duramen_blocks::{MergeOptions, Staging};
use duramen_bucket::{Bucket, Tenants, WriterIdentity};
use duramen_compact::{
    ClaimWhen, Claims, Collector, CollectorSettings, Compactor, Cycles, Executor, Metrics, Policy,
    RoundSettings, RoundState, Rounds, Worker,
};
use duramen_limits::LiveLimits;
use duramen_manifest::Manifests;
use duramen_metrics::Registry;
use duramen_model::{Incarnation, WriterId};
use duramen_qos::Account;
use duramen_runtime::{Clock, Disk, OnFailure, Tasks};
use tracing::warn;

use crate::config::Config;
use crate::roles::compactor::FIRST_CYCLE;
use crate::signals;

/// What a worker works with.
pub(crate) struct Tools<'a> {
    pub(crate) bucket: Bucket,
    pub(crate) disk: &'a Arc<dyn Disk>,
    pub(crate) clock: &'a Arc<dyn Clock>,
    /// The folder for outputs, which no other process has.
    pub(crate) folder: &'a Path,
    /// The memory that a merge may take.
    pub(crate) memory_bytes: usize,
    /// Whether days are rolled up.
    pub(crate) rollups: bool,
}

/// Merges and collects until a signal ends the process. A merge that is given up leaves its inputs
/// as they are.
///
/// It has no name among the writers, no claim on the store, and no data directory. The jobs that it
/// does it claims, because others may run.
///
/// Requests: each round, a look at the register of tenants, and those of [`Rounds::round`]; each
/// cycle, those of [`Cycles::cycle`].
pub(crate) async fn run(config: &Config, tools: Tools<'_>) -> anyhow::Result<()> {
    let tasks = Tasks::default();
    let shutdown = tasks.shutdown();
    let mut registry = Registry::default();

    let limits = LiveLimits::open(
        config.limits_file.clone(),
        config.limits(),
        Arc::clone(tools.clock),
        &mut registry,
    )?;
    let limits = Arc::new(limits);
    limits.watch(&tasks)?;

    let register = Tenants::open(tools.bucket.clone(), WriterId(tools.clock.new_ulid())).await?;
    let parts = Parts::new(&tools)?;
    let metrics = Metrics::default();
    let state = RoundState::default();

    let collector = parts.collector(config, &tools, &state);
    let register = Arc::new(register);
    let cycles = Cycles::new(collector, Arc::clone(&register), metrics.clone());

    let rounds = Rounds {
        compactor: parts.compactor,
        register: Arc::clone(&register),
        limits: limits.handle().clone(),
        settings: RoundSettings {
            merges: true,
            memory_bytes: tools.memory_bytes,
            grace: config.compact.grace,
            history: config.compact.kept(),
        },
        memory: Account::unbounded(),
        metrics,
        state,
    };

    signals::watch(shutdown.clone(), config.http.stop_wait_max)?;
    start_cycles(config, cycles, &tools, &tasks);

    let again = async {
        loop {
            if let Err(error) = register.refresh().await {
                warn!(%error, "new tenants were not looked for");
            }

            rounds.round().await;
            tools.clock.sleep(config.compact.interval).await;
        }
    };

    tokio::select! {
        () = shutdown.cancelled() => {}
        () = again => {}
    }

    // Others need not wait until this worker has stood still for long enough.
    parts.worker.leave().await.context("leave the store")
}

fn start_cycles(config: &Config, cycles: Cycles, tools: &Tools<'_>, tasks: &Tasks) {
    let interval = config.compact.clean_interval;
    if interval.is_zero() {
        return;
    }

    let clock = Arc::clone(tools.clock);
    let shutdown = tasks.shutdown();

    tasks.spawn::<_, String>("collector", OnFailure::Log, async move {
        let again = async {
            clock.sleep(interval.min(FIRST_CYCLE)).await;

            loop {
                cycles.cycle().await;
                clock.sleep(interval).await;
            }
        };

        tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            () = again => Ok(()),
        }
    });
}

/// What a worker does its work with.
struct Parts {
    manifests: Manifests,
    worker: Worker,
    compactor: Compactor,
}

impl Parts {
    fn new(tools: &Tools<'_>) -> anyhow::Result<Self> {
        let bucket = &tools.bucket;
        let clock = tools.clock;

        let identity = WriterIdentity {
            writer: WriterId(clock.new_ulid()),
            epoch: 0,
            incarnation: Incarnation(clock.new_ulid()),
        };

        let manifests = Manifests::new(bucket.clone(), Arc::clone(clock), identity);
        let worker = Worker::new(bucket.clone(), &**clock);
        let staging = Staging::open(Arc::clone(tools.disk), tools.folder.to_owned())?;
        let options = MergeOptions {
            memory_bytes_max: tools.memory_bytes,
            ..MergeOptions::default()
        };

        let executor = Executor::new(
            bucket.clone(),
            manifests.clone(),
            staging,
            Arc::clone(clock),
            options,
        );

        let claims = Claims::new(bucket.clone(), worker.clone(), Arc::clone(clock));
        let compactor = Compactor::new(executor, Policy::with_rollups(tools.rollups));

        Ok(Self {
            manifests,
            worker,
            compactor: compactor.claiming(claims, ClaimWhen::Always),
        })
    }

    fn collector(&self, config: &Config, tools: &Tools<'_>, state: &RoundState) -> Collector {
        let settings = CollectorSettings {
            age: config.compact.clean_age,
            grace: config.compact.kept(),
            slots: CollectorSettings::SLOTS,
        };

        Collector::new(
            tools.bucket.clone(),
            self.manifests.clone(),
            self.worker.clone(),
            settings,
            state.replaced().clone(),
            state.named().clone(),
        )
    }
}
