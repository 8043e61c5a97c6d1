//! The head of one tenant: its series and its chain of generations.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use duramen_blocks::StagedBlock;
use duramen_manifest::Reserved;
use duramen_model::{BlockEntry, BlockId, FamilyMetadata, Labels, Order, TenantId, TenantName};
use duramen_wal::Position;
use parking_lot::{Mutex, RwLock};
use roaring::RoaringBitmap;

use super::families::Families;
use super::generation::{Applied, Generation};
use super::registry::{OpenSegment, SharedRegistry};
use super::rows::Rows;
use crate::intake::TenantIntake;
use crate::memory::HeadMemory;

/// The head of one tenant.
#[derive(Debug)]
pub(crate) struct TenantHead {
    pub(crate) id: TenantId,
    pub(crate) registry: SharedRegistry,
    pub(crate) families: RwLock<Families>,
    /// The newest block with metadata of each writer before this process, the newest of all first,
    /// until its metadata is among `families`. The first that has a family counts.
    pub(crate) carried_from: Mutex<Vec<Arc<BlockEntry>>>,
    /// Why the tenant is in quarantine, if it is: see [`crate::quarantine`].
    pub(crate) quarantined: RwLock<Option<Arc<str>>>,
    /// The intake's state for the tenant in this process.
    pub(crate) intake: Arc<TenantIntake>,
    /// The memory of the head and the intake, in the account of the process.
    pub(crate) memory: HeadMemory,
    chain: RwLock<Chain>,
    /// The positions where the replay ends generations, ascending.
    seals: Mutex<VecDeque<Position>>,
    forgot_at: Mutex<Duration>,
    /// Locked by the running flush: one at a time, so that generations are committed in order.
    pub(crate) flushing: tokio::sync::Mutex<()>,
}

/// The state of a tenant that earlier processes of this writer left.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    /// All records before this position are in blocks.
    pub(crate) flushed: Position,
    /// The newest block with metadata of each writer, the newest of all first.
    pub(crate) metadata: Vec<Arc<BlockEntry>>,
    /// The positions where generations must end, ascending, because deletions name them.
    pub(crate) seals: Vec<Position>,
}

impl Past {
    /// The first position that new records may have.
    pub(crate) fn next_position(&self) -> Position {
        self.seals.iter().copied().fold(self.flushed, Position::max)
    }
}

/// The generations that are not committed yet, in order.
#[derive(Debug)]
struct Chain {
    open: Arc<Generation>,
    frozen: Vec<Arc<Frozen>>,
    flushed: Position,
    /// The log has all records of the tenant before this position again, after it.
    moved: Position,
}

/// A generation that takes no more samples and waits for its commit.
#[derive(Debug)]
pub(crate) struct Frozen {
    pub(crate) order: Order,
    /// All records of this tenant before this position are in this generation or in earlier ones.
    pub(crate) end: Position,
    /// The position of its first record.
    first: Position,
    samples: RwLock<FrozenSamples>,
    /// Its series, once it is staged.
    slots: OnceLock<RoaringBitmap>,
    /// The ids under which its blocks are uploaded.
    ids: Mutex<Vec<Reserved>>,
    /// The blocks that a commit has named. All of them are in the bucket, and the commit may have
    /// happened.
    offered: Mutex<Option<Vec<BlockEntry>>>,
}

/// Where the samples of a frozen generation are.
#[derive(Clone, Debug)]
pub(crate) enum FrozenSamples {
    Memory(Arc<Generation>),
    /// In blocks on the local disk that are not in the bucket yet.
    Staged(Arc<[StagedBlock]>),
}

impl Frozen {
    /// Returns the series that have samples or exemplars here.
    fn slots(&self) -> RoaringBitmap {
        match self.samples() {
            FrozenSamples::Memory(generation) => generation.slots(),
            FrozenSamples::Staged(_) => self.slots.get().cloned().unwrap_or_default(),
        }
    }

    /// Returns the blocks that a commit of this generation has named, if there was one. Only these
    /// blocks tell whether the commit has happened, so it must not be tried with others.
    pub(crate) fn offered(&self) -> Option<Vec<BlockEntry>> {
        self.offered.lock().clone()
    }

    /// Notes the blocks that a commit is about to name.
    pub(crate) fn offer(&self, blocks: &[BlockEntry]) {
        *self.offered.lock() = Some(blocks.to_vec());
    }

    /// Forgets the blocks and their ids after the manifest has refused the commit for good: the
    /// blocks are uploaded again under new ids.
    pub(crate) fn withdraw(&self) {
        *self.offered.lock() = None;
        self.ids.lock().clear();
    }

    /// Returns the id under which the block at `place` is uploaded, which is the same until
    /// [`Frozen::withdraw`]. `reserve` makes a new id.
    pub(crate) fn upload_id(&self, place: usize, reserve: impl Fn() -> Reserved) -> BlockId {
        let mut ids = self.ids.lock();
        while ids.len() <= place {
            ids.push(reserve());
        }

        ids[place].id()
    }

