//! What an operator computes with.

use std::sync::Arc;

use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryReservation;

use crate::error::Error;
use crate::exec::support::cancellation::Cancellation;
use crate::exec::support::operator::reservation;

/// An operator's account with the memory of the query, and whether the query is still wanted.
#[derive(Clone, Debug)]
pub(crate) struct Allowance {
    account: Arc<MemoryReservation>,
    pub(crate) cancellation: Cancellation,
}

impl Allowance {
    pub(crate) fn of(name: &'static str, context: &TaskContext) -> Self {
        Self::on(Arc::new(reservation(name, context)), context)
    }

    /// On an account that there is.
    pub(crate) fn on(account: Arc<MemoryReservation>, context: &TaskContext) -> Self {
        Self {
            account,
            cancellation: Cancellation::of(context),
        }
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
