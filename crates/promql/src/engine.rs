//! The engine: a tree and times in, an answer out.
//!
//! In the order of a query:
//!
//! - [`config`], [`context`], [`resources`]: what a query may use, and whose series it is about.
//! - [`query`]: a query that was asked, with its memory ([`memory`]).
//! - [`planned`]: its operators, and what is to become of what they make.
//! - [`prepared`]: the operators with the context that they run in; evaluated there.
//! - [`value`]: what they made, as an answer has it.

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
use duramen_qos::Account;
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
/// A query ends when its future is dropped, with every task that it started, as soon as each comes
/// to ask whether it is still wanted.
#[derive(Clone, Debug)]
pub struct Engine {
    resources: Resources,
}

impl Engine {
    /// `clock` measures how long things take; an answer does not depend on it.
    pub fn new(config: EngineConfig, clock: Arc<dyn Clock>) -> Self {
        Self {
            resources: Resources {
                config: Arc::new(config),
                clock,
                workers: Workers::default(),
                memory: Account::unbounded(),
                text: Arc::from(""),
                regexes: Arc::default(),
            },
        }
    }

    /// This engine with `workers` that read and compute. Whoever waits for an answer does neither.
    #[must_use]
    pub fn on(mut self, workers: Workers) -> Self {
        self.resources.workers = workers;
        self
    }

    /// This engine with the account of the process, of which each query takes what it holds.
    #[must_use]
    pub fn within(mut self, memory: Arc<Account>) -> Self {
        self.resources.memory = memory;
        self
    }

    /// The account that queries draw from.
    pub const fn memory(&self) -> &Arc<Account> {
        &self.resources.memory
    }

    /// This engine for trees that were parsed from `text`: the annotations of an answer then say
    /// line and column. Otherwise the whole text counts as one line.
    #[must_use]
    pub fn with_text(&self, text: &str) -> Self {
        let mut engine = self.clone();
        engine.resources.text = Arc::from(text);
        engine
    }

    /// This engine for a request whose regexes `regexes` has read, or will: those that no selector
    /// has, too.
    #[must_use]
    pub fn with_regexes(&self, regexes: Arc<Regexes>) -> Self {
        let mut engine = self.clone();
        engine.resources.regexes = regexes;
        engine
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
        let evaluated = self.evaluate(context, expr, times).await?;
        Ok(evaluated.into_answer())
    }

    /// Plans a query and makes the context that it runs in. No sample is read.
    ///
    /// # Errors
    /// As the query itself, before it reads samples.
    pub async fn prepare(
        &self,
        context: &QueryContext,
        expr: &Expr,
        times: QueryTimes,
    ) -> Result<PreparedQuery, Error> {
        let query = Query::begin(&self.resources, context, times).await?;
        query.prepare(expr)
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
        Ok(self.prepare(context, expr, times).await?.explain())
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
