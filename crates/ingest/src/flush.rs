//! From a frozen generation to committed blocks.
//!
//! Build on the local disk, upload, one manifest edit, forget idle series, then trim the WAL. What
//! a death after each step costs: nothing acknowledged (the WAL holds it until the edit); after the
//! build a staged directory that the next start removes; after an upload objects that no manifest
//! names.
//!
//! Requests: three PUTs a block (more for large files, see [`duramen_bucket::Bucket::put_file`])
//! and one PUT for the edit.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use duramen_block::{Block, BlockChecks, BlockSource, META_FILE, OpenOptions};
use duramen_bucket::{CheckError, keys};
use duramen_model::{BlockEntry, BlockId, ErrorKind, FamilyMetadata, TenantId};
use duramen_runtime::{Disk, RealDisk};
use duramen_source::{Reads, SeriesSource};
use tracing::{error, info, warn};

use crate::build::{MemoryBlock, build, build_in_memory};
use crate::error::Error;
use crate::flusher::Flusher;
use crate::head::{Frozen, FrozenSamples, Generation, TenantHead};
use crate::rebuild::rebuild;
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

/// Commits every generation that waits, in order. With [`Freeze::Yes`], everything that was
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
        .map_err(|error| held_back(head, error))?;

    if freeze == Freeze::Yes {
        flusher.commit.freeze(head).await?;
    }

    let waiting = head.frozen();
    let metadata = metadata(flusher, head, &waiting).await?;

    // All are staged before the first needs the bucket: while it is away, samples cost disk and not
    // memory. While the disk is nearly full, they go up from memory.
    if !flusher.is_disk_low() {
        for frozen in &waiting {
            match stage(flusher, head, frozen, metadata).await {
                Err(error) if error.is_full() => break,
                staged => drop(staged?),
            }
        }
    }

    let mut report = FlushReport::default();

    for frozen in waiting {
        let entries = match frozen.offered() {
            Some(offered) => offered.to_vec(),
            None => bring_up(flusher, head, &frozen, metadata).await?,
        };

        frozen.offer(&entries);

        let stats: Vec<_> = entries.iter().map(|entry| entry.stats.clone()).collect();
        let committed = flusher
            .commit_blocks(head.id, entries, frozen.end, frozen.order.flush)
            .await;
        committed.map_err(|error| held_back(head, error))?;
        head.committed(&frozen);
        head.report_samples();

        for stats in &stats {
            report.blocks += 1;
            report.samples += stats.samples + stats.histograms;
            report.exemplars += stats.exemplars;
            report.bytes += stats.bytes();
        }

        report.generations += 1;
    }

    forget(flusher, head).await?;
    if report.generations > 0 {
        flusher.commit.trim().await?;
        flusher.metrics.flushed_samples.inc_by(report.samples);
        flusher.metrics.flushed_bytes.inc_by(report.bytes);
        flusher.metrics.flushed_blocks.inc_by(report.blocks as u64);
        info!(tenant = %head.name, ?report, "flushed a head");
    }

    Ok(report)
}

/// Lets go what nothing came of for a whole flush: series, with what only they had, and metadata
/// where there is too much.
async fn forget(flusher: &Arc<Flusher>, head: &Arc<TenantHead>) -> Result<(), Error> {
    let families_max = flusher.limits.of(&head.name).ingest.metadata_families_max;
    let two_flushes_ms =
        i64::try_from(2 * flusher.config.flush_interval.as_millis()).unwrap_or(i64::MAX);
    let idle_before_ms = flusher.clock.now_ms().saturating_sub(two_flushes_ms);
    let of_head = Arc::clone(head);
    let now = flusher.clock.monotonic();

    let forgetting =
        tokio::task::spawn_blocking(move || of_head.forget(now, families_max, idle_before_ms));
    let forgotten = forgetting.await.map_err(|_| Error::Stopped)?;

    if forgotten > 0 {
        flusher.metrics.forgotten_series.inc_by(forgotten as u64);
    }

    Ok(())
}

/// How often a flush builds blocks again that were damaged on the local disk, before it leaves them
/// to the next flush.
const REBUILDS_MAX: usize = 2;

