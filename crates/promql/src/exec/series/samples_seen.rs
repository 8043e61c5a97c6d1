//! Counts the samples that the steps of a selector look at.

use std::cell::Cell;

use crate::error::Error;
use crate::exec::support::cancellation::Cancellation;

/// How many samples each step looked at, in one batch.
#[derive(Debug)]
pub(crate) struct SamplesSeen {
    steps: Vec<Cell<u64>>,
    cancellation: Cancellation,
    /// Samples since the last check for cancellation.
    since: Cell<usize>,
    is_cancelled: Cell<bool>,
}

/// How many samples are looked at between two checks for cancellation. For the slowest function
/// this is a few milliseconds.
const SAMPLES: usize = 1 << 16;

impl SamplesSeen {
    pub(crate) fn new(steps: usize, cancellation: Cancellation) -> Self {
        let since = Cell::new(0);
        let is_cancelled = Cell::new(false);

        Self {
            steps: vec![Cell::new(0); steps],
            cancellation,
            since,
            is_cancelled,
        }
    }

    #[inline]
    pub(crate) fn add(&self, step: usize, samples: usize) {
        let count = &self.steps[step];
        count.set(count.get() + samples as u64);

        let since = self.since.get() + samples;
        self.since.set(since);

        if since >= SAMPLES {
            self.since.set(0);
            self.is_cancelled.set(self.cancellation.is_cancelled());
        }
    }

    /// Returns whether the query was cancelled at the last check. Cells need no value then.
    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_cancelled.get()
    }

    /// Returns an error if the query was cancelled.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.cancellation.check()
    }

    pub(crate) fn counts(&self) -> Vec<u64> {
        self.steps.iter().map(Cell::get).collect()
    }
}
