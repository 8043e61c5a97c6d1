//! Tenants whose manifest cannot be used: they wait until it is repaired, and keep nobody else
//! waiting.
//!
//! What the log has of such a tenant is in memory and stays in the log. Its writes and queries get
//! the cause as an answer. Each flush tries to take the manifest over once more, and when that
//! succeeds everything goes on as if nothing had been.

use std::sync::Arc;

use tracing::error;

use crate::error::Error;
use crate::head::TenantHead;

impl TenantHead {
    /// Makes the tenant wait.
    pub(crate) fn quarantine(&self, cause: &Error) {
        let cause = cause.cause();
        let before = self.quarantined.write().replace(Arc::from(cause.as_str()));

        if before.is_none() {
            error!(tenant = %self.name, cause, "a tenant is in quarantine: its writes and queries get 503, its samples are kept");
        }
    }

    /// Why the tenant waits.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match &*self.quarantined.read() {
            None => Ok(()),
            Some(cause) => Err(Error::Quarantined {
                tenant: self.name.clone(),
                cause: Arc::clone(cause),
            }),
        }
    }

    pub(crate) fn is_quarantined(&self) -> bool {
        self.quarantined.read().is_some()
    }
}
