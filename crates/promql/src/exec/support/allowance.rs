//! The resources that an operator computes with.

use std::sync::Arc;

use datafusion_execution::TaskContext;
use datafusion_execution::memory_pool::{MemoryConsumer, MemoryReservation};

use crate::annotation::collector::Annotations;
use crate::error::Error;
use crate::exec::support::cancellation::Cancellation;
use crate::exec::support::run::Run;
use crate::exec::support::step_counts::StepCounts;

/// An operator's reservation in the memory of the query, its access to annotations and counts, and
/// whether the query is cancelled. Cheap to clone. All clones share one reservation.
#[derive(Clone, Debug)]
pub(crate) struct Allowance {
    account: Arc<MemoryReservation>,
    run: Arc<Run>,
    pub(crate) cancellation: Cancellation,
}

impl Allowance {
    /// Creates an allowance with a new reservation of this name.
    pub(crate) fn new(name: &'static str, context: &TaskContext, run: Arc<Run>) -> Self {
        let cancellation = run.cancellation.clone();

        Self {
            account: Arc::new(MemoryConsumer::new(name).register(context.memory_pool())),
            run,
            cancellation,
        }
    }

    pub(crate) fn annotations(&self) -> &Annotations {
        &self.run.annotations
    }

    pub(crate) fn counts(&self) -> &StepCounts {
        &self.run.counts
    }

    /// Returns the reservation. It is held until its last clone is dropped.
    pub(crate) fn into_account(self) -> Arc<MemoryReservation> {
        self.account
    }

    /// Returns how much is reserved, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.account.size()
    }

    /// Reserves more memory. To be called before it is used.
    pub(crate) fn grow(&self, bytes: usize) -> Result<(), Error> {
        self.account.try_grow(bytes).map_err(Error::from_datafusion)
    }

    /// Returns memory that is no longer used.
    pub(crate) fn shrink(&self, bytes: usize) {
        self.account.shrink(bytes);
    }

    /// Sets the reservation to `bytes`: what is built so far.
    pub(crate) fn hold(&self, bytes: usize) -> Result<(), Error> {
        self.account
            .try_resize(bytes)
            .map_err(Error::from_datafusion)
    }

    /// Returns an error if the query was cancelled. Nobody sees that error.
    #[inline]
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.cancellation.check()
    }
}
