//! The engine: a tree and times in, an answer out.

mod memory;
mod query;

use std::sync::Arc;

use duramen_model::{Regexes, TenantId};
use duramen_qos::Account;
use duramen_runtime::{Clock, Workers};
use duramen_source::SeriesSource;
use duramen_syntax::Expr;

use crate::answer::Answer;
use crate::engine::query::Query;
use crate::error::Error;
use crate::explain::PlanNode;
use crate::name_removal::{NameLabels, NameRemoval, RemovalTime};
use crate::times::QueryTimes;

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
    /// `rate`, `increase`, `irate` and `resets` look at the times at which counters began, and
    /// `start_timestamp` knows them (`use-start-timestamps`).
    pub start_timestamps: bool,
    /// The name of a metric is there until the end of a query, also where a function or an operator
    /// takes it away, and `label_replace` and `label_join` can save it
    /// (`promql-delayed-name-removal`).
    pub delayed_name_removal: bool,
    /// `__type__` and `__unit__` are part of a metric's name: they go where it goes, and `rate` and
    /// `increase` go by the type when they annotate what is no counter (`type-and-unit-labels`).
    pub type_and_unit_labels: bool,
}

impl Features {
    fn names(self) -> NameRemoval {
        NameRemoval {
            labels: if self.type_and_unit_labels {
                NameLabels::NameTypeAndUnit
            } else {
                NameLabels::Name
            },
            time: if self.delayed_name_removal {
                RemovalTime::AtTheEnd
            } else {
                RemovalTime::AtOnce
            },
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
/// A query ends when its future is dropped, with every task that it started, as soon as each comes
/// to ask whether it is still wanted.
#[derive(Clone, Debug)]
pub struct Engine {
    config: Arc<EngineConfig>,
    clock: Arc<dyn Clock>,
    workers: Workers,
    memory: Arc<Account>,
    text: Arc<str>,
    regexes: Arc<Regexes>,
}

impl Engine {
    /// `clock` measures how long things take; an answer does not depend on it.
    pub fn new(config: EngineConfig, clock: Arc<dyn Clock>) -> Self {
        Self {
            config: Arc::new(config),
            clock,
            workers: Workers::default(),
            memory: Account::unbounded(),
            text: Arc::from(""),
            regexes: Arc::default(),
        }
    }

    /// This engine with `workers` that read and compute. Whoever waits for an answer does neither.
    #[must_use]
    pub fn on(self, workers: Workers) -> Self {
        Self { workers, ..self }
    }

    /// This engine with the account of the process, of which each query takes what it holds.
    #[must_use]
    pub fn within(self, memory: Arc<Account>) -> Self {
        Self { memory, ..self }
    }

    /// The account that queries draw from.
    pub const fn memory(&self) -> &Arc<Account> {
        &self.memory
    }

    /// This engine for trees that were parsed from `text`: the annotations of an answer then say line
    /// and column. Otherwise the whole text counts as one line.
    #[must_use]
    pub fn with_text(&self, text: &str) -> Self {
        Self {
            text: Arc::from(text),
            ..self.clone()
        }
    }

    /// This engine for a request whose regexes `regexes` has read, or will: those that no selector
    /// has, too.
    #[must_use]
    pub fn with_regexes(&self, regexes: Arc<Regexes>) -> Self {
        Self {
            regexes,
            ..self.clone()
        }
    }

    /// Evaluates at one time.
    ///
    /// # Errors
    /// See [`Error`]; an answer is never a part of one.
    pub async fn instant(
        &self,
        context: &QueryContext,
        expr: &Expr,
        time_ms: i64,
    ) -> Result<Answer, Error> {
        self.range(context, expr, QueryTimes::at(time_ms)).await
    }

    /// Evaluates at each of `times`. Over a range, a scalar becomes one series without labels; for
    /// times that are one, this is [`Engine::instant`].
    ///
    /// # Errors
    /// See [`Error`]. `Invalid` for range vectors and strings over a range.
    pub async fn range(
        &self,
        context: &QueryContext,
        expr: &Expr,
        times: QueryTimes,
    ) -> Result<Answer, Error> {
        let query = Query::begin(self, context, times).await?;
        let (query, value) = query.evaluate(expr).await?;
        Ok(query.answer(value))
    }

    /// The operators that [`Engine::instant`] or [`Engine::range`] would run at these times. `None`
    /// for a string, which needs none.
    ///
    /// # Errors
    /// As the query itself, before it reads samples.
    pub async fn explain(
        &self,
        context: &QueryContext,
        expr: &Expr,
        times: QueryTimes,
    ) -> Result<Option<PlanNode>, Error> {
        let mut query = Query::begin(self, context, times).await?;
        query.prepare(expr)?;
        Ok(query.plan())
    }

    /// Evaluates, and tells what each operator did.
    ///
    /// # Errors
    /// As of [`Engine::instant`] and [`Engine::range`].
    pub async fn analyze(
        &self,
        context: &QueryContext,
        expr: &Expr,
        times: QueryTimes,
    ) -> Result<(Answer, Option<PlanNode>), Error> {
        let query = Query::begin(self, context, times).await?;
        let (query, value) = query.evaluate(expr).await?;
        let plan = query.plan();

        Ok((query.answer(value), plan))
    }
}
