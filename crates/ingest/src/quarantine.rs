//! Tenants whose manifest cannot be used: they wait until it is repaired, and keep nobody else
//! waiting.
//!
//! What the log has of such a tenant is in memory and stays in the log. Its writes and queries get
//! the cause as an answer. Each flush tries to take the manifest over once more, and when that
//! succeeds everything goes on as if nothing had been.

use std::sync::Arc;

use duramen_model::ErrorKind;
use tracing::{error, info};

use crate::commit::Command;
use crate::error::Error;
use crate::head::{Past, TenantHead};
use crate::ingester::Shared;

impl Error {
    /// Whether an object of one tenant is the cause, and no waiting or asking again would help: it
    /// is damaged or missing, or a later version of this program has made it.
    pub(crate) fn is_damage(&self) -> bool {
        let of_bucket = |error: &duramen_bucket::Error| {
            use duramen_bucket::Error::{Corrupt, Format, TooLarge};
            matches!(error, Corrupt { .. } | Format { .. } | TooLarge { .. })
        };

        match self {
            Self::Manifest(duramen_manifest::Error::Bucket(error)) | Self::Bucket(error) => {
                of_bucket(error)
            }
            Self::Manifest(duramen_manifest::Error::Version { .. }) => true,
            Self::Manifest(error) => error.kind() == ErrorKind::Corrupt,
            _ => false,
        }
    }

    /// What stands behind the error, in one line.
    pub(crate) fn cause(&self) -> String {
        match self {
            Self::Manifest(error) => error.to_string(),
            Self::Bucket(error) => error.to_string(),
            other => other.to_string(),
        }
    }
}

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

impl Shared {
    /// Ends the quarantine of a tenant, if the cause is gone. Requests: those of
    /// [`duramen_manifest::Manifests::fence`].
    pub(crate) async fn heal(&self, head: &TenantHead) -> Result<(), Error> {
        if !head.is_quarantined() {
            return Ok(());
        }

        // The next start brings back what has no name, once the register knows it.
        if head.name.as_str().strip_prefix("unknown-") == Some(&head.id.to_string()) {
            return head.check();
        }

        if self.register.lookup(&head.name) != Some(head.id) {
            let id = self.register.restore(&head.name, head.id).await?;
            if id != head.id {
                // Its name is that of another tenant by now; the next start gives that one the
                // samples.
                return head.check();
            }
        }

        let Past { flushed, metadata } = self.take_over(head.id).await?;
        self.send(Command::SkipTo { position: flushed }).await?;
        head.heal(flushed, metadata);
        info!(tenant = %head.name, "a tenant is out of quarantine");

        Ok(())
    }
}
