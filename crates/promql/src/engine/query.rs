//! One query under way.

use std::sync::Arc;
use std::time::Duration;

use datafusion::error::DataFusionError;
use datafusion::execution::config::SessionConfig;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use duramen_model::{Labels, is_stale};
use duramen_qos::Use;
use duramen_runtime::{Clock, Workers};
use duramen_source::SeriesBatch;
use duramen_syntax::Expr;
use duramen_syntax::ast::{AggregateOp, ValueType};
use futures::TryStreamExt;

use crate::annotation::collector::Annotations;
use crate::answer::{Answer, AnswerMemory, InstantSeries, RangeSeries, SampleValue, Value};
use crate::engine::memory::QueryMemory;
use crate::engine::{Engine, QueryContext};
use crate::error::Error;
use crate::exec::lower::Lowering;
use crate::exec::operators::subquery::SubqueryReader;
use crate::exec::support::cancellation::{Cancellation, sorted};
use crate::exec::support::late_matchers::LateMatchers;
use crate::exec::support::operator::reservation;
use crate::exec::support::sample_budget::SampleBudget;
use crate::exec::support::whole_input::collect;
use crate::explain::PlanNode;
use crate::grid::Grid;
use crate::kernels::Window;
use crate::kernels::extended::{self, Ends};
use crate::plan::lookup::{Lookup, Starts};
use crate::plan::node::Series;
use crate::plan::planner::{Planner, bare};
use crate::stats::{Place, QueryTimings};
use crate::times::QueryTimes;
use crate::vector::{Sample, Vector, decoded};

/// About what an operator takes, with its task and its place in the logical plan.
const OPERATOR_BYTES: usize = 4 << 10;

/// Where a query stands, and what it has used so far.
pub(super) struct Query {
    planner: Planner,
    lowering: Lowering,
    task: Arc<TaskContext>,
    /// The operators, once they are known.
    plan: Option<Arc<dyn ExecutionPlan>>,
    timings: QueryTimings,
    stopwatch: Stopwatch,
    workers: Workers,
    cancellation: Cancellation,
    /// What the answer takes.
    answer: AnswerMemory,
    /// What the regexes of the request and the operators take.
    own: MemoryReservation,
}

/// What the operators of a query make, and what becomes of it.
pub(super) enum Outcome {
    String(String),
    Scalar,
    Vector(RowOrder),
    Range(Grid),
    /// The samples of a range vector, as far as the look-up goes.
    Samples(Lookup),
    /// The points of a subquery, likewise.
    Points(Lookup),
}

/// How the series of an instant vector are ordered.
pub(super) enum RowOrder {
    Labels,
    /// As the query itself says.
    Query,
}

impl Query {
    /// Asks the source for what the plan depends on.
    pub(super) async fn begin(
        engine: &Engine,
        context: &QueryContext,
        times: QueryTimes,
    ) -> Result<Self, Error> {
        let mut query = Self::new(engine, context, times)?;
        query.planner.ttl_max_ms = context.source.ttl_max_ms(&context.tenants).await?;
        Ok(query)
    }

