//! The engine: a tree and times in, an answer out.

use std::sync::Arc;

use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::{ExecutionPlan, displayable};
use duramen_model::{Labels, TenantId, is_stale};
use duramen_source::{SeriesBatch, SeriesSource};
use duramen_syntax::Expr;
use duramen_syntax::ast::{AggregateOp, ValueType};
use futures::TryStreamExt;

use crate::annotation::Annotations;
use crate::answer::{Answer, InstantSeries, RangeSeries, SampleValue, Value};
use crate::error::Error;
use crate::exec::mixed_series::{Hints, Starts};
use crate::exec::operator::{collect, reservation};
use crate::exec::scan::SampleBudget;
use crate::grid::Grid;
use crate::name_removal::{NameLabels, NameRemoval, RemovalTime};
use crate::plan::{Lowering, Planner, QueryTimes};
use crate::vector::{Sample, Vector, decoded};

/// What queries may use. It holds for each query by itself.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// How far back an instant vector looks for a sample.
    pub lookback_ms: i64,
    /// How many tasks evaluate the series of one selector. The answer does not depend on it.
    pub partitions: usize,
    /// The most samples that a query holds at once.
    pub samples_max: usize,
    /// The most memory for the vectors that a query holds at once.
    pub memory_bytes_max: usize,
    pub features: Features,
}

/// What Prometheus has behind feature flags, all off as there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// `rate`, `increase`, `irate` and `resets` look at the times at which counters began, and `start_timestamp` knows them
    /// (`use-start-timestamps`).
    pub start_timestamps: bool,
    /// The name of a metric is there until the end of a query, also where a function or an operator takes it away, and
    /// `label_replace` and `label_join` can save it (`promql-delayed-name-removal`).
    pub delayed_name_removal: bool,
    /// `__type__` and `__unit__` are part of a metric's name: they go where it goes, and `rate` and `increase` go by the type
    /// when they remark on what is no counter (`type-and-unit-labels`).
    pub type_and_unit_labels: bool,
}

impl Features {
    fn names(self) -> NameRemoval {
        NameRemoval {
            labels: if self.type_and_unit_labels { NameLabels::NameTypeAndUnit } else { NameLabels::Name },
            time: if self.delayed_name_removal { RemovalTime::AtTheEnd } else { RemovalTime::AtOnce },
        }
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            lookback_ms: 300_000,
            partitions: 2,
            samples_max: 50_000_000,
            memory_bytes_max: 1 << 30,
            features: Features::default(),
        }
    }
}

impl EngineConfig {
    /// This configuration with what a query may use.
    fn limited(&self, limits: &QueryLimits) -> Self {
        Self {
            samples_max: limits.samples_max.unwrap_or(self.samples_max),
            memory_bytes_max: limits.memory_bytes_max.unwrap_or(self.memory_bytes_max),
            ..self.clone()
        }
    }

    /// The most steps of a grid: a few rows of it fit the memory, and its width an Arrow list.
    fn steps_max(&self) -> usize {
        const ROWS: usize = 8;
        let rows_fit = self.memory_bytes_max / (ROWS * size_of::<f64>());
        self.samples_max.min(rows_fit).min(1 << 30)
    }
}

/// Whose series a query is about.
#[derive(Clone, Debug)]
pub struct QueryContext {
    pub source: Arc<dyn SeriesSource>,
    pub tenants: Arc<[TenantId]>,
    /// Instead of the engine's.
    pub lookback_ms: Option<i64>,
    pub limits: QueryLimits,
}

/// What this query may use, where that is not what the engine's configuration says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryLimits {
    /// The most samples that the query holds at once.
    pub samples_max: Option<usize>,
    /// The most memory for the vectors that the query holds at once.
    pub memory_bytes_max: Option<usize>,
    /// The most series that one selector reads; without it there is no such limit.
    pub series_max: Option<usize>,
}

/// Evaluates queries. Cheap to clone.
///
/// A query runs inside a Tokio runtime and ends when its future is dropped, with every task that it started.
#[derive(Clone, Debug)]
pub struct Engine {
    config: Arc<EngineConfig>,
    text: Arc<str>,
}

impl Engine {
    pub fn new(config: EngineConfig) -> Self {
        Self { config: Arc::new(config), text: Arc::from("") }
    }

    /// This engine for trees that were parsed from `text`: the remarks of an answer then say line and column. Otherwise the
    /// whole text counts as one line.
    #[must_use]
    pub fn with_text(&self, text: &str) -> Self {
        Self { config: Arc::clone(&self.config), text: Arc::from(text) }
    }

