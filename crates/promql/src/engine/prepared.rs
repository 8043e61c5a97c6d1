//! A planned query with the context that it runs in.

use std::ops::RangeInclusive;
use std::sync::Arc;

use datafusion_common::error::DataFusionError;
use datafusion_execution::memory_pool::MemoryPool;
use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_plan::ExecutionPlan;
use duramen_model::is_stale;
use duramen_runtime::Workers;
use duramen_source::SeriesBatch;
use duramen_syntax::Expr;
use futures::TryStreamExt;

use crate::answer::{Answer, AnswerMemory, RangeSeries, Value};
use crate::engine::context::QueryContext;
use crate::engine::planned::{Outcome, Planned};
use crate::engine::query::{Query, ReadyRun};
use crate::engine::value::{instant_value, matrix, range_value, settle};
use crate::error::Error;
use crate::exec::support::allowance::Allowance;
use crate::exec::support::execution::collect;
use crate::explain::PlanNode;
use crate::stats::QueryTimings;
use crate::vector::{Vector, decoded};

/// A query that was planned and has not run: its operators, and the context of one run.
///
/// The operators are plain data. Everything that changes during a run is in the context: memory,
/// limits, annotations, counts, and the source whose series are read. So a plan can run once for
/// each context ([`PreparedQuery::again`]), one after the other or at the same time. A context is
/// for one run.
///
/// [`PreparedQuery::evaluate`] makes the answer. To use the operators' vectors in another way, run
/// [`PreparedQuery::plan`] in [`PreparedQuery::task_context`] instead.
#[derive(Debug)]
pub struct PreparedQuery {
    planned: Arc<Planned>,
    ready: ReadyRun,
    timings: QueryTimings,
    /// The memory of the answer.
    answer: AnswerMemory,
}

/// A query that has run.
pub(super) struct Evaluated {
    query: PreparedQuery,
    value: Value,
}

impl Query {
    /// Plans a query and makes its context. No sample is read.
    pub(super) fn prepare(self, expr: &Expr) -> Result<PreparedQuery, Error> {
        let planned = self.plan(expr)?;
        Ok(PreparedQuery::new(Arc::new(planned), self))
    }
}

impl PreparedQuery {
    fn new(planned: Arc<Planned>, query: Query) -> Self {
        let ready = query.ready(&planned);
        let timings = QueryTimings {
            preparation: ready.preparation,
            ..QueryTimings::default()
        };

        Self {
            planned,
            ready,
            timings,
            answer: AnswerMemory::default(),
        }
    }

    /// Returns the same plan with a new context. The series and the limits are those of `context`.
    /// Times, look-back and features are those of the plan.
    ///
    /// # Errors
    /// `Invalid` if samples of the new source may live longer than the plan looks back.
    pub async fn again(&self, context: &QueryContext) -> Result<Self, Error> {
        let query = Query::begin(&self.ready.resources, context, self.planned.times).await?;
        query.take_over(&self.planned)?;

        Ok(Self::new(Arc::clone(&self.planned), query))
    }

    /// Returns the operators. They have one output partition of vectors: `labels`, `values` with a
    /// cell for each step, and the histograms. `None` for a string, which needs no operators.
    ///
    /// They must run in the [`PreparedQuery::task_context`] of this query, or of another query with
    /// the same plan.
    pub fn plan(&self) -> Option<&Arc<dyn ExecutionPlan>> {
        self.planned.plan.as_ref()
    }

    /// Returns the context of one run.
    pub const fn task_context(&self) -> &Arc<TaskContext> {
        &self.ready.task
    }

    /// Returns the memory pool of the query. It is bounded by the query's limits and reserves from
    /// the account of the process. A caller that keeps the output of the operators reserves its
    /// memory here.
    pub fn memory_pool(&self) -> &Arc<dyn MemoryPool> {
        self.ready.task.memory_pool()
    }

    /// Returns the operators with what they have done so far in this context. `None` for a string.
    pub fn explain(&self) -> Option<PlanNode> {
        self.plan()
            .map(|plan| PlanNode::of(plan.as_ref(), &self.ready.run))
    }

    /// Evaluates in a task of the workers. If the returned future is dropped, that task and all
    /// tasks that it started end soon.
    ///
    /// # Errors
    /// See [`Error`]. There are no partial answers.
    pub async fn evaluate(self) -> Result<Answer, Error> {
        let _given_up = self.ready.run.cancellation.on_drop();
        let workers = self.ready.resources.workers.clone();

        let evaluated = on_workers(&workers, Box::pin(self.evaluate_here())).await?;
        Ok(evaluated.into_answer())
    }

    pub(super) async fn evaluate_here(mut self) -> Result<Evaluated, Error> {
        // The time since the preparation does not count as evaluation.
        self.ready.stopwatch.lap();

        let value = self.value().await?;
        self.timings.sorting = self.ready.stopwatch.lap();
        Ok(Evaluated { query: self, value })
    }

