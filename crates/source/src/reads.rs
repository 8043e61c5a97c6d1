//! Counts what a selection reads.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use duramen_qos::{Budget, Exceeded, Reservation};
use parking_lot::Mutex;

use crate::get_limit::GetLimit;

/// The counters of a selection, from coarse to fine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Generations of heads, and staged blocks that are not in the bucket yet.
    Heads,
    /// Blocks in the manifest.
    Blocks,
    /// Blocks whose time range overlaps the requested range.
    BlocksInRange,
    /// Blocks in range whose metric names the matchers can meet. Only these are opened.
    BlocksOpened,
    /// Series in the blocks that are opened.
    Series,
    /// Series that pass the matchers and overlap the range. Only their samples are read.
    SeriesFound,
    /// Requests to the store.
    Gets,
    /// Bytes of the store's answers.
    GetBytes,
    /// Second requests that were sent because the first was slow. They are among the requests.
    Hedges,
    /// Runs of extents that another selection was getting at the time. Their requests count there.
    Shared,
    /// Blocks that were open.
    OpenHits,
    /// Blocks whose decoded series index was in memory.
    IndexHits,
    /// Blocks whose series that pass the matchers were known from an earlier selection.
    MatcherHits,
    /// Extents that were in memory.
    CacheHits,
    CacheBytes,
    /// Extents that were on the local disk.
    DiskHits,
    DiskBytes,
}

impl Read {
    pub const ALL: [Self; 17] = [
        Self::Heads,
        Self::Blocks,
        Self::BlocksInRange,
        Self::BlocksOpened,
        Self::Series,
        Self::SeriesFound,
        Self::Gets,
        Self::GetBytes,
        Self::Hedges,
        Self::Shared,
        Self::OpenHits,
        Self::IndexHits,
        Self::MatcherHits,
        Self::CacheHits,
        Self::CacheBytes,
        Self::DiskHits,
        Self::DiskBytes,
    ];

    /// The printed name. It must never change.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Heads => "heads",
            Self::Blocks => "blocks",
            Self::BlocksInRange => "blocks_in_range",
            Self::BlocksOpened => "blocks_opened",
            Self::Series => "block_series",
            Self::SeriesFound => "block_series_found",
            Self::Gets => "gets",
            Self::GetBytes => "get_bytes",
            Self::Hedges => "hedges",
            Self::Shared => "shared_gets",
            Self::OpenHits => "open_hits",
            Self::IndexHits => "index_hits",
            Self::MatcherHits => "matcher_hits",
            Self::CacheHits => "cache_hits",
            Self::CacheBytes => "cache_bytes",
            Self::DiskHits => "disk_hits",
            Self::DiskBytes => "disk_bytes",
        }
    }
}

/// The counts of one selection, the limit of the requests that it sends at once, and the budget of
/// its memory. All parts that answer it share them.
#[derive(Debug, Default)]
pub struct Reads {
    counts: [AtomicU64; Read::ALL.len()],
    gets: OnceLock<GetLimit>,
    memory: Option<Arc<Memory>>,
}

/// The batches of a part that are reserved at once: two that a block reads, the one that is merged,
/// and the next.
const BATCHES_OF_A_PART: usize = 4;

/// The memory of one selection.
#[derive(Debug)]
struct Memory {
    budget: Budget,
    /// How many parts answer side by side.
    parts: AtomicUsize,
    /// What the answer has collected.
    answer: Mutex<Reservation>,
}

impl Reads {
    /// Returns counts that begin at 0, for the selection of a query with this budget.
    pub fn within(budget: &Budget) -> Self {
        let memory = Memory {
            budget: budget.clone(),
            parts: AtomicUsize::new(1),
            answer: Mutex::new(budget.reservation()),
        };

        Self {
            memory: Some(Arc::new(memory)),
            ..Self::default()
        }
    }

    /// Returns counts that begin at 0, for a part of the work within the same limits.
    #[must_use]
    pub fn part(&self) -> Self {
        let part = Self {
            memory: self.memory.clone(),
            ..Self::default()
        };
        part.share_gets(self.gets());
        part
    }

