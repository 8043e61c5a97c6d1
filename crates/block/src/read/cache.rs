//! Verified extents in memory.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use bytes::Bytes;
use duramen_qos::{Account, Reclaim, Share, Use};
use object_store::path::Path;
use parking_lot::Mutex;

const SHARDS: usize = 16;
/// What an entry costs beside its bytes, about: its places in both maps, which are not full, each
/// with its key.
const ENTRY_BYTES: usize = 192;
/// The allocator rounds up: this part of the bytes comes on top of them on average.
const ROUNDING: usize = 10;

/// One extent of one file. The folder's key begins with the tenant and ends with the block, so that
/// no tenant finds the bytes of another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ExtentKey {
    pub(crate) dir: Arc<Path>,
    pub(crate) file: u32,
    pub(crate) extent: u32,
}

/// A bounded cache of extents, least recently used out first. Only verified bytes enter it. Share
/// one among all blocks of a process.
///
/// What it holds is drawn from an account. While that has no more for caches, an entry has to push
/// others out to come in; and whoever else needs memory gets that of the entries that were not used
/// for long.
pub struct ExtentCache {
    shards: [Mutex<Shard>; SHARDS],
    shard_bytes_max: usize,
    hasher: BuildHasherDefault<DefaultHasher>,
}

struct Shard {
    held: HashMap<ExtentKey, (Bytes, u64)>,
    /// By the time of the last use, counted.
    order: BTreeMap<u64, ExtentKey>,
    clock: u64,
    /// Of what it holds.
    share: Share,
}

impl std::fmt::Debug for ExtentCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExtentCache")
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

impl ExtentCache {
    /// A cache that holds at most `bytes_max`, the cost of its entries included.
    pub fn new(bytes_max: usize) -> Self {
        Self::within(bytes_max, &Account::unbounded())
    }

    /// As [`ExtentCache::new`], drawn from `memory`. Tell the account of it with
    /// [`Account::reclaim_from`].
    pub fn within(bytes_max: usize, memory: &Arc<Account>) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::new(Shard::new(memory.share(Use::Cache)))),
            shard_bytes_max: bytes_max / SHARDS,
            hasher: BuildHasherDefault::default(),
        }
    }

    /// How many bytes it holds now.
    pub fn bytes(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().share.bytes())
            .sum()
    }

    pub(crate) fn get(&self, key: &ExtentKey) -> Option<Bytes> {
        self.shard(key).lock().get(key)
    }

    /// Keeps a copy: a slice would hold the whole answer that it was cut from.
    pub(crate) fn insert(&self, key: ExtentKey, bytes: &Bytes) {
        if cost(bytes) <= self.shard_bytes_max {
            self.shard(&key).lock().insert(
                key,
                Bytes::copy_from_slice(bytes),
                self.shard_bytes_max,
            );
        }
    }

    fn shard(&self, key: &ExtentKey) -> &Mutex<Shard> {
        let hash = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        &self.shards[hash]
    }
}

impl Reclaim for ExtentCache {
    /// From each shard its part, and the rest from those that have it.
    fn reclaim(&self, bytes: usize) {
        let mut missing = bytes;

        for part in [bytes.div_ceil(SHARDS), bytes] {
            for shard in &self.shards {
                if missing == 0 {
                    return;
                }

                missing = missing.saturating_sub(shard.lock().give_back(part.min(missing)));
            }
        }
    }
}

impl Shard {
    fn new(share: Share) -> Self {
        Self {
            held: HashMap::new(),
            order: BTreeMap::new(),
            clock: 0,
            share,
        }
    }

    fn get(&mut self, key: &ExtentKey) -> Option<Bytes> {
        let (bytes, used) = self.held.get_mut(key)?;
        let key = self.order.remove(used)?;
        self.clock += 1;
        *used = self.clock;
        self.order.insert(self.clock, key);

        Some(bytes.clone())
    }

    /// Does nothing when the account gives no memory in exchange for that of older entries.
    fn insert(&mut self, key: ExtentKey, bytes: Bytes, bytes_max: usize) {
        self.remove(&key);

        let cost = cost(&bytes);
        while self.share.bytes() + cost > bytes_max {
            if self.evict() == 0 {
                return;
            }
        }

        if self.share.grow(cost).is_err() {
            self.give_back(cost);
            if self.share.grow(cost).is_err() {
                return;
            }
        }

        self.clock += 1;
        self.order.insert(self.clock, key.clone());
        self.held.insert(key, (bytes, self.clock));
    }

