//! The engine: takes a syntax tree and times, returns an answer.
//!
//! In the order of a query:
//!
//! - [`config`], [`context`], [`resources`]: the limits of a query, and the series that it reads.
//! - [`query`]: a query before it is planned, with its memory ([`memory`]).
//! - [`planned`]: the operators of the query, and what their output becomes.
//! - [`prepared`]: the operators with the context that they run in. They are evaluated there.
//! - [`value`]: turns the output of the operators into the value of an answer.

mod config;
mod context;
mod memory;
mod planned;
mod prepared;
mod query;
mod resources;
mod value;

use std::sync::Arc;

use duramen_model::Regexes;
use duramen_qos::{Account, Budget};
use duramen_runtime::{Clock, Workers};
use duramen_syntax::Expr;

use crate::answer::Answer;
use crate::engine::prepared::{Evaluated, on_workers};
use crate::engine::query::Query;
use crate::engine::resources::Resources;
use crate::error::Error;
use crate::explain::PlanNode;
use crate::times::QueryTimes;

pub use config::{EngineConfig, Features};
pub use context::{QueryContext, QueryLimits};
pub use prepared::PreparedQuery;

/// Evaluates queries. Cheap to clone.
///
/// A query ends when its future is dropped. Each task that it started ends at its next check for
/// cancellation.
#[derive(Clone, Debug)]
pub struct Engine {
    resources: Resources,
}

impl Engine {
    /// Creates an engine. `clock` only measures durations; an answer does not depend on it.
    pub fn new(config: EngineConfig, clock: Arc<dyn Clock>) -> Self {
        Self {
            resources: Resources {
                config: Arc::new(config),
                clock,
                workers: Workers::default(),
                memory: Account::unbounded(),
                tenant: None,
                text: Arc::from(""),
                regexes: Arc::default(),
            },
        }
    }

    /// Makes queries read and compute on `workers`, and not in the task that awaits the answer.
    #[must_use]
    pub fn on(mut self, workers: Workers) -> Self {
        self.resources.workers = workers;
        self
    }

    /// Makes each query reserve its memory in `memory`, the account of the process.
    #[must_use]
    pub fn within(mut self, memory: Arc<Account>) -> Self {
        self.resources.memory = memory;
        self
    }

    /// Returns an engine for queries of the tenant with this budget. It must be within the account
    /// of [`Engine::within`].
    #[must_use]
    pub fn of_tenant(&self, budget: Budget) -> Self {
        let mut engine = self.clone();
        engine.resources.tenant = Some(budget);
        engine
    }

    /// Returns the account in which queries reserve their memory.
    pub const fn memory(&self) -> &Arc<Account> {
        &self.resources.memory
    }

    /// Returns an engine for trees that were parsed from `text`. The annotations of an answer then
    /// name line and column. Without `text`, the whole query counts as one line.
    #[must_use]
    pub fn with_text(&self, text: &str) -> Self {
        let mut engine = self.clone();
        engine.resources.text = Arc::from(text);
        engine
    }

    /// Returns an engine for a request that shares the compiled regexes in `regexes`. They may
    /// include regexes that are not in a selector.
    #[must_use]
    pub fn with_regexes(&self, regexes: Arc<Regexes>) -> Self {
        let mut engine = self.clone();
        engine.resources.regexes = regexes;
        engine
    }

    /// Evaluates at one time.
    ///
    /// # Errors
    /// See [`Error`]. There are no partial answers.
    pub async fn instant(
        &self,
        context: &QueryContext,
        expr: &Expr,
        time_ms: i64,
    ) -> Result<Answer, Error> {
        self.range(context, expr, QueryTimes::at(time_ms)).await
    }

    /// Evaluates at each of `times`. Over a range, a scalar becomes one series without labels. If
    /// `times` is a single time, this is [`Engine::instant`].
    ///
    /// # Errors
    /// See [`Error`]. `Invalid` for range vectors and strings over a range.
    pub async fn range(
        &self,
        context: &QueryContext,
        expr: &Expr,
        times: QueryTimes,
    ) -> Result<Answer, Error> {
        let evaluated = self.evaluate(context, expr, times).await?;
        Ok(evaluated.into_answer())
    }

    /// Plans a query and makes the context that it runs in. No sample is read.
    ///
    /// # Errors
    /// The errors of the query itself that occur before samples are read.
    pub async fn prepare(
        &self,
        context: &QueryContext,
        expr: &Expr,
        times: QueryTimes,
    ) -> Result<PreparedQuery, Error> {
        let query = Query::begin(&self.resources, context, times).await?;
        query.prepare(expr)
    }

    /// Returns the operators that [`Engine::instant`] or [`Engine::range`] would run at these
    /// times. `None` for a string, which needs no operators.
    ///
    /// # Errors
    /// The errors of the query itself that occur before samples are read.
    pub async fn explain(
        &self,
        context: &QueryContext,
        expr: &Expr,
        times: QueryTimes,
    ) -> Result<Option<PlanNode>, Error> {
        Ok(self.prepare(context, expr, times).await?.explain())
    }

    /// Evaluates, and also returns what each operator did.
    ///
    /// # Errors
    /// The errors of [`Engine::instant`] and [`Engine::range`].
    pub async fn analyze(
        &self,
        context: &QueryContext,
        expr: &Expr,
        times: QueryTimes,
    ) -> Result<(Answer, Option<PlanNode>), Error> {
        let evaluated = self.evaluate(context, expr, times).await?;
        let plan = evaluated.explain();

        Ok((evaluated.into_answer(), plan))
    }

    /// Plans and evaluates in a task of the workers.
    async fn evaluate(
        &self,
        context: &QueryContext,
        expr: &Expr,
        times: QueryTimes,
    ) -> Result<Evaluated, Error> {
        let query = Query::begin(&self.resources, context, times).await?;
        let _given_up = query.cancellation.on_drop();
        let expr = expr.clone();

        let work = Box::pin(async move { query.prepare(&expr)?.evaluate_here().await });
        on_workers(&self.resources.workers, work).await
    }
}
