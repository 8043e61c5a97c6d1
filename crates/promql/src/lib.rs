//! PromQL planned and executed over any series source; knows no storage.
//!
//! A syntax tree becomes a typed logical plan (`plan`), that becomes a tree of operators (`exec`),
//! each an `ExecutionPlan` of DataFusion, which pass Arrow batches in the vector form: one row is
//! one series, one cell is one step. The arithmetic is in `kernels`. What is not supported yet is
//! refused by name before anything is read; a wrong answer is worse than none.

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
pub use engine::{Engine, EngineConfig, Features, QueryContext, QueryLimits};
pub use error::Error;
pub use explain::PlanNode;
pub use stats::{QueryStats, QueryTimings, Work};
pub use times::QueryTimes;
