//! The flush of a tenant: from the open generation to committed blocks. The steps:
//!
//! 1. Freeze: the open generation ends.
//! 2. Metadata ([`metadata`]): decide whether blocks may hold the metadata of the tenant's
//!    families.
//! 3. Stage ([`stage`]): each generation becomes blocks on the local disk, and its memory is freed.
//! 4. Upload ([`upload`]): the blocks go into the bucket. Blocks that are damaged on the local disk
//!    are built again from the log.
//! 5. Commit: one manifest edit names the blocks and moves the flushed position.
//! 6. Forget idle series, then trim the log.
//!
//! If the process dies after any step, nothing acknowledged is lost: the WAL has it until the edit.
//! After step 3 a staged directory is left, which the next start removes; after step 4, objects
//! that no manifest names.
//!
//! Requests: three PUTs per block (more for large files, see [`duramen_bucket::Bucket::put_file`])
//! and one PUT for the edit.

mod backoff;
mod metadata;
mod stage;
mod upload;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use duramen_model::BlockEntry;
use tracing::{info, warn};

use crate::error::Error;
use crate::flusher::Flusher;
use crate::head::{Frozen, TenantHead};

pub(crate) use backoff::Backoff;
use metadata::Metadata;
pub(crate) use stage::stage_frozen;

/// The result of one flush of one tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlushReport {
    pub generations: usize,
    pub blocks: usize,
    /// The number of floats and histograms.
    pub samples: u64,
    pub exemplars: u64,
    pub bytes: u64,
}

impl FlushReport {
    /// Counts a generation that was committed as `blocks`.
    fn add(&mut self, blocks: &[BlockEntry]) {
        self.generations += 1;

        for stats in blocks.iter().map(|block| &block.stats) {
            self.blocks += 1;
            self.samples += stats.samples + stats.histograms;
            self.exemplars += stats.exemplars;
            self.bytes += stats.bytes();
        }
    }
}

/// Whether a flush ends the open generation, or only commits the frozen ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freeze {
    Yes,
    No,
}

/// Commits every frozen generation, in order. With [`Freeze::Yes`], everything that was
/// acknowledged before the call is in the manifest when it returns `Ok`.
pub(crate) async fn flush(
    flusher: &Arc<Flusher>,
    head: &Arc<TenantHead>,
    freeze: Freeze,
) -> Result<FlushReport, Error> {
    let _one_at_a_time = head.flushing.lock().await;
    if flusher.closed.load(Ordering::SeqCst) {
        return Err(Error::Stopped);
    }

    flusher
        .heads
        .heal(head)
        .await
        .map_err(|error| quarantine_if_damaged(head, error))?;

    if freeze == Freeze::Yes {
        flusher.commit.freeze(head).await?;
    }

    let waiting = head.frozen();
    let metadata = metadata::settle(flusher, head, &waiting).await?;
    stage::stage_all(flusher, head, &waiting, metadata).await?;

    let mut report = FlushReport::default();

    for frozen in &waiting {
        let blocks = bring_up_and_commit(flusher, head, frozen, metadata).await?;
        report.add(&blocks);
    }

    forget(flusher, head).await?;

    if report.generations > 0 {
        flusher.commit.trim().await?;
        flusher.metrics.flushed_samples.inc_by(report.samples);
        flusher.metrics.flushed_bytes.inc_by(report.bytes);
        flusher.metrics.flushed_blocks.inc_by(report.blocks as u64);
        info!(tenant = %head.name(), ?report, "flushed a head");
    }

    Ok(report)
}

/// How often one flush uploads blocks that came too late. After that the next flush tries.
const REFUSALS_MAX: usize = 2;

/// Puts the blocks of a generation into the bucket and into the manifest, and removes the
/// generation from the head. Returns the blocks.
///
/// A commit that may have happened already is tried again with the same blocks, so that they do not
/// stay behind as garbage. If the manifest says that they come too late, which is when a collector
/// did not know of them for a day, the commit has not happened, and they are uploaded again under
/// new ids.
async fn bring_up_and_commit(
    flusher: &Arc<Flusher>,
    head: &Arc<TenantHead>,
    frozen: &Arc<Frozen>,
    metadata: Metadata,
) -> Result<Vec<BlockEntry>, Error> {
    let mut refusals = 0;

    loop {
        let blocks = match frozen.offered() {
            Some(offered) => offered,
            None => upload::bring_up(flusher, head, frozen, metadata).await?,
        };

        frozen.offer(&blocks);

        let committed = flusher
            .publisher
            .commit_flush(head.id, blocks.clone(), frozen.end.0, frozen.order.flush)
            .await;

        match committed {
            Ok(_) => {
                head.committed(frozen);
                head.report_samples();
                return Ok(blocks);
            }
            Err(error) if error.is_behind_horizon() && refusals < REFUSALS_MAX => {
                warn!(tenant = %head.name(), %error, "the blocks of a flush come too late; they are uploaded again");
                frozen.withdraw();
                refusals += 1;
            }
            Err(error) => return Err(quarantine_if_damaged(head, error.into())),
        }
    }
}

/// Forgets idle series, which had no samples for a whole flush, and metadata where there is too
/// much.
async fn forget(flusher: &Arc<Flusher>, head: &Arc<TenantHead>) -> Result<(), Error> {
    let families_max = flusher.limits.of(&head.name()).ingest.metadata_families_max;
    let two_flushes_ms =
        i64::try_from(2 * flusher.config.flush_interval.as_millis()).unwrap_or(i64::MAX);
    let idle_before_ms = flusher.clock.now_ms().saturating_sub(two_flushes_ms);
    let now = flusher.clock.monotonic();

    let forgetting = {
        let head = Arc::clone(head);
        tokio::task::spawn_blocking(move || head.forget(now, families_max, idle_before_ms))
    };
    let forgotten = forgetting.await.map_err(|_| Error::Stopped)?;

    if forgotten > 0 {
        flusher.metrics.forgotten_series.inc_by(forgotten as u64);
    }

    Ok(())
}

/// Puts the tenant into quarantine if only a repair can end the error, so that nothing else waits
/// for it. Returns the error to report.
fn quarantine_if_damaged(head: &TenantHead, error: Error) -> Error {
    if !error.is_damage() {
        return error;
    }

    head.quarantine(&error);
    head.check().err().unwrap_or(error)
}
