//! Does a job: merges its inputs from the bucket, and puts the output in their place.
//!
//! ```text
//! inputs in the bucket ──► merge ──► staged on the disk ──► verified and uploaded ──► one edit
//! ```
//!
//! A process that dies on the way leaves the inputs live, and objects that no manifest names. The
//! job is then done again from the start. The edit is illegal if an input is not live any more, so
//! of two workers with one job one is right, and the other has worked for nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_block::{BlockWriter, META_FILE};
use duramen_blocks::{
    Error, MergeInput, MergeOptions, MergeTask, Merged, Publisher, RollupInput, RollupTask,
    Staging, StagingDir, holds_deleted, merge_into, merge_rollups,
};
use duramen_bucket::{Bucket, keys};
use duramen_manifest::{Commit, Manifests, Reserved, State, Tombstones};
use duramen_model::{BlockEntry, BlockId, ErrorKind, TenantId};
use duramen_runtime::Clock;
use duramen_source::Reads;
use parking_lot::Mutex;

use crate::job::{Job, Level};

/// Does jobs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Executor {
    bucket: Bucket,
    manifests: Manifests,
    publisher: Publisher,
    staging: Staging,
    clock: Arc<dyn Clock>,
    options: MergeOptions,
}

/// The outputs of a job: their places on the disk, and their ids, which are reserved until the
/// commit. A block that is not wanted any more is removed with its place.
type Places = Arc<Mutex<BTreeMap<BlockId, Place>>>;

#[derive(Debug)]
struct Place {
    directory: Arc<StagingDir>,
    _reserved: Reserved,
}

impl Executor {
    /// `staging` must belong to this executor alone.
    pub fn new(
        bucket: Bucket,
        manifests: Manifests,
        staging: Staging,
        clock: Arc<dyn Clock>,
        options: MergeOptions,
    ) -> Self {
        Self {
            publisher: Publisher::new(bucket.clone(), manifests.clone()),
            bucket,
            manifests,
            staging,
            clock,
            options,
        }
    }

