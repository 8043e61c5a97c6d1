//! Deletes the objects of a store that nothing needs.
//!
//! ```text
//! LISTs of a tenant's folder ──► what nobody holds (`held`) ──► the horizon, if it must rise ──► DELETEs
//! ```
//!
//! - A block that no state has ever named may be about to come. So the horizon of the manifest is
//!   raised above it first: then no edit can name it any more.
//! - A block that an edit has removed never comes back: an edit that adds it again is that of a
//!   flush with an earlier number, or of a merge whose inputs are not live. Both are illegal. It
//!   goes once the edit is older than the longest query.
//!
//! Ages are by the clock of the store, which every process sees in the times of the objects. The
//! clock of the own process can only make the horizon lower. So any number of collectors may run,
//! and any of them may stop at any point: the next one does what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use duramen_blocks::Error;
use duramen_bucket::{Bucket, DeletedTenant, Tenants, keys};
use duramen_manifest::{Manifests, State, clones};
use duramen_model::{BlockId, TenantId};
use duramen_runtime::Clock;
use object_store::ObjectMeta;
use object_store::path::Path;
use serde::Serialize;
use ulid::Ulid;

use crate::clones::Clones;
use crate::held::{Fate, Held};
use crate::litter::Litter;
use crate::named::{Named, NamedBlocks};
use crate::replaced::Replaced;
use crate::worker::{StoreTime, Worker};

/// Collects what nothing needs.
#[derive(Debug)]
pub struct Collector {
    bucket: Bucket,
    manifests: Manifests,
    worker: Worker,
    settings: CollectorSettings,
    /// What this process has seen of blocks that went.
    replaced: Replaced,
    /// What named snapshots need.
    named: Named,
    clones: Clones,
}

/// When objects are deleted.
#[derive(Clone, Copy, Debug)]
pub struct CollectorSettings {
    /// An object that no manifest names goes when it is so old: longer than any upload with its
    /// commit takes.
    pub age: Duration,
    /// A replaced block goes so long after its edit: longer than any query takes.
    pub grace: Duration,
    /// So many slots of a manifest are listed at first.
    pub slots: u64,
}

impl CollectorSettings {
    /// One page of a LIST.
    pub const SLOTS: u64 = 1_000;
}

/// What was deleted of a tenant, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// Blocks that no manifest has named.
    pub unnamed_blocks: u64,
    /// Blocks that merges have replaced.
    pub replaced_blocks: u64,
    /// Claims of jobs.
    pub claims: u64,
    /// Objects of old snapshots of the manifest.
    pub snapshots: u64,
    pub objects: u64,
    pub bytes: u64,
}

impl Collected {
    pub fn is_empty(&self) -> bool {
        self.objects == 0
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.unnamed_blocks += other.unnamed_blocks;
        self.replaced_blocks += other.replaced_blocks;
        self.claims += other.claims;
        self.snapshots += other.snapshots;
        self.objects += other.objects;
        self.bytes += other.bytes;
    }
}

/// What is to be deleted.
#[derive(Debug, Default)]
struct Doomed {
    unnamed: BTreeMap<BlockId, Vec<ObjectMeta>>,
    replaced: BTreeMap<BlockId, Vec<ObjectMeta>>,
    claims: Vec<ObjectMeta>,
    snapshots: Vec<ObjectMeta>,
}

impl Collector {
    /// `replaced` is what this process sees of blocks that go, if it serves queries, and `named`
    /// what it knows of named snapshots.
    pub fn new(
        bucket: Bucket,
        manifests: Manifests,
        worker: Worker,
        settings: CollectorSettings,
        replaced: Replaced,
        named: Named,
    ) -> Self {
        Self {
            bucket,
            manifests,
            worker,
            settings,
            replaced,
            named,
            clones: Clones::default(),
        }
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &**self.bucket.clock()
    }