/// Puts the blocks of a generation into the bucket, each byte checked on its way. Blocks that are
/// damaged on the local disk are built again from the log, which still has all of them.
async fn bring_up(
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

        error!(tenant = %head.name, %error, cause = ?std::error::Error::source(&error),
            "a staged block is damaged; it is made again from the log");
        flusher.metrics.rebuilds.inc();
        rebuilds += 1;

        if matches!(frozen.held(), FrozenSamples::Staged(_)) {
            rebuild(flusher, head, frozen).await?;
            metadata = self::metadata(flusher, head, std::slice::from_ref(frozen)).await?;
        }
    }
}

async fn bring_up_once(
    flusher: &Arc<Flusher>,
    head: &Arc<TenantHead>,
    frozen: &Arc<Frozen>,
    metadata: Metadata,
) -> Result<Vec<BlockEntry>, Error> {
    let generation = match frozen.held() {
        FrozenSamples::Memory(generation) if flusher.is_disk_low() => generation,
        _ => match stage(flusher, head, frozen, metadata).await {
            Ok(staged) => return upload_staged(flusher, head.id, &staged).await,
            Err(error) if error.is_full() => match frozen.held() {
                FrozenSamples::Memory(generation) => generation,
                FrozenSamples::Staged(_) => return Err(error),
            },
            Err(error) => return Err(error),
        },
    };

    warn!(tenant = %head.name, "the disk has no space for staged blocks; they go up from memory");

    let for_build = Arc::clone(head);
    let now_ms = flusher.clock.now_ms();
    let families = families(head, &generation, metadata);
    let built = tokio::task::spawn_blocking(move || {
        build_in_memory(&for_build, &generation, families, now_ms)
    });
    let built = built.await.map_err(|_| Error::Stopped)??;

    let mut entries = Vec::with_capacity(built.len());

    for MemoryBlock { entry, files } in built {
        for (name, bytes) in files {
            let to = keys::block_file(head.id, entry.id, &name);
            flusher.bucket.put_large(&to, bytes).await?;
        }

        entries.push(entry);
    }

    Ok(entries)
}

async fn upload_staged(
    flusher: &Flusher,
    tenant: TenantId,
    staged: &[StagedBlock],
) -> Result<Vec<BlockEntry>, Error> {
    for block in staged {
        upload(flusher, tenant, block).await?;
    }

    Ok(staged.iter().map(|block| block.entry.clone()).collect())
}

/// What a block of the generation says of metric families.
fn families(head: &TenantHead, generation: &Generation, metadata: Metadata) -> Vec<FamilyMetadata> {
    match metadata {
        Metadata::Written if generation.has_metadata() => head.all_families(),
        Metadata::Written | Metadata::Logged => Vec::new(),
    }
}

/// What others have to wait for no longer, since nothing but a repair would end it.
fn held_back(head: &TenantHead, error: Error) -> Error {
    if !error.is_damage() {
        return error;
    }

    head.quarantine(&error);
    head.check().err().unwrap_or(error)
}

/// Where the metadata of generations goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Metadata {
    /// All that the tenant has goes into a block of each generation that has some.
    Written,
    /// Into the open generation: what an earlier process knew cannot be read now, and a newer block
    /// without it would hide it.
    Logged,
}

