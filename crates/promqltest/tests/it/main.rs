//! The runner of PromQL scripts, and the engine against a naive evaluator.

mod promqltest;
mod reference;
