//! Tests of the script runner, and of the engine against a naive evaluator.

mod promqltest;
mod reference;