    fn new(engine: &Engine, context: &QueryContext, times: QueryTimes) -> Result<Self, Error> {
        let names = engine.config.features.names();
        let starts = if engine.config.features.start_timestamps {
            Starts::Known
        } else {
            Starts::Ignored
        };

        let config = engine.config.limited(&context.limits);
        let planner = Planner {
            times,
            lookback_ms: context.lookback_ms.unwrap_or(config.lookback_ms),
            ttl_max_ms: 0,
            steps_max: config.steps_max(),
            starts,
            parts: None,
            names,
            invariants: Arc::default(),
            regexes: Arc::clone(&engine.regexes),
        };

        let lowering = Lowering {
            source: Arc::clone(&context.source),
            tenants: Arc::clone(&context.tenants),
            partitions: config.partitions.max(1),
            budget: Arc::new(SampleBudget::new(
                config.samples_max,
                Arc::clone(&engine.memory),
            )),
            series_max: context.limits.series_max.unwrap_or(usize::MAX),
            annotations: Annotations::on(Arc::clone(&engine.text)),
            starts,
            names,
            counts: Arc::default(),
            place: Place::Steps,
            late: LateMatchers::default(),
            clock: Arc::clone(&engine.clock),
        };

        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(QueryMemory::new(
                config.memory_bytes_max,
                engine.memory.share(Use::Query),
            )))
            .with_disk_manager_builder(
                DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled),
            )
            .build_arc()
            .map_err(Error::from_datafusion)?;

        let cancellation = Cancellation::default();
        let session = SessionConfig::new().with_extension(Arc::new(cancellation.clone()));

        let task = Arc::new(
            TaskContext::default()
                .with_session_config(session)
                .with_runtime(runtime),
        );

        let own = reservation("plan", &task);
        own.try_grow(engine.regexes.bytes())
            .map_err(Error::from_datafusion)?;

        let stopwatch = Stopwatch::start(Arc::clone(&engine.clock));
        Ok(Self {
            planner,
            lowering,
            task,
            plan: None,
            timings: QueryTimings::default(),
            stopwatch,
            workers: engine.workers.clone(),
            cancellation,
            answer: AnswerMemory::default(),
            own,
        })
    }

    /// Finds the operators. No sample is read.
    pub(super) fn prepare(&mut self, expr: &Expr) -> Result<Outcome, Error> {
        let times = self.planner.times;
        if !times.is_instant() {
            let grid = range_grid(expr, times, self.planner.steps_max)?;
            self.lower(expr, grid)?;
            return Ok(Outcome::Range(grid));
        }

        let grid = Grid::instant(times.start_ms);

        match (expr.value_type(), bare(expr)) {
            (_, Expr::String { value, .. }) => Ok(Outcome::String(value.clone())),
            (ValueType::Matrix, expr) => {
                self.lowering.partitions = 1;
                self.lowering.counts.begin(grid);
                self.lowering.place = Place::EveryStep;

                let vector = self.planner.knowing(expr).range_vector(expr, grid)?;
                self.plan = Some(self.lowering.series(
                    &vector.series,
                    SubqueryReader::Client,
                    grid,
                ));

                match vector.series {
                    Series::Scan { .. } => Ok(Outcome::Samples(vector.lookup)),
                    Series::Subquery(_) => Ok(Outcome::Points(vector.lookup)),
                }
            }
            (ValueType::Scalar, expr) => self.lower(expr, grid).map(|()| Outcome::Scalar),
            (_, expr) => self
                .lower(expr, grid)
                .map(|()| Outcome::Vector(row_order(expr))),
        }
    }

    fn lower(&mut self, expr: &Expr, grid: Grid) -> Result<(), Error> {
        self.lowering.counts.begin(grid);
        self.account_for(expr)?;
        self.plan = Some(self.lowering.lower(&self.planner.query(expr, grid)?));

        Ok(())
    }

    /// Takes the memory for the operators of an expression.
    fn account_for(&self, expr: &Expr) -> Result<(), Error> {
        let mut nodes = 0;
        expr.walk(&mut |_| nodes += 1);
        self.own
            .try_grow(nodes * OPERATOR_BYTES)
            .map_err(Error::from_datafusion)
    }

    /// The operators with what they have done so far.
    pub(super) fn plan(&self) -> Option<PlanNode> {
        self.plan.as_deref().map(PlanNode::of)
    }

    /// Evaluates in a task of the workers, so that whoever waits can give up while it computes;
    /// then it ends soon, with all tasks that it started.
    pub(super) async fn evaluate(mut self, expr: &Expr) -> Result<(Self, Value), Error> {
        let _given_up = self.cancellation.on_drop();
        let expr = expr.clone();
        let workers = self.workers.clone();
        let work = async move {
            let value = self.evaluate_here(&expr).await?;
            Ok((self, value))
        };

        let ended = workers.spawn(work).await;
        ended.map_err(|error| {
            Error::from_datafusion(DataFusionError::ExecutionJoin(Box::new(error)))
        })?
    }

    async fn evaluate_here(&mut self, expr: &Expr) -> Result<Value, Error> {
        let ts_ms = self.planner.times.start_ms;
        let outcome = self.prepare(expr)?;
        self.timings.preparation = self.stopwatch.lap();

        let value = match outcome {
            Outcome::String(value) => Value::String { ts_ms, value },
            Outcome::Scalar => Value::Scalar {
                ts_ms,
                value: self.vector(1).await?.scalar()[0],
            },
            Outcome::Vector(order) => {
                instant_value(&self.vector(1).await?, ts_ms, &order, &self.cancellation)?
            }
            Outcome::Range(grid) => {
                range_value(&self.vector(grid.steps).await?, &grid, &self.cancellation)?
            }
            Outcome::Samples(lookup) => {
                let mut series = self
                    .samples(lookup.read_start_ms(ts_ms)..=lookup.read_end_ms(ts_ms))
                    .await?;
                if let Some((ends, _)) = lookup.ends {
                    settle(&mut series, &lookup, ends, ts_ms)?;
                }

                let samples = series
                    .iter()
                    .map(|series| series.points.len() + series.histograms.len())
                    .sum::<usize>();

                self.lowering.counts.add_samples_seen(samples as u64);
                matrix(series, &self.cancellation)?
            }
            Outcome::Points(lookup) => {
                let series = self
                    .samples(lookup.start_ms(ts_ms)..=lookup.end_ms(ts_ms))
                    .await?;
                matrix(series, &self.cancellation)?
            }
        };

        self.timings.sorting = self.stopwatch.lap();
        Ok(value)
    }

    /// What the operators make, at every step.
    async fn vector(&mut self, steps: usize) -> Result<Vector, Error> {
        let account = reservation("answer", &self.task);
        let vector = collect(self.start()?, steps, &account)
            .await
            .map_err(Error::from_datafusion)?;

        // The answer has a time with each value.
        account
            .try_grow(2 * account.size())
            .map_err(Error::from_datafusion)?;
        self.answer.hold(account);
        self.timings.evaluation = self.stopwatch.lap();

        Ok(vector)
    }

    /// The samples that the operators give in `(start, end]` of a window, series in the order of
    /// the source.
    async fn samples(
        &mut self,
        window: std::ops::RangeInclusive<i64>,
    ) -> Result<Vec<RangeSeries>, Error> {
        let inside =
            |ts: i64, value: f64| ts > *window.start() && ts <= *window.end() && !is_stale(value);
        let mut stream = self.start()?;
        let mut series = Vec::new();
        let account = reservation("answer", &self.task);

        while let Some(batch) = stream.try_next().await.map_err(Error::from_datafusion)? {
            account
                .try_grow(batch.get_array_memory_size())
                .map_err(Error::from_datafusion)?;

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
                    let labels = self.planner.names.in_answer(batch.labels_at(row));
                    series.push(RangeSeries {
                        labels,
                        points,
                        histograms,
                    });
                }
            }
        }

        self.answer.hold(account);
        self.timings.evaluation = self.stopwatch.lap();
        Ok(series)
    }

    fn start(&self) -> Result<SendableRecordBatchStream, Error> {
        let plan = self
            .plan
            .as_ref()
            .expect("operators are known before they start");

        plan.execute(0, Arc::clone(&self.task))
            .map_err(Error::from_datafusion)
    }

    pub(super) fn answer(self, value: Value) -> Answer {
        let (warnings, infos) = self.lowering.annotations.take();
        let mut stats = self.lowering.budget.stats();
        self.lowering.counts.report(&mut stats);
        stats.timings = self.timings;

        Answer {
            value,
            warnings,
            infos,
            stats,
            memory: self.answer,
        }
    }
}

