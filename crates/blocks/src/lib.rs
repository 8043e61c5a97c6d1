//! Operations on whole blocks, for writers and readers.
//!
//! The stages of a block:
//!
//! - written: by a [`duramen_block::BlockWriter`].
//! - staged: complete on a local disk, and readable there.
//! - uploaded: all its files are in the bucket.
//! - committed: the manifest names it.
//! - opened: by a reader.
//!
//! The files:
//!
//! - [`staged`]: the directory for staged blocks, and a staged block as a source of series.
//! - `verify`: compares the bytes of a staged block with its checksums while they are uploaded.
//! - [`publish`]: uploads a block, `meta` last, and commits a flush.
//! - [`open`]: opens blocks, with the caches of a process. `open_blocks`: which ones stay open.
//!   `metrics`: what these count.
//! - [`merge()`]: makes one output of several blocks, or writes one block again.
//! - [`audit()`]: reads all of a block and names the first fault.
//! - [`import_window`]: makes blocks of the blocks of a Prometheus TSDB.
//! - [`local`]: blocks in local folders, outside of a store.
//! - [`metadata`]: finds the blocks with the newest metric families, and reads them.

mod audit;
mod disk_store;
pub mod error;
mod import;
pub mod local;
pub mod merge;
pub mod metadata;
mod metrics;
pub mod open;
mod open_blocks;
pub mod publish;
pub mod staged;
mod verify;

pub use audit::{Audited, audit};
pub use duramen_block::{GetCost, HedgeMetrics, Hedges};
pub use error::Error;
pub use import::{ImportReport, import_window, import_windows};
pub use merge::{
    MergeInput, MergeOptions, MergeReport, MergeTask, Merged, MergedBlock, RollupInput, RollupTask,
    holds_deleted, merge, merge_into, merge_rollups,
};
pub use open::Blocks;
pub use publish::{MemoryBlock, Publisher};
pub use staged::{StagedBlock, Staging, StagingDir};
