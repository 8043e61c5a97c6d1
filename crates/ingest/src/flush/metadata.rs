//! The rule for metadata: a block that has any has all that is known of the tenant.
//!
//! The metadata that an earlier process knew is in its newest block. The newest block of each writer
//! is read once, before the first metadata of this process goes into a block. As long as one cannot
//! be read, metadata stays in the log.

use std::sync::Arc;

use duramen_model::{ErrorKind, FamilyMetadata};
use tracing::{error, warn};

use crate::error::Error;
use crate::flusher::Flusher;
use crate::head::{Frozen, FrozenSamples, Generation, TenantHead};

/// Where the metadata of frozen generations goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metadata {
    /// For each generation with metadata, all metadata of the tenant goes into a block.
    Written,
    /// Metadata goes into the open generation. The metadata of an earlier process cannot be read
    /// now, and a newer block without it would hide it.
    Logged,
}

impl Metadata {
    /// Returns the metadata for a block of the generation.
    pub(super) fn families(
        self,
        head: &TenantHead,
        generation: &Generation,
    ) -> Vec<FamilyMetadata> {
        match self {
            Self::Written if generation.has_metadata() => head.all_families(),
            Self::Written | Self::Logged => Vec::new(),
        }
    }
}

/// Decides where the tenant's metadata goes: into a block as a whole, or back into the log.
///
/// Requests: none, except for the first metadata of a process: it reads `meta` and metadata of the
/// newest block of each writer.
pub(super) async fn settle(
    flusher: &Flusher,
    head: &Arc<TenantHead>,
    waiting: &[Arc<Frozen>],
) -> Result<Metadata, Error> {
    let has_metadata = |frozen: &Arc<Frozen>| match frozen.samples() {
        FrozenSamples::Memory(generation) => generation.has_metadata(),
        FrozenSamples::Staged(_) => false,
    };

    if !waiting.iter().any(has_metadata) || carry_over(flusher, head).await {
        return Ok(Metadata::Written);
    }

    flusher.log_families(head).await?;
    Ok(Metadata::Logged)
}

/// Takes over the metadata in the newest blocks of earlier processes, also of other writers: a merge
/// may have put the blocks of a writer that fell silent behind those of this one. What was sent last
/// counts. Returns false if some of it cannot be read now.
pub(super) async fn carry_over(flusher: &Flusher, head: &TenantHead) -> bool {
    let entries = head.carried_from.lock().clone();

    for entry in entries {
        match duramen_blocks::metadata::read(&flusher.bucket, head.id, &entry).await {
            Ok(families) => {
                head.families.write().carry_over(families);
                head.report_series();
            }
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                warn!(tenant = %head.name(), %error, "metadata of earlier blocks cannot be read; it is tried again at the next flush");
                return false;
            }
            // A retry cannot help.
            Err(error) => {
                error!(tenant = %head.name(), %error, "metadata of earlier blocks is lost until it is sent again")
            }
        }

        head.carried_from.lock().retain(|one| one.id != entry.id);
    }

    true
}
