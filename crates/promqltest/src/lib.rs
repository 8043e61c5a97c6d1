//! For tests only: runs upstream's PromQL test scripts against the engine over each kind of
//! storage. It also has a naive evaluator of PromQL, and random data and expressions for both.
//!
//! - A script is text. `script` reads the whole of it before anything runs, so a malformed line
//!   gives a [`ScriptError`] and never half of an answer. `load` reads the samples (`series`,
//!   `sequence`, `histogram`, `nhcb`, `start_times`), `eval` the queries and expected answers.
//! - [`run`] runs it in one [`Mode`] of `store`. `reruns` lists the ways in which each query is
//!   evaluated; `judge` compares each answer with the expected one (`compare`). The result is a
//!   [`Report`] with a [`Failure`] for each difference.
//! - [`mod@reference`] evaluates a query by recursion, over samples in a list. [`random`] makes
//!   worlds and expressions. The tests compare both engines on them.

mod compare;
mod eval;
mod histogram;
mod item;
mod judge;
mod line;
mod load;
mod nhcb;
mod number;
pub mod random;
pub mod reference;
mod reruns;
mod run;
mod script;
mod sequence;
mod series;
mod start_times;
mod store;

pub use line::ScriptError;
pub use load::{LoadedSample, LoadedSeries, LoadedValue};
pub use run::{Failure, Report, features_of, run};
pub use script::Script;
pub use store::{Mode, Store};
