//! Verified extents in memory.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use parking_lot::Mutex;

const SHARDS: usize = 16;
/// What an entry costs beside its bytes, about.
const ENTRY_BYTES: usize = 160;

/// One extent of one file. The folder's key begins with the tenant and ends with the block, so that no tenant finds the bytes of another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ExtentKey {
    pub(crate) dir: Arc<Path>,
    pub(crate) file: u32,
    pub(crate) extent: u32,
}

/// A bounded cache of extents, least recently used out first. Only verified bytes enter it. Share one among all blocks of a process.
pub struct ExtentCache {
    shards: [Mutex<Shard>; SHARDS],
    shard_bytes_max: usize,
    hasher: RandomState,
}

#[derive(Default)]
struct Shard {
    held: HashMap<ExtentKey, (Bytes, u64)>,
    /// By the time of the last use, counted.
    order: BTreeMap<u64, ExtentKey>,
    clock: u64,
    bytes: usize,
}

impl std::fmt::Debug for ExtentCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExtentCache").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

impl ExtentCache {
    /// A cache that holds at most `bytes_max`, the cost of its entries included.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            shard_bytes_max: bytes_max / SHARDS,
            hasher: RandomState::new(),
        }
    }

    /// How many bytes it holds now.
    pub fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().bytes).sum()
    }

    pub(crate) fn get(&self, key: &ExtentKey) -> Option<Bytes> {
        self.shard(key).lock().get(key)
    }

    /// Keeps a copy: a slice would hold the whole answer that it was cut from.
    pub(crate) fn insert(&self, key: ExtentKey, bytes: &Bytes) {
        if bytes.len() + ENTRY_BYTES <= self.shard_bytes_max {
            self.shard(&key).lock().insert(key, Bytes::copy_from_slice(bytes), self.shard_bytes_max);
        }
    }

    fn shard(&self, key: &ExtentKey) -> &Mutex<Shard> {
        let hash = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        &self.shards[hash]
    }
}

impl Shard {
    fn get(&mut self, key: &ExtentKey) -> Option<Bytes> {
        let (bytes, used) = self.held.get_mut(key)?;
        let key = self.order.remove(used)?;
        self.clock += 1;
        *used = self.clock;
        self.order.insert(self.clock, key);
        Some(bytes.clone())
    }

    fn insert(&mut self, key: ExtentKey, bytes: Bytes, bytes_max: usize) {
        self.clock += 1;
        self.bytes += bytes.len() + ENTRY_BYTES;
        self.order.insert(self.clock, key.clone());
        if let Some((old, used)) = self.held.insert(key, (bytes, self.clock)) {
            self.order.remove(&used);
            self.bytes -= old.len() + ENTRY_BYTES;
        }
        while self.bytes > bytes_max {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            if let Some((old, _)) = self.held.remove(&oldest) {
                self.bytes -= old.len() + ENTRY_BYTES;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(dir: &str, extent: u32) -> ExtentKey {
        ExtentKey { dir: Arc::new(Path::from(dir)), file: 0, extent }
    }

    #[test]
    fn the_cache_stays_within_its_bound_and_keeps_what_is_used() {
        let mut shard = Shard::default();
        let bytes = Bytes::from(vec![1; 1000]);
        for extent in 0..100 {
            shard.insert(key("a", extent), bytes.clone(), 10 * (1000 + ENTRY_BYTES));
            assert!(shard.get(&key("a", 0)).is_some(), "{extent}");
        }
        assert_eq!((shard.held.len(), shard.order.len()), (10, 10));
        assert_eq!(shard.bytes, 10 * (1000 + ENTRY_BYTES));
        assert!(shard.get(&key("a", 50)).is_none());
    }

    #[test]
    fn a_block_of_another_tenant_is_another_key() {
        let cache = ExtentCache::new(1 << 20);
        cache.insert(key("t/a/blocks/block=1", 0), &Bytes::from_static(b"secret"));
        assert!(cache.get(&key("t/b/blocks/block=1", 0)).is_none());
        assert!(cache.get(&key("t/a/blocks/block=1", 0)).is_some());
    }
}
