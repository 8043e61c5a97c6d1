//! The open blocks of a process.

use std::sync::{Arc, OnceLock, Weak};

use duramen_block::{
    Block, BlockSource, ExtentCache, Fetcher, GetCost, Hedges, MatchedPool, OpenOptions,
    SERIES_FILE, SeriesIndexPool,
};
use duramen_bucket::{Bucket, keys};
use duramen_cache::DiskCache;
use duramen_metrics::Registry;
use duramen_model::{BlockEntry, BlockId, BlockStats, TenantId};
use duramen_qos::Account;
use duramen_runtime::{Flight, Flights};
use duramen_source::{Read, Reads};

use crate::metrics::MemoryTiers;
use crate::open_blocks::OpenBlocks;

/// One in so many parts of the cache is for series indexes. An index of 10,000 series has 3 MiB, so
/// the 512 MiB of a large machine hold those of about 170 blocks, or of 1.7 M series.
const INDEXES_SHARE: usize = 4;
/// One in so many parts of the cache is for answers to matchers. One of 500 series has about 1 KiB.
const MATCHED_SHARE: usize = 32;
/// About what an open block takes beside its `meta`.
const BLOCK_BYTES: u64 = 2 << 10;
/// A decoded `meta` takes this many times its size.
const META_FACTOR: u64 = 2;

/// Opens each block once and keeps it open while it is used. Opening a block takes one trip: one GET
/// of its `meta`, and one of its series file unless that is too large.
#[derive(Debug)]
pub struct Blocks {
    bucket: Bucket,
    options: OpenOptions,
    open: Arc<OpenBlocks>,
    opening: Flights<(TenantId, BlockId), Opened>,
    memory: Arc<Account>,
}

/// A block that was opened for all who wait for it.
#[derive(Clone, Debug)]
struct Opened {
    block: Result<Arc<Block>, Arc<duramen_block::Error>>,
    /// What it cost. It counts for the one who asked first.
    reads: Arc<Reads>,
}

impl Blocks {
    /// `cache_bytes` limits the verified extents, the decoded series indexes and the answers to matchers in memory,
    /// `open_max` the number of open blocks. The memory is drawn from `memory`, which takes it back
    /// when others need it.
    pub fn new(bucket: Bucket, cache_bytes: usize, open_max: usize, memory: Arc<Account>) -> Self {
        let indexes_bytes = cache_bytes / INDEXES_SHARE;
        let matched_bytes = cache_bytes / MATCHED_SHARE;
        let extents_bytes = cache_bytes - indexes_bytes - matched_bytes;
        let cache = Arc::new(ExtentCache::within(extents_bytes, &memory));
        let matched = Arc::new(MatchedPool::within(matched_bytes, &memory));
        let indexes = Arc::new(SeriesIndexPool::within(indexes_bytes, &memory));

        let open = Arc::new(OpenBlocks::within(open_max, &memory));

        // What is cheapest to make again is dropped first.
        let answers: Weak<MatchedPool> = Arc::downgrade(&matched);
        memory.reclaim_from(answers);

        let extents: Weak<ExtentCache> = Arc::downgrade(&cache);
        memory.reclaim_from(extents);

        let decoded: Weak<SeriesIndexPool> = Arc::downgrade(&indexes);
        memory.reclaim_from(decoded);

        let metas: Weak<OpenBlocks> = Arc::downgrade(&open);
        memory.reclaim_from(metas);

        let options = OpenOptions {
            cache: Some(cache),
            indexes: Some(indexes),
            matched: Some(matched),
            ..OpenOptions::default()
        };

        Self {
            bucket,
            options,
            open,
            opening: Flights::default(),
            memory,
        }
    }

    /// The same blocks on a store where a GET costs this. The default is the cost of a local disk.
    #[must_use]
    pub fn at_cost(mut self, cost: GetCost) -> Self {
        self.options.cost = cost;
        self
    }

    /// The same blocks, whose slow GETs are sent once more.
    #[must_use]
    pub fn hedging(mut self, hedges: Hedges) -> Self {
        self.options.fetcher = Arc::new(Fetcher::hedging(hedges));
        self
    }

    /// The one that sends the GETs of all blocks.
    pub const fn fetcher(&self) -> &Arc<Fetcher> {
        &self.options.fetcher
    }

