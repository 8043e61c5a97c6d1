//! The ingester: it turns requests into durable and readable samples, and samples into blocks.
//!
//! The input is the bodies of remote write and requests that other protocols build; at the start,
//! also the records of the log. The output is reports to senders, snapshots of heads for queries
//! (`duramen_source::Heads`), and blocks in the bucket with an edit of the manifest.
//!
//! The life of a write, in the order of the files:
//!
//! - `intake.rs`: the steps that need no head: memory (`permit.rs`), decompress, decode, pairs of
//!   equal senders (`intake/ha.rs`), the tenant's rate. Yields a [`GatedWrite`].
//! - `heads.rs`: finds or creates the tenant's head (`quarantine.rs`: if its manifest cannot be
//!   used).
//! - `admit.rs`: finds the series of the request in the head's registry and decides which samples
//!   may be stored. Each part that may not is a `rejection.rs`. `seen.rs`: the time for the checks.
//! - `commit.rs`: the one thread that logs, syncs, applies and acknowledges.
//! - `head.rs`: the samples and series in memory; `memory.rs`: their part of the process's memory.
//! - `ingester.rs`: the handle, which takes a write through all of this; `report.rs`: its result.
//!
//! The life of a generation: *open* (takes samples), *frozen* (ended at a position of the log),
//! *staged* (blocks on the local disk), *committed* (named by the manifest):
//!
//! - `schedule.rs`: when a head is flushed; `order.rs`: the order of generations.
//! - `flush.rs`: from frozen to committed; `flusher.rs`: the parts that it uses; `block_builder.rs`
//!   and `windows.rs`: the blocks of a generation. `duramen_blocks` stages and publishes them.
//! - `rebuild.rs`: builds damaged staged blocks again from the log; `logged.rs`: a record as rows;
//!   `references.rs`: the series that records refer to.
//! - `deletion.rs`: deletes samples of all of these.
//! - `room.rs`: the space that the log leaves free on its disk.
//!
//! At the start, `start.rs` puts the parts together and replays the log; `progress.rs` tells how
//! far it is.

mod admit;
mod block_builder;
mod commit;
mod config;
mod deletion;
mod error;
mod flush;
mod flusher;
mod head;
mod heads;
mod ingester;
mod intake;
mod logged;
mod memory;
mod metrics;
mod order;
mod permit;
mod progress;
mod quarantine;
mod rebuild;
mod references;
mod rejection;
mod report;
mod room;
mod schedule;
mod seen;
mod snapshots;
mod start;
mod tenants;
mod windows;

pub use admit::TS_MS_MIN;
pub use config::Config;
pub use error::Error;
pub use flush::FlushReport;
pub use head::Kept;
pub use ingester::Ingester;
pub use intake::{
    DecodedWrite, Duplicates, GatedWrite, Intake, IntakeParts, RequestLimit, TenantIntake,
    WriteBody,
};
pub use metrics::Metrics;
pub use permit::MemoryPermit;
pub use progress::ReplayProgress;
pub use rejection::{Lost, Reason, Rejections};
pub use report::WriteReport;
pub use snapshots::SnapshotBlocks;
pub use start::{Parts, StartReport};
pub use tenants::{NotCloned, Remains};
pub use windows::FLUSH_BLOCKS_MAX;
