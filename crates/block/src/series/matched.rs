//! Which series of a block pass a set of matchers, in memory, shared by all blocks of a process.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use duramen_model::{MatchOp, Matcher};
use duramen_qos::{Account, Reclaim, Share, Use};
use object_store::path::Path;
use parking_lot::Mutex;
use roaring::RoaringBitmap;

use crate::tier::TierCounts;

/// Matchers with a longer key are worked out each time.
const KEY_BYTES_MAX: usize = 4 << 10;
/// About what an entry costs beside its key and its bitmap: its slots in both maps.
const ENTRY_BYTES: usize = 256;

/// A bounded pool of answers to matchers. It drops the least recently used first. Share one among
/// all blocks of a process.
///
/// The key of an answer begins with the folder of the block, which begins with the tenant. The
/// memory of the pool is drawn from an account, which can take it back when others need it.
pub struct MatchedPool {
    state: Mutex<State>,
    bytes_max: usize,
}

struct State {
    answers: HashMap<MatchedKey, Answer>,
    /// The answers by the tick of their last use.
    order: BTreeMap<u64, MatchedKey>,
    clock: u64,
    counts: TierCounts,
    /// The memory of the answers.
    share: Share,
}

struct Answer {
    series: Arc<RoaringBitmap>,
    used: u64,
    bytes: usize,
}

/// A block and a set of matchers. Sets with the same matchers in another order, or twice, have the
/// same key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct MatchedKey {
    dir: Arc<Path>,
    matchers: Arc<[u8]>,
    /// The version of the block's tombstones, because they hide series. 0: there are none.
    tombstones: u64,
}

impl MatchedKey {
    /// Returns `None` if the key would be too long.
    pub(crate) fn of(dir: &Arc<Path>, matchers: &[Matcher], tombstones: u64) -> Option<Self> {
        let mut parts: Vec<Vec<u8>> = matchers.iter().map(encoded).collect();
        parts.sort_unstable();
        parts.dedup();

        let matchers: Vec<u8> = parts.concat();
        (matchers.len() <= KEY_BYTES_MAX).then(|| Self {
            dir: Arc::clone(dir),
            matchers: matchers.into(),
            tombstones,
        })
    }
}

/// The text of a matcher. Lengths stand before texts, so no two lists of matchers have one text.
fn encoded(matcher: &Matcher) -> Vec<u8> {
    let (op, value) = match &matcher.op {
        MatchOp::Equal(value) => (0, value.as_str()),
        MatchOp::NotEqual(value) => (1, value.as_str()),
        MatchOp::Regex(regex) => (2, regex.pattern()),
        MatchOp::NotRegex(regex) => (3, regex.pattern()),
    };

    let mut bytes = vec![op];
    for text in [matcher.name.as_str(), value] {
        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }

    bytes
}

impl std::fmt::Debug for MatchedPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MatchedPool")
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

