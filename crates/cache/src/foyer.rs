//! An engine of the library `foyer`: regions on the disk, each with many entries.
//!
//! The library drops a whole region to make room, the oldest first. Entries that were used since
//! they were written are written again. It checks entries by checksums of its own.

use std::io;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};

use ::foyer::{
    BlockEngineConfig, DeviceBuilder, Error, FsDeviceBuilder, HybridCache, HybridCacheBuilder,
    HybridCachePolicy, Load, PsyncIoEngineConfig, Statistics, StorageFilter,
    StorageFilterCondition, StorageFilterResult,
};
use async_trait::async_trait;
use bytes::Bytes;
use duramen_qos::{Account, Share, Use};
use duramen_runtime::Disk;
use futures::FutureExt;
use futures::future::join_all;

use crate::engine::{Engine, Found, Held};
use crate::key::Digest;
use crate::options::Options;

/// The largest region. The library goes wrong with larger ones.
const REGION_BYTES_MAX: u64 = 64 << 20;
/// A cache has at least so many regions, or else dropping one of them drops much.
const REGIONS_MIN: u64 = 16;
/// Sizes are multiples of this.
const PAGE: u64 = 4096;
/// Each of two buffers in which entries are collected before they are written.
const BUFFER_BYTES: usize = 4 << 20;
/// Entries are about this large, for the estimate of the index.
const ENTRY_BYTES: u64 = 16 << 10;
/// About what the library's index takes for an entry.
const SLOT_BYTES: u64 = 96;

/// Entries in the regions of `foyer`.
#[derive(Debug)]
pub struct Foyer {
    cache: HybridCache<u128, Bytes>,
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    options: Options,
    uses: Arc<Uses>,
    inserted: AtomicU64,
    memory: Share,
}

/// Which entries were used since they were written. An entry has one place, by its hash, and leaves
/// a mark of its own there. So an entry takes the mark of another away only if both were used.
#[derive(Debug)]
struct Uses {
    marks: Vec<AtomicU16>,
    evictions: AtomicU64,
}

/// Lets entries that were used be written again when their region goes.
#[derive(Debug)]
struct Again(Arc<Uses>);

/// Names the form of the folder. A cache of another size has other regions.
pub(crate) fn form(options: &Options) -> String {
    format!("foyer 0.22 {} {}", region_bytes(options), regions(options))
}

const fn region_bytes(options: &Options) -> u64 {
    let part = options.disk_bytes_max / REGIONS_MIN;
    let bytes = if part < REGION_BYTES_MAX {
        part
    } else {
        REGION_BYTES_MAX
    };

    let pages = bytes / PAGE;
    (if pages == 0 { 1 } else { pages }) * PAGE
}

const fn regions(options: &Options) -> u64 {
    options.disk_bytes_max / region_bytes(options)
}

impl Foyer {
    /// Opens the folder with what an earlier process left in it.
    pub async fn open(
        disk: Arc<dyn Disk>,
        folder: &Path,
        options: Options,
        memory: &Arc<Account>,
    ) -> io::Result<Self> {
        let size = |bytes: u64| usize::try_from(bytes).map_err(io::Error::other);
        let region_bytes = size(region_bytes(&options))?;
        let entries = options.disk_bytes_max / ENTRY_BYTES;
        let uses = Arc::new(Uses::new(size(entries)?));

        let device = FsDeviceBuilder::new(folder)
            .with_capacity(region_bytes.saturating_mul(size(regions(&options))?))
            .build()
            .map_err(io_error)?;

        let engine = BlockEngineConfig::new(device)
            .with_block_size(region_bytes)
            .with_buffer_pool_size(BUFFER_BYTES)
            .with_recover_concurrency(2)
            .with_reinsertion_filter(StorageFilter::new().with_condition(Again(Arc::clone(&uses))));

        // The library insists on a cache in memory. It gets one without room.
        let cache = HybridCacheBuilder::new()
            .with_name("duramen")
            .with_policy(HybridCachePolicy::WriteOnInsertion)
            .with_flush_on_close(false)
            .memory(1)
            .with_shards(1)
            .storage()
            .with_io_engine_config(PsyncIoEngineConfig::new())
            .with_engine_config(engine)
            .build()
            .await
            .map_err(io_error)?;

        let mut share = memory.share(Use::Cache);
        share.set(2 * BUFFER_BYTES + size(entries * SLOT_BYTES)?);

        Ok(Self {
            cache,
            disk,
            folder: folder.to_path_buf(),
            options,
            uses,
            inserted: AtomicU64::new(0),
            memory: share,
        })
    }

