//! Series indexes in memory, shared by all blocks of a process.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use duramen_qos::{Account, Reclaim, Share, Use};
use object_store::path::Path;
use parking_lot::Mutex;

use crate::series::index::SeriesIndex;

/// A block whose index is larger than this is read from its file each time.
const INDEX_BYTES_MAX: usize = 32 << 20;
/// So many indexes are made at once; each may take [`INDEX_BYTES_MAX`] twice meanwhile.
const MAKERS_MAX: usize = 4;

/// A bounded pool of decoded series indexes, least recently used out first. Share one among all
/// blocks of a process.
///
/// An index is known by the folder of its block, which begins with the tenant. A selection under
/// way may hold one that has been dropped from the pool until it ends. What the pool holds is drawn
/// from an account, which gets it back when others need it.
pub struct SeriesIndexPool {
    state: Mutex<State>,
    bytes_max: usize,
}

struct State {
    held: HashMap<Arc<Path>, (Arc<SeriesIndex>, u64)>,
    making: HashSet<Arc<Path>>,
    clock: u64,
    /// Of what it holds.
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
    /// A pool of at most `bytes_max`. A single index may have 32 MiB of them.
    pub fn new(bytes_max: usize) -> Self {
        Self::within(bytes_max, &Account::unbounded())
    }

    /// As [`SeriesIndexPool::new`], drawn from `memory`. Tell the account of it with
    /// [`Account::reclaim_from`].
    pub fn within(bytes_max: usize, memory: &Arc<Account>) -> Self {
        let share = memory.share(Use::Cache);
        let state = State {
            held: HashMap::new(),
            making: HashSet::new(),
            clock: 0,
            share,
        };

        Self {
            state: Mutex::new(state),
            bytes_max,
        }
    }

    /// How many bytes it holds now.
    pub fn bytes(&self) -> usize {
        self.state.lock().share.bytes()
    }

    pub(crate) fn index_bytes_max(&self) -> usize {
        self.bytes_max.min(INDEX_BYTES_MAX)
    }

    pub(crate) fn get(&self, dir: &Arc<Path>) -> Option<Arc<SeriesIndex>> {
        let mut state = self.state.lock();
        state.clock += 1;

        let now = state.clock;
        let (index, used) = state.held.get_mut(dir)?;
        *used = now;

        Some(Arc::clone(index))
    }

    /// The right to make the index of a block; `None` while another does, or too many indexes are
    /// being made.
    pub(crate) fn maker(self: &Arc<Self>, dir: &Arc<Path>) -> Option<Maker> {
        let mut state = self.state.lock();
        let free = state.making.len() < MAKERS_MAX && !state.held.contains_key(dir);
        let mine = free && state.making.insert(Arc::clone(dir));

        drop(state);
        mine.then(|| Maker {
            indexes: Arc::clone(self),
            dir: Arc::clone(dir),
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
    /// Does nothing when the account gives no memory in exchange for that of an older index.
    fn insert(&mut self, dir: Arc<Path>, index: Arc<SeriesIndex>, bytes_max: usize) {
        if let Some((old, _)) = self.held.remove(&dir) {
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
        self.held.insert(dir, (index, self.clock));
    }

    /// Drops the index that was not used for the longest time, and returns how much memory that
    /// had; 0 when none is left.
    fn evict(&mut self) -> usize {
        // Tables are few: a look at each is cheaper than keeping an order.
        let oldest = self
            .held
            .iter()
            .min_by_key(|(_, (_, used))| *used)
            .map(|(dir, _)| Arc::clone(dir));

        let Some((index, _)) = oldest.and_then(|dir| self.held.remove(&dir)) else {
            return 0;
        };
        self.share.shrink(index.bytes());
        index.bytes()
    }
}

/// Makes one index. Dropped without one, it leaves the turn to others.
pub(crate) struct Maker {
    indexes: Arc<SeriesIndexPool>,
    dir: Arc<Path>,
}

impl Maker {
    pub(crate) fn keep(self, index: &Arc<SeriesIndex>) {
        let dir = Arc::clone(&self.dir);
        self.indexes
            .state
            .lock()
            .insert(dir, Arc::clone(index), self.indexes.bytes_max);
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        self.indexes.state.lock().making.remove(&self.dir);
    }
}
