//! Tests the promises of the write-ahead log on a disk that forgets unsynced bytes.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a fault in a helper of a test is a failure of the test"
)]

mod crash;
mod damage;
mod durability;
mod faults;
mod files;
mod golden;
mod reread;
mod round_trip;
mod support;