/// Tells how long each part of something took.
struct Stopwatch {
    clock: Arc<dyn Clock>,
    last: Duration,
}

impl Stopwatch {
    fn start(clock: Arc<dyn Clock>) -> Self {
        let last = clock.monotonic();
        Self { clock, last }
    }

    /// The time since the last lap.
    fn lap(&mut self) -> Duration {
        let now = self.clock.monotonic();
        now.saturating_sub(std::mem::replace(&mut self.last, now))
    }
}

/// Puts a sample at each end of the windows, which are all that a range vector by itself shows of
/// what is around it.
fn settle(
    series: &mut Vec<RangeSeries>,
    lookup: &Lookup,
    ends: Ends,
    time_ms: i64,
) -> Result<(), Error> {
    if series.iter().any(|series| !series.histograms.is_empty()) {
        let modifier = if ends == Ends::Anchored {
            "anchored"
        } else {
            "smoothed"
        };

        return Err(Error::execution(format!(
            "{modifier} modifier is not supported with histograms"
        )));
    }

    for series in &mut *series {
        let (ts, values): (Vec<_>, Vec<_>) = series.points.iter().copied().unzip();
        let start_ms = lookup.start_ms(time_ms);
        let end_ms = lookup.end_ms(time_ms);
        let range_ms = lookup.range_ms;

        let window = Window {
            ts: &ts,
            values: &values,
            start_ms,
            end_ms,
            range_ms,
            falls: true,
            time_ms,
        };

        series.points = extended::settled(&window, ends);
    }

    series.retain(|series| !series.points.is_empty());
    Ok(())
}

