//! Blocks through files and object stores.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a helper that fails fails its test, and figures are for people"
)]

mod bad_answers;
mod batches;
mod contents;
mod cost;
mod damage;
mod disk;
mod duckdb;
mod fixture;
mod golden;
mod huge;
mod indexes;
mod order;
mod pieces;
mod presence;
mod rollups;
mod round_trip;
mod select;
mod series_file;
mod siblings;
mod trips;