    /// Asks the store for its time, for the tenants of one cycle, and deletes the objects of
    /// workers that are gone.
    ///
    /// Requests: 1 PUT and 1 LIST, and 1 DELETE for each worker that is gone.
    pub async fn begin(&self) -> Result<StoreTime, Error> {
        let time = self.worker.store_time().await?;

        for (worker, at_ms) in &time.workers {
            if self.is_old(*at_ms, time.now_ms) {
                self.bucket.delete(&keys::worker(*worker)).await?;
            }
        }

        Ok(time)
    }

    /// Ends a cycle. 1 DELETE.
    pub async fn end(&self) -> Result<(), Error> {
        Ok(self.worker.leave().await?)
    }

    /// Returns what [`Collector::collect`] would delete if the time in the store is `now_ms`.
    ///
    /// Requests: those of [`Manifests::refresh`]; 1 LIST for each 1,000 objects of blocks, 1 of
    /// claims, 1 of snapshots if there is one, and 1 of the slots of the manifest, or a few if they
    /// are many a day; if some blocks are not live, those of [`Manifests::removed_since`] for the
    /// edits of the last [`CollectorSettings::age`].
    ///
    /// Once for each named snapshot, also those of [`Manifests::blocks_after`].
    pub async fn plan(&self, tenant: TenantId, now_ms: i64) -> Result<Collected, Error> {
        let state = self.manifests.refresh(tenant).await?;
        let litter = self.litter(tenant, &state, now_ms).await?;
        let doomed = self.doomed(tenant, &litter, &state, now_ms).await?;

        Ok(doomed.counted())
    }

    /// Deletes what nothing needs in the folder of a tenant.
    ///
    /// Requests: those of [`Collector::plan`]; if there are blocks that nothing names and the
    /// horizon is not above them, those of [`Manifests::commit`]; 1 DELETE for each object that
    /// goes.
    ///
    /// # Errors
    /// What was not deleted is left to the next call.
    pub async fn collect(&self, tenant: TenantId, time: &StoreTime) -> Result<Collected, Error> {
        let state = self.manifests.refresh(tenant).await?;
        let litter = self.litter(tenant, &state, time.now_ms).await?;
        let mut doomed = self.doomed(tenant, &litter, &state, time.now_ms).await?;

        let newest = doomed.unnamed.last_key_value().map(|(block, _)| *block);
        if newest.is_some_and(|newest| !state.is_behind_horizon(newest)) {
            let horizon = self.oldest_to_come(time.now_ms);
            let state = self.manifests.raise_horizon(tenant, horizon).await?;

            // Before the horizon was there, an edit may have named one of them.
            doomed = self.doomed(tenant, &litter, &state, time.now_ms).await?;
            doomed
                .unnamed
                .retain(|block, _| state.is_behind_horizon(*block));
        }

        for object in doomed.objects() {
            self.bucket.delete(&object.location).await?;
        }

        Ok(doomed.counted())
    }

    /// Deletes the objects of a tenant that was deleted so long ago that no query reads them, but
    /// not what clones of it need. `seen` is when this process first knew of it, on the monotonic
    /// clock. Returns what it deleted; `None` once nothing can come any more.
    ///
    /// Requests: 1 LIST for each 1,000 objects, 1 DELETE for each object; if there are blocks, those
    /// of [`Manifests::refresh`], and those of [`Clones::needs`] for each clone.
    pub(crate) async fn collect_deleted(
        &self,
        tenant: &DeletedTenant,
        register: &Tenants,
        time: &StoreTime,
        seen: Duration,
    ) -> Result<Option<Collected>, Error> {
        // The clock of whoever has deleted it may be another, so the own one counts as well.
        let since_ms = time.now_ms.saturating_sub(tenant.deleted_ms);
        let waited = self.clock().monotonic().saturating_sub(seen);
        if since_ms.min(whole_ms(waited)) < whole_ms(self.settings.grace) {
            return Ok(Some(Collected::default()));
        }

        let objects = self.bucket.list(&keys::tenant(tenant.id), None).await?;
        // Uploads that had begun before may still come.
        if objects.is_empty() && since_ms >= whole_ms(self.settings.age) {
            return Ok(None);
        }

        let folder = keys::blocks(tenant.id);
        let (blocks, others): (Vec<_>, Vec<_>) = objects
            .into_iter()
            .partition(|object| object.location.prefix_matches(&folder));

        // The manifest goes after all blocks, because it tells what clones need.
        let needed = match blocks.is_empty() {
            true => BTreeSet::new(),
            false => self.needed_by_clones(tenant.id, register).await?,
        };
        let is_needed = |object: &ObjectMeta| {
            let mut needed = needed.iter();
            needed.any(|folder| object.location.prefix_matches(folder))
        };

        let gone = blocks.into_iter().filter(|object| !is_needed(object));
        let others = others.into_iter().filter(|_| needed.is_empty());
        let mut collected = Collected::default();

        for object in gone.chain(others) {
            self.bucket.delete(&object.location).await?;
            collected.objects += 1;
            collected.bytes += object.size;
        }

        Ok(Some(collected))
    }

