//! Staging: generations become blocks on the local disk, where queries read them.

use std::sync::Arc;

use duramen_blocks::StagedBlock;

use super::metadata::{Metadata, carry_over};
use crate::block_builder::build;
use crate::error::Error;
use crate::flusher::Flusher;
use crate::head::{Frozen, FrozenSamples, TenantHead};

/// Stages the frozen generations of a head before there is a commit thread, so that a replay frees
/// memory. Returns false and stages nothing if it has to wait for metadata that cannot be read now.
///
/// Requests: none, except for the first metadata of a process: it reads `meta` and metadata of one
/// block.
pub(crate) async fn stage_frozen(
    flusher: &Arc<Flusher>,
    head: &Arc<TenantHead>,
) -> Result<bool, Error> {
    if !carry_over(flusher, head).await {
        return Ok(false);
    }

    for frozen in head.frozen() {
        stage(flusher, head, &frozen, Metadata::Written).await?;
    }

    Ok(true)
}

/// Stages all generations before the first one is uploaded: while the bucket is unavailable,
/// samples take disk and not memory. While the disk is nearly full nothing is staged, and blocks
/// are uploaded from memory.
pub(super) async fn stage_all(
    flusher: &Arc<Flusher>,
    head: &Arc<TenantHead>,
    waiting: &[Arc<Frozen>],
    metadata: Metadata,
) -> Result<(), Error> {
    if flusher.is_disk_low() {
        return Ok(());
    }

    for frozen in waiting {
        match stage(flusher, head, frozen, metadata).await {
            Err(error) if error.is_full() => return Ok(()),
            staged => drop(staged?),
        }
    }

    Ok(())
}

/// Turns the generation into blocks on the local disk, where queries read them, and frees its
/// memory.
pub(super) async fn stage(
    flusher: &Arc<Flusher>,
    head: &Arc<TenantHead>,
    frozen: &Arc<Frozen>,
    metadata: Metadata,
) -> Result<Arc<[StagedBlock]>, Error> {
    let generation = match frozen.samples() {
        FrozenSamples::Staged(blocks) => return Ok(blocks),
        FrozenSamples::Memory(generation) => generation,
    };

    let families = metadata.families(head, &generation);

    let built = {
        let head = Arc::clone(head);
        let clock = Arc::clone(&flusher.clock);
        let limits = flusher.config.block_limits.clone();
        let staging = flusher.staging.clone();

        tokio::task::spawn_blocking(move || {
            build(&head, &generation, families, &limits, &*clock, &staging)
        })
    };
    let built = built.await.map_err(|_| Error::Stopped)??;

    let mut staged = Vec::with_capacity(built.len());

    for (entry, directory) in built {
        staged.push(flusher.staging.stage(entry, directory).await?);
    }

    // Who reads how much the head holds, as each write does, waits for no memory that is freed.
    let freed = frozen.stage(staged);
    let freeing = tokio::task::spawn_blocking(move || drop(freed));
    freeing.await.map_err(|_| Error::Stopped)?;

    head.report_samples();

    match frozen.samples() {
        FrozenSamples::Staged(blocks) => Ok(blocks),
        FrozenSamples::Memory(_) => Err(Error::Stopped),
    }
}