/// Makes sure that the tenant's metadata can be written as a whole, or else stays in the log.
///
/// Requests: none but for the first metadata of a process: those of reading one block's `meta` and
/// metadata.
async fn metadata(
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

/// Stages what is frozen of a head before there is a commit thread: a replay gives memory back.
/// False, and nothing is staged, when that has to wait for metadata which cannot be read now.
///
/// Requests: as [`metadata`].
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

/// Takes over what the newest block of an earlier process says of metric families. False when it
/// cannot be read now.
async fn carry_over(flusher: &Flusher, head: &TenantHead) -> bool {
    let entry = head.carried_from.lock().clone();
    let Some(entry) = entry else { return true };
    let directory = keys::block(head.id, entry.id);

    let read = async {
        let block = Block::open(
            flusher.bucket.store(),
            directory,
            &entry.stats,
            OpenOptions::default(),
            &Reads::default(),
        )
        .await;

        let failed = |e: duramen_block::Error| {
            duramen_source::Error::new(format!("block {}", entry.id), e.kind(), e)
        };
        BlockSource::new(block.map_err(failed)?, head.id)
            .metadata(&[head.id])
            .await
    };

    match read.await {
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

/// The generation as blocks on the local disk, readable there; its memory is given back.
async fn stage(
    flusher: &Arc<Flusher>,
    head: &Arc<TenantHead>,
    frozen: &Arc<Frozen>,
    metadata: Metadata,
) -> Result<Arc<[StagedBlock]>, Error> {
    let generation = match frozen.held() {
        FrozenSamples::Staged(blocks) => return Ok(blocks),
        FrozenSamples::Memory(generation) => generation,
    };

    let for_build = Arc::clone(head);
    let staging = flusher.staging.clone();
    let now_ms = flusher.clock.now_ms();
    let families = families(head, &generation, metadata);
    let built = tokio::task::spawn_blocking(move || {
        build(&for_build, &generation, families, now_ms, &staging)
    });
    let built = built.await.map_err(|_| Error::Stopped)??;
    let mut staged = Vec::with_capacity(built.len());

    for (entry, directory) in built {
        let name = object_store::path::Path::from(directory_name(entry.id));
        let store = Arc::clone(&flusher.staging_store);

        let block = Block::open(
            store,
            name,
            &entry.stats,
            OpenOptions::default(),
            &Reads::default(),
        )
        .await?;

        let block = BlockSource::new(block, head.id);
        staged.push(StagedBlock {
            entry,
            directory,
            block,
        });
    }

    frozen.stage(staged);
    head.report_samples();

    match frozen.held() {
        FrozenSamples::Staged(blocks) => Ok(blocks),
        FrozenSamples::Memory(_) => Err(Error::Stopped),
    }
}

/// Which tenants' flushes wait after a failure: a second, twice as long after each further one, a
/// minute at most.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    waiting: HashMap<TenantId, (Duration, Duration)>,
}

impl Backoff {
    const FIRST: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_secs(60);
    /// While a disk is full: it may have space again at any time.
    const FULL: Duration = Duration::from_secs(5);

    /// Whether the tenant may be flushed at `now`.
    pub(crate) fn is_over(&self, tenant: TenantId, now: Duration) -> bool {
        self.waiting
            .get(&tenant)
            .is_none_or(|(until, _)| now >= *until)
    }

    /// Notes how a flush at `now` ended.
    pub(crate) fn note(&mut self, tenant: TenantId, now: Duration, error: Option<&Error>) {
        let Some(error) = error else {
            self.waiting.remove(&tenant);
            return;
        };

        let max = if error.is_full() {
            Self::FULL
        } else {
            Self::MAX
        };

        let wait = self
            .waiting
            .get(&tenant)
            .map_or(Self::FIRST, |(_, last)| (*last * 2).min(max));

        self.waiting.insert(tenant, (now + wait, wait));
    }
}

pub(crate) fn directory_name(block: BlockId) -> String {
    format!("block={block}")
}

/// Puts the files of a block into the bucket, `meta` last. Doing it again puts the same bytes under
/// the same keys.
///
/// Every byte is compared with the checksums of `meta` on its way, and `meta` with the block's
/// entry: what the local disk made of them since they were written must not be all that is left.
async fn upload(flusher: &Flusher, tenant: TenantId, staged: &StagedBlock) -> Result<(), Error> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let stats = &staged.entry.stats;
    let path = |name: &str| staged.directory.path().join(name);
    let key = |name: &str| keys::block_file(tenant, staged.entry.id, name);

    let for_read = Arc::clone(&disk);
    let from = path(META_FILE);
    let meta = tokio::task::spawn_blocking(move || for_read.read(&from))
        .await
        .map_err(|_| Error::Stopped)?;

    let meta = meta.map_err(|source| duramen_bucket::Error::Disk {
        operation: "read",
        path: path(META_FILE),
        source,
    })?;

    let checks = BlockChecks::new(&meta, stats)?;

    for file in &stats.files {
        let damaged = |source: CheckError| duramen_bucket::Error::Damaged {
            path: path(&file.name),
            source,
        };

        let mut check = checks
            .file(&file.name)
            .ok_or_else(|| damaged("the block has no such file".into()))?;
        let from = path(&file.name);
        let length = check.bytes();
        let compare = |bytes: &[u8]| check.push(bytes).map_err(Into::into);

        flusher
            .bucket
            .put_file(&key(&file.name), &disk, &from, length, compare)
            .await?;
    }

    flusher.bucket.put(&key(META_FILE), meta).await?;
    Ok(())
}
