//! The result of all edits, and the reasons why an edit is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use duramen_bucket::WriterIdentity;
use duramen_model::{BlockEntry, BlockId, Content, Incarnation, TenantId, TimeRange, WriterId};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::deletions::{DELETIONS_MAX, Deletions};
use crate::flushed::Flushed;
use crate::tombstone::{DELETION_BYTES_MAX, SELECTORS_MAX, Tombstone};

/// The most live blocks of one tenant. A reader refuses more, so a writer does too.
pub const BLOCKS_MAX: usize = 1 << 20;

/// An edit names at most so many resolutions of rollups.
pub(crate) const RESOLUTIONS_MAX: usize = 8;

/// The version of the format that has horizons and quarantines.
pub(crate) const COLLECTION_VERSION: u64 = 2;

/// The version of the format that has deletions.
pub(crate) const DELETIONS_VERSION: u64 = 3;

/// The version of the format that has named snapshots.
pub(crate) const SNAPSHOTS_VERSION: u64 = 4;

/// The version of the format that has rollups.
pub(crate) const ROLLUPS_VERSION: u64 = 5;

/// The version of the format that has clones.
pub(crate) const CLONES_VERSION: u64 = 6;

/// The most named snapshots of one tenant.
pub const SNAPSHOTS_MAX: usize = 100;

/// The most blocks of one tenant in quarantine.
pub const QUARANTINED_MAX: usize = 1_000;

/// A tenant's manifest after `sequence` edits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// The number of edits so far. 0 if nobody has written to the tenant.
    pub sequence: u64,
    /// The live blocks.
    pub blocks: BTreeMap<BlockId, Arc<BlockEntry>>,
    /// The last flush of each writer.
    pub flushed: BTreeMap<WriterId, Flushed>,
    /// The last process of each writer that has fenced or committed.
    pub epochs: BTreeMap<WriterId, Process>,
    /// No edit may add a block with a smaller id. `None`: any id may come.
    pub horizon: Option<BlockId>,
    /// Live blocks that are damaged, and what was found. No merge takes them.
    pub quarantined: BTreeMap<BlockId, String>,
    /// What was deleted.
    pub deletions: Arc<Deletions>,
    /// The named snapshots: the sequences of their states.
    pub snapshots: BTreeMap<String, u64>,
    /// Where the tenant began, if it is a clone. It has no edits up to there.
    pub origin: Option<Origin>,
    /// The highest version that any edit requires of later writers.
    pub writer_version_min: u64,
    /// The live blocks by content, which finds siblings.
    pub(crate) contents: BTreeSet<(Content, BlockId)>,
}

/// The state of another tenant that a clone began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The tenant that was cloned. The blocks of its state are in its folder.
    pub home: TenantId,
    /// The sequence of the state.
    pub sequence: u64,
}

/// One of the processes of a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pub epoch: u64,
    /// Distinguishes the process from those of copied data directories, which count the same
    /// epochs.
    pub incarnation: Incarnation,
}

impl Process {
    pub(crate) const fn of(self, writer: WriterId) -> WriterIdentity {
        WriterIdentity {
            writer,
            epoch: self.epoch,
            incarnation: self.incarnation,
        }
    }
}

impl From<WriterIdentity> for Process {
    fn from(identity: WriterIdentity) -> Self {
        Self {
            epoch: identity.epoch,
            incarnation: identity.incarnation,
        }
    }
}

/// The reason why an edit cannot be applied to a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    #[error("a later epoch has taken over. epoch=`{epoch}`, later=`{later}`")]
    Fenced { epoch: u64, later: u64 },
    #[error(
        "another process has the epoch of this one. epoch=`{epoch}`, incarnation=`{incarnation}`, other=`{other}`"
    )]
    Twin {
        epoch: u64,
        incarnation: Incarnation,
        other: Incarnation,
    },
    #[error("a fence takes a new epoch. epoch=`{epoch}`")]
    EpochTaken { epoch: u64 },
    #[error("a fence carries no change")]
    FenceWithChange,
    #[error("the block is live already. block=`{block}`")]
    BlockLive { block: BlockId },
    #[error("the block is not live. block=`{block}`")]
    BlockNotLive { block: BlockId },
    #[error("the block comes too late. block=`{block}`, horizon=`{horizon}`")]
    BlockBehindHorizon { block: BlockId, horizon: BlockId },
    #[error("the horizon does not rise. horizon=`{horizon}`, last=`{last}`")]
    HorizonBack { horizon: BlockId, last: BlockId },
    #[error("the block is not in quarantine. block=`{block}`")]
    NotInQuarantine { block: BlockId },
    #[error("a tenant has at most {QUARANTINED_MAX} blocks in quarantine")]
    TooManyQuarantined,
    #[error("a snapshot has this name already. snapshot=`{name}`")]
    SnapshotTwice { name: String },
    #[error("there is no such snapshot. snapshot=`{name}`")]
    NoSnapshot { name: String },
    #[error(
        "the name of a snapshot has from 1 to 100 letters, digits and `-_.`. snapshot=`{name}`"
    )]
    SnapshotName { name: String },
    #[error("names that begin with `clone-` are those of clones. snapshot=`{name}`")]
    SnapshotOfClone { name: String },
    #[error("a tenant has at most {SNAPSHOTS_MAX} named snapshots (snapshots_max)")]
    TooManySnapshots,
    #[error(
        "a tenant has at most {DELETIONS_MAX} deletions whose samples are not gone yet (deletions_max)"
    )]
    TooManyDeletions,
    #[error("a deletion has from 1 to {SELECTORS_MAX} selectors")]
    DeletionSelectors,
    #[error("a deletion is longer than {DELETION_BYTES_MAX} bytes")]
    DeletionTooLong,
    #[error("the deletion is there already. deletion=`{id}`")]
    DeletionTwice { id: Ulid },
    #[error("there is no such deletion in force. number=`{number}`")]
    NoDeletion { number: u64 },
    #[error("samples of the deletion are still there. number=`{number}`")]
    DeletedIsLeft { number: u64 },
    #[error("no deletion waits for the objects of the block. block=`{block}`")]
    NoRemains { block: BlockId },
    #[error("a merge has not applied a deletion to its input. block=`{block}`, number=`{number}`")]
    DeletionMissed { block: BlockId, number: u64 },
    #[error("the block is named twice. block=`{block}`")]
    BlockTwice { block: BlockId },
    #[error("the entry of the block cannot be. block=`{block}`, fault=`{fault}`")]
    BlockEntry { block: BlockId, fault: &'static str },
    #[error("the block and its siblings do not fit together. block=`{block}`, fault=`{fault}`")]
    Siblings { block: BlockId, fault: &'static str },
    #[error("a sibling of a merged block would stay. block=`{block}`")]
    SiblingLeft { block: BlockId },
    #[error(
        "the blocks of a merge stand for other flushes than those that it removes. removed=`{removed}`, added=`{added}`"
    )]
    ContentChanged { removed: Content, added: Content },
    #[error(
        "no rollup stands for all samples of a day that would be removed. block=`{block}`, day_ms=`{day_ms}`, resolution_ms=`{resolution_ms}`"
    )]
    NotRolled {
        block: BlockId,
        day_ms: i64,
        resolution_ms: i64,
    },
    #[error("an edit names at most {RESOLUTIONS_MAX} resolutions of rollups")]
    TooManyResolutions,
    #[error("rollups do not have the native histograms of the block. block=`{block}`")]
    HistogramsNotRolled { block: BlockId },
    #[error("a tenant has at most {BLOCKS_MAX} live blocks")]
    TooManyBlocks,
    #[error("the flush is that of another writer or process")]
    FlushOfAnother,
    #[error("the flush comes late. flush=`{flush}`, last=`{last}`")]
    FlushLate { flush: u64, last: u64 },
    #[error("the flushed position goes back. position=`{position}`, last=`{last}`")]
    PositionBack { position: u64, last: u64 },
}

