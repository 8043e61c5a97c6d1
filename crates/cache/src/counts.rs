//! What a cache counts of itself.

use duramen_metrics::Counter;

/// The counts of a cache since the start.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Entries that were found and verified.
    pub hits: Counter,
    pub hit_bytes: Counter,
    /// Entries that were not there, or not as they should be.
    pub misses: Counter,
    /// Entries that were written to the disk.
    pub inserted: Counter,
    pub inserted_bytes: Counter,
    /// Entries that were not written, because too many waited for the disk or no memory was left.
    pub skipped: Counter,
    /// Entries that were found damaged, and were dropped.
    pub damaged: Counter,
    /// Calls of the disk that failed.
    pub errors: Counter,
}
