//! Keeps automata of regexes for later requests.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::GoRegex;

/// An owner may hold one part in `SHARES` of the cache, so that others have room beside it.
const SHARES: usize = 4;

/// The automata of recently used regexes, by owner and pattern.
///
/// An owner finds only its own regexes, so that it cannot learn anything about other owners. It
/// holds at most a quarter of the bytes; beyond that it loses the regex that it used longest ago.
/// When the whole cache is full, the owner that holds most loses a regex.
#[derive(Debug)]
pub struct RegexCache {
    bytes_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    owners: HashMap<Arc<str>, OwnerRegexes>,
    bytes: usize,
    /// The number of uses so far; it serves as the clock.
    now: u64,
}

#[derive(Debug, Default)]
struct OwnerRegexes {
    /// By pattern: the regex and the time of its last use.
    regexes: HashMap<Box<str>, (GoRegex, u64)>,
    bytes: usize,
}

impl RegexCache {
    /// A cache of up to `bytes_max`, as [`GoRegex::bytes`] counts them.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            state: Mutex::default(),
        }
    }

    pub(super) fn get(&self, owner: &str, pattern: &str) -> Option<GoRegex> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.now += 1;

        let now = state.now;
        let (regex, used) = state.owners.get_mut(owner)?.regexes.get_mut(pattern)?;
        *used = now;

        Some(regex.clone())
    }

    /// Keeps a regex that has an automaton; others are quick to make. One that is larger than a
    /// share is not kept.
    pub(super) fn insert(&self, owner: &Arc<str>, regex: &GoRegex) {
        let bytes = regex.bytes();
        let share = self.bytes_max / SHARES;

        if !regex.needs_automaton() || bytes > share {
            return;
        }

        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.now += 1;

        let now = state.now;

        let own = state.owners.entry(Arc::clone(owner)).or_default();
        if own
            .regexes
            .insert(Box::from(regex.pattern()), (regex.clone(), now))
            .is_some()
        {
            return;
        }

        own.bytes += bytes;

        let mut freed = 0;
        while own.bytes > share {
            freed += own.forget_oldest();
        }

        state.bytes = state.bytes + bytes - freed;

        while state.bytes > self.bytes_max {
            state.forget_from_largest_owner();
        }
    }

    /// The bytes that all owners hold together.
    pub fn bytes(&self) -> usize {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .bytes
    }
}

impl State {
    fn forget_from_largest_owner(&mut self) {
        // Among equal owners, the one with the oldest use is chosen.
        let largest = self
            .owners
            .iter()
            .max_by_key(|(_, own)| (own.bytes, Reverse(own.oldest_use())));

        let Some(owner) = largest.map(|(owner, _)| Arc::clone(owner)) else {
            return;
        };
        let Some(own) = self.owners.get_mut(&owner) else {
            return;
        };

        self.bytes -= own.forget_oldest();

        if own.regexes.is_empty() {
            self.owners.remove(&owner);
        }
    }
}

impl OwnerRegexes {
    fn oldest_use(&self) -> u64 {
        self.regexes
            .values()
            .map(|(_, used)| *used)
            .min()
            .unwrap_or(0)
    }

    /// Drops the regex that was used longest ago. Returns how many bytes that frees.
    fn forget_oldest(&mut self) -> usize {
        let oldest = self.regexes.values().min_by_key(|(_, used)| *used);
        let Some(regex) = oldest.map(|(regex, _)| regex.clone()) else {
            return 0;
        };

        self.regexes.remove(regex.pattern());
        self.bytes -= regex.bytes();

        regex.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(cache: &RegexCache, owner: &Arc<str>, count: usize) {
        for at in 0..count {
            cache.insert(owner, &GoRegex::parse(&format!("{at}[0-9]+")).unwrap());
        }
    }

    #[test]
    fn an_owner_holds_a_share_and_pushes_out_its_own() {
        let one = GoRegex::parse("100[0-9]+").unwrap().bytes();
        let cache = RegexCache::new(40 * one);
        let a: Arc<str> = Arc::from("a");
        let b: Arc<str> = Arc::from("b");

        fill(&cache, &b, 3);
        fill(&cache, &a, 500);

        assert!(cache.bytes() <= 13 * one, "{}", cache.bytes());
        assert!(cache.get("a", "0[0-9]+").is_none() && cache.get("a", "499[0-9]+").is_some());
        assert!(
            cache.get("b", "0[0-9]+").is_some(),
            "it is pushed out by nobody else"
        );

        assert!(
            cache.get("b", "499[0-9]+").is_none(),
            "it is found by nobody else"
        );
    }

    #[test]
    fn many_owners_stay_within_the_whole() {
        let one = GoRegex::parse("10[0-9]+").unwrap().bytes();
        let cache = RegexCache::new(40 * one);

        for owner in 0..100 {
            fill(&cache, &Arc::from(owner.to_string()), 10);
        }

        assert!(cache.bytes() <= 40 * one);
        assert!(cache.get("99", "9[0-9]+").is_some(), "the newest is kept");
    }

    #[test]
    fn what_is_quick_to_read_is_not_kept() {
        let cache = RegexCache::new(1 << 20);
        let a = Arc::from("a");
        cache.insert(&a, &GoRegex::parse("a|b|c.*").unwrap());

        assert_eq!(cache.bytes(), 0);
    }
}