    pub(crate) const fn manifests(&self) -> &Manifests {
        &self.manifests
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Merges the inputs of a job, and commits the output in their place. It has none of the
    /// samples that were deleted by then. A block that is only looked through for deleted series,
    /// and has none, stays as it is.
    ///
    /// Requests: those of [`duramen_blocks::merge()`] for the inputs, those of
    /// [`Publisher::upload`] for each block of the output, and those of [`Manifests::commit`] once.
    ///
    /// Memory: [`MergeOptions::memory_bytes_max`], whatever comes in. Disk: the output, once.
    ///
    /// # Errors
    /// The inputs stay live. After an error of the commit the output may be live nevertheless.
    pub async fn run(&self, tenant: TenantId, job: &Job) -> Result<Merged, Error> {
        let state = self.manifests.cached(tenant).unwrap_or_default();
        let through = match state.deletions.in_force.is_empty() {
            true => 0,
            false => state.sequence,
        };

        if job.level == Level::Clean
            && job.days.is_empty()
            && !self.holds_deleted(tenant, &state, job).await?
        {
            self.clear(tenant, job, through).await?;
            return Ok(Merged::default());
        }

        let places = Places::default();
        let merged = self.merge(tenant, &state, job, &places).await?;

        // An output lies in the folder of its own tenant, wherever the inputs were.
        for block in &merged.blocks {
            self.upload(tenant, &block.entry, &places).await?;
        }

        let outputs = merged.blocks.iter().map(|block| block.entry.clone());
        let commit = Commit::replace(job.removed(), outputs.collect()).applying(through);
        self.manifests.commit(tenant, commit).await?;

        Ok(merged)
    }

    /// Whether a deletion means a series of the inputs. If not, writing them again is of no use.
    async fn holds_deleted(
        &self,
        tenant: TenantId,
        state: &State,
        job: &Job,
    ) -> Result<bool, Error> {
        let inputs = self.inputs(tenant, state, job);
        holds_deleted(inputs, &Arc::new(Reads::default())).await
    }

    /// Notes in the manifest that no deletion means a series of the inputs.
    async fn clear(&self, tenant: TenantId, job: &Job, through: u64) -> Result<(), Error> {
        let cleared = Tombstones {
            through,
            cleared: job.ids().collect(),
            ..Tombstones::default()
        };

        let commit = Commit::tombstones(cleared);
        self.manifests.commit(tenant, commit).await?;
        Ok(())
    }

    fn inputs(&self, tenant: TenantId, state: &State, job: &Job) -> Vec<MergeInput> {
        let input = |entry: &Arc<BlockEntry>| {
            let touching = state.deletions.touching(entry);

            MergeInput {
                entry: BlockEntry::clone(entry),
                store: self.bucket.store(),
                directory: keys::block(tenant, entry),
                deletions: touching
                    .map(|one| Arc::clone(&one.asked.deletion))
                    .collect(),
            }
        };

        job.inputs.iter().map(input).collect()
    }

    async fn merge(
        &self,
        tenant: TenantId,
        state: &State,
        job: &Job,
        places: &Places,
    ) -> Result<Merged, Error> {
        let layout = job.window.layout();
        let staging = self.staging.clone();
        let manifests = self.manifests.clone();
        let places = Arc::clone(places);

        let create = move || {
            let reserved = manifests.reserve(tenant);
            let id = reserved.id();
            let directory = staging.place(id);
            let writer = BlockWriter::create(staging.disk(), directory.path(), layout.clone())?;
            let place = Place {
                directory,
                _reserved: reserved,
            };

            places.lock().insert(id, place);
            Ok((id, writer))
        };

        let inputs = self.inputs(tenant, state, job);
        let reads = Arc::new(Reads::default());

        if !job.days.is_empty() {
            let inputs = inputs.into_iter().map(|input| RollupInput {
                days: job.days.get(&input.entry.id).cloned().unwrap_or_default(),
                input,
            });
            return merge_rollups(inputs.collect(), &self.options, &reads, create).await;
        }

        let rollups = job.rolling.as_ref().map(|rolling| RollupTask {
            day: rolling.day.clone(),
            resolutions_ms: rolling.resolutions_ms.clone(),
        });
        let task = MergeTask {
            writes_samples: job.level != Level::Rollups,
            rollups,
        };

        merge_into(inputs, &task, &self.options, &reads, move |_| create()).await
    }

    /// Deletes the objects of a block. Those of a block of another tenant are that tenant's.
    ///
    /// Requests: 1 DELETE for each file.
    pub(crate) async fn delete(&self, tenant: TenantId, entry: &BlockEntry) -> Result<(), Error> {
        if entry.home_of(tenant) != tenant {
            return Ok(());
        }

        let files = entry.stats.files.iter().map(|file| file.name.as_str());
        for name in [META_FILE].into_iter().chain(files) {
            let key = keys::block_file(tenant, entry, name);
            self.bucket.delete(&key).await?;
        }

        Ok(())
    }

    /// Uploads a block. Every byte is compared with its checksum on the way.
    async fn upload(
        &self,
        tenant: TenantId,
        entry: &BlockEntry,
        places: &Places,
    ) -> Result<(), Error> {
        let directory = {
            let places = places.lock();
            let place = places.get(&entry.id).ok_or(Error::Stopped)?;
            Arc::clone(&place.directory)
        };

        let staged = self.staging.stage(entry.clone(), directory).await?;
        self.publisher.upload(tenant, &staged).await
    }
}

/// Returns the input that is damaged, if the error of a job says that one is.
pub(crate) fn damaged_input(job: &Job, error: &Error) -> Option<BlockId> {
    if error.kind() != ErrorKind::Corrupt {
        return None;
    }

    // The errors of a block name its folder, and the folder has its id.
    let text = with_causes(error);
    job.ids().find(|id| text.contains(&id.to_string()))
}

/// The text of an error, with those of its causes.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();

    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }

    text
}
