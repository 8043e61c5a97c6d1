//! From a frozen generation to committed blocks.
//!
//! Build on the local disk, upload, one manifest edit, forget idle series, then trim the WAL. What a death after each step costs: nothing acknowledged
//! (the WAL holds it until the edit); after the build a staged directory that the next start removes; after an upload objects that no manifest names.
//!
//! Requests: three PUTs a block (more for large files, see [`duramen_bucket::Bucket::put_file`]) and one PUT for the edit.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use duramen_block::{Block, BlockSource, META_FILE, OpenOptions};
use duramen_bucket::keys;
use duramen_model::{BlockId, ErrorKind, TenantId};
use duramen_runtime::{Disk, RealDisk};
use duramen_source::{Reads, SeriesSource};
use tracing::{error, info, warn};

use crate::build::build;
use crate::error::Error;
use crate::head::{Frozen, Held, TenantHead};
use crate::ingester::Shared;
use crate::staged::StagedBlock;

/// What one flush of one tenant did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlushReport {
    pub generations: usize,
    pub blocks: usize,
    /// Floats and histograms.
    pub samples: u64,
    pub exemplars: u64,
    pub bytes: u64,
}

/// Whether a flush ends the open generation, or only brings on what is frozen already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freeze {
    Yes,
    No,
}

/// Commits every generation that waits, in order. With [`Freeze::Yes`], everything that was acknowledged before the call is in the
/// manifest when it returns `Ok`.
pub(crate) async fn flush(shared: &Arc<Shared>, head: &Arc<TenantHead>, freeze: Freeze) -> Result<FlushReport, Error> {
    let _one_at_a_time = head.flushing.lock().await;
    if shared.closed.load(Ordering::SeqCst) {
        return Err(Error::Stopped);
    }
    if freeze == Freeze::Yes {
        shared.freeze(head).await?;
    }
    let waiting = head.frozen();
    let metadata = metadata(shared, head, &waiting).await?;
    // All are staged before the first needs the bucket: while it is away, samples cost disk and not memory.
    for frozen in &waiting {
        stage(shared, head, frozen, metadata).await?;
    }
    let mut report = FlushReport::default();
    for frozen in waiting {
        let staged = stage(shared, head, &frozen, metadata).await?;
        for block in staged.iter() {
            upload(shared, head.id, block).await?;
        }
        let entries = staged.iter().map(|block| block.entry.clone()).collect();
        shared.commit_blocks(head.id, entries, frozen.end, frozen.order.flush).await?;
        head.committed(&frozen);
        for block in staged.iter() {
            report.blocks += 1;
            let stats = &block.entry.stats;
            report.samples += stats.samples + stats.histograms;
            report.exemplars += stats.exemplars;
            report.bytes += stats.bytes();
        }
        report.generations += 1;
    }
    forget(shared, head).await?;
    if report.generations > 0 {
        shared.trim().await?;
        shared.metrics.flushed_samples.inc_by(report.samples);
        shared.metrics.flushed_bytes.inc_by(report.bytes);
        shared.metrics.flushed_blocks.inc_by(report.blocks as u64);
        info!(tenant = %head.name, ?report, "flushed a head");
    }
    Ok(report)
}

/// Lets go what nothing came of for a whole flush: series, with what only they had, and metadata where there is too much.
async fn forget(shared: &Arc<Shared>, head: &Arc<TenantHead>) -> Result<(), Error> {
    let families_max = shared.limits.of(&head.name).ingest.metadata_families_max;
    let two_flushes_ms = i64::try_from(2 * shared.config.flush_interval.as_millis()).unwrap_or(i64::MAX);
    let idle_before_ms = shared.clock.now_ms().saturating_sub(two_flushes_ms);
    let (of_head, now) = (Arc::clone(head), shared.clock.monotonic());

    let forgetting = tokio::task::spawn_blocking(move || of_head.forget(now, families_max, idle_before_ms));
    let forgotten = forgetting.await.map_err(|_| Error::Stopped)?;
    if forgotten > 0 {
        shared.metrics.forgotten_series.inc_by(forgotten as u64);
    }
    Ok(())
}

/// Where the metadata of generations goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Metadata {
    /// All that the tenant has goes into a block of each generation that has some.
    Written,
    /// Into the open generation: what an earlier process knew cannot be read now, and a newer block without it would hide it.
    Logged,
}

/// Makes sure that the tenant's metadata can be written as a whole, or else stays in the log.
///
/// Requests: none but for the first metadata of a process: those of reading one block's `meta` and metadata.
async fn metadata(shared: &Shared, head: &Arc<TenantHead>, waiting: &[Arc<Frozen>]) -> Result<Metadata, Error> {
    let has_metadata = |frozen: &Arc<Frozen>| match frozen.held() {
        Held::Memory(generation) => generation.has_metadata(),
        Held::Staged(_) => false,
    };
    if !waiting.iter().any(has_metadata) || carry_over(shared, head).await {
        return Ok(Metadata::Written);
    }
    shared.log_families(head).await?;
    Ok(Metadata::Logged)
}

