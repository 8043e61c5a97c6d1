//! An ingester and the storage that queries read, together.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may panic and print as tests do"
)]

mod acknowledged;
mod deletion;
mod ledger;
mod limits;
mod moment;
mod names;
mod no_gap;
mod outage;
mod past;
mod power_loss;
mod retention;
mod rollups;
mod siblings;
mod system;
mod turnstile;
mod world;
mod year;
