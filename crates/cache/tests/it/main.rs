//! Tests the promises of the disk cache. Those that hold for every engine run on each of them.
#![expect(
    clippy::unwrap_used,
    reason = "a fault in a helper of a test is a failure of the test"
)]

mod damage;
mod engines;
mod faults;
mod folder;
mod queue;
mod support;
