//! The engine through its public face.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a helper that fails fails its test"
)]

mod compliance;
mod engine;
mod features;
mod lives;
mod plans;
mod promqltest;
mod random;
mod sources;
mod stack;