impl Violation {
    /// Whether the edit can never be applied to a later state either.
    pub(crate) const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Fenced { .. } | Self::Twin { .. } | Self::BlockBehindHorizon { .. }
        )
    }
}

impl State {
    /// Returns the live blocks that may hold samples of `range`, in the order of their ids.
    pub fn blocks_overlapping(&self, range: TimeRange) -> impl Iterator<Item = &Arc<BlockEntry>> {
        self.blocks
            .values()
            .filter(move |entry| entry.stats.range().overlaps(range))
    }

    /// Whether no edit can add a block with this id any more.
    pub fn is_behind_horizon(&self, block: BlockId) -> bool {
        self.horizon.is_some_and(|horizon| block < horizon)
    }

    /// The lowest version that knows all of the state; 0 if every version does.
    pub(crate) fn reader_version_min(&self) -> u64 {
        let has_collection = self.horizon.is_some() || !self.quarantined.is_empty();
        let has_rollups = self.blocks.values().any(|entry| !entry.rolled.is_empty());
        let versions = [
            (self.origin.is_some(), CLONES_VERSION),
            (has_rollups, ROLLUPS_VERSION),
            (!self.snapshots.is_empty(), SNAPSHOTS_VERSION),
            (!self.deletions.is_empty(), DELETIONS_VERSION),
            (has_collection, COLLECTION_VERSION),
        ];

        let needed = versions.into_iter().find(|(is_needed, _)| *is_needed);
        needed.map_or(0, |(_, version)| version)
    }

    /// Returns the writers whose logs still have records that the deletion masks.
    pub fn waits_for<'a>(
        &'a self,
        tombstone: &'a Tombstone,
    ) -> impl Iterator<Item = WriterId> + 'a {
        let positions = tombstone.positions.iter();
        let waits = positions.filter(|(writer, until)| self.flushed_position(**writer) < **until);
        waits.map(|(writer, _)| *writer)
    }

    /// Returns the live blocks that may still have samples of the deletion.
    pub fn holds_deleted<'a>(
        &'a self,
        tombstone: &'a Tombstone,
    ) -> impl Iterator<Item = &'a Arc<BlockEntry>> {
        let blocks = self.blocks.values();
        blocks.filter(|entry| self.deletions.touches(tombstone, entry))
    }

    /// Adds a live block.
    pub(crate) fn insert(&mut self, entry: Arc<BlockEntry>) {
        self.contents.insert((entry.content, entry.id));
        self.blocks.insert(entry.id, entry);
    }

    pub(crate) fn remove(&mut self, block: BlockId) {
        self.quarantined.remove(&block);

        if let Some(entry) = self.blocks.remove(&block) {
            self.contents.remove(&(entry.content, block));
        }
    }

    /// Returns the live blocks that stand for `content`.
    pub(crate) fn with_content(&self, content: Content) -> impl Iterator<Item = &Arc<BlockEntry>> {
        let all = (content, BlockId(Ulid::nil()))..=(content, BlockId(Ulid(u128::MAX)));
        self.contents
            .range(all)
            .filter_map(|(_, block)| self.blocks.get(block))
    }

    /// Returns the first position of the writer's WAL that is not in blocks. 0 for a writer that
    /// has never flushed.
    pub fn flushed_position(&self, writer: WriterId) -> u64 {
        self.flushed
            .get(&writer)
            .map_or(0, |flushed| flushed.position)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "manifest {} with {} blocks",
            self.sequence,
            self.blocks.len()
        )
    }
}