    pub(crate) fn samples(&self) -> FrozenSamples {
        self.samples.read().clone()
    }

    /// Replaces the generation in memory by blocks with the same samples, and returns it. To free
    /// its memory takes a while, which nobody should wait for.
    pub(crate) fn stage(&self, blocks: Vec<StagedBlock>) -> FrozenSamples {
        let slots = self.slots();
        let _ = self.slots.set(slots);

        let staged = FrozenSamples::Staged(blocks.into());
        std::mem::replace(&mut *self.samples.write(), staged)
    }

    /// Replaces damaged blocks by a generation in memory with their samples.
    pub(crate) fn unstage(&self, generation: Arc<Generation>) {
        *self.samples.write() = FrozenSamples::Memory(generation);
    }

    /// Returns the positions of its records in the log; other tenants have positions in between.
    pub(crate) fn positions(&self) -> Range<Position> {
        self.first..self.end
    }
}

impl TenantHead {
    pub(crate) fn new(
        intake: Arc<TenantIntake>,
        order: Order,
        past: Past,
        memory: HeadMemory,
        open_segment: OpenSegment,
        hash_seed: u64,
        now: Duration,
    ) -> Arc<Self> {
        let chain = Chain {
            open: Generation::new(order),
            frozen: Vec::new(),
            flushed: past.flushed,
            moved: Position(0),
        };

        Arc::new(Self {
            id: intake.id,
            registry: SharedRegistry::new(open_segment, hash_seed),
            families: RwLock::default(),
            carried_from: Mutex::new(past.metadata),
            quarantined: RwLock::default(),
            intake,
            memory,
            chain: RwLock::new(chain),
            seals: Mutex::new(past.seals.into()),
            forgot_at: Mutex::new(now),
            flushing: tokio::sync::Mutex::default(),
        })
    }

    /// The tenant's name, which may change.
    pub(crate) fn name(&self) -> TenantName {
        self.intake.name()
    }

    pub(crate) fn open(&self) -> Arc<Generation> {
        Arc::clone(&self.chain.read().open)
    }

    /// Applies the record at `position` to the open generation. Called in WAL order, from one
    /// thread.
    pub(crate) fn apply(
        &self,
        position: Position,
        now_ms: i64,
        mut rows: Rows,
        exemplars_max: usize,
    ) -> Applied {
        let open = self.open();
        let metadata = std::mem::take(&mut rows.metadata);

        if !metadata.is_empty() {
            open.note_metadata(position, now_ms);

            let mut families = self.families.write();
            metadata
                .into_iter()
                .for_each(|family| families.put(family, open.order.flush));
            drop(families);
            self.report_series();
        }

        if !rows.exemplars.is_empty() {
            self.registry
                .read()
                .use_now(rows.exemplars.iter().map(|row| row.series_ref));
        }

        let applied = open.apply(position, now_ms, rows, exemplars_max);
        self.report_samples();
        applied
    }

    /// Reports the memory of series and metadata to the account. Called after each change of them.
    pub(crate) fn report_series(&self) {
        let intake = self.intake.bytes();
        let registry = self.registry.read();
        self.memory
            .set_series(registry.bytes() + self.families.read().bytes() + intake);
    }

    /// Reports the memory of samples to the account. Called after each change of them.
    pub(crate) fn report_samples(&self) {
        self.memory.set_samples(self.sample_bytes());
    }

    /// Ends the open generation at `end` and opens one with order `next`. Returns `None` and
    /// changes nothing if the open one is empty.
    ///
    /// Called between two records by the thread that applies them.
    pub(crate) fn freeze(
        &self,
        end: Position,
        next: impl FnOnce() -> Order,
    ) -> Option<Arc<Frozen>> {
        let mut chain = self.chain.write();
        let first = chain.open.first_position()?;
        let generation = std::mem::replace(&mut chain.open, Generation::new(next()));
        let order = generation.order;
        let samples = RwLock::new(FrozenSamples::Memory(generation));

        let frozen = Arc::new(Frozen {
            order,
            end,
            first,
            samples,
            slots: OnceLock::new(),
            ids: Mutex::default(),
            offered: Mutex::default(),
        });

        chain.frozen.push(Arc::clone(&frozen));
        Some(frozen)
    }

    /// Returns the last position where a generation must still end.
    pub(crate) fn last_seal(&self) -> Option<Position> {
        self.seals.lock().back().copied()
    }

    /// Ends generations where deletions want it, before the replay applies a record at `position`.
    pub(crate) fn freeze_before(&self, position: Position, mut next: impl FnMut() -> Order) {
        let mut seals = self.seals.lock();

        while let Some(seal) = seals.pop_front_if(|seal| *seal <= position) {
            self.freeze(seal, &mut next);
        }
    }

    /// Returns the frozen generations that wait for their commit, in order.
    pub(crate) fn frozen(&self) -> Vec<Arc<Frozen>> {
        self.chain.read().frozen.clone()
    }

