//! A cache of verified extents: in memory, and behind that on the local disk.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use duramen_cache::{DiskCache, Expected, Key, Wanted};
use duramen_qos::{Account, Reclaim, Share, Use};
use object_store::path::Path;
use parking_lot::Mutex;

use crate::tier::TierCounts;

const SHARDS: usize = 16;
/// About what an entry costs beside its bytes: its slots in both maps, each with a key. The maps
/// are not full.
const ENTRY_BYTES: usize = 192;
/// The allocator rounds up: on average, an entry takes this fraction (one tenth) more than its
/// bytes.
const ROUNDING: usize = 10;

/// The number of `meta` among the files of a block.
const META: u32 = u32::MAX;

/// Names one extent of one file. The path of the folder begins with the tenant and ends with the
/// block, so no tenant finds the bytes of another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ExtentKey {
    pub(crate) dir: Arc<Path>,
    pub(crate) file: u32,
    pub(crate) extent: u32,
}

/// A bounded cache of extents. It drops the least recently used first. Only verified bytes enter
/// it. Share one among all blocks of a process.
///
/// A disk cache may stand behind the memory. What is put here goes there too, and survives a
/// restart.
///
/// Its memory is drawn from an account. When the account has no more for caches, a new entry must
/// replace older ones. When others need memory, the account takes that of the entries that have not
/// been used for longest.
pub struct ExtentCache {
    shards: [Mutex<Shard>; SHARDS],
    shard_bytes_max: usize,
    hasher: BuildHasherDefault<DefaultHasher>,
    disk: OnceLock<Arc<DiskCache>>,
}

struct Shard {
    entries: HashMap<ExtentKey, Entry>,
    /// The entries by the tick of their last use.
    order: BTreeMap<u64, ExtentKey>,
    clock: u64,
    counts: TierCounts,
    /// The memory of the entries.
    share: Share,
}

struct Entry {
    bytes: Bytes,
    /// The tick of its last use.
    used: u64,
    /// Whether the disk cache knows that the entry was used again.
    is_noted: bool,
}

impl ExtentKey {
    /// The name of the extent in the disk cache.
    fn on_disk(&self) -> Key {
        Key::new(self.dir.as_ref().as_ref(), self.file, self.extent)
    }
}

impl std::fmt::Debug for ExtentCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExtentCache")
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

impl ExtentCache {
    /// Returns a cache of at most `bytes_max` bytes, including the overhead of its entries.
    pub fn new(bytes_max: usize) -> Self {
        Self::within(bytes_max, &Account::unbounded())
    }