/// Series as an answer, in its order.
fn matrix(series: Vec<RangeSeries>, cancellation: &Cancellation) -> Result<Value, Error> {
    Ok(Value::Matrix(joined(sorted(
        series,
        cancellation,
        |a, b| a.labels.cmp(&b.labels),
    )?)?))
}

/// Series of the same labels as one, which is an error where they have a sample of the same time.
fn joined(sorted: Vec<RangeSeries>) -> Result<Vec<RangeSeries>, Error> {
    let mut out: Vec<RangeSeries> = Vec::with_capacity(sorted.len());

    for series in sorted {
        let Some(same) = out.last_mut().filter(|last| last.labels == series.labels) else {
            out.push(series);
            continue;
        };

        same.points.extend(series.points);
        same.points.sort_by_key(|point| point.0);
        same.histograms.extend(series.histograms);
        same.histograms.sort_by_key(|held| held.0);

        let floats = same.points.iter().map(|point| point.0);
        let mut times: Vec<i64> = floats
            .chain(same.histograms.iter().map(|held| held.0))
            .collect();
        times.sort_unstable();

        if times.windows(2).any(|two| two[0] == two[1]) {
            return Err(Error::same_labels());
        }
    }

    Ok(out)
}

fn range_grid(expr: &Expr, times: QueryTimes, steps_max: usize) -> Result<Grid, Error> {
    if !matches!(expr.value_type(), ValueType::Scalar | ValueType::Vector) {
        let got = expr.value_type().documented();
        return Err(Error::invalid(format!(
            "invalid expression type {got:?} for range query, must be Scalar or instant Vector"
        )));
    }

    let grid = Grid::range(times.start_ms, times.end_ms, times.step_ms);
    if grid.steps > steps_max {
        return Err(Error::Samples {
            held: grid.steps,
            limit: steps_max,
        });
    }

    Ok(grid)
}

fn row_order(expr: &Expr) -> RowOrder {
    match expr {
        Expr::Call { func, .. } if func.name.starts_with("sort") => RowOrder::Query,
        Expr::Aggregate {
            op: AggregateOp::Topk | AggregateOp::Bottomk,
            ..
        } => RowOrder::Query,
        _ => RowOrder::Labels,
    }
}

fn instant_value(
    vector: &Vector,
    ts_ms: i64,
    order: &RowOrder,
    cancellation: &Cancellation,
) -> Result<Value, Error> {
    let row = |row: crate::vector::Row<'_>| {
        let value = match row.cell(0)?.decode() {
            Sample::Float(value) => SampleValue::Float(value),
            Sample::Histogram(histogram) => SampleValue::Histogram(histogram),
        };

        Some(InstantSeries {
            labels: Labels::from_encoded_trusted(row.labels),
            ts_ms,
            value,
        })
    };

    let series: Vec<_> = vector.rows().filter_map(row).collect();
    Ok(Value::Vector(match order {
        RowOrder::Labels => sorted(series, cancellation, |a, b| a.labels.cmp(&b.labels))?,
        RowOrder::Query => series,
    }))
}

fn range_value(vector: &Vector, grid: &Grid, cancellation: &Cancellation) -> Result<Value, Error> {
    let row = |row: crate::vector::Row<'_>| {
        let points: Vec<_> = (0..grid.steps)
            .filter_map(|step| Some((grid.at(step), row.get(step)?)))
            .collect();
        let histograms = row
            .histograms
            .iter()
            .map(|(step, bytes)| (grid.at(step), decoded(bytes)))
            .collect();

        RangeSeries {
            labels: Labels::from_encoded_trusted(row.labels),
            points,
            histograms,
        }
    };

    let series: Vec<_> = vector.rows().map(row).collect();
    Ok(Value::Matrix(sorted(series, cancellation, |a, b| {
        a.labels.cmp(&b.labels)
    })?))
}
