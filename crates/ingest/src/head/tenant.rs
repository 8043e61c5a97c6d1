//! The head of one tenant: its series and its chain of generations.

use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use duramen_blocks::StagedBlock;
use duramen_model::{BlockEntry, FamilyMetadata, Labels, Order, TenantId, TenantName};
use duramen_wal::Position;
use parking_lot::{Mutex, RwLock};
use roaring::RoaringBitmap;

use super::families::Families;
use super::generation::{Applied, Generation};
use super::registry::{OpenSegment, SharedRegistry};
use super::rows::Rows;
use crate::intake::TenantIntake;
use crate::memory::HeadMemory;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct TenantHead {
    pub(crate) id: TenantId,
    pub(crate) name: TenantName,
    pub(crate) registry: SharedRegistry,
    pub(crate) families: RwLock<Families>,
    /// The newest block of an earlier process that has metadata, until that is among `families`.
    pub(crate) carried_from: Mutex<Option<Arc<BlockEntry>>>,
    /// Why the tenant waits, if it does: see [`crate::quarantine`].
    pub(crate) quarantined: RwLock<Option<Arc<str>>>,
    /// What the intake of this process holds of the tenant.
    pub(crate) intake: Arc<TenantIntake>,
    /// What the head and the intake take, as the account of the process knows it.
    pub(crate) memory: HeadMemory,
    chain: RwLock<Chain>,
    forgot_at: Mutex<Duration>,
    /// FrozenSamples by the flush that runs: one at a time, so that generations are committed in their
    /// order.
    pub(crate) flushing: tokio::sync::Mutex<()>,
}

/// What earlier processes of this writer left of a tenant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    /// All records before it are in blocks.
    pub(crate) flushed: Position,
    /// The newest block that has metadata: it has all that was known.
    pub(crate) metadata: Option<Arc<BlockEntry>>,
}

/// The generations that hold what is not committed yet, in their order.
#[derive(Debug)]
struct Chain {
    open: Arc<Generation>,
    frozen: Vec<Arc<Frozen>>,
    flushed: Position,
    /// What the log had before it stands behind it once more.
    moved: Position,
}

/// A generation that takes no more samples and waits for its commit.
#[derive(Debug)]
pub(crate) struct Frozen {
    pub(crate) order: Order,
    /// All records of this tenant before it are in this generation or in earlier ones.
    pub(crate) end: Position,
    /// The position of its first record.
    first: Position,
    held: RwLock<FrozenSamples>,
    /// Its series, once it is staged.
    slots: OnceLock<RoaringBitmap>,
    /// The blocks that a commit has named: all of them are in the bucket, and the commit may have
    /// happened.
    offered: OnceLock<Vec<BlockEntry>>,
}

/// Where the samples of a frozen generation are.
#[derive(Clone, Debug)]
pub(crate) enum FrozenSamples {
    Memory(Arc<Generation>),
    /// In blocks on the local disk, which are not in the bucket yet.
    Staged(Arc<[StagedBlock]>),
}

impl Frozen {
    /// The series of which it has anything.
    fn slots(&self) -> RoaringBitmap {
        match self.held() {
            FrozenSamples::Memory(generation) => generation.slots(),
            FrozenSamples::Staged(_) => self.slots.get().cloned().unwrap_or_default(),
        }
    }

    /// The blocks that a commit of this generation has named, if there was one. Whether it happened
    /// is known by them alone, so that it must not be made with others.
    pub(crate) fn offered(&self) -> Option<&[BlockEntry]> {
        self.offered.get().map(Vec::as_slice)
    }

    /// Notes which blocks a commit is about to name.
    pub(crate) fn offer(&self, blocks: &[BlockEntry]) {
        let _ = self.offered.set(blocks.to_vec());
    }

    pub(crate) fn held(&self) -> FrozenSamples {
        self.held.read().clone()
    }

    /// The blocks hold everything that the generation held: its memory is given back.
    pub(crate) fn stage(&self, blocks: Vec<StagedBlock>) {
        let slots = self.slots();
        let _ = self.slots.set(slots);
        *self.held.write() = FrozenSamples::Staged(blocks.into());
    }

    /// The blocks are damaged: their samples are in memory again.
    pub(crate) fn unstage(&self, generation: Arc<Generation>) {
        *self.held.write() = FrozenSamples::Memory(generation);
    }

