//! From a frozen generation to committed blocks.
//!
//! Build on the local disk, upload, one manifest edit, then trim the WAL. What a death after each step costs: nothing acknowledged
//! (the WAL holds it until the edit); after the build a staged directory that the next start removes; after an upload objects that no manifest names.
//!
//! Requests: three PUTs a block (more for large files, see [`duramen_bucket::Bucket::put_file`]) and one PUT for the edit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use duramen_block::{Block, BlockSource, META_FILE, OpenOptions};
use duramen_bucket::keys;
use duramen_model::{BlockId, TenantId};
use duramen_runtime::{Disk, RealDisk};
use tracing::info;

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