    /// Returns a cache like that of [`ExtentCache::new`], with its memory drawn from `memory`.
    /// Register it with the account by [`Account::reclaim_from`].
    pub fn within(bytes_max: usize, memory: &Arc<Account>) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::new(Shard::new(memory.share(Use::Cache)))),
            shard_bytes_max: bytes_max / SHARDS,
            hasher: BuildHasherDefault::default(),
            disk: OnceLock::new(),
        }
    }

    /// Puts `disk` behind the memory. Does nothing if there is one already.
    pub fn put_over(&self, disk: Arc<DiskCache>) {
        let _ = self.disk.set(disk);
    }

    /// The cache behind the memory.
    pub(crate) fn disk(&self) -> Option<&Arc<DiskCache>> {
        self.disk.get()
    }

    /// How many bytes the cache holds now.
    pub fn bytes(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().share.bytes())
            .sum()
    }

    /// What was asked of the memory. An extent that is on its way from the store to another reader
    /// is not asked for.
    pub fn counts(&self) -> TierCounts {
        let mut sum = TierCounts::default();

        for shard in &self.shards {
            let counts = shard.lock().counts;
            sum.hits += counts.hits;
            sum.misses += counts.misses;
            sum.evicted += counts.evicted;
        }

        sum
    }

    /// Returns an extent that is in memory.
    pub(crate) fn get(&self, key: &ExtentKey) -> Option<Bytes> {
        let (bytes, is_noted) = self.shard(key).lock().get(key)?;

        // What memory answers would look unused to the disk cache, and be gone at a restart.
        if let Some(disk) = self.disk().filter(|_| !is_noted) {
            disk.touch(&key.on_disk());
        }

        Some(bytes)
    }

    /// Returns those of `wanted` that are on the disk and not in memory, and takes them into
    /// memory. They have been verified.
    pub(crate) async fn find_on_disk(
        &self,
        wanted: impl Iterator<Item = (ExtentKey, Expected)>,
    ) -> Vec<(ExtentKey, Bytes)> {
        let Some(disk) = self.disk() else {
            return Vec::new();
        };

        let missing: Vec<_> = wanted
            .filter(|(key, _)| !self.shard(key).lock().entries.contains_key(key))
            .collect();
        let asked: Vec<Wanted> = missing
            .iter()
            .map(|(key, expected)| Wanted {
                key: key.on_disk(),
                expected: *expected,
            })
            .collect();

        let found = disk.get(&asked).await;
        let mut extents = Vec::with_capacity(found.len());

        for ((key, _), bytes) in missing.into_iter().zip(found) {
            if let Some(bytes) = bytes {
                self.shard(&key).lock().counts.misses += 1;
                self.insert(key.clone(), &bytes);
                extents.push((key, bytes));
            }
        }

        extents
    }

    /// Whether a selection that has got `bytes` from the store may put more on the disk.
    pub(crate) fn admits(&self, bytes: u64) -> bool {
        self.disk().is_some_and(|disk| disk.admits(bytes))
    }

    /// Puts an extent that was verified on the disk, behind the answer.
    pub(crate) fn write_behind(&self, key: &ExtentKey, crc: u32, bytes: &Bytes) {
        if let Some(disk) = self.disk() {
            disk.insert(&key.on_disk(), crc, bytes);
        }
    }

    /// Returns the `meta` of the block in `dir` if it is on the disk. It has been verified.
    pub(crate) async fn meta(&self, dir: &Path, expected: Expected) -> Option<Bytes> {
        let wanted = Wanted {
            key: Key::new(dir.as_ref(), META, 0),
            expected,
        };

        self.disk()?.get(&[wanted]).await.pop()?
    }

    /// Puts the `meta` of a block, which was verified, on the disk, behind the answer.
    pub(crate) fn write_meta_behind(&self, dir: &Path, crc: u32, bytes: &Bytes) {
        if let Some(disk) = self.disk() {
            disk.insert(&Key::new(dir.as_ref(), META, 0), crc, bytes);
        }
    }

    /// Puts an extent into memory. Stores a copy, because a slice would keep the whole response in
    /// memory.
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
    /// Takes an equal part from each shard, then the rest from the shards that have more.
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
            entries: HashMap::new(),
            order: BTreeMap::new(),
            clock: 0,
            counts: TierCounts::default(),
            share,
        }
    }

    /// Returns the bytes, and whether it was used before.
    fn get(&mut self, key: &ExtentKey) -> Option<(Bytes, bool)> {
        let Some(entry) = self.entries.get_mut(key) else {
            self.counts.misses += 1;
            return None;
        };

        self.counts.hits += 1;
        let key = self.order.remove(&entry.used)?;
        self.clock += 1;
        entry.used = self.clock;
        self.order.insert(self.clock, key);

        let was_noted = std::mem::replace(&mut entry.is_noted, true);
        Some((entry.bytes.clone(), was_noted))
    }

    /// Does nothing if the account gives no memory, even after older entries have been dropped.
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
        let entry = Entry {
            bytes,
            used: self.clock,
            is_noted: false,
        };

        self.entries.insert(key, entry);
    }

    fn remove(&mut self, key: &ExtentKey) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.used);
            self.share.shrink(cost(&entry.bytes));
        }
    }

    /// Drops the least recently used entry. Returns how much memory it had, or 0 if none is left.
    fn evict(&mut self) -> usize {
        let Some((_, oldest)) = self.order.pop_first() else {
            return 0;
        };
        let Some(Entry { bytes, .. }) = self.entries.remove(&oldest) else {
            return 0;
        };
        self.share.shrink(cost(&bytes));
        self.counts.evicted += 1;

        cost(&bytes)
    }

    /// Drops entries until `bytes` are free or none is left. Returns how many bytes were freed.
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

/// The memory that an entry takes.
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

        assert_eq!((shard.entries.len(), shard.order.len()), (10, 10));
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

    /// Returns a cache with `entries` entries of 1,000 bytes, each used equally often.
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

        // While others hold the memory for caches, no entry can be added.
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
        let entries = cache.bytes();

        let query = account
            .take(Use::Query, account.mark(Use::Query) - 1000)
            .unwrap();
        assert!(
            cache.bytes() < entries && cache.bytes() <= 1000,
            "{}",
            cache.bytes()
        );

        assert_eq!(account.refusals(Use::Query), 0);

        drop(query);
        cache.insert(key("a", 0), &Bytes::from(vec![1; 1000]));

        assert!(cache.get(&key("a", 0)).is_some());
    }
}
