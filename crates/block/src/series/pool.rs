//! Series indexes in memory, shared by all blocks of a process.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use duramen_qos::{Account, Reclaim, Share, Use};
use object_store::path::Path;
use parking_lot::Mutex;

use crate::series::index::SeriesIndex;
use crate::tier::TierCounts;

/// A block with a larger index gets none: each selection reads its file. A block whose one metric
/// runs on to twice its limits has 64 MiB of labels and 131,072 series.
const INDEX_BYTES_MAX: usize = 96 << 20;
/// How many indexes are built at the same time.
const MAKERS_MAX: usize = 4;

/// A bounded pool of decoded series indexes. It drops the least recently used first. Share one
/// among all blocks of a process.
///
/// The key of an index is the folder of its block, which begins with the tenant. A running
/// selection may hold an index that the pool has dropped. The memory of the pool is drawn from an
/// account, which can take it back when others need it.
pub struct SeriesIndexPool {
    state: Mutex<State>,
    bytes_max: usize,
    memory: Arc<Account>,
}

struct State {
    indexes: HashMap<Arc<Path>, (Arc<SeriesIndex>, u64)>,
    making: HashSet<Arc<Path>>,
    clock: u64,
    counts: TierCounts,
    /// The memory of the indexes.
    share: Share,
}

impl std::fmt::Debug for SeriesIndexPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SeriesIndexPool")
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

impl SeriesIndexPool {
    /// Returns a pool of at most `bytes_max` bytes. One index may have at most 96 MiB of
    /// them.
    pub fn new(bytes_max: usize) -> Self {
        Self::within(bytes_max, &Account::unbounded())
    }

    /// Returns a pool like that of [`SeriesIndexPool::new`], with its memory drawn from `memory`.
    /// Register it with the account by [`Account::reclaim_from`].
    pub fn within(bytes_max: usize, memory: &Arc<Account>) -> Self {
        let share = memory.share(Use::Cache);
        let state = State {
            indexes: HashMap::new(),
            making: HashSet::new(),
            clock: 0,
            counts: TierCounts::default(),
            share,
        };

        Self {
            state: Mutex::new(state),
            bytes_max,
            memory: Arc::clone(memory),
        }
    }

    /// How many bytes the pool holds now.
    pub fn bytes(&self) -> usize {
        self.state.lock().share.bytes()
    }

    /// What was asked of the pool.
    pub fn counts(&self) -> TierCounts {
        self.state.lock().counts
    }

    pub(crate) fn index_bytes_max(&self) -> usize {
        self.bytes_max.min(INDEX_BYTES_MAX)
    }

    pub(crate) fn get(&self, dir: &Arc<Path>) -> Option<Arc<SeriesIndex>> {
        let mut state = self.state.lock();
        state.clock += 1;

        let now = state.clock;
        let found = state.indexes.get_mut(dir).map(|(index, used)| {
            *used = now;
            Arc::clone(index)
        });

        match found {
            Some(_) => state.counts.hits += 1,
            None => state.counts.misses += 1,
        }

        found
    }

    /// Grants the right to build the index of a block. Returns `None` if the index exists, another
    /// task builds it, or too many indexes are being built.
    pub(crate) fn maker(self: &Arc<Self>, dir: &Arc<Path>) -> Option<Maker> {
        let mut state = self.state.lock();
        let free = state.making.len() < MAKERS_MAX && !state.indexes.contains_key(dir);
        let mine = free && state.making.insert(Arc::clone(dir));

        drop(state);
        mine.then(|| Maker {
            pool: Arc::clone(self),
            dir: Arc::clone(dir),
            share: self.memory.share(Use::Cache),
        })
    }
}

impl Reclaim for SeriesIndexPool {
    fn reclaim(&self, bytes: usize) {
        let mut state = self.state.lock();
        let mut given = 0;

        while given < bytes {
            match state.evict() {
                0 => break,
                more => given += more,
            }
        }
    }
}

impl State {
    /// Does nothing if the account gives no memory, even after an older index has been dropped.
    fn insert(&mut self, dir: Arc<Path>, index: Arc<SeriesIndex>, bytes_max: usize) {
        if let Some((old, _)) = self.indexes.remove(&dir) {
            self.share.shrink(old.bytes());
        }

        while self.share.bytes() + index.bytes() > bytes_max {
            if self.evict() == 0 {
                return;
            }
        }

        if self.share.grow(index.bytes()).is_err() {
            self.evict();
            if self.share.grow(index.bytes()).is_err() {
                return;
            }
        }

        self.clock += 1;
        self.indexes.insert(dir, (index, self.clock));
    }

    /// Drops the least recently used index. Returns how much memory it had, or 0 if none is left.
    fn evict(&mut self) -> usize {
        // There are few indexes, so a scan is cheaper than keeping them in order.
        let oldest = self
            .indexes
            .iter()
            .min_by_key(|(_, (_, used))| *used)
            .map(|(dir, _)| Arc::clone(dir));

        let Some((index, _)) = oldest.and_then(|dir| self.indexes.remove(&dir)) else {
            return 0;
        };
        self.share.shrink(index.bytes());
        self.counts.evicted += 1;
        index.bytes()
    }
}

/// The right to build one index. If it is dropped before [`Maker::keep`], another task may try.
pub(crate) struct Maker {
    pool: Arc<SeriesIndexPool>,
    dir: Arc<Path>,
    /// The memory of the index while it is built.
    share: Share,
}

impl Maker {
    /// Takes the memory that the index needs so far, while it is built. Returns `None` if the
    /// account does not give it.
    pub(crate) fn hold(&mut self, bytes: usize) -> Option<()> {
        let more = bytes.saturating_sub(self.share.bytes());
        self.share.grow(more).ok()
    }

    pub(crate) fn keep(mut self, index: &Arc<SeriesIndex>) {
        // The pool takes the memory for what is kept.
        self.share.shrink(self.share.bytes());

        let dir = Arc::clone(&self.dir);
        self.pool
            .state
            .lock()
            .insert(dir, Arc::clone(index), self.pool.bytes_max);
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        self.pool.state.lock().making.remove(&self.dir);
    }
}
