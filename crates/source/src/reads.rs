//! Counts what a selection reads.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counters of a selection, from coarse to fine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Generations of heads, and staged blocks that are not in the bucket yet.
    Heads,
    /// Blocks in the manifest.
    Blocks,
    /// Blocks whose time range overlaps the requested range. Only these are opened.
    BlocksInRange,
    /// Series in the blocks in range.
    Series,
    /// Series that pass the matchers and overlap the range. Only their samples are read.
    SeriesFound,
    /// Requests to the store.
    Gets,
    /// Bytes of the store's answers.
    GetBytes,
    /// Extents that were in memory.
    CacheHits,
    CacheBytes,
}

impl Read {
    pub const ALL: [Self; 9] = [
        Self::Heads,
        Self::Blocks,
        Self::BlocksInRange,
        Self::Series,
        Self::SeriesFound,
        Self::Gets,
        Self::GetBytes,
        Self::CacheHits,
        Self::CacheBytes,
    ];

    /// The printed name. It must never change.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Heads => "heads",
            Self::Blocks => "blocks",
            Self::BlocksInRange => "blocks_in_range",
            Self::Series => "block_series",
            Self::SeriesFound => "block_series_found",
            Self::Gets => "gets",
            Self::GetBytes => "get_bytes",
            Self::CacheHits => "cache_hits",
            Self::CacheBytes => "cache_bytes",
        }
    }
}

/// The counts of one selection. All parts that answer it share them.
#[derive(Debug, Default)]
pub struct Reads([AtomicU64; Read::ALL.len()]);

impl Reads {
    pub fn add(&self, what: Read, count: u64) {
        self.0[what as usize].fetch_add(count, Ordering::Relaxed);
    }

    pub fn get(&self, what: Read) -> u64 {
        self.0[what as usize].load(Ordering::Relaxed)
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
            [1, 2, 3, 4, 5, 6, 7, 8, 9]
        );

        let mut names = Read::ALL.map(Read::name).to_vec();
        names.sort_unstable();
        names.dedup();

        assert_eq!(names.len(), Read::ALL.len());
    }
}
