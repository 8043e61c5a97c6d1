//! The ingester: from a request to samples that are durable and readable, and from there to blocks.
//!
//! In come the bodies of remote write, and requests that other protocols build; at the start, the
//! records of the log. Out go reports to senders, snapshots of heads to queries
//! (`duramen_source::Heads`), and blocks with an edit of the manifest to the bucket.
//!
//! The life of a write, in the order of the files:
//!
//! - `intake.rs`: what needs no head. Room (`permit.rs`), decompress, decode, pairs of equal
//!   senders (`intake/ha.rs`), the tenant's rate. Yields a [`GatedWrite`].
//! - `heads.rs`: the tenant's head, made when the tenant is new (`quarantine.rs`: when its manifest
//!   cannot be used).
//! - `admit.rs`: the series of the request in the head's registry, and which samples may be stored.
//!   What may not is a `rejection.rs`. `seen.rs`: the time that it is judged by.
//! - `commit.rs`: the one thread that logs, syncs, applies and acknowledges.
//! - `head.rs`: what is in memory; `memory.rs`: what it takes of the process's memory.
//! - `ingester.rs`: the handle that takes a write through all of this, `report.rs`: its result.
//!
//! The life of a generation: *open* (takes samples), *frozen* (ended at a position of the log),
//! *staged* (blocks on the local disk), *committed* (named by the manifest):
//!
//! - `schedule.rs`: which heads are flushed when; `order.rs`: which generation is earlier.
//! - `flush.rs`: frozen to committed; `flusher.rs`: what it works with; `block_builder.rs`,
//!   `windows.rs`: which blocks. They are staged and published by `duramen_blocks`.
//! - `rebuild.rs`: damaged staged blocks once more, from the log (`logged.rs`).
//! - `room.rs`: what the log leaves free on its disk.
//!
//! A start: `start.rs` puts the parts together and replays the log.

mod admit;
mod block_builder;
mod commit;
mod config;
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
mod quarantine;
mod rebuild;
mod rejection;
mod report;
mod room;
mod schedule;
mod seen;
mod start;
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
pub use rejection::{Lost, Reason, Rejections};
pub use report::WriteReport;
pub use start::{Parts, StartReport};
pub use windows::FLUSH_BLOCKS_MAX;