    /// Returns the folders of the blocks of a deleted tenant that clones of it need.
    async fn needed_by_clones(
        &self,
        tenant: TenantId,
        register: &Tenants,
    ) -> Result<BTreeSet<Path>, Error> {
        let state = self.manifests.refresh(tenant).await?;
        let mut needed = BTreeSet::new();

        for (name, sequence) in &state.snapshots {
            let Some(clone) = clones::held_by(name) else {
                continue;
            };

            let history = self.settings.grace;
            let both = (clone, tenant);
            let needs = self
                .clones
                .needs(&self.manifests, register, both, history)
                .await;

            if needs? {
                let blocks = self.manifests.blocks_after(tenant, *sequence).await?;
                let folders = blocks.values().map(|entry| keys::block(tenant, entry));
                needed.extend(folders);
            }
        }

        Ok(needed)
    }

    async fn litter(&self, tenant: TenantId, state: &State, now_ms: i64) -> Result<Litter, Error> {
        let mut objects = self.bucket.list(&keys::blocks(tenant), None).await?;
        objects.extend(self.bucket.list(&keys::jobs(tenant), None).await?);
        objects.extend(self.slots(tenant, state, now_ms).await?);

        if self.manifests.base_sequence(tenant) > 0 {
            let snapshots = keys::manifest_snapshots(tenant);
            objects.extend(self.bucket.list(&snapshots, None).await?);
        }

        Ok(Litter::sort(tenant, objects))
    }

    /// Returns the slots of the manifest up to that of `state` that tell when blocks were removed: at
    /// least one that is old enough, or all.
    async fn slots(
        &self,
        tenant: TenantId,
        state: &State,
        now_ms: i64,
    ) -> Result<Vec<ObjectMeta>, Error> {
        let begun = state.origin.map_or(0, |origin| origin.sequence);
        let manifest = keys::manifest(tenant);
        let matters_ms = whole_ms(self.settings.age.max(self.settings.grace));
        let mut reach = self.settings.slots;

        loop {
            let before = state.sequence.saturating_sub(reach);
            let after = manifest.clone().join(keys::slot(before));
            let slots = self.bucket.list(&manifest, Some(&after)).await?;

            let oldest_ms = slots.first().map(modified_ms);
            let is_old = |at_ms: i64| now_ms.saturating_sub(at_ms) >= matters_ms;
            if before <= begun || oldest_ms.is_some_and(is_old) {
                return Ok(slots);
            }

            reach = reach.saturating_mul(8);
        }
    }