    /// The budget of the memory that the selection needs while it is answered. `None` if it belongs
    /// to no query.
    pub fn budget(&self) -> Option<&Budget> {
        self.memory.as_ref().map(|memory| &memory.budget)
    }

    /// Says that so many parts answer side by side.
    pub fn divide(&self, parts: usize) {
        if let Some(memory) = &self.memory {
            memory.parts.fetch_max(parts, Ordering::Relaxed);
        }
    }

    /// Returns how many bytes a batch of one part may have, so that the batches of all parts take at
    /// most a quarter of the budget. `None` if the selection belongs to no query.
    pub fn batch_bytes_max(&self) -> Option<usize> {
        let memory = self.memory.as_ref()?;
        let batches = BATCHES_OF_A_PART.saturating_mul(memory.parts.load(Ordering::Relaxed));
        Some(memory.budget.max() / 4 / batches)
    }

    /// Reserves memory for what an answer collects. It is held until the selection is dropped. A
    /// selection that belongs to no query reserves nothing.
    pub fn hold(&self, bytes: usize) -> Result<(), Exceeded> {
        match &self.memory {
            Some(memory) => memory.answer.lock().grow(bytes),
            None => Ok(()),
        }
    }

    /// Gives back memory of what an answer has collected.
    pub fn release(&self, bytes: usize) {
        if let Some(memory) = &self.memory {
            memory.answer.lock().shrink(bytes);
        }
    }

    pub fn add(&self, what: Read, count: u64) {
        self.counts[what as usize].fetch_add(count, Ordering::Relaxed);
    }

    /// Adds all counts of a part of the work.
    pub fn add_all(&self, part: &Self) {
        for what in Read::ALL {
            self.add(what, part.get(what));
        }
    }

    pub fn get(&self, what: Read) -> u64 {
        self.counts[what as usize].load(Ordering::Relaxed)
    }

    /// Makes the selection share the limit of its query. Does nothing if it has a limit already.
    pub fn share_gets(&self, limit: &GetLimit) {
        let _ = self.gets.set(limit.clone());
    }

    /// The limit of the requests to a store. A selection that belongs to no query has one of its
    /// own.
    pub fn gets(&self) -> &GetLimit {
        self.gets.get_or_init(GetLimit::default)
    }
}

#[cfg(test)]
mod tests {
    use duramen_qos::Account;

    use super::*;

    #[test]
    fn each_count_has_a_place_and_a_name_of_its_own() {
        let reads = Reads::default();
        for (place, what) in Read::ALL.into_iter().enumerate() {
            reads.add(what, place as u64 + 1);
        }

        assert_eq!(
            Read::ALL.map(|what| reads.get(what)),
            [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]
        );

        let mut names = Read::ALL.map(Read::name).to_vec();
        names.sort_unstable();
        names.dedup();

        assert_eq!(names.len(), Read::ALL.len());
    }

    #[test]
    fn the_batches_of_all_parts_take_a_quarter_of_the_budget() {
        let budget = Budget::of_query(&Account::unbounded(), 1 << 20);
        let reads = Reads::within(&budget);
        assert_eq!(reads.batch_bytes_max(), Some(64 << 10));

        reads.part().divide(8);
        assert_eq!(reads.batch_bytes_max(), Some(8 << 10));
        assert_eq!(Reads::default().batch_bytes_max(), None);
    }

    #[test]
    fn what_an_answer_collects_is_held_until_the_selection_is_dropped() {
        let budget = Budget::of_query(&Account::unbounded(), 100);
        let reads = Reads::within(&budget);
        let part = reads.part();

        part.hold(60).unwrap();
        drop(part);
        assert!(reads.hold(41).is_err());
        assert_eq!(budget.held(), 60);

        reads.release(20);
        assert_eq!(budget.held(), 40);

        drop(reads);
        assert_eq!(budget.held(), 0);
    }
}
