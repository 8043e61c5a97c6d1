//! A query before it is planned.

use std::sync::Arc;
use std::time::Duration;

use datafusion_execution::TaskContext;
use datafusion_execution::config::SessionConfig;
use datafusion_execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion_execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion_execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use duramen_qos::Budget;
use duramen_runtime::Clock;
use duramen_syntax::Expr;

use crate::annotation::collector::Annotations;
use crate::engine::config::EngineConfig;
use crate::engine::context::QueryContext;
use crate::engine::memory::QueryMemory;
use crate::engine::planned::Planned;
use crate::engine::resources::Resources;
use crate::error::Error;
use crate::exec::lower::Lowering;
use crate::exec::support::cancellation::Cancellation;
use crate::exec::support::run::{NodeTable, Run};
use crate::exec::support::sample_budget::SampleBudget;
use crate::exec::support::step_counts::StepCounts;
use crate::plan::lookup::Starts;
use crate::plan::planner::Planner;
use crate::plan::rollup::Rollups;
use crate::times::QueryTimes;

/// What is known about a query before it is planned: whose series it reads, and its memory.
#[derive(Debug)]
pub(super) struct Query {
    resources: Resources,
    context: QueryContext,
    times: QueryTimes,
    config: EngineConfig,
    ttl_max_ms: i64,
    rollups: Rollups,
    budget: Budget,
    runtime: Arc<RuntimeEnv>,
    pub(super) cancellation: Cancellation,
    stopwatch: Stopwatch,
    /// The memory of the request's regexes and of the operators.
    own: MemoryReservation,
}

/// A run that can start, with its counters.
#[derive(Debug)]
pub(super) struct ReadyRun {
    pub(super) resources: Resources,
    pub(super) task: Arc<TaskContext>,
    pub(super) run: Arc<Run>,
    /// How long it took from the request to the operators.
    pub(super) preparation: Duration,
    pub(super) stopwatch: Stopwatch,
    /// Keeps the memory of the request's regexes and of the operators reserved while they exist.
    _own: MemoryReservation,
}

impl Query {
    /// Asks the source for what the plan depends on.
    pub(super) async fn begin(
        resources: &Resources,
        context: &QueryContext,
        times: QueryTimes,
    ) -> Result<Self, Error> {
        let config = resources.config.limited(&context.limits);
        let budget = resources.budget(config.memory_bytes_max);
        let memory = QueryMemory::within(&budget);

        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(memory))
            .with_disk_manager_builder(
                DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled),
            )
            .build_arc()
            .map_err(Error::from_datafusion)?;

        let own = MemoryConsumer::new("plan").register(&runtime.memory_pool);
        own.try_grow(resources.regexes.bytes())
            .map_err(Error::from_datafusion)?;

        let stopwatch = Stopwatch::start(Arc::clone(&resources.clock));
        let ttl_max_ms = context.source.ttl_max_ms().await?;
        let coverage = match context.source.rollups() {
            Some(rollups) => rollups.coverage().await?,
            None => Vec::new(),
        };
        let rollups = Rollups::new(coverage, context.rollups);

        Ok(Self {
            resources: resources.clone(),
            context: context.clone(),
            times,
            config,
            ttl_max_ms,
            rollups,
            budget,
            runtime,
            cancellation: Cancellation::default(),
            stopwatch,
            own,
        })
    }

    /// Plans the query. No sample is read.
    pub(super) fn plan(&self, expr: &Expr) -> Result<Planned, Error> {
        let features = self.config.features;
        let names = features.names();
        let starts = if features.start_timestamps {
            Starts::Known
        } else {
            Starts::Ignored
        };

        let planner = Planner {
            times: self.times,
            lookback_ms: self.context.lookback_ms.unwrap_or(self.config.lookback_ms),
            ttl_max_ms: self.ttl_max_ms,
            steps_max: self.config.steps_max(),
            starts,
            rollups: self.rollups.clone(),
            parts: None,
            names,
            invariants: Arc::default(),
            regexes: Arc::clone(&self.resources.regexes),
        };

        let lowering = Lowering {
            partitions: self.config.partitions.max(1),
            starts,
            names,
        };

        Planned::new(&planner, lowering, expr, &self.own)
    }

    /// Reserves the memory for a plan that was made for another query with the same times.
    ///
    /// # Errors
    /// `Invalid` if samples of this query may live longer than the plan looks back, or if it has
    /// other rollups.
    pub(super) fn take_over(&self, planned: &Planned) -> Result<(), Error> {
        if self.ttl_max_ms > planned.ttl_max_ms {
            return Err(Error::invalid(format!(
                "the plan is for samples with shorter life spans. planned_ms=`{}`, ttl_max_ms=`{}`",
                planned.ttl_max_ms, self.ttl_max_ms
            )));
        }

        if self.rollups.coverage != planned.coverage {
            return Err(Error::invalid(
                "the plan is for a source with other rollups",
            ));
        }

        self.own
            .try_grow(planned.bytes)
            .map_err(Error::from_datafusion)
    }

    /// Makes the context for one run of a plan.
    pub(super) fn ready(mut self, planned: &Planned) -> ReadyRun {
        let run = Arc::new(Run {
            source: self.context.source,
            series_max: self.context.limits.series_max.unwrap_or(usize::MAX),
            budget: Arc::new(SampleBudget::new(self.config.samples_max, self.budget)),
            annotations: Annotations::on(Arc::clone(&self.resources.text)),
            counts: StepCounts::new(planned.grid, self.context.first_reads),
            cancellation: self.cancellation,
            clock: Arc::clone(&self.resources.clock),
            nodes: NodeTable::default(),
        });

        let session = SessionConfig::new().with_extension(Arc::clone(&run));
        let task = TaskContext::default()
            .with_session_config(session)
            .with_runtime(self.runtime);

        ReadyRun {
            resources: self.resources,
            task: Arc::new(task),
            run,
            preparation: self.stopwatch.lap(),
            stopwatch: self.stopwatch,
            _own: self.own,
        }
    }
}

/// Measures how long each part of something took.
#[derive(Debug)]
pub(super) struct Stopwatch {
    clock: Arc<dyn Clock>,
    last: Duration,
}

impl Stopwatch {
    fn start(clock: Arc<dyn Clock>) -> Self {
        let last = clock.monotonic();
        Self { clock, last }
    }

    /// Returns the time since the last lap.
    pub(super) fn lap(&mut self) -> Duration {
        let now = self.clock.monotonic();
        now.saturating_sub(std::mem::replace(&mut self.last, now))
    }
}
