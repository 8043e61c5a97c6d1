//! Forms of others: what goes out comes in again, and the tools of each form read it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper that fails fails its test"
)]

mod hostile;
mod limits;
mod round_trips;
mod tools;
mod world;
