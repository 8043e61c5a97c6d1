//! What an answer took.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::plan::lookup::Lookup;
use duramen_source::Read;

use crate::grid::Grid;

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

/// What the steps of one query look at and read.
#[derive(Debug, Default)]
pub(crate) struct StepCounts {
    /// The steps of the query itself.
    steps: OnceLock<Grid>,
    per_step: Mutex<PerStep>,
}

#[derive(Debug, Default)]
struct PerStep {
    samples_seen: Vec<u64>,
    read: Vec<u64>,
}

impl StepCounts {
    /// Says which steps the query has. Said once, before anything is counted.
    pub(crate) fn begin(&self, grid: Grid) {
        self.steps.get_or_init(|| grid);
    }

    /// Adds what the steps of `grid`, a part of the plan at `place`, looked at and what they read
    /// first.
    pub(crate) fn add(&self, place: &Place, grid: &Grid, samples_seen: &[u64], read: &[u64]) {
        let Some(steps) = self.steps.get() else {
            return;
        };
        let mut per_step = self.per_step.lock().unwrap_or_else(PoisonError::into_inner);
        per_step.samples_seen.resize(steps.steps, 0);
        per_step.read.resize(steps.steps, 0);

        match place {
            Place::Steps => per_step
                .samples_seen
                .iter_mut()
                .zip(samples_seen)
                .for_each(|(sum, count)| *sum += count),
            Place::EveryStep => {
                let once: u64 = samples_seen.iter().sum();
                per_step
                    .samples_seen
                    .iter_mut()
                    .for_each(|sum| *sum += once);
            }
            Place::Subquery { .. } => {}
        }

        for (index, count) in read.iter().enumerate().filter(|(_, count)| **count > 0) {
            per_step.read[place.step(grid, index)] += count;
        }
    }

    /// Adds samples that the only step of an instant looked at.
    pub(crate) fn add_samples_seen(&self, samples: u64) {
        let Some(grid) = self.steps.get() else { return };
        self.add(&Place::EveryStep, grid, &[samples], &[]);
    }

    /// Writes what was counted beside the counts of all samples.
    pub(crate) fn report(&self, stats: &mut QueryStats) {
        let Some(grid) = self.steps.get() else { return };
        let mut per_step = self.per_step.lock().unwrap_or_else(PoisonError::into_inner);
        per_step.samples_seen.resize(grid.steps, 0);
        per_step.read.resize(grid.steps, 0);

        let attributed: u64 = per_step.read.iter().sum();
        per_step.read[0] += stats.samples_read.saturating_sub(attributed);

        let timed = |counts: &[u64]| {
            counts
                .iter()
                .enumerate()
                .map(|(step, count)| (grid.at(step), *count))
                .collect()
        };

        stats.samples_queryable = per_step.samples_seen.iter().sum();
        stats.samples_queryable_per_step = timed(&per_step.samples_seen);
        stats.samples_read_per_step = timed(&per_step.read);
    }
}

/// How the steps of a part of a plan stand to those of the query.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// They are the query's own.
    Steps,
    /// It is evaluated once, for all of them.
    EveryStep,
    /// It makes the points of a subquery, which a function looks at in the steps of `grid`, itself
    /// at `of`.
    Subquery {
        grid: Grid,
        lookup: Lookup,
        of: Arc<Self>,
    },
}

impl Place {
    /// The place of the inputs of what is evaluated once.
    pub(crate) fn once(&self) -> Self {
        match self {
            Self::Steps => Self::EveryStep,
            inside => inside.clone(),
        }
    }

    /// The first step of the query that step `index` of `grid` is evaluated for.
    fn step(&self, grid: &Grid, index: usize) -> usize {
        match self {
            Self::Steps => index,
            Self::EveryStep => 0,
            Self::Subquery {
                grid: outer,
                lookup,
                of,
            } => of.step(outer, first_that_reaches(outer, lookup, grid.at(index))),
        }
    }
}

/// The first step of `grid` that reads a sample at `ts_ms`, the last when none does.
fn first_that_reaches(grid: &Grid, lookup: &Lookup, ts_ms: i64) -> usize {
    let mut from = 0;
    let mut to = grid.steps.saturating_sub(1);

    while from < to {
        let middle = from.midpoint(to);
        if lookup.read_end_ms(grid.at(middle)) < ts_ms {
            from = middle + 1
        } else {
            to = middle
        }
    }

    from
}
