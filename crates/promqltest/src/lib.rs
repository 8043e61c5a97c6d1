//! For tests only: upstream's PromQL test scripts, read and run against the engine over each kind
//! of storage; a naive evaluator of PromQL; random data and expressions for both.
//!
//! - A script is text. `script` reads it as a whole before anything runs, so that a malformed line
//!   is a [`ScriptError`] and never half an answer: `load` what the samples are (`series`,
//!   `sequence`, `histogram`, `nhcb`, `start_times`), `eval` what is asked and expected.
//! - [`run`] plays it in one [`Mode`] of `store`: `reruns` says in which ways each eval is asked,
//!   `judge` whether an answer is the one expected (`compare`). Out comes a [`Report`] with a
//!   [`Failure`] for each that is not.
//! - [`mod@reference`] answers a query by recursion, over samples in a list. [`random`] makes
//!   worlds and expressions; the tests ask both engines.

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
