//! PromQL planned and executed over any series source; knows no storage.
//!
//! In: a syntax tree (`duramen-syntax`), the times of the query, and a source of series. Out: an
//! [`Answer`], or the operators to be run elsewhere ([`PreparedQuery`]). What is not supported yet is
//! refused by name before anything is read; a wrong answer is worse than none.
//!
//! In the order of a query, each reads those below it and none above:
//!
//! - `engine`: the door. [`Engine`] plans a query, makes the context that it runs in, and turns what
//!   comes out into an answer (`answer`, `stats`, `explain`, `error`).
//! - `exec`: the logical plan becomes a tree of operators, each an `ExecutionPlan` of DataFusion.
//!   They pass Arrow batches in the vector form (`vector`): one row is one series, one cell is one
//!   step.
//! - `plan`: a syntax tree becomes a typed logical plan.
//! - `kernels`: the arithmetic.
//!
//! Below all of them: `times` and `grid` (when a query is evaluated), `label_set` and `name_removal`
//! (the labels of results), `annotation` (the warnings and infos of an answer).

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
pub use stats::{QueryStats, QueryTimings, Work};
pub use times::QueryTimes;
