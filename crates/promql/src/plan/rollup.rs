//! Which selectors are answered from rollups.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use duramen_model::TimeRange;
use duramen_source::Coverage;

use crate::error::Error;
use crate::grid::Grid;
use crate::kernels::rollup;
use crate::plan::lookup::{Lookup, StepFunction};

/// In which cases rollups are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RollupPolicy {
    /// Where they give what samples give.
    #[default]
    Exact,
    /// Also where a window has at least five buckets. The answer says so.
    Approximate,
}

/// Which rollups a query may read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RollupChoice {
    pub policy: RollupPolicy,
    /// The longest buckets; `None`: any. 0 is samples alone.
    pub resolution_max_ms: Option<i64>,
}

/// A window that has so many buckets may be answered from whole buckets, if the policy says so.
pub(crate) const BUCKETS_MIN: i64 = 5;

/// The rollups that a selector is answered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rollup {
    pub(crate) resolution_ms: i64,
    /// Whether windows hold whole buckets.
    pub(crate) is_approximate: bool,
    /// Whether samples of the time are gone.
    pub(crate) is_alone: bool,
}

/// The rollups of a source, and which of them the query may read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rollups {
    pub(crate) coverage: Arc<[Coverage]>,
    pub(crate) choice: RollupChoice,
    /// The resolutions that were chosen so far.
    chosen: Arc<Mutex<BTreeSet<i64>>>,
}

/// A selector with its function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) function: StepFunction,
    pub(crate) lookup: &'a Lookup,
    pub(crate) grid: &'a Grid,
    /// The times that it reads.
    pub(crate) range: TimeRange,
    /// Whether the plan uses the start times of counters.
    pub(crate) uses_starts: bool,
}

impl Rollups {
    pub(crate) fn new(coverage: Vec<Coverage>, choice: RollupChoice) -> Self {
        Self {
            coverage: coverage.into(),
            choice,
            chosen: Arc::default(),
        }
    }

    /// The resolutions that were chosen, ascending.
    pub(crate) fn chosen(&self) -> Vec<i64> {
        self.lock().iter().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<i64>> {
        self.chosen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the rollups that answer a selector. `None` if its samples do.
    ///
    /// # Errors
    /// Samples of the time are gone, and rollups cannot take their place.
    pub(crate) fn choose(&self, asked: &Asked<'_>) -> Result<Option<Rollup>, Error> {
        let mut all = self.coverage.iter();
        let is_alone = all.any(|coverage| coverage.is_alone_in(asked.range));

        if !is_alone && self.choice.resolution_max_ms == Some(0) {
            return Ok(None);
        }

        if !asked.is_answered() {
            return match is_alone {
                true => Err(gone(&asked.name(), "no rollup can answer it")),
                false => Ok(None),
            };
        }

        let fits = |coverage: &&Coverage| {
            let max_ms = self.choice.resolution_max_ms.unwrap_or(i64::MAX);
            let has_all = !is_alone || self.has_all(coverage, asked.range);
            coverage.resolution_ms <= max_ms && coverage.touches(asked.range) && has_all
        };
        let mut fitting: Vec<&Coverage> = self.coverage.iter().filter(fits).collect();
        // The longest buckets first.
        fitting.sort_by_key(|coverage| std::cmp::Reverse(coverage.resolution_ms));

        let exact = fitting
            .iter()
            .find(|coverage| asked.is_exact(coverage.resolution_ms));
        let rough = fitting.iter().find(|coverage| {
            self.choice.policy == RollupPolicy::Approximate
                && asked.is_rough(coverage.resolution_ms)
        });
        let finest = fitting.last().filter(|_| is_alone);

        let chosen = exact
            .map(|coverage| (coverage, false))
            .or_else(|| rough.map(|coverage| (coverage, true)))
            .or_else(|| finest.map(|coverage| (coverage, true)));

        match chosen {
            Some((coverage, is_approximate)) => {
                let resolution_ms = coverage.resolution_ms;
                self.lock().insert(resolution_ms);

                Ok(Some(Rollup {
                    resolution_ms,
                    is_approximate,
                    is_alone,
                }))
            }
            None if is_alone => Err(gone(
                &asked.name(),
                "max_source_resolution leaves no rollup that has all of the time",
            )),
            None => Ok(None),
        }
    }

    /// Whether a coverage has all times of a range of which the samples are gone.
    fn has_all(&self, coverage: &Coverage, range: TimeRange) -> bool {
        let others = self.coverage.iter().flat_map(|other| &other.alone);
        let mut alone = others.filter_map(|alone| alone.intersect(range));

        alone.all(|alone| duramen_source::rollup::uncovered(alone, &coverage.covered).is_empty())
    }

    /// Refuses to read samples of a time of which some are gone.
    ///
    /// # Errors
    /// Some are.
    pub(crate) fn check_samples(&self, range: TimeRange) -> Result<(), Error> {
        let mut all = self.coverage.iter();

        match all.any(|coverage| coverage.is_alone_in(range)) {
            true => Err(gone("a range vector", "it is made of samples alone")),
            false => Ok(()),
        }
    }
}

fn gone(what: &str, why: &str) -> Error {
    Error::execution(format!(
        "the samples of a part of this time are gone (retention), only rollups are left: {what} \
         cannot be answered, {why}"
    ))
}

impl Asked<'_> {
    fn name(&self) -> String {
        match self.function {
            StepFunction::Range(function) => format!("`{}`", function.name()),
            StepFunction::Smoothed => "`smoothed`".to_owned(),
            StepFunction::LatestStart => "`start_timestamp`".to_owned(),
            StepFunction::Latest | StepFunction::LatestTime | StepFunction::NamedTime => {
                "a selector of samples with life spans".to_owned()
            }
        }
    }

    /// Whether rollups can answer the function at all.
    fn is_answered(&self) -> bool {
        let answers = match self.function {
            StepFunction::Latest | StepFunction::LatestTime | StepFunction::NamedTime => {
                self.lookup.ttl_max_ms == 0
            }
            StepFunction::Range(function) => rollup::answers(function) && !self.uses_starts,
            StepFunction::LatestStart | StepFunction::Smoothed => false,
        };

        answers && self.lookup.ends.is_none()
    }

    /// Whether rollups give what samples give, for all series or for most.
    fn is_exact(&self, resolution_ms: i64) -> bool {
        let Lookup { range_ms, .. } = *self.lookup;
        let first_ms = self.lookup.end_ms(self.grid.start_ms);
        let is_fixed = self.grid.steps == 1 || self.lookup.at_ms.is_some();
        let divides = |ms: i64| ms % resolution_ms == 0;

        let are_times_ends = divides(first_ms) && (is_fixed || divides(self.grid.step_ms));

        let holds_buckets = match self.function {
            // A range that is a little longer may cut a bucket that has no sample there, or one.
            StepFunction::Range(_) => range_ms >= resolution_ms,
            _ => true,
        };

        are_times_ends && holds_buckets
    }

    /// Whether a window has so many buckets that whole ones will do.
    fn is_rough(&self, resolution_ms: i64) -> bool {
        matches!(self.function, StepFunction::Range(_))
            && self.lookup.range_ms >= BUCKETS_MIN * resolution_ms
    }
}
