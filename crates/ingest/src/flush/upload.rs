//! The upload of a generation's blocks, from the local disk or, if that is full, from memory.

use std::sync::Arc;

use duramen_blocks::StagedBlock;
use duramen_model::BlockEntry;
use tracing::{error, warn};

use super::metadata::{self, Metadata};
use super::stage::stage;
use crate::block_builder::build_in_memory;
use crate::error::Error;
use crate::flusher::Flusher;
use crate::head::{Frozen, FrozenSamples, Generation, TenantHead};
use crate::rebuild::rebuild;

/// How often a flush builds blocks again that are damaged on the local disk. After that the next
/// flush tries.
const REBUILDS_MAX: usize = 2;

/// Puts the blocks of a generation into the bucket and verifies each byte on the way. Blocks that
/// are damaged on the local disk are built again from the log, which still has all their samples.
pub(super) async fn bring_up(
    flusher: &Arc<Flusher>,
    head: &Arc<TenantHead>,
    frozen: &Arc<Frozen>,
    metadata: Metadata,
) -> Result<Vec<BlockEntry>, Error> {
    let mut metadata = metadata;
    let mut rebuilds = 0;

    loop {
        let error = match bring_up_once(flusher, head, frozen, metadata).await {
            Err(error) if error.is_staged_damage() && rebuilds < REBUILDS_MAX => error,
            done => return done,
        };

        error!(tenant = %head.name(), %error, cause = ?std::error::Error::source(&error),
            "a staged block is damaged; it is made again from the log");
        flusher.metrics.rebuilds.inc();
        rebuilds += 1;

        // Under one id, the bucket gets the same bytes only.
        frozen.withdraw();

        if matches!(frozen.samples(), FrozenSamples::Staged(_)) {
            rebuild(flusher, head, frozen).await?;
            metadata = metadata::settle(flusher, head, std::slice::from_ref(frozen)).await?;
        }
    }
}

async fn bring_up_once(
    flusher: &Arc<Flusher>,
    head: &Arc<TenantHead>,
    frozen: &Arc<Frozen>,
    metadata: Metadata,
) -> Result<Vec<BlockEntry>, Error> {
    match frozen.samples() {
        FrozenSamples::Memory(generation) if flusher.is_disk_low() => {
            return from_memory(flusher, head, frozen, &generation, metadata).await;
        }
        FrozenSamples::Memory(_) | FrozenSamples::Staged(_) => {}
    }

    match stage(flusher, head, frozen, metadata).await {
        Ok(staged) => from_disk(flusher, head, frozen, &staged).await,
        Err(error) if error.is_full() => match frozen.samples() {
            FrozenSamples::Memory(generation) => {
                from_memory(flusher, head, frozen, &generation, metadata).await
            }
            FrozenSamples::Staged(_) => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// Uploads staged blocks under new ids: while the store was away, those of the disk may have grown
/// old, and the manifest takes no old block.
async fn from_disk(
    flusher: &Flusher,
    head: &TenantHead,
    frozen: &Frozen,
    staged: &[StagedBlock],
) -> Result<Vec<BlockEntry>, Error> {
    let publisher = &flusher.publisher;
    let mut entries = Vec::with_capacity(staged.len());

    for (place, block) in staged.iter().enumerate() {
        let mut block = block.clone();
        block.entry.id = frozen.upload_id(place, || publisher.reserve(head.id));

        publisher.upload(head.id, &block).await?;
        entries.push(block.entry);
    }

    Ok(entries)
}

async fn from_memory(
    flusher: &Flusher,
    head: &Arc<TenantHead>,
    frozen: &Frozen,
    generation: &Arc<Generation>,
    metadata: Metadata,
) -> Result<Vec<BlockEntry>, Error> {
    warn!(tenant = %head.name(), "the disk has no space for staged blocks; they are uploaded from memory");

    let families = metadata.families(head, generation);

    let built = {
        let head = Arc::clone(head);
        let generation = Arc::clone(generation);
        let clock = Arc::clone(&flusher.clock);
        let limits = flusher.config.block_limits.clone();

        tokio::task::spawn_blocking(move || {
            build_in_memory(&head, &generation, families, &limits, &*clock)
        })
    };
    let built = built.await.map_err(|_| Error::Stopped)??;

    let mut entries = Vec::with_capacity(built.len());

    // The blocks are built anew for each attempt, so they may differ.
    frozen.withdraw();

    for (place, mut block) in built.into_iter().enumerate() {
        let publisher = &flusher.publisher;
        block.entry.id = frozen.upload_id(place, || publisher.reserve(head.id));

        let entry = flusher.publisher.upload_from_memory(head.id, block).await?;
        entries.push(entry);
    }

    Ok(entries)
}