    /// Evaluates at one time.
    ///
    /// # Errors
    /// See [`Error`]; an answer is never a part of one.
    pub async fn instant(&self, context: &QueryContext, expr: &Expr, time_ms: i64) -> Result<Answer, Error> {
        let times = QueryTimes { start_ms: time_ms, end_ms: time_ms, step_ms: 0 };
        let mut query = Query::begin(self, context, times).await?;
        let value = match (expr.value_type(), bare(expr)) {
            (_, Expr::String { value, .. }) => Value::String { ts_ms: time_ms, value: value.clone() },
            (ValueType::Matrix, expr) => query.samples(expr, time_ms).await?,
            (ValueType::Scalar, expr) => {
                let value = query.vector(expr, Grid::instant(time_ms)).await?.scalar()[0];
                Value::Scalar { ts_ms: time_ms, value }
            }
            (_, expr) => {
                let vector = query.vector(expr, Grid::instant(time_ms)).await?;
                instant_value(&vector, time_ms, is_ordered(expr))
            }
        };
        Ok(query.answer(value))
    }

    /// Evaluates at `start_ms`, and every `step_ms` from there as far as `end_ms`, both ends inside. A scalar becomes one series
    /// without labels.
    ///
    /// # Errors
    /// See [`Error`]. `Invalid` for range vectors and strings, for an end before the start and for a step that is not above zero.
    pub async fn range(
        &self,
        context: &QueryContext,
        expr: &Expr,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    ) -> Result<Answer, Error> {
        let mut query = Query::begin(self, context, QueryTimes { start_ms, end_ms, step_ms }).await?;
        let grid = range_grid(expr, start_ms, end_ms, step_ms, query.planner.steps_max)?;
        let vector = query.vector(expr, grid).await?;
        Ok(query.answer(range_value(&vector, &grid)))
    }

    /// The operators that [`Engine::range`] would run, one a line; for an instant with `step_ms` 0, those of [`Engine::instant`].
    ///
    /// # Errors
    /// As the query itself, before it reads anything.
    pub fn explain(
        &self,
        context: &QueryContext,
        expr: &Expr,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    ) -> Result<String, Error> {
        let query = Query::new(self, context, QueryTimes { start_ms, end_ms, step_ms })?;
        let grid = match step_ms {
            0 => Grid::instant(start_ms),
            _ => range_grid(expr, start_ms, end_ms, step_ms, query.planner.steps_max)?,
        };
        if matches!(expr.value_type(), ValueType::String) {
            return Ok(String::new());
        }
        let plan = if expr.value_type() == ValueType::Matrix {
            let vector = query.planner.range_vector(expr, grid)?;
            query.lowering.series(&vector.series, grid)
        } else {
            query.lowering.lower(&query.planner.query(expr, grid)?)
        };
        Ok(displayable(plan.as_ref()).indent(false).to_string())
    }
}

/// One query under way.
struct Query {
    planner: Planner,
    lowering: Lowering,
    task: Arc<TaskContext>,
}

impl Query {
    /// Asks the source for what the plan depends on.
    async fn begin(engine: &Engine, context: &QueryContext, times: QueryTimes) -> Result<Self, Error> {
        let mut query = Self::new(engine, context, times)?;
        query.planner.ttl_max_ms = context.source.ttl_max_ms(&context.tenants).await?;
        Ok(query)
    }