    /// The records of this tenant at these positions are what it holds.
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
            name: intake.name.clone(),
            registry: SharedRegistry::new(open_segment),
            families: RwLock::default(),
            carried_from: Mutex::new(past.metadata),
            quarantined: RwLock::default(),
            intake,
            memory,
            chain: RwLock::new(chain),
            forgot_at: Mutex::new(now),
            flushing: tokio::sync::Mutex::default(),
        })
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

    /// Tells the account what series and metadata take. After each change of them.
    pub(crate) fn report_series(&self) {
        let intake = self.intake.bytes();
        let registry = self.registry.read();
        self.memory
            .set_series(registry.bytes() + self.families.read().bytes() + intake);
    }

    /// Tells the account what samples take. After each change of them.
    pub(crate) fn report_samples(&self) {
        self.memory.set_samples(self.sample_bytes());
    }

    /// Ends the open generation at `end` and opens one of order `next`. `None`, and no change,
    /// while nothing is in it.
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
        let held = RwLock::new(FrozenSamples::Memory(generation));

        let frozen = Arc::new(Frozen {
            order,
            end,
            first,
            held,
            slots: OnceLock::new(),
            offered: OnceLock::new(),
        });

        chain.frozen.push(Arc::clone(&frozen));
        Some(frozen)
    }

    /// The frozen generations that wait for their commit, in order.
    pub(crate) fn frozen(&self) -> Vec<Arc<Frozen>> {
        self.chain.read().frozen.clone()
    }

    /// Gives a generation up: the manifest has it.
    pub(crate) fn committed(&self, frozen: &Arc<Frozen>) {
        // Views may have it still, so its series count as used until the end of the era. Before it
        // goes: whoever has it after that, has a pin of this era at the latest.
        self.registry.read().use_now(frozen.slots().iter());

        let mut chain = self.chain.write();
        chain.frozen.retain(|held| !Arc::ptr_eq(held, frozen));
        chain.flushed = chain.flushed.max(frozen.end);
    }

    /// Forgets the series that are not in use any more, and metadata beyond nine tenths of
    /// `families_max` that nobody told of since `idle_before_ms`. Blocking; only while nothing else
    /// is committed, so under [`TenantHead::flushing`].
    pub(crate) fn forget(&self, now: Duration, families_max: usize, idle_before_ms: i64) -> usize {
        let forgotten = self.registry.forget(|| self.slots_in_use());
        self.families.write().forget(families_max, idle_before_ms);
        self.report_series();
        *self.forgot_at.lock() = now;

        forgotten
    }

    /// How long ago series were forgotten, or the head began.
    pub(crate) fn since_forgetting(&self, now: Duration) -> Duration {
        now.saturating_sub(*self.forgot_at.lock())
    }

    /// Whether it has series and nothing that a flush would commit.
    pub(crate) fn rests(&self) -> bool {
        self.first_uncommitted().is_none() && self.registry.read().len() > 0
    }

    /// The series of all generations that are not committed.
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

    /// The position of the earliest record that only this head and the WAL have.
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

    /// The log has all records of this tenant before `end` once more, behind it.
    pub(crate) fn moved(&self, end: Position) {
        let mut chain = self.chain.write();
        chain.moved = chain.moved.max(end);
    }

    /// Whether records from `start` on may lie somewhere else in the log than where they were
    /// written.
    pub(crate) fn has_moved(&self, start: Position) -> bool {
        start < self.chain.read().moved
    }

    /// Ends a quarantine: this is what earlier processes left.
    pub(crate) fn heal(&self, flushed: Position, metadata: Option<Arc<BlockEntry>>) {
        let mut chain = self.chain.write();
        chain.flushed = chain.flushed.max(flushed);
        drop(chain);

        let mut carried_from = self.carried_from.lock();
        if carried_from.is_none() {
            *carried_from = metadata;
        }

        *self.quarantined.write() = None;
    }

    /// All records before it are in the manifest's blocks.
    pub(crate) fn flushed(&self) -> Position {
        self.chain.read().flushed
    }

    /// The memory of all generations, in bytes, roughly: what a flush gives back.
    pub(crate) fn sample_bytes(&self) -> usize {
        self.in_memory()
            .iter()
            .map(|generation| generation.memory())
            .sum()
    }

    /// How many histograms and exemplars are in memory.
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

    /// The generations that are not staged yet.
    fn in_memory(&self) -> Vec<Arc<Generation>> {
        let chain = self.chain.read();
        let frozen = chain
            .frozen
            .iter()
            .filter_map(|frozen| match &*frozen.held.read() {
                FrozenSamples::Memory(generation) => Some(Arc::clone(generation)),
                FrozenSamples::Staged(_) => None,
            });

        frozen.chain([Arc::clone(&chain.open)]).collect()
    }

    /// What the frozen generations, the open one and the flushed position are, all at one time:
    /// none of them changes until `read` returns.
    pub(super) fn read_chain<T>(
        &self,
        read: impl FnOnce(&[Arc<Frozen>], &Arc<Generation>, Position) -> T,
    ) -> T {
        let chain = self.chain.read();
        read(&chain.frozen, &chain.open, chain.flushed)
    }

    /// All metadata that the tenant has, by the names of the families. Texts are copied while
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
