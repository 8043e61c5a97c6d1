//! The open blocks of a process.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};

use duramen_block::{
    Block, BlockSource, ExtentCache, Fetcher, GetCost, Hedges, MatchedPool, OpenOptions,
    SERIES_FILE, SeriesIndexPool, TierCounts,
};
use duramen_bucket::{Bucket, keys};
use duramen_cache::DiskCache;
use duramen_metrics::Registry;
use duramen_model::{BlockEntry, BlockId, BlockStats, TenantId};
use duramen_qos::{Account, Reclaim, Share, Use};
use duramen_runtime::{Flight, Flights};
use duramen_source::{Read, Reads};
use parking_lot::Mutex;

use crate::metrics::MemoryTiers;

/// One in so many parts of the cache is for series indexes. An index of 10,000 series has 3 MiB, so
/// 256 MiB hold those of about 85 blocks.
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

/// The open blocks, by tenant and id. Their number is limited; the least recently used are dropped
/// first.
#[derive(Debug)]
pub(crate) struct OpenBlocks {
    state: Mutex<Open>,
    open_max: usize,
}

#[derive(Debug)]
struct Open {
    blocks: HashMap<(TenantId, BlockId), OpenBlock>,
    uses: u64,
    counts: TierCounts,
    /// The memory of the open blocks.
    share: Share,
}

#[derive(Debug)]
struct OpenBlock {
    cell: Arc<OnceLock<Arc<Block>>>,
    used: u64,
    bytes: usize,
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

        let state = Open {
            blocks: HashMap::new(),
            uses: 0,
            counts: TierCounts::default(),
            share: memory.share(Use::Cache),
        };

        let open = Arc::new(OpenBlocks {
            state: Mutex::new(state),
            open_max,
        });

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

impl OpenBlocks {
    pub(crate) fn counts(&self) -> TierCounts {
        self.state.lock().counts
    }

    /// How much memory the open blocks are counted for.
    pub(crate) fn bytes(&self) -> usize {
        self.state.lock().share.bytes()
    }

    fn cell(&self, tenant: TenantId, block: BlockId, bytes: usize) -> Arc<OnceLock<Arc<Block>>> {
        let mut open = self.state.lock();
        open.uses += 1;

        let used = open.uses;
        if let Some(known) = open.blocks.get_mut(&(tenant, block)) {
            known.used = used;
            let cell = Arc::clone(&known.cell);

            match cell.get() {
                Some(_) => open.counts.hits += 1,
                None => open.counts.misses += 1,
            }

            return cell;
        }

        open.counts.misses += 1;

        if open.blocks.len() >= self.open_max {
            open.drop_older_half();
        }

        if open.share.grow(bytes).is_err() {
            open.drop_older_half();

            // A query needs the block open in any case. So it is kept even if the account gives no
            // memory.
            let reserved = open.share.bytes();
            open.share.set(reserved.saturating_add(bytes));
        }

        let cell = Arc::new(OnceLock::new());
        open.blocks.insert(
            (tenant, block),
            OpenBlock {
                cell: Arc::clone(&cell),
                used,
                bytes,
            },
        );

        cell
    }
}

impl Reclaim for OpenBlocks {
    fn reclaim(&self, bytes: usize) {
        let mut open = self.state.lock();
        let mut given = 0;

        while given < bytes && !open.blocks.is_empty() {
            given += open.drop_older_half();
        }
    }
}

impl Open {
    /// Drops the half of the blocks that was not used for longest. Returns how much memory they
    /// had. It drops many at once, because a scan of all blocks for each new one would cost more.
    fn drop_older_half(&mut self) -> usize {
        let mut uses: Vec<u64> = self.blocks.values().map(|block| block.used).collect();
        uses.sort_unstable();

        let Some(&median) = uses.get(uses.len() / 2) else {
            return 0;
        };

        let before = self.blocks.len();
        let mut dropped = 0;

        self.blocks.retain(|_, block| {
            let stays = block.used > median;
            dropped += if stays { 0 } else { block.bytes };
            stays
        });

        self.counts.evicted += (before - self.blocks.len()) as u64;

        self.share.shrink(dropped);
        dropped
    }
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;

    fn opened(blocks: usize, memory: &Arc<Account>) -> OpenBlocks {
        let state = Open {
            blocks: HashMap::new(),
            uses: 0,
            counts: TierCounts::default(),
            share: memory.share(Use::Cache),
        };

        let open = OpenBlocks {
            state: Mutex::new(state),
            open_max: 100,
        };

        for block in 0..blocks {
            open.cell(TenantId(Ulid(1)), BlockId(Ulid(block as u128)), 1000);
        }

        open
    }

    #[test]
    fn the_older_half_of_the_open_blocks_makes_room_for_new_ones() {
        let memory = Account::unbounded();
        let open = opened(101, &memory);

        assert_eq!(open.state.lock().blocks.len(), 50);
        assert_eq!(memory.used_by(Use::Cache), 50 * 1000);
    }

    #[test]
    fn open_blocks_are_in_the_account_and_give_it_back() {
        let memory = Account::new(100_000);
        let open = opened(80, &memory);

        assert!(memory.used_by(Use::Cache) <= memory.mark(Use::Cache));
        assert_eq!(
            open.state.lock().blocks.len() * 1000,
            memory.used_by(Use::Cache)
        );

        open.reclaim(10_000);

        let held = memory.used_by(Use::Cache);
        assert!(
            held <= memory.mark(Use::Cache) - 10_000 && held > 0,
            "{held}"
        );

        open.reclaim(usize::MAX);
        assert_eq!(memory.used_by(Use::Cache), 0);
    }
}