    fn new(engine: &Engine, context: &QueryContext, times: QueryTimes) -> Result<Self, Error> {
        let names = engine.config.features.names();
        let starts = if engine.config.features.start_timestamps { Starts::Known } else { Starts::Ignored };
        let config = engine.config.limited(&context.limits);
        let planner = Planner {
            times,
            lookback_ms: context.lookback_ms.unwrap_or(config.lookback_ms),
            ttl_max_ms: 0,
            steps_max: config.steps_max(),
            starts,
            hints: Hints::AsHeld,
            names,
        };
        let lowering = Lowering {
            source: Arc::clone(&context.source),
            tenants: Arc::clone(&context.tenants),
            partitions: config.partitions.max(1),
            budget: Arc::new(SampleBudget::new(config.samples_max)),
            series_max: context.limits.series_max.unwrap_or(usize::MAX),
            annotations: Annotations::on(Arc::clone(&engine.text)),
            starts,
            names,
            queryable: Arc::default(),
        };
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(config.memory_bytes_max)))
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
            .build_arc()
            .map_err(Error::from_datafusion)?;
        let task = Arc::new(TaskContext::default().with_runtime(runtime));
        Ok(Self { planner, lowering, task })
    }

    /// A scalar or an instant vector, at every step.
    async fn vector(&mut self, expr: &Expr, grid: Grid) -> Result<Vector, Error> {
        self.lowering.queryable.begin(grid);
        let plan = self.lowering.lower(&self.planner.query(expr, grid)?);
        let account = reservation("answer", &self.task);
        let vector = collect(self.start(&plan)?, grid.steps, &account).await.map_err(Error::from_datafusion)?;
        // The answer has a time with each value.
        account.try_grow(2 * account.size()).map_err(Error::from_datafusion)?;
        Ok(vector)
    }

    /// The samples of a range vector.
    async fn samples(&mut self, expr: &Expr, time_ms: i64) -> Result<Value, Error> {
        self.lowering.partitions = 1;
        let grid = Grid::instant(time_ms);
        let vector = self.planner.range_vector(expr, grid)?;
        let window = vector.lookup.start_ms(time_ms)..=vector.lookup.end_ms(time_ms);
        let mut stream = self.start(&self.lowering.series(&vector.series, grid))?;
        let mut series = Vec::new();
        let account = reservation("answer", &self.task);
        while let Some(batch) = stream.try_next().await.map_err(Error::from_datafusion)? {
            account.try_grow(batch.get_array_memory_size()).map_err(Error::from_datafusion)?;
            let batch = SeriesBatch::from_record_batch(batch).expect("a range vector is series");
            for row in 0..batch.len() {
                let (ts, values) = batch.samples_at(row);
                let inside = |ts: i64, value: f64| ts > *window.start() && ts <= *window.end() && !is_stale(value);
                let samples = ts.iter().copied().zip(values.iter().copied());
                let points: Vec<_> = samples.filter(|&(ts, value)| inside(ts, value)).collect();
                let histograms = batch.histograms_at(row).map(|held| (held.ts_ms, decoded(held.bytes)));
                let histograms: Vec<_> = histograms.filter(|(ts, histogram)| inside(*ts, histogram.sum)).collect();
                if !points.is_empty() || !histograms.is_empty() {
                    let labels = self.planner.names.in_answer(batch.labels_at(row));
                    series.push(RangeSeries { labels, points, histograms });
                }
            }
        }
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(Value::Matrix(joined(series)?))
    }

    fn start(&self, plan: &Arc<dyn ExecutionPlan>) -> Result<SendableRecordBatchStream, Error> {
        plan.execute(0, Arc::clone(&self.task)).map_err(Error::from_datafusion)
    }

    fn answer(self, value: Value) -> Answer {
        let (warnings, infos) = self.lowering.annotations.take();
        let mut stats = self.lowering.budget.stats();
        self.lowering.queryable.report(&mut stats);
        Answer { value, warnings, infos, stats }
    }
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
        let mut times: Vec<i64> = floats.chain(same.histograms.iter().map(|held| held.0)).collect();
        times.sort_unstable();
        if times.windows(2).any(|two| two[0] == two[1]) {
            return Err(Error::same_labels());
        }
    }
    Ok(out)
}

fn range_grid(expr: &Expr, start_ms: i64, end_ms: i64, step_ms: i64, steps_max: usize) -> Result<Grid, Error> {
    if !matches!(expr.value_type(), ValueType::Scalar | ValueType::Vector) {
        let got = expr.value_type().documented();
        return Err(Error::invalid(format!(
            "invalid expression type {got:?} for range query, must be Scalar or instant Vector"
        )));
    }
    if step_ms <= 0 || end_ms < start_ms {
        return Err(Error::invalid("a range ends no earlier than it starts and has a step above zero"));
    }
    let grid = Grid::range(start_ms, end_ms, step_ms);
    if grid.steps > steps_max {
        return Err(Error::Samples { held: grid.steps, limit: steps_max });
    }
    Ok(grid)
}

fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren { expr, .. } => bare(expr),
        expr => expr,
    }
}

/// Whether the query itself says how its rows are ordered.
fn is_ordered(expr: &Expr) -> bool {
    match expr {
        Expr::Call { func, .. } => func.name.starts_with("sort"),
        Expr::Aggregate { op, .. } => matches!(op, AggregateOp::Topk | AggregateOp::Bottomk),
        _ => false,
    }
}

fn instant_value(vector: &Vector, ts_ms: i64, ordered: bool) -> Value {
    let row = |row: crate::vector::Row<'_>| {
        let value = match row.cell(0)?.decode() {
            Sample::Float(value) => SampleValue::Float(value),
            Sample::Histogram(histogram) => SampleValue::Histogram(histogram),
        };
        Some(InstantSeries { labels: Labels::from_encoded_trusted(row.labels), ts_ms, value })
    };
    let mut series: Vec<_> = vector.rows().filter_map(row).collect();
    if !ordered {
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
    }
    Value::Vector(series)
}

fn range_value(vector: &Vector, grid: &Grid) -> Value {
    let row = |row: crate::vector::Row<'_>| {
        let points: Vec<_> = (0..grid.steps).filter_map(|step| Some((grid.at(step), row.get(step)?))).collect();
        let histograms = row.histograms.iter().map(|(step, bytes)| (grid.at(step), decoded(bytes))).collect();
        RangeSeries { labels: Labels::from_encoded_trusted(row.labels), points, histograms }
    };
    let mut series: Vec<_> = vector.rows().map(row).collect();
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    Value::Matrix(series)
}
