//! What an operator computes with.

use std::sync::Arc;

use datafusion_execution::TaskContext;
use datafusion_execution::memory_pool::{MemoryConsumer, MemoryReservation};

use crate::annotation::collector::Annotations;
use crate::error::Error;
use crate::exec::support::cancellation::Cancellation;
use crate::exec::support::run::Run;
use crate::exec::support::step_counts::StepCounts;

/// An operator's account with the memory of the query, where it leaves annotations and counts, and
/// whether the query is still wanted. Cheap to clone; all clones are on one account.
#[derive(Clone, Debug)]
pub(crate) struct Allowance {
    account: Arc<MemoryReservation>,
    run: Arc<Run>,
    pub(crate) cancellation: Cancellation,
}

impl Allowance {
    /// With a new account of this name.
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

    /// The account, which holds what is on it until its last clone is dropped.
    pub(crate) fn into_account(self) -> Arc<MemoryReservation> {
        self.account
    }

    /// How much is on the account.
    pub(crate) fn size(&self) -> usize {
        self.account.size()
    }

    /// Puts more memory on the account, before it is used.
    pub(crate) fn grow(&self, bytes: usize) -> Result<(), Error> {
        self.account.try_grow(bytes).map_err(Error::from_datafusion)
    }

    /// Gives back what was put on the account and is not used any more.
    pub(crate) fn shrink(&self, bytes: usize) {
        self.account.shrink(bytes);
    }

    /// Makes the account hold so much: what is built so far.
    pub(crate) fn hold(&self, bytes: usize) -> Result<(), Error> {
        self.account
            .try_resize(bytes)
            .map_err(Error::from_datafusion)
    }

    /// An error that nobody sees, once the query was given up.
    #[inline]
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.cancellation.check()
    }
}
