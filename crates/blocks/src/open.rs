//! The open blocks of a process.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use duramen_block::{Block, BlockSource, ExtentCache, OpenOptions, SeriesIndexPool};
use duramen_bucket::{Bucket, keys};
use duramen_model::{BlockEntry, BlockId, BlockStats, TenantId};
use duramen_qos::{Account, Reclaim, Share, Use};
use duramen_source::Reads;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

/// One in so many parts of the cache is for series indexes. An index of 10,000 series has 3 MiB, so
/// 256 MiB hold those of about 85 blocks.
const INDEXES_SHARE: usize = 4;
/// About what an open block takes beside its `meta`.
const BLOCK_BYTES: usize = 2 << 10;
/// A decoded `meta` takes this many times its size.
const META_FACTOR: usize = 2;

/// Opens each block once and keeps it open while it is used. Opening a block reads its `meta` by
/// one GET.
#[derive(Debug)]
pub struct Blocks {
    bucket: Bucket,
    options: OpenOptions,
    open: Arc<OpenBlocks>,
    memory: Arc<Account>,
}

/// The open blocks, by tenant and id. Their number is limited; the least recently used are dropped
/// first.
#[derive(Debug)]
struct OpenBlocks {
    state: Mutex<Open>,
    open_max: usize,
}

#[derive(Debug)]
struct Open {
    blocks: HashMap<(TenantId, BlockId), OpenBlock>,
    uses: u64,
    /// The memory of the open blocks.
    share: Share,
}

#[derive(Debug)]
struct OpenBlock {
    cell: Arc<OnceCell<Arc<Block>>>,
    used: u64,
    bytes: usize,
}

impl Blocks {
    /// `cache_bytes` limits the verified extents and the decoded series indexes in memory,
    /// `open_max` the number of open blocks. The memory is drawn from `memory`, which takes it back
    /// when others need it.
    pub fn new(bucket: Bucket, cache_bytes: usize, open_max: usize, memory: Arc<Account>) -> Self {
        let indexes_bytes = cache_bytes / INDEXES_SHARE;
        let cache = Arc::new(ExtentCache::within(cache_bytes - indexes_bytes, &memory));
        let indexes = Arc::new(SeriesIndexPool::within(indexes_bytes, &memory));

        let state = Open {
            blocks: HashMap::new(),
            uses: 0,
            share: memory.share(Use::Cache),
        };

        let open = Arc::new(OpenBlocks {
            state: Mutex::new(state),
            open_max,
        });

        // What is cheapest to fetch again is dropped first.
        let extents: Weak<ExtentCache> = Arc::downgrade(&cache);
        memory.reclaim_from(extents);

        let decoded: Weak<SeriesIndexPool> = Arc::downgrade(&indexes);
        memory.reclaim_from(decoded);

        let metas: Weak<OpenBlocks> = Arc::downgrade(&open);
        memory.reclaim_from(metas);

        let options = OpenOptions {
            cache: Some(cache),
            indexes: Some(indexes),
            ..OpenOptions::default()
        };

        Self {
            bucket,
            options,
            open,
            memory,
        }
    }

    /// The account that the memory is drawn from.
    pub const fn memory(&self) -> &Arc<Account> {
        &self.memory
    }

    /// Returns the block, and opens it if it is not open. Concurrent calls for one block share its
    /// GET, which is counted in the `reads` of one of them.
    pub async fn get(
        &self,
        tenant: TenantId,
        entry: &BlockEntry,
        reads: &Reads,
    ) -> Result<Arc<Block>, duramen_block::Error> {
        let cell = self.open.cell(tenant, entry.id, bytes_of(&entry.stats));
        let directory = keys::block(tenant, entry);

        let open = || {
            Block::open(
                self.bucket.store(),
                directory,
                &entry.stats,
                self.options.clone(),
                reads,
            )
        };

        cell.get_or_try_init(open).await.cloned()
    }

    /// Returns the block as a source of series. Opens it as [`Blocks::get`] does.
    pub async fn source(
        &self,
        tenant: TenantId,
        entry: &BlockEntry,
        reads: &Reads,
    ) -> Result<BlockSource, duramen_source::Error> {
        let opened = self.get(tenant, entry, reads).await;
        let block = opened.map_err(|error| error.of_block(&keys::block(tenant, entry)))?;

        Ok(BlockSource::new(block))
    }
}

/// Estimates the memory of an open block before it is read.
fn bytes_of(stats: &BlockStats) -> usize {
    let meta = usize::try_from(stats.meta_bytes).unwrap_or(usize::MAX);
    meta.saturating_mul(META_FACTOR).saturating_add(BLOCK_BYTES)
}

impl OpenBlocks {
    fn cell(&self, tenant: TenantId, block: BlockId, bytes: usize) -> Arc<OnceCell<Arc<Block>>> {
        let mut open = self.state.lock();
        open.uses += 1;

        let used = open.uses;
        if let Some(known) = open.blocks.get_mut(&(tenant, block)) {
            known.used = used;
            return Arc::clone(&known.cell);
        }

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

        let cell = Arc::new(OnceCell::new());
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

        let mut dropped = 0;
        self.blocks.retain(|_, block| {
            let stays = block.used > median;
            dropped += if stays { 0 } else { block.bytes };
            stays
        });

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
