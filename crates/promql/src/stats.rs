//! What an answer took.

use std::time::Duration;

use duramen_source::Read;

/// Counts and times of one query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryStats {
    /// Samples that the steps of the query looked at; one that several steps look at counts for
    /// each.
    pub samples_queryable: u64,
    /// Samples that the sources gave, each once for each selector that read it.
    pub samples_read: u64,
    /// The most samples that were held at once.
    pub samples_peak: u64,
    /// `samples_queryable` by the time of the step in milliseconds, in its order; one entry for an
    /// instant. What is the same at every step counts at each. Of a subquery its points count, at
    /// the steps of the function over them.
    pub samples_queryable_per_step: Vec<(i64, u64)>,
    /// `samples_read` likewise: each sample at the first step that reaches it, and at the first of
    /// all what belongs to none.
    pub samples_read_per_step: Vec<(i64, u64)>,
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

/// What an operator did; all zero before the plan was run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// How long it computed, in all its partitions together. Waiting is not part of it, nor what
    /// its inputs took.
    pub busy: Duration,
    /// What it gave: rows are series, in Arrow batches of so many bytes of memory.
    pub rows: u64,
    pub batches: u64,
    pub bytes: u64,
    /// Of a scan only: what its source looked at.
    pub reads: Vec<(Read, u64)>,
}