    async fn find(&self, digest: Digest) -> Found {
        let was_here = self.contains(digest);
        let load = AssertUnwindSafe(self.cache.storage().load(&digest.0)).catch_unwind();

        let found = match load.await {
            Ok(Ok(Load::Entry { value, .. })) => Found::Entry(value),
            Ok(Ok(Load::Piece { piece, .. })) => Found::Entry(piece.value().clone()),
            // The library has removed it from its index. It was evicted meanwhile, or it is
            // damaged.
            Ok(Ok(Load::Miss)) if was_here => Found::Damaged,
            Ok(Ok(Load::Miss | Load::Throttled)) => Found::Absent,
            Ok(Err(error)) => match os_error(&error) {
                Some(error) => Found::Failed(error),
                None => Found::Damaged,
            },
            Err(_) => Found::Damaged,
        };

        if matches!(found, Found::Entry(_)) {
            self.touch(digest);
        }

        found
    }
}

#[async_trait]
impl Engine for Foyer {
    async fn get(&self, digests: &[Digest]) -> Vec<Found> {
        join_all(digests.iter().map(|digest| self.find(*digest))).await
    }

    async fn insert(&self, entries: Vec<(Digest, Bytes)>) -> io::Result<()> {
        // The library writes a failure to the log only, and loses its buffers with some of them.
        let free = self.disk.space(&self.folder)?.free;
        if free < self.options.free_bytes_min {
            return Err(io::ErrorKind::StorageFull.into());
        }

        let digests: Vec<Digest> = entries.iter().map(|(digest, _)| *digest).collect();
        for (digest, bytes) in entries {
            self.cache.storage_writer(digest.0).force().insert(bytes);
        }

        self.cache.storage().wait().await;

        let written = digests
            .iter()
            .filter(|digest| self.contains(**digest))
            .count();
        self.inserted.fetch_add(written as u64, Relaxed);

        if written == 0 && !digests.is_empty() {
            return Err(io::Error::other("no entry was written"));
        }

        Ok(())
    }

    async fn remove(&self, digest: Digest) {
        self.cache.storage().delete(&digest.0);
        self.cache.storage().wait().await;
    }

    fn contains(&self, digest: Digest) -> bool {
        self.cache.storage().may_contains(&digest.0)
    }

    fn touch(&self, digest: Digest) {
        self.uses.mark(self.cache.memory().hash(&digest.0));
    }

    fn held(&self) -> Held {
        let evictions = self.uses.evictions.load(Relaxed);
        Held {
            // The library does not tell. What an earlier process left is not counted.
            entries: self.inserted.load(Relaxed).saturating_sub(evictions),
            disk_bytes: region_bytes(&self.options) * regions(&self.options),
            memory_bytes: self.memory.bytes() as u64,
            evictions,
        }
    }

    async fn close(&self) {
        if let Err(error) = self.cache.close().await {
            tracing::warn!(%error, "the disk cache was not closed");
        }
    }
}

impl Uses {
    /// Places for `entries`, so many that few entries share one.
    fn new(entries: usize) -> Self {
        let places = (2 * entries).next_power_of_two();
        Self {
            marks: (0..places).map(|_| AtomicU16::new(0)).collect(),
            evictions: AtomicU64::new(0),
        }
    }

    /// The place of an entry, and its mark, which is never 0.
    fn place(&self, hash: u64) -> (&AtomicU16, u16) {
        let place = usize::try_from(hash % self.marks.len() as u64).unwrap_or(0);
        let mark = u16::try_from(hash >> 48).unwrap_or(0) | 1;
        (&self.marks[place], mark)
    }

    fn mark(&self, hash: u64) {
        let (place, mark) = self.place(hash);
        place.store(mark, Relaxed);
    }

    /// Whether the entry was used. Takes its mark away.
    fn take(&self, hash: u64) -> bool {
        let (place, mark) = self.place(hash);
        place.compare_exchange(mark, 0, Relaxed, Relaxed).is_ok()
    }
}

impl StorageFilterCondition for Again {
    fn filter(&self, _: &Arc<Statistics>, hash: u64, _: usize) -> StorageFilterResult {
        let Self(uses) = self;
        if uses.take(hash) {
            return StorageFilterResult::Admit;
        }

        uses.evictions.fetch_add(1, Relaxed);
        StorageFilterResult::Reject
    }
}

/// The error of the system behind an error of the library.
fn os_error(error: &Error) -> Option<io::Error> {
    let code = error.downcast_ref::<io::Error>()?.raw_os_error()?;
    Some(io::Error::from_raw_os_error(code))
}

fn io_error(error: Error) -> io::Error {
    os_error(&error).unwrap_or_else(|| io::Error::other(error))
}
