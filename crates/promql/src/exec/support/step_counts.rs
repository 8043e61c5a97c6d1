//! Counts the samples that the steps of a query look at, and those that each step is the first to
//! read.

use std::sync::{Arc, Mutex, PoisonError};

use crate::grid::Grid;
use crate::plan::lookup::Lookup;
use crate::stats::QueryStats;

/// What the steps of one query look at and read.
#[derive(Debug)]
pub(crate) struct StepCounts {
    /// The steps of the query itself.
    steps: Grid,
    /// Whether somebody asks at which step each sample is read first.
    pub(crate) first_reads: bool,
    per_step: Mutex<PerStep>,
}

#[derive(Debug, Default)]
struct PerStep {
    samples_seen: Vec<u64>,
    read: Vec<u64>,
}

impl StepCounts {
    /// Creates the counts for a query with these steps.
    pub(crate) fn new(steps: Grid, first_reads: bool) -> Self {
        Self {
            steps,
            first_reads,
            per_step: Mutex::default(),
        }
    }

    /// Adds what the steps of `grid` looked at and what they were the first to read. `place` is the
    /// place of that part of the plan.
    pub(crate) fn add(&self, place: &PlanPlace, grid: &Grid, samples_seen: &[u64], read: &[u64]) {
        let mut per_step = self.per_step.lock().unwrap_or_else(PoisonError::into_inner);
        per_step.samples_seen.resize(self.steps.steps, 0);
        per_step.read.resize(self.steps.steps, 0);

        match place {
            PlanPlace::Steps => per_step
                .samples_seen
                .iter_mut()
                .zip(samples_seen)
                .for_each(|(sum, count)| *sum += count),
            PlanPlace::EveryStep => {
                let once: u64 = samples_seen.iter().sum();
                per_step
                    .samples_seen
                    .iter_mut()
                    .for_each(|sum| *sum += once);
            }
            PlanPlace::Subquery { .. } | PlanPlace::Counted(_) => {}
        }

        for (index, count) in read.iter().enumerate().filter(|(_, count)| **count > 0) {
            per_step.read[place.step(grid, index)] += count;
        }
    }

    /// Adds samples that the only step of an instant query looked at.
    pub(crate) fn add_samples_seen(&self, samples: u64) {
        self.add(&PlanPlace::EveryStep, &self.steps, &[samples], &[]);
    }

    /// Writes the counts by step into `stats`.
    pub(crate) fn report(&self, stats: &mut QueryStats) {
        let grid = self.steps;
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

/// How the steps of a part of a plan relate to those of the query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PlanPlace {
    /// They are the steps of the query.
    Steps,
    /// The part is evaluated once for all steps.
    EveryStep,
    /// The operator above, at this place, counts what the part looks at.
    Counted(Arc<Self>),
    /// The part makes the points of a subquery. A function at the place `of` looks at them in the
    /// steps of `grid`.
    Subquery {
        grid: Grid,
        lookup: Lookup,
        of: Arc<Self>,
    },
}

impl PlanPlace {
    /// Returns the place of the inputs of a part that is evaluated once.
    pub(crate) fn once(&self) -> Self {
        match self {
            Self::Steps => Self::EveryStep,
            inside => inside.clone(),
        }
    }

    /// Returns the first step of the query that step `index` of `grid` is evaluated for.
    fn step(&self, grid: &Grid, index: usize) -> usize {
        match self {
            Self::Steps => index,
            Self::EveryStep => 0,
            Self::Counted(of) => of.step(grid, index),
            Self::Subquery {
                grid: outer,
                lookup,
                of,
            } => of.step(outer, first_that_reaches(outer, lookup, grid.at(index))),
        }
    }
}

/// Returns the first step of `grid` that reads a sample at `ts_ms`. If none does, returns the last
/// step.
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