    async fn value(&mut self) -> Result<Value, Error> {
        let planned = Arc::clone(&self.planned);
        let cancellation = self.ready.run.cancellation.clone();
        let ts_ms = planned.times.start_ms;

        match &planned.outcome {
            Outcome::String(value) => Ok(Value::String {
                ts_ms,
                value: value.clone(),
            }),
            Outcome::Scalar => Ok(Value::Scalar {
                ts_ms,
                value: self.vector().await?.scalar()[0],
            }),
            Outcome::Vector(order) => {
                instant_value(&self.vector().await?, ts_ms, order, &cancellation)
            }
            Outcome::Range => range_value(&self.vector().await?, &planned.grid, &cancellation),
            Outcome::Samples(lookup) => {
                let mut series = self
                    .samples(lookup.read_start_ms(ts_ms)..=lookup.read_end_ms(ts_ms))
                    .await?;
                if let Some((ends, _)) = lookup.ends {
                    settle(&mut series, lookup, ends, ts_ms)?;
                }

                let samples = series
                    .iter()
                    .map(|series| series.points.len() + series.histograms.len())
                    .sum::<usize>();

                self.ready.run.counts.add_samples_seen(samples as u64);
                matrix(series, &cancellation)
            }
            Outcome::Points(lookup) => {
                let series = self
                    .samples(lookup.start_ms(ts_ms)..=lookup.end_ms(ts_ms))
                    .await?;
                matrix(series, &cancellation)
            }
        }
    }

    /// Runs the operators and returns their output at every step.
    async fn vector(&mut self) -> Result<Vector, Error> {
        let allowance = self.allowance();
        let vector = collect(self.start()?, self.planned.grid.steps, &allowance)
            .await
            .map_err(Error::from_datafusion)?;

        // The answer has a time for each value.
        allowance.grow(2 * allowance.size())?;
        self.answer.hold(allowance.into_account());
        self.timings.evaluation = self.ready.stopwatch.lap();

        Ok(vector)
    }

    /// Returns the samples of the operators inside `(start, end]` of `window`, with the series in
    /// the order of the source.
    async fn samples(&mut self, window: RangeInclusive<i64>) -> Result<Vec<RangeSeries>, Error> {
        let inside =
            |ts: i64, value: f64| ts > *window.start() && ts <= *window.end() && !is_stale(value);
        let mut stream = self.start()?;
        let mut series = Vec::new();
        let allowance = self.allowance();

        while let Some(batch) = stream.try_next().await.map_err(Error::from_datafusion)? {
            allowance.grow(batch.get_array_memory_size())?;

            let batch = SeriesBatch::from_record_batch(batch).expect("a range vector is series");

            for row in 0..batch.len() {
                let (ts, values) = batch.samples_at(row);
                let samples = ts.iter().copied().zip(values.iter().copied());
                let points: Vec<_> = samples.filter(|&(ts, value)| inside(ts, value)).collect();
                let histograms = batch
                    .histograms_at(row)
                    .map(|held| (held.ts_ms, decoded(held.bytes)));
                let histograms: Vec<_> = histograms
                    .filter(|(ts, histogram)| inside(*ts, histogram.sum))
                    .collect();

                if !points.is_empty() || !histograms.is_empty() {
                    let labels = self.planned.names.in_answer(batch.labels_at(row));
                    series.push(RangeSeries {
                        labels,
                        points,
                        histograms,
                    });
                }
            }
        }

        self.answer.hold(allowance.into_account());
        self.timings.evaluation = self.ready.stopwatch.lap();
        Ok(series)
    }

    /// Returns an allowance for the answer.
    fn allowance(&self) -> Allowance {
        Allowance::new("answer", &self.ready.task, Arc::clone(&self.ready.run))
    }

    fn start(&self) -> Result<SendableRecordBatchStream, Error> {
        let plan = self.plan().expect("only a string has no operators");

        plan.execute(0, Arc::clone(&self.ready.task))
            .map_err(Error::from_datafusion)
    }
}

impl Evaluated {
    /// Returns the operators with what they did. `None` for a string.
    pub(super) fn explain(&self) -> Option<PlanNode> {
        self.query.explain()
    }

    pub(super) fn into_answer(self) -> Answer {
        let Self { query, value } = self;
        let run = &query.ready.run;

        let (warnings, infos) = run.annotations.take();
        let mut stats = run.budget.stats();
        stats.timings = query.timings;

        // A string has no steps.
        if query.planned.plan.is_some() {
            run.counts.report(&mut stats);
        }

        Answer {
            value,
            warnings,
            infos,
            stats,
            resolutions_ms: query.planned.resolutions_ms.clone(),
            memory: query.answer,
        }
    }
}

/// Runs `work` in a task of the workers.
pub(super) async fn on_workers<T: Send + 'static>(
    workers: &Workers,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let ended = workers.spawn(work).await;
    ended
        .map_err(|error| Error::from_datafusion(DataFusionError::ExecutionJoin(Box::new(error))))?
}