impl MatchedPool {
    /// Returns a pool of at most `bytes_max` bytes, with its memory drawn from `memory`. Register
    /// it with the account by [`Account::reclaim_from`].
    pub fn within(bytes_max: usize, memory: &Arc<Account>) -> Self {
        let state = State {
            answers: HashMap::new(),
            order: BTreeMap::new(),
            clock: 0,
            counts: TierCounts::default(),
            share: memory.share(Use::Cache),
        };

        Self {
            state: Mutex::new(state),
            bytes_max,
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

    pub(crate) fn get(&self, key: &MatchedKey) -> Option<Arc<RoaringBitmap>> {
        let mut state = self.state.lock();
        state.clock += 1;

        let now = state.clock;
        let Some(answer) = state.answers.get_mut(key) else {
            state.counts.misses += 1;
            return None;
        };

        let used = std::mem::replace(&mut answer.used, now);
        let series = Arc::clone(&answer.series);

        let key = state.order.remove(&used)?;
        state.order.insert(now, key);
        state.counts.hits += 1;
        Some(series)
    }

    pub(crate) fn insert(&self, key: MatchedKey, series: &Arc<RoaringBitmap>) {
        let bytes = series.serialized_size() + 2 * key.matchers.len() + ENTRY_BYTES;
        if bytes <= self.bytes_max / 8 {
            let mut state = self.state.lock();
            state.insert(key, Arc::clone(series), bytes, self.bytes_max);
        }
    }
}

impl Reclaim for MatchedPool {
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
    /// Does nothing if the account gives no memory, even after an older answer has been dropped.
    fn insert(
        &mut self,
        key: MatchedKey,
        series: Arc<RoaringBitmap>,
        bytes: usize,
        bytes_max: usize,
    ) {
        if self.answers.contains_key(&key) {
            return;
        }

        while self.share.bytes() + bytes > bytes_max {
            if self.evict() == 0 {
                return;
            }
        }

        if self.share.grow(bytes).is_err() {
            self.evict();
            if self.share.grow(bytes).is_err() {
                return;
            }
        }

        self.clock += 1;
        self.order.insert(self.clock, key.clone());
        let answer = Answer {
            series,
            used: self.clock,
            bytes,
        };

        self.answers.insert(key, answer);
    }

    /// Drops the least recently used answer. Returns how much memory it had, or 0 if none is left.
    fn evict(&mut self) -> usize {
        let oldest = self.order.pop_first();
        let Some(answer) = oldest.and_then(|(_, key)| self.answers.remove(&key)) else {
            return 0;
        };

        self.share.shrink(answer.bytes);
        self.counts.evicted += 1;
        answer.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(dir: &str, matchers: &[Matcher], tombstones: u64) -> MatchedKey {
        MatchedKey::of(&Arc::new(Path::from(dir)), matchers, tombstones).unwrap()
    }

    #[test]
    fn the_same_matchers_have_the_same_key_and_others_another() {
        let a = Matcher::equal("job", "api");
        let b = Matcher::not_equal("job", "api");
        let c = Matcher::regex("job", "api").unwrap();
        let d = Matcher::not_regex("job", "api").unwrap();

        let set = key("t/a/b", &[a.clone(), b.clone()], 0);
        assert!(set == key("t/a/b", &[b.clone(), a.clone(), a.clone()], 0));

        let others = [
            key("t/b/b", &[a.clone(), b.clone()], 0),
            key("t/a/b", &[a.clone(), b], 1),
            key("t/a/b", std::slice::from_ref(&a), 0),
            key("t/a/b", &[a.clone(), c.clone()], 0),
            key("t/a/b", &[a.clone(), d], 0),
            key("t/a/b", &[a, Matcher::equal("jo", "bapi")], 0),
            key("t/a/b", &[c], 0),
            key("t/a/b", &[], 0),
        ];

        assert!(others.iter().all(|other| *other != set));
        let all: std::collections::HashSet<_> = others.into_iter().collect();
        assert_eq!(all.len(), 8);
    }

    #[test]
    fn very_long_matchers_have_no_key() {
        let long = Matcher::equal("job", "x".repeat(KEY_BYTES_MAX));
        assert!(MatchedKey::of(&Arc::new(Path::from("t")), &[long], 0).is_none());
    }

    #[test]
    fn the_pool_is_bounded_keeps_what_is_used_and_gives_memory_back() {
        let account = Account::new(1 << 20);
        let pool = MatchedPool::within(20_000, &account);
        let series: Arc<RoaringBitmap> = Arc::new((0..10).collect());
        let nth = |n: u32| key("t", &[Matcher::equal("n", n.to_string())], 0);

        for n in 0..1000 {
            pool.insert(nth(n), &series);
            assert!(pool.get(&nth(0)).is_some(), "{n}");
        }

        assert!(
            pool.bytes() <= 20_000 && pool.bytes() > 15_000,
            "{}",
            pool.bytes()
        );
        assert_eq!(account.used_by(Use::Cache), pool.bytes());
        assert!(pool.get(&nth(500)).is_none());
        assert_eq!(pool.get(&nth(999)), Some(series));

        pool.reclaim(1000);
        assert!(pool.bytes() <= 19_000);
        assert!(
            pool.get(&nth(999)).is_some(),
            "what was used last goes last"
        );

        pool.reclaim(usize::MAX);
        assert_eq!((pool.bytes(), account.used_by(Use::Cache)), (0, 0));
    }
}
