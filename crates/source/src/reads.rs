//! Counts what a selection reads.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// The counts of one selection, and the limit of the requests that it sends at once. All parts that
/// answer it share them.
#[derive(Debug, Default)]
pub struct Reads {
    counts: [AtomicU64; Read::ALL.len()],
    gets: OnceLock<GetLimit>,
}

impl Reads {
    /// Returns counts that begin at 0, for a part of the work within the same limit.
    #[must_use]
    pub fn part(&self) -> Self {
        let part = Self::default();
        part.share_gets(self.gets());
        part
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
}
