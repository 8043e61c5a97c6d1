//! Blocks of a TSDB: what a writer made, what a real Prometheus made, and what nobody should make.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a helper that fails fails its test"
)]

mod hostile;
mod promtool;
mod round_trip;
mod writer;
mod written;
