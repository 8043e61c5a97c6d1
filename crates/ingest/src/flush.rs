//! From a frozen generation to committed blocks.
//!
//! Build on the local disk, upload, one manifest edit, then trim the WAL. What a death after each step costs: nothing acknowledged
//! (the WAL holds it until the edit); after the build a staged directory that the next start removes; after an upload objects that no manifest names.
//!
//! Requests: three PUTs a block (more for large files, see [`duramen_bucket::Bucket::put_file`]) and one PUT for the edit.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use duramen_block::{Block, BlockSource, BlockWriter, META_FILE, OpenOptions, SeriesContents, WriterOptions};
use duramen_bucket::keys;
use duramen_model::{BlockEntry, BlockId, OrderRange, TenantId};
use duramen_runtime::{Disk, RealDisk};
use tracing::info;
use ulid::Ulid;

use crate::error::Error;
use crate::head::{Frozen, Generation, Held, TenantHead};
use crate::ingester::Shared;
use crate::staged::{StagedBlock, StagingDir};
use crate::windows::{Windows, window_start};

/// What one flush of one tenant did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlushReport {
    pub generations: usize,
    pub blocks: usize,
    pub samples: u64,
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
    if freeze == Freeze::Yes {
        shared.freeze(head).await?;
    }
    let waiting = head.frozen();
    // All are staged before the first needs the bucket: while it is away, samples cost disk and not memory.
    for frozen in &waiting {
        stage(shared, head, frozen).await?;
    }
    let mut report = FlushReport::default();
    for frozen in waiting {
        let staged = stage(shared, head, &frozen).await?;
        for block in staged.iter() {
            upload(shared, head.id, block).await?;
        }
        let entries = staged.iter().map(|block| block.entry.clone()).collect();
        shared.commit_blocks(head.id, entries, frozen.end, frozen.order.flush).await?;
        head.committed(&frozen);
        for block in staged.iter() {
            report.blocks += 1;
            report.samples += block.entry.stats.samples;
            report.bytes += block.entry.stats.bytes();
        }
        report.generations += 1;
    }
    if report.generations > 0 {
        shared.trim().await?;
        shared.metrics.flushed_samples.inc_by(report.samples);
        shared.metrics.flushed_bytes.inc_by(report.bytes);
        shared.metrics.flushed_blocks.inc_by(report.blocks as u64);
        info!(tenant = %head.name, ?report, "flushed a head");
    }
    Ok(report)
}

/// The generation as blocks on the local disk, readable there; its memory is given back.
async fn stage(
    shared: &Arc<Shared>,
    head: &Arc<TenantHead>,
    frozen: &Arc<Frozen>,
) -> Result<Arc<[StagedBlock]>, Error> {
    let generation = match frozen.held() {
        Held::Staged(blocks) => return Ok(blocks),
        Held::Memory(generation) => generation,
    };
    let (for_build, staging) = (Arc::clone(head), shared.staging.clone());
    let now_ms = shared.clock.now_ms();
    let built = tokio::task::spawn_blocking(move || build(&for_build, &generation, now_ms, &staging));
    let built = built.await.map_err(|_| Error::Stopped)??;
    let mut staged = Vec::with_capacity(built.len());
    for (entry, directory) in built {
        let name = object_store::path::Path::from(directory_name(entry.id));
        let store = Arc::clone(&shared.staging_store);
        let block = Block::open(store, name, &entry.stats, OpenOptions::default()).await?;
        let block = BlockSource::new(block, head.id);
        staged.push(StagedBlock { entry, directory, block });
    }
    frozen.stage(staged);
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

fn directory_name(block: BlockId) -> String {
    format!("block={block}")
}

/// Writes one block for each window that the generation touches. Blocks; two passes over the samples.
fn build(
    head: &TenantHead,
    generation: &Generation,
    now_ms: i64,
    staging: &Path,
) -> Result<Vec<(BlockEntry, Arc<StagingDir>)>, Error> {
    let samples = generation.read();
    let slots = {
        let mut registry = head.registry.write();
        registry.sort();
        registry.in_block_order(&samples.slots())
    };
    let mut touched = BTreeMap::new();
    for &slot in &slots {
        if let Some(chunk) = samples.chunk(slot) {
            chunk.for_each(|ts_ms, _| *touched.entry(window_start(ts_ms, now_ms)).or_default() += 1);
        }
    }
    let windows = Windows::plan(&touched, now_ms);
    let mut writers = Vec::with_capacity(windows.blocks());
    for _ in 0..windows.blocks() {
        let id = BlockId(Ulid::new());
        let directory = StagingDir::new(staging.join(directory_name(id)));
        writers.push((id, BlockWriter::create(directory.path(), WriterOptions::default())?, directory));
    }
    let (mut ts_ms, mut values) = (Vec::new(), Vec::new());
    for slot in slots {
        let Some(chunk) = samples.chunk(slot) else { continue };
        ts_ms.clear();
        values.clear();
        chunk.for_each(|ts, value| {
            ts_ms.push(ts);
            values.push(value);
        });
        // Locked for a moment only: writes of new series wait for the registry.
        let labels = head.labels(slot);
        let mut pushed = Ok(());
        windows.runs(&ts_ms, |block, start, end| {
            if pushed.is_ok() {
                let contents = SeriesContents::floats(&ts_ms[start..end], &values[start..end]);
                pushed = writers[block].1.push(&labels, &contents);
            }
        });
        pushed?;
    }
    let order = OrderRange { min: generation.order, max: generation.order };
    writers
        .into_iter()
        .map(|(id, writer, directory)| {
            let entry = BlockEntry { id, order, level: 0, resolution_ms: None, stats: writer.finish()? };
            Ok((entry, directory))
        })
        .collect()
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
