//! What a tier of the cache in memory counts of itself.

/// How often a tier had what it was asked for, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierCounts {
    pub hits: u64,
    pub misses: u64,
    /// Entries that were dropped to make room, or because others needed the memory.
    pub evicted: u64,
}
