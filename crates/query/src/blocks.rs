//! The open blocks of a process.

use std::collections::HashMap;
use std::sync::Arc;

use duramen_block::{Block, ExtentCache, OpenOptions, SeriesTables};
use duramen_bucket::{Bucket, keys};
use duramen_model::{BlockEntry, BlockId, TenantId};
use duramen_source::Reads;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

/// A quarter of the cache is for series tables. A table of 10,000 series has 3 MiB, so that 256 MiB hold those of about 85 blocks.
const TABLES_SHARE: usize = 4;

/// Opens each block once and keeps it open while it is used. A block's `meta` is read by one GET.
#[derive(Debug)]
pub struct Blocks {
    bucket: Bucket,
    options: OpenOptions,
    /// Bounded by `open_max`, least recently used out first. A block is known by its tenant and id.
    open: Mutex<Open>,
    open_max: usize,
}

#[derive(Debug, Default)]
struct Open {
    held: HashMap<(TenantId, BlockId), Held>,
    uses: u64,
}

#[derive(Debug)]
struct Held {
    cell: Arc<OnceCell<Arc<Block>>>,
    used: u64,
}

impl Blocks {
    /// `cache_bytes` bounds the verified extents and the decoded series tables in memory, `open_max` the parsed `meta`s.
    pub fn new(bucket: Bucket, cache_bytes: usize, open_max: usize) -> Self {
        let tables_bytes = cache_bytes / TABLES_SHARE;
        let cache = Some(Arc::new(ExtentCache::new(cache_bytes - tables_bytes)));
        let tables = Some(Arc::new(SeriesTables::new(tables_bytes)));
        let options = OpenOptions { cache, tables, ..OpenOptions::default() };
        Self { bucket, options, open: Mutex::default(), open_max }
    }

    /// The block, opened when it is not. Callers that ask for one block at once share its GET, which `reads` of one of them counts.
    pub async fn get(
        &self,
        tenant: TenantId,
        entry: &BlockEntry,
        reads: &Reads,
    ) -> Result<Arc<Block>, duramen_block::Error> {
        let cell = self.cell(tenant, entry.id);
        let directory = keys::block(tenant, entry.id);
        let open = || Block::open(self.bucket.store(), directory, &entry.stats, self.options.clone(), reads);
        cell.get_or_try_init(open).await.cloned()
    }

    fn cell(&self, tenant: TenantId, block: BlockId) -> Arc<OnceCell<Arc<Block>>> {
        let mut open = self.open.lock();
        open.uses += 1;
        let used = open.uses;
        if let Some(held) = open.held.get_mut(&(tenant, block)) {
            held.used = used;
            return Arc::clone(&held.cell);
        }
        if open.held.len() >= self.open_max {
            // Drop the older half at once: a pass over all for each new block would cost more.
            let mut uses: Vec<u64> = open.held.values().map(|held| held.used).collect();
            uses.sort_unstable();
            let median = uses[uses.len() / 2];
            open.held.retain(|_, held| held.used > median);
        }
        let cell = Arc::new(OnceCell::new());
        open.held.insert((tenant, block), Held { cell: Arc::clone(&cell), used });
        cell
    }
}
