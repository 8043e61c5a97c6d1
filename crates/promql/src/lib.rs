//! Plans PromQL queries and executes them over any series source. It does not depend on storage.
//!
//! In: a syntax tree (`duramen-syntax`), the times of the query, and a source of series. Out: an
//! [`Answer`], or operators that the caller runs elsewhere ([`PreparedQuery`]). An unsupported
//! expression is refused by name before any sample is read, because a wrong answer is worse than
//! none.
//!
//! The modules in the order of a query. Each uses those below it and none above it:
//!
//! - `engine`: the entry. [`Engine`] plans a query, makes the context that it runs in, and turns
//!   the results into an answer (`answer`, `stats`, `explain`, `error`).
//! - `exec`: turns the logical plan into a tree of operators. Each is an `ExecutionPlan` of
//!   DataFusion. They exchange Arrow batches in the vector form (`vector`): a row is a series, a
//!   cell is a step.
//! - `plan`: turns a syntax tree into a typed logical plan.
//! - `kernels`: the arithmetic.
//!
//! All of them use `times` and `grid` (when a query is evaluated), `label_set` and `name_removal`
//! (the labels of results), and `annotation` (the warnings and infos of an answer).

mod annotation;
mod answer;
mod engine;
mod error;
mod exec;
mod explain;
mod grid;
mod kernels;
mod label_set;
mod name_removal;
mod plan;
mod stats;
mod times;
mod vector;

pub use answer::{Answer, AnswerMemory, InstantSeries, RangeSeries, SampleValue, Value};
pub use engine::{Engine, EngineConfig, Features, PreparedQuery, QueryContext, QueryLimits};
pub use error::Error;
pub use explain::PlanNode;
pub use plan::rollup::{RollupChoice, RollupPolicy};
pub use stats::{QueryStats, QueryTimings, Work};
pub use times::QueryTimes;
