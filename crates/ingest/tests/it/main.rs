//! Tests of the ingester with a bucket in memory and a simulated disk.
#![expect(
    clippy::unwrap_used,
    reason = "a fault in a helper of a test is a failure of the test"
)]

mod body;
mod clocks;
mod damage;
mod exemplars;
mod forgetting;
mod full_disk;
mod intake;
mod kinds;
mod late;
mod limits;
mod locks;
mod memory;
mod metadata;
mod moment;
mod presence;
mod quarantine;
mod refusals;
mod replay;
mod siblings;
mod system;
mod tenants;
