//! What the intake holds of one tenant.

use duramen_model::{TenantId, TenantName};

use super::ha::Pairs;
use super::rate::SampleRate;

/// The pairs and the rate of one tenant. It stays for as long as the process, as heads do.
#[derive(Debug)]
pub struct TenantIntake {
    pub(crate) id: TenantId,
    pub(crate) name: TenantName,
    /// Which of several equal senders is taken.
    pub(super) pairs: Pairs,
    pub(super) rate: SampleRate,
}

impl TenantIntake {
    pub(super) fn new(id: TenantId, name: TenantName) -> Self {
        Self {
            id,
            name,
            pairs: Pairs::default(),
            rate: SampleRate::default(),
        }
    }

    /// The memory that it takes, in bytes, roughly. The account of the process hears of it from the
    /// tenant's head, together with the memory of series.
    pub(crate) fn bytes(&self) -> usize {
        self.pairs.bytes()
    }
}
