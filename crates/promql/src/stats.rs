//! What an answer took.

use std::time::Duration;

/// Counts and times of one query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryStats {
    /// Samples that the steps of all selectors looked at; one that several steps look at counts for each.
    pub samples_queryable: u64,
    /// Samples that the sources gave, each once for each selector that read it.
    pub samples_read: u64,
    /// The most samples that were held at once.
    pub samples_peak: u64,
    /// `samples_queryable` by the time of the step in milliseconds, in its order; one entry for an instant.
    pub samples_queryable_per_step: Vec<(i64, u64)>,
    pub timings: QueryTimings,
}

/// How long the parts of a query took. Waiting for a turn is not part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryTimings {
    /// From the tree to operators.
    pub preparation: Duration,
    /// Reading and computing.
    pub evaluation: Duration,
    /// Ordering what the answer holds.
    pub sorting: Duration,
}
