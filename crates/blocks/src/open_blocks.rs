//! Which blocks of a process are open, and which are dropped first.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use duramen_block::{Block, TierCounts};
use duramen_model::{BlockId, TenantId};
use duramen_qos::{Account, Reclaim, Share, Use};
use parking_lot::Mutex;

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

impl OpenBlocks {
    /// Holds at most `open_max` blocks, whose memory is drawn from `memory`.
    pub(crate) fn within(open_max: usize, memory: &Arc<Account>) -> Self {
        let state = Open {
            blocks: HashMap::new(),
            uses: 0,
            counts: TierCounts::default(),
            share: memory.share(Use::Cache),
        };

        Self {
            state: Mutex::new(state),
            open_max,
        }
    }

    pub(crate) fn counts(&self) -> TierCounts {
        self.state.lock().counts
    }

    /// How much memory the open blocks are counted for.
    pub(crate) fn bytes(&self) -> usize {
        self.state.lock().share.bytes()
    }

    /// Returns the place of a block, which is empty until it is opened.
    pub(crate) fn cell(
        &self,
        tenant: TenantId,
        block: BlockId,
        bytes: usize,
    ) -> Arc<OnceLock<Arc<Block>>> {
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
        let open = OpenBlocks::within(100, memory);

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