    fn remove(&mut self, key: &ExtentKey) {
        if let Some((bytes, used)) = self.held.remove(key) {
            self.order.remove(&used);
            self.share.shrink(cost(&bytes));
        }
    }

    /// Drops what was not used for the longest time, and returns how much memory that had; 0 when
    /// nothing is left.
    fn evict(&mut self) -> usize {
        let Some((_, oldest)) = self.order.pop_first() else {
            return 0;
        };
        let Some((bytes, _)) = self.held.remove(&oldest) else {
            return 0;
        };
        self.share.shrink(cost(&bytes));

        cost(&bytes)
    }

    /// Drops at least `bytes`, or all. Returns how much that was.
    fn give_back(&mut self, bytes: usize) -> usize {
        let mut given = 0;
        while given < bytes {
            match self.evict() {
                0 => break,
                more => given += more,
            }
        }

        given
    }
}

/// What an entry takes.
const fn cost(bytes: &Bytes) -> usize {
    bytes.len() + bytes.len() / ROUNDING + ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(dir: &str, extent: u32) -> ExtentKey {
        ExtentKey {
            dir: Arc::new(Path::from(dir)),
            file: 0,
            extent,
        }
    }

    #[test]
    fn the_cache_stays_within_its_bound_and_keeps_what_is_used() {
        let mut shard = Shard::new(Account::unbounded().share(Use::Cache));
        let bytes = Bytes::from(vec![1; 1000]);

        for extent in 0..100 {
            shard.insert(key("a", extent), bytes.clone(), 10 * cost(&bytes));
            assert!(shard.get(&key("a", 0)).is_some(), "{extent}");
        }

        assert_eq!((shard.held.len(), shard.order.len()), (10, 10));
        assert_eq!(shard.share.bytes(), 10 * cost(&bytes));
        assert!(shard.get(&key("a", 50)).is_none());
    }

    #[test]
    fn a_block_of_another_tenant_is_another_key() {
        let cache = ExtentCache::new(1 << 20);
        cache.insert(key("t/a/blocks/block=1", 0), &Bytes::from_static(b"secret"));

        assert!(cache.get(&key("t/b/blocks/block=1", 0)).is_none());
        assert!(cache.get(&key("t/a/blocks/block=1", 0)).is_some());
    }

    /// A cache with so many entries of 1,000 bytes, each used as often as the others.
    fn filled(entries: u32, account: &Arc<Account>) -> Arc<ExtentCache> {
        let cache = Arc::new(ExtentCache::within(1 << 30, account));
        let weak: std::sync::Weak<ExtentCache> = Arc::downgrade(&cache);
        account.reclaim_from(weak);

        for extent in 0..entries {
            cache.insert(key("a", extent), &Bytes::from(vec![1; 1000]));
        }

        cache
    }

    #[test]
    fn an_account_that_gives_no_more_to_caches_bounds_the_cache() {
        let account = Account::new(1 << 20);
        let cache = filled(5000, &account);

        assert_eq!(account.used_by(Use::Cache), cache.bytes());
        assert!(
            cache.bytes() <= account.mark(Use::Cache),
            "{}",
            cache.bytes()
        );

        assert!(
            cache.bytes() > account.mark(Use::Cache) / 2,
            "{}",
            cache.bytes()
        );

        assert!(cache.get(&key("a", 4999)).is_some(), "what is new is kept");
        assert!(cache.get(&key("a", 0)).is_none(), "what is old is not");

        // While others hold what caches may have, nothing comes in.
        cache.reclaim(usize::MAX);
        assert_eq!(cache.bytes(), 0);

        let _others = account.take(Use::Body, account.mark(Use::Cache)).unwrap();
        cache.insert(key("a", 0), &Bytes::from(vec![1; 1000]));

        assert_eq!((cache.bytes(), account.used_by(Use::Cache)), (0, 0));
    }

    #[test]
    fn a_query_gets_the_memory_of_the_cache() {
        let account = Account::new(1 << 20);
        let cache = filled(5000, &account);
        let held = cache.bytes();

        let query = account
            .take(Use::Query, account.mark(Use::Query) - 1000)
            .unwrap();
        assert!(
            cache.bytes() < held && cache.bytes() <= 1000,
            "{}",
            cache.bytes()
        );

        assert_eq!(account.refusals(Use::Query), 0);

        drop(query);
        cache.insert(key("a", 0), &Bytes::from(vec![1; 1000]));

        assert!(cache.get(&key("a", 0)).is_some());
    }
}
