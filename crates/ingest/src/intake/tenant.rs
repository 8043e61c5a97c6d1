//! The intake's state for one tenant.

use duramen_model::{TenantId, TenantName};
use parking_lot::RwLock;

use super::ha::Pairs;
use super::rate::SampleRate;

/// The pairs and the rate of one tenant. Like a head, it lives as long as the process, unless the tenant is deleted.
#[derive(Debug)]
pub struct TenantIntake {
    pub(crate) id: TenantId,
    name: RwLock<TenantName>,
    /// Decides which of several equal senders is taken.
    pub(super) pairs: Pairs,
    pub(super) rate: SampleRate,
}

impl TenantIntake {
    pub(super) fn new(id: TenantId, name: TenantName) -> Self {
        Self {
            id,
            name: RwLock::new(name),
            pairs: Pairs::default(),
            rate: SampleRate::default(),
        }
    }

    /// The tenant's name, which may change.
    pub(crate) fn name(&self) -> TenantName {
        self.name.read().clone()
    }

    pub(super) fn rename(&self, name: &TenantName) {
        *self.name.write() = name.clone();
    }

    /// Returns its memory in bytes, roughly. The tenant's head reports it to the account of the
    /// process, together with the memory of series.
    pub(crate) fn bytes(&self) -> usize {
        self.pairs.bytes()
    }
}
