//! Quarantine: a tenant whose manifest cannot be used waits until it is repaired, and nobody else
//! waits for it.
//!
//! The samples of such a tenant are kept in memory and in the log. Its writes and queries are
//! answered with the cause. Each flush tries to take over the manifest again. Once that succeeds,
//! the tenant goes on as before.

use std::sync::Arc;

use tracing::error;

use crate::error::Error;
use crate::head::TenantHead;

impl TenantHead {
    /// Puts the tenant into quarantine.
    pub(crate) fn quarantine(&self, cause: &Error) {
        let cause = cause.cause();
        let before = self.quarantined.write().replace(Arc::from(cause.as_str()));

        if before.is_none() {
            error!(tenant = %self.name(), cause, "a tenant is in quarantine: its writes and queries get 503, its samples are kept");
        }
    }

    /// Returns an error with the cause if the tenant is in quarantine.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match &*self.quarantined.read() {
            None => Ok(()),
            Some(cause) => Err(Error::Quarantined {
                tenant: self.name(),
                cause: Arc::clone(cause),
            }),
        }
    }

    pub(crate) fn is_quarantined(&self) -> bool {
        self.quarantined.read().is_some()
    }
}