/// Stages what is frozen of a head before there is a commit thread: a replay gives memory back. False, and nothing is staged, when that has
/// to wait for metadata which cannot be read now.
///
/// Requests: as [`metadata`].
pub(crate) async fn stage_frozen(shared: &Arc<Shared>, head: &Arc<TenantHead>) -> Result<bool, Error> {
    if !carry_over(shared, head).await {
        return Ok(false);
    }
    for frozen in head.frozen() {
        stage(shared, head, &frozen, Metadata::Written).await?;
    }
    Ok(true)
}

/// Takes over what the newest block of an earlier process says of metric families. False when it cannot be read now.
async fn carry_over(shared: &Shared, head: &TenantHead) -> bool {
    let entry = head.carried_from.lock().clone();
    let Some(entry) = entry else { return true };
    let directory = keys::block(head.id, entry.id);
    let read = async {
        let block =
            Block::open(shared.bucket.store(), directory, &entry.stats, OpenOptions::default(), &Reads::default())
                .await;
        let failed = |e: duramen_block::Error| duramen_source::Error::new(format!("block {}", entry.id), e.kind(), e);
        BlockSource::new(block.map_err(failed)?, head.id).metadata(&[head.id]).await
    };
    match read.await {
        Ok(families) => {
            head.families.write().carry_over(families);
            head.tell_series();
        }
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            warn!(tenant = %head.name, %error, "metadata of earlier blocks cannot be read; it is tried again at the next flush");
            return false;
        }
        // Waiting would not make it readable.
        Err(error) => error!(tenant = %head.name, %error, "metadata of earlier blocks is lost until it is sent again"),
    }
    *head.carried_from.lock() = None;
    true
}

/// The generation as blocks on the local disk, readable there; its memory is given back.
async fn stage(
    shared: &Arc<Shared>,
    head: &Arc<TenantHead>,
    frozen: &Arc<Frozen>,
    metadata: Metadata,
) -> Result<Arc<[StagedBlock]>, Error> {
    let generation = match frozen.held() {
        Held::Staged(blocks) => return Ok(blocks),
        Held::Memory(generation) => generation,
    };
    let (for_build, staging) = (Arc::clone(head), shared.staging.clone());
    let now_ms = shared.clock.now_ms();
    let families = match metadata {
        Metadata::Written if generation.has_metadata() => head.all_families(),
        Metadata::Written | Metadata::Logged => Vec::new(),
    };
    let built = tokio::task::spawn_blocking(move || build(&for_build, &generation, families, now_ms, &staging));
    let built = built.await.map_err(|_| Error::Stopped)??;
    let mut staged = Vec::with_capacity(built.len());
    for (entry, directory) in built {
        let name = object_store::path::Path::from(directory_name(entry.id));
        let store = Arc::clone(&shared.staging_store);
        let block = Block::open(store, name, &entry.stats, OpenOptions::default(), &Reads::default()).await?;
        let block = BlockSource::new(block, head.id);
        staged.push(StagedBlock { entry, directory, block });
    }
    frozen.stage(staged);
    head.tell_samples();
    match frozen.held() {
        Held::Staged(blocks) => Ok(blocks),
        Held::Memory(_) => Err(Error::Stopped),
    }
}

/// Which tenants' flushes wait after a failure: a second, twice as long after each further one, a minute at most.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    waiting: HashMap<TenantId, (Duration, Duration)>,
}

impl Backoff {
    const FIRST: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_secs(60);

    /// Whether the tenant may be flushed at `now`.
    pub(crate) fn is_over(&self, tenant: TenantId, now: Duration) -> bool {
        self.waiting.get(&tenant).is_none_or(|(until, _)| now >= *until)
    }

    /// Notes how a flush at `now` ended.
    pub(crate) fn note(&mut self, tenant: TenantId, now: Duration, succeeded: bool) {
        if succeeded {
            self.waiting.remove(&tenant);
            return;
        }
        let wait = self.waiting.get(&tenant).map_or(Self::FIRST, |(_, last)| (*last * 2).min(Self::MAX));
        self.waiting.insert(tenant, (now + wait, wait));
    }
}

pub(crate) fn directory_name(block: BlockId) -> String {
    format!("block={block}")
}

/// Puts the files of a block into the bucket, `meta` last. Doing it again puts the same bytes under the same keys.
async fn upload(shared: &Shared, tenant: TenantId, staged: &StagedBlock) -> Result<(), Error> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let files = staged.entry.stats.files.iter().map(|file| file.name.as_str());
    for name in files.chain([META_FILE]) {
        let from = staged.directory.path().join(name);
        let to = keys::block_file(tenant, staged.entry.id, name);
        shared.bucket.put_file(&to, &disk, &from).await?;
    }
    Ok(())
}