    /// Puts `disk` behind the extents in memory. What is on it needs no request after a restart.
    #[must_use]
    pub fn over(self, disk: Arc<DiskCache>) -> Self {
        if let Some(cache) = &self.options.cache {
            cache.put_over(disk);
        }

        self
    }

    /// Adds the metrics of what is kept in memory to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_collector(MemoryTiers {
            options: self.options.clone(),
            open: Arc::clone(&self.open),
        });
    }

    /// The account that the memory is drawn from.
    pub const fn memory(&self) -> &Arc<Account> {
        &self.memory
    }

    /// Returns the block, and opens it if it is not open. Concurrent calls for one block share its
    /// GETs, which are counted in the `reads` of one of them. One trip, or none.
    pub async fn get(
        &self,
        tenant: TenantId,
        entry: &BlockEntry,
        reads: &Reads,
    ) -> Result<Arc<Block>, Arc<duramen_block::Error>> {
        let bytes = bytes_of(&entry.stats, &self.options.cost);
        let cell = self.open.cell(tenant, entry.id, bytes);

        let (flight, is_first) = match self.flight(tenant, entry, &cell, reads) {
            Ok(opening) => opening,
            Err(block) => {
                reads.add(Read::OpenHits, 1);
                return Ok(block);
            }
        };

        let stopped = || duramen_block::Error::stopped(keys::block(tenant, entry));
        let opened = flight.await.ok_or_else(stopped)?;
        if is_first {
            reads.add_all(&opened.reads);
        }

        if let Ok(block) = &opened.block {
            let _ = cell.set(Arc::clone(block));
        }

        opened.block
    }

    /// Returns what opens the block, and whether this call has started it. `Err` is the block, if it
    /// is open.
    fn flight(
        &self,
        tenant: TenantId,
        entry: &BlockEntry,
        cell: &Arc<OnceLock<Arc<Block>>>,
        reads: &Reads,
    ) -> Result<(Flight<Opened>, bool), Arc<Block>> {
        let key = (tenant, entry.id);
        let mut board = self.opening.board();

        // A flight leaves the board after the block is in the cell, so the board comes first.
        if let Some(flight) = board.find(&key) {
            return Ok((flight, false));
        }

        if let Some(block) = cell.get() {
            return Err(Arc::clone(block));
        }

        let work = self.opened(tenant, entry.clone(), Arc::clone(cell), reads.part());
        Ok((self.opening.start(&mut board, vec![key], work), true))
    }

    /// Opens the block and puts it into `cell`.
    fn opened(
        &self,
        tenant: TenantId,
        entry: BlockEntry,
        cell: Arc<OnceLock<Arc<Block>>>,
        reads: Reads,
    ) -> impl Future<Output = Opened> + Send + 'static {
        let store = self.bucket.store();
        let options = self.options.clone();
        let reads = Arc::new(reads);

        async move {
            let directory = keys::block(tenant, &entry);
            let block = Block::open(store, directory, &entry.stats, options, &reads).await;
            if let Ok(block) = &block {
                let _ = cell.set(Arc::clone(block));
            }

            Opened {
                block: block.map_err(Arc::new),
                reads,
            }
        }
    }

    /// Returns the block as a source of series. Opens it as [`Blocks::get`] does.
    pub async fn source(
        &self,
        tenant: TenantId,
        entry: &BlockEntry,
        reads: &Reads,
    ) -> Result<BlockSource, duramen_source::Error> {
        let opened = self.get(tenant, entry, reads).await;
        let block = opened.map_err(|error| error.shared_of_block(&keys::block(tenant, entry)))?;

        Ok(BlockSource::new(block))
    }
}

/// Estimates the memory of an open block before it is read. A series file that comes along is held
/// until the first selection.
fn bytes_of(stats: &BlockStats, cost: &GetCost) -> usize {
    let series = stats.files.iter().find(|file| file.name == SERIES_FILE);
    let along = series
        .map_or(0, |file| file.bytes)
        .min(cost.prefetch_bytes_max);

    let meta = stats.meta_bytes.saturating_mul(META_FACTOR);
    let bytes = meta.saturating_add(along).saturating_add(BLOCK_BYTES);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
