//! Upstream's PromQL test scripts, read and run against the engine over each kind of storage.
//!
//! A [`Script`] is read as a whole before anything runs, so that a malformed line is a
//! [`ScriptError`] and never half an answer. [`run`] plays it in one [`Mode`]; every `eval` is one
//! that passed or a [`Failure`] that tells the difference.

mod compare;
mod eval;
mod histogram;
mod item;
mod judge;
mod load;
mod nhcb;
mod reruns;
mod run;
mod script;
mod sequence;
mod series;
mod start_times;
mod store;

pub use load::{LoadedSample, LoadedSeries, LoadedValue};
pub use run::{Failure, Report, features_of, run};
pub use script::{Script, ScriptError};
pub use store::{Mode, Store};