    /// Returns what nobody holds.
    async fn doomed(
        &self,
        tenant: TenantId,
        litter: &Litter,
        state: &State,
        now_ms: i64,
    ) -> Result<Doomed, Error> {
        let age_ms = whole_ms(self.settings.age);
        let grace_ms = whole_ms(self.settings.grace);
        let is_live = |block: &BlockId| state.blocks.contains_key(block);

        // Blocks that are all live need no look at the edits.
        let removed = match litter.blocks.keys().all(is_live) {
            true => BTreeMap::new(),
            false => {
                let since = litter.settled(now_ms, age_ms.max(grace_ms));
                self.manifests.removed_since(tenant, since).await?
            }
        };

        let now = self.clock().monotonic();
        let held = Held {
            tenant,
            state,
            removed: &removed,
            settled: litter.settled(now_ms, grace_ms),
            seen: self.replaced.waiting(tenant, now, self.settings.grace),
        };

        let named = self.named.blocks(&self.manifests, tenant, state).await?;
        let oldest_to_come = self.oldest_to_come(now_ms);
        let mut doomed = Doomed::default();

        for (block, objects) in &litter.blocks {
            if named.contains(*block) {
                continue;
            }

            match held.fate(*block) {
                Fate::Replaced => doomed.replaced.insert(*block, objects.clone()),
                Fate::Unnamed if *block < oldest_to_come => {
                    doomed.unnamed.insert(*block, objects.clone())
                }
                Fate::Held | Fate::Unnamed => None,
            };
        }

        doomed.snapshots = self.old_snapshots(tenant, litter, &named, now_ms);
        let claims = litter.claims.iter();
        let old = claims.filter(|claim| self.is_old(modified_ms(claim), now_ms));
        doomed.claims = old.cloned().collect();

        Ok(doomed)
    }

    /// Returns the snapshots that nobody reads and no edit will ever name: those before the one
    /// that the newest object builds on, once an object on that one is so old that nobody still
    /// begins with an earlier object.
    ///
    /// Past states are read as far back as replaced blocks are kept, so their snapshots are too.
    ///
    /// A process that slept with an older snapshot in its hands cannot name it any more. It has to
    /// know all edits before it takes a slot, and then it has none of those before the newest base.
    fn old_snapshots(
        &self,
        tenant: TenantId,
        litter: &Litter,
        named: &NamedBlocks,
        now_ms: i64,
    ) -> Vec<ObjectMeta> {
        let base = self.manifests.base_sequence(tenant);
        let mut on_it = litter.slots.range(base + 1..);
        let kept_ms = whole_ms(self.settings.age.max(self.settings.grace));

        if !on_it.any(|(_, at_ms)| now_ms.saturating_sub(*at_ms) >= kept_ms) {
            return Vec::new();
        }

        let before = litter
            .snapshots
            .iter()
            .filter(|(sequence, _)| *sequence < base && !named.may_build_on(*sequence));
        before.map(|(_, object)| object.clone()).collect()
    }

    /// The horizon: blocks with smaller ids are too old to come.
    fn oldest_to_come(&self, now_ms: i64) -> BlockId {
        // A clock that is ahead would refuse the blocks of all others.
        let now_ms = now_ms.min(self.clock().now_ms());
        let oldest_ms = now_ms.saturating_sub(whole_ms(self.settings.age));

        BlockId(Ulid::from_parts(u64::try_from(oldest_ms).unwrap_or(0), 0))
    }

    fn is_old(&self, at_ms: i64, now_ms: i64) -> bool {
        now_ms.saturating_sub(at_ms) >= whole_ms(self.settings.age)
    }
}

impl Doomed {
    fn objects(&self) -> impl Iterator<Item = &ObjectMeta> {
        let blocks = self.unnamed.values().chain(self.replaced.values());
        blocks.flatten().chain(&self.claims).chain(&self.snapshots)
    }

    fn counted(&self) -> Collected {
        Collected {
            unnamed_blocks: self.unnamed.len() as u64,
            replaced_blocks: self.replaced.len() as u64,
            claims: self.claims.len() as u64,
            snapshots: self.snapshots.len() as u64,
            objects: self.objects().count() as u64,
            bytes: self.objects().map(|object| object.size).sum(),
        }
    }
}

fn modified_ms(object: &ObjectMeta) -> i64 {
    object.last_modified.timestamp_millis()
}

fn whole_ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
