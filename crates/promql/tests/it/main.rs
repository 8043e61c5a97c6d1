//! Tests of the engine through its public interface.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a helper that fails fails its test, and what is wrong is printed"
)]

mod cancelled;
mod compliance;
mod engine;
mod features;
mod hostile;
mod lives;
mod plans;
mod prepared;
mod promqltest;
mod random;
mod rules;
mod sources;
mod stack;
mod surprises;
mod upstream;
