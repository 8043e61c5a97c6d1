//! What is done with whole blocks, by those who write them and those who read them.
//!
//! A block climbs: *written* by a [`duramen_block::BlockWriter`], *staged* (complete on a local disk
//! and read there), *uploaded* (all its files are in the bucket), *committed* (the manifest names
//! it). Then it is *opened* by whoever reads it.
//!
//! - [`staged`]: the directory for blocks on their way, and a block in it as a source of series.
//! - `verify`: the bytes of a staged block against its checksums, as they leave the disk.
//! - [`publish`]: upload, `meta` last, and the commit of a flush.
//! - [`open`]: the open blocks of a process, with their caches.
//! - [`metadata`]: which block has all that its writer knows of metric families, and what it says.

mod disk_store;
pub mod error;
pub mod metadata;
pub mod open;
pub mod publish;
pub mod staged;
mod verify;

pub use error::Error;
pub use open::Blocks;
pub use publish::{MemoryBlock, Publisher};
pub use staged::{StagedBlock, Staging, StagingDir};
