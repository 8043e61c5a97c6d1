//! How many samples a query may hold, and how many it held.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use duramen_qos::{Budget, Reservation};
use duramen_source::SeriesBatch;

use crate::error::Error;
use crate::stats::QueryStats;

/// How many samples the operators of one query hold at the same time.
#[derive(Debug)]
pub(crate) struct SampleBudget {
    held: AtomicUsize,
    /// The maximum of `held` so far.
    peak: AtomicUsize,
    /// All samples that were ever taken.
    read: AtomicUsize,
    max: usize,
    /// The budget of the query, in which the bytes of the samples are reserved.
    memory: Budget,
}

/// A share of a [`SampleBudget`]. Dropping it returns the share.
#[derive(Debug)]
pub(crate) struct SamplePermit {
    budget: Arc<SampleBudget>,
    samples: usize,
    _memory: Reservation,
}

impl SampleBudget {
    pub(crate) fn new(max: usize, memory: Budget) -> Self {
        Self {
            held: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
            max,
            memory,
        }
    }

    /// Returns the budget of the query's memory.
    pub(crate) const fn memory(&self) -> &Budget {
        &self.memory
    }

    pub(crate) fn stats(&self) -> QueryStats {
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed) as u64;
        QueryStats {
            samples_read: count(&self.read),
            samples_peak: count(&self.peak),
            ..QueryStats::default()
        }
    }

    pub(crate) fn take(self: &Arc<Self>, batch: &SeriesBatch) -> Result<SamplePermit, Error> {
        let samples = batch.samples();
        let bytes = batch.record_batch().get_array_memory_size();
        let memory = self.memory.reserve(bytes);
        let memory = memory.map_err(|exceeded| Error::Memory {
            operator: "samples".into(),
            exceeded,
        })?;

        let held = self.held.fetch_add(samples, Ordering::Relaxed) + samples;

        self.peak.fetch_max(held, Ordering::Relaxed);
        self.read.fetch_add(samples, Ordering::Relaxed);

        let permit = SamplePermit {
            budget: Arc::clone(self),
            samples,
            _memory: memory,
        };

        if held > self.max {
            return Err(Error::Samples {
                held,
                limit: self.max,
            });
        }

        Ok(permit)
    }
}

impl Drop for SamplePermit {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.samples, Ordering::Relaxed);
    }
}
