//! What annotations say about classic histograms whose counts fall where they should ascend.

use std::fmt;

use duramen_model::number::{go_general, go_general_rounded};

use crate::kernels::date::rfc3339;
use crate::kernels::histogram::Repair;

/// All repairs that one annotation reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Forced {
    repair: Repair,
    first_ms: i64,
    last_ms: i64,
    /// The number of reports, less one. At each further step of a range, Prometheus counts the
    /// earlier reports again, and so does this.
    repeats: i64,
}

impl Forced {
    /// Creates the report of one repair.
    pub(crate) const fn once(repair: Repair, time_ms: i64) -> Self {
        Self {
            repair,
            first_ms: time_ms,
            last_ms: time_ms,
            repeats: 0,
        }
    }

    /// Returns both reports as one.
    pub(crate) fn and(self, other: &Self) -> Self {
        Self {
            repair: self.repair.and(&other.repair),
            first_ms: self.first_ms.min(other.first_ms),
            last_ms: self.last_ms.max(other.last_ms),
            repeats: self.repeats.wrapping_add(other.repeats).wrapping_add(1),
        }
    }
}

/// The repairs of one histogram function, step by step.
#[derive(Debug)]
pub(crate) struct ForcedSteps {
    steps: Vec<Option<Forced>>,
}

impl ForcedSteps {
    pub(crate) fn new(steps: usize) -> Self {
        Self {
            steps: vec![None; steps],
        }
    }

    pub(crate) fn add(&mut self, step: usize, forced: Forced) {
        let held = &mut self.steps[step];
        *held = Some(held.map_or(forced, |held| held.and(&forced)));
    }

    /// Returns all of them as one report, or `None` if there are none.
    pub(crate) fn total(&self) -> Option<Forced> {
        let mut total: Option<Forced> = None;

        for step in &self.steps {
            let before = total;
            total = match (total, step) {
                (Some(total), Some(step)) => Some(total.and(step)),
                (total, step) => total.or(*step),
            };

            if before.is_some() {
                total = total.map(|total| total.and(&total));
            }
        }

        total
    }
}

impl fmt::Display for Forced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Repair {
            lowest,
            highest,
            most,
        } = self.repair;

        let lowest = go_general(lowest);
        let highest = go_general(highest);
        let most = go_general_rounded(most, 2);
        let times = self.repeats.wrapping_add(1);
        let first = rfc3339(self.first_ms);
        let last = rfc3339(self.last_ms);

        write!(
            f,
            "from buckets {lowest} to {highest}, with a max diff of {most}, over {times} samples from {first} to {last}"
        )
    }
}
