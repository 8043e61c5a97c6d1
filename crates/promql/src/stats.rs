//! What an answer took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::grid::Grid;

/// Counts and times of one query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryStats {
    /// Samples that the steps of all selectors looked at; one that several steps look at counts for each.
    pub samples_queryable: u64,
    /// Samples that the sources gave, each once for each selector that read it.
    pub samples_read: u64,
    /// The most samples that were held at once.
    pub samples_peak: u64,
    /// `samples_queryable` by the time of the step in milliseconds, in its order; one entry for an instant. What is looked at beside
    /// the steps of the query, in subqueries and for what is the same at every step, is in the total only.
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

/// What the steps of all selectors of one query look at.
#[derive(Debug, Default)]
pub(crate) struct Queryable {
    /// The steps of the query itself.
    steps: OnceLock<Grid>,
    total: AtomicU64,
    per_step: Mutex<Vec<u64>>,
}

impl Queryable {
    /// Says which steps the query has. Said once, before anything is counted.
    pub(crate) fn begin(&self, grid: Grid) {
        self.steps.get_or_init(|| grid);
    }

    /// Adds how many samples each step of a grid looked at.
    pub(crate) fn add(&self, grid: &Grid, looked_at: &[u64]) {
        self.total.fetch_add(looked_at.iter().sum(), Ordering::Relaxed);
        if self.steps.get() == Some(grid) {
            let mut per_step = self.per_step.lock().unwrap_or_else(PoisonError::into_inner);
            per_step.resize(grid.steps, 0);
            per_step.iter_mut().zip(looked_at).for_each(|(sum, count)| *sum += count);
        }
    }

    /// Writes what was counted.
    pub(crate) fn report(&self, stats: &mut QueryStats) {
        stats.samples_queryable = self.total.load(Ordering::Relaxed);
        let Some(grid) = self.steps.get() else { return };
        let per_step = self.per_step.lock().unwrap_or_else(PoisonError::into_inner);
        let at = |step: usize| per_step.get(step).copied().unwrap_or(0);
        stats.samples_queryable_per_step = (0..grid.steps).map(|step| (grid.at(step), at(step))).collect();
    }
}
