//! What keeps entries on a disk.

use std::fmt::Debug;
use std::io;

use async_trait::async_trait;
use bytes::Bytes;

use crate::key::Digest;

/// The largest entry. An engine may refuse smaller ones too.
pub const ENTRY_BYTES_MAX: usize = 8 << 20;

/// Keeps entries on a disk, bounded in bytes, over restarts. It may lose any entry at any time, and
/// may return damaged ones: the caller verifies them.
///
/// An entry that is used again stays longer than entries that are used once, in whatever order they
/// come. The folder of an engine belongs to it alone.
#[async_trait]
pub trait Engine: Debug + Send + Sync {
    /// Returns what is known of each digest, in the same order. Threads of the executor do not wait
    /// for the disk.
    async fn get(&self, digests: &[Digest]) -> Vec<Found>;

    /// Adds entries, and drops others to make room for them. An entry that is there already stays.
    ///
    /// # Errors
    /// The disk has no room, or it fails. Then some of the entries are added. `OutOfMemory` if the
    /// account has no memory for the index.
    async fn insert(&self, entries: Vec<(Digest, Bytes)>) -> io::Result<()>;

    /// Drops an entry, which is found no more.
    async fn remove(&self, digest: Digest);

    /// Whether the entry is there. It may be gone or damaged nevertheless.
    fn contains(&self, digest: Digest) -> bool;

    /// Notes that an entry was of use, although nobody read it from the disk.
    fn touch(&self, digest: Digest);

    /// What the engine holds now.
    fn held(&self) -> Held;

    /// Writes out what is not on the disk yet.
    async fn close(&self);
}

/// The answer of [`Engine::get`] for one digest.
#[derive(Debug)]
pub enum Found {
    Entry(Bytes),
    Absent,
    /// The entry was there, and it is gone or cannot be read as it was written.
    Damaged,
    /// The disk fails.
    Failed(io::Error),
}

/// The size of a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub entries: u64,
    pub disk_bytes: u64,
    /// The memory of the index.
    pub memory_bytes: u64,
    /// Entries that were dropped to make room, since the start.
    pub evictions: u64,
}
