//! What a query took.

use std::time::Duration;

use duramen_source::Read;

/// Counts and durations of one query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryStats {
    /// Samples that the steps of the query looked at. A sample counts once for each step that looks
    /// at it.
    pub samples_queryable: u64,
    /// Samples that the sources returned. A sample counts once for each selector that read it.
    pub samples_read: u64,
    /// The largest number of samples that were held at the same time.
    pub samples_peak: u64,
    /// `samples_queryable` by step: pairs of the time of the step in ms and the count, in order. An
    /// instant query has one entry. What is the same at every step counts at each step. For a
    /// subquery, its points count, at the steps of the function over it.
    pub samples_queryable_per_step: Vec<(i64, u64)>,
    /// `samples_read` by step, in the same form. Each sample counts at the first step that reaches
    /// it. Samples that belong to no step count at the first step, and all of them if the query
    /// does not ask for it ([`QueryContext::first_reads`](crate::QueryContext)).
    pub samples_read_per_step: Vec<(i64, u64)>,
    pub timings: QueryTimings,
}

/// How long the parts of a query took, without waiting for its turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryTimings {
    /// From the syntax tree to the operators.
    pub preparation: Duration,
    /// Reading and computing.
    pub evaluation: Duration,
    /// Sorting the answer.
    pub sorting: Duration,
}

/// What an operator did. All zero before the plan has run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// How long it computed, in all its partitions together. Waiting and its inputs are not
    /// included.
    pub busy: Duration,
    /// Its output: the number of series, the number of Arrow batches, and their memory in bytes.
    pub rows: u64,
    pub batches: u64,
    pub bytes: u64,
    /// For a scan only: what its source read.
    pub reads: Vec<(Read, u64)>,
}