    /// Removes a generation that is in the manifest.
    pub(crate) fn committed(&self, frozen: &Arc<Frozen>) {
        // Views may still have the generation, so its series count as used until the end of the
        // era. This comes before the removal: a later view with the generation has a pin of this
        // era at the latest.
        self.registry.read().use_now(frozen.slots().iter());

        let mut chain = self.chain.write();
        chain.frozen.retain(|other| !Arc::ptr_eq(other, frozen));
        chain.flushed = chain.flushed.max(frozen.end);
    }

    /// Forgets the series that are not in use any more. Also forgets metadata beyond nine tenths of
    /// `families_max` that was not sent since `idle_before_ms`. Returns the number of forgotten
    /// series. Blocks the thread. Nothing else may be committed meanwhile, so
    /// [`TenantHead::flushing`] must be locked.
    pub(crate) fn forget(&self, now: Duration, families_max: usize, idle_before_ms: i64) -> usize {
        let forgotten = self.registry.forget(|| self.slots_in_use());
        self.families.write().forget(families_max, idle_before_ms);
        self.report_series();
        *self.forgot_at.lock() = now;

        forgotten
    }

    /// Returns the time since series were last forgotten, or since the head was created.
    pub(crate) fn since_forgetting(&self, now: Duration) -> Duration {
        now.saturating_sub(*self.forgot_at.lock())
    }

    /// Returns whether the head has series but nothing for a flush to commit.
    pub(crate) fn rests(&self) -> bool {
        self.first_uncommitted().is_none() && self.registry.read().len() > 0
    }

    /// Returns the series of all generations that are not committed.
    fn slots_in_use(&self) -> RoaringBitmap {
        let (frozen, open) = {
            let chain = self.chain.read();
            (chain.frozen.clone(), Arc::clone(&chain.open))
        };

        let mut in_use = open.slots();
        for frozen in frozen {
            in_use |= frozen.slots();
        }

        in_use
    }

    /// Returns the position of the earliest record that only this head and the WAL have.
    pub(crate) fn first_uncommitted(&self) -> Option<Position> {
        let chain = self.chain.read();
        let first = chain
            .frozen
            .iter()
            .map(|f| f.first)
            .chain(chain.open.first_position())
            .min();

        first.map(|first| first.max(chain.moved))
    }

    /// Notes that the log has all records of this tenant before `end` again, after it.
    pub(crate) fn moved(&self, end: Position) {
        let mut chain = self.chain.write();
        chain.moved = chain.moved.max(end);
    }

    /// Returns whether records from `start` on may have been copied to another position in the log.
    pub(crate) fn has_moved(&self, start: Position) -> bool {
        start < self.chain.read().moved
    }

    /// Ends a quarantine, with the state that earlier processes left.
    pub(crate) fn heal(&self, flushed: Position, metadata: Vec<Arc<BlockEntry>>) {
        let mut chain = self.chain.write();
        chain.flushed = chain.flushed.max(flushed);
        drop(chain);

        let mut carried_from = self.carried_from.lock();
        if carried_from.is_empty() {
            *carried_from = metadata;
        }

        *self.quarantined.write() = None;
    }

    /// Returns the flushed position: all records before it are in the manifest's blocks.
    pub(crate) fn flushed(&self) -> Position {
        self.chain.read().flushed
    }

    /// Returns the memory of all generations in bytes, roughly. A flush frees it.
    pub(crate) fn sample_bytes(&self) -> usize {
        self.in_memory()
            .iter()
            .map(|generation| generation.memory())
            .sum()
    }

    /// Returns how many histograms and exemplars are in memory.
    pub(crate) fn rare(&self) -> (usize, usize) {
        let count = |generation: &Arc<Generation>| {
            let samples = generation.read();
            (samples.histograms, samples.exemplars.len())
        };

        self.in_memory()
            .iter()
            .map(count)
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// Returns the generations that are not staged yet.
    fn in_memory(&self) -> Vec<Arc<Generation>> {
        let chain = self.chain.read();
        let frozen = chain
            .frozen
            .iter()
            .filter_map(|frozen| match &*frozen.samples.read() {
                FrozenSamples::Memory(generation) => Some(Arc::clone(generation)),
                FrozenSamples::Staged(_) => None,
            });

        frozen.chain([Arc::clone(&chain.open)]).collect()
    }

    /// Calls `read` with the frozen generations, the open one and the flushed position. None of
    /// them changes until it returns.
    pub(super) fn read_chain<T>(
        &self,
        read: impl FnOnce(&[Arc<Frozen>], &Arc<Generation>, Position) -> T,
    ) -> T {
        let chain = self.chain.read();
        read(&chain.frozen, &chain.open, chain.flushed)
    }

    /// Returns all metadata of the tenant, by the names of the families. The texts are copied while
    /// writes go on.
    pub(crate) fn all_families(&self) -> Vec<FamilyMetadata> {
        let families = self.families.read().all();
        families
            .iter()
            .map(|family| FamilyMetadata::clone(family))
            .collect()
    }

    pub(crate) fn labels(&self, slot: u32) -> Labels {
        self.registry.read().labels(slot)
    }
}
