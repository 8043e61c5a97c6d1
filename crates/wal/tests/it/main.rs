//! What the write-ahead log promises, on a disk that forgets what was not synced.
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
