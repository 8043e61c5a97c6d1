//! The rule of metadata: a block with some has all that the tenant has.
//!
//! What an earlier process knew stands in its newest block, and is read once before the first
//! metadata of this process goes into a block. While it cannot be read, metadata stays in the log.

use std::sync::Arc;

use duramen_model::{ErrorKind, FamilyMetadata};
use tracing::{error, warn};

use crate::error::Error;
use crate::flusher::Flusher;
use crate::head::{Frozen, FrozenSamples, Generation, TenantHead};

/// Where the metadata of generations goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metadata {
    /// All that the tenant has goes into a block of each generation that has some.
    Written,
    /// Into the open generation: what an earlier process knew cannot be read now, and a newer block
    /// without it would hide it.
    Logged,
}

impl Metadata {
    /// What a block of the generation says of metric families.
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

/// Makes sure that the tenant's metadata can be written as a whole, or else stays in the log.
///
/// Requests: none but for the first metadata of a process: those of reading one block's `meta` and
/// metadata.
pub(super) async fn settle(
    flusher: &Flusher,
    head: &Arc<TenantHead>,
    waiting: &[Arc<Frozen>],
) -> Result<Metadata, Error> {
    let has_metadata = |frozen: &Arc<Frozen>| match frozen.held() {
        FrozenSamples::Memory(generation) => generation.has_metadata(),
        FrozenSamples::Staged(_) => false,
    };

    if !waiting.iter().any(has_metadata) || carry_over(flusher, head).await {
        return Ok(Metadata::Written);
    }

    flusher.log_families(head).await?;
    Ok(Metadata::Logged)
}

/// Takes over what the newest block of an earlier process says of metric families. False when it
/// cannot be read now.
pub(super) async fn carry_over(flusher: &Flusher, head: &TenantHead) -> bool {
    let entry = head.carried_from.lock().clone();
    let Some(entry) = entry else { return true };

    match duramen_blocks::metadata::read(&flusher.bucket, head.id, &entry).await {
        Ok(families) => {
            head.families.write().carry_over(families);
            head.report_series();
        }
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            warn!(tenant = %head.name, %error, "metadata of earlier blocks cannot be read; it is tried again at the next flush");
            return false;
        }
        // Waiting would not make it readable.
        Err(error) => {
            error!(tenant = %head.name, %error, "metadata of earlier blocks is lost until it is sent again")
        }
    }

    *head.carried_from.lock() = None;
    true
}
