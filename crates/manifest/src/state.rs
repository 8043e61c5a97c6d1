//! What all edits together make.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use duramen_bucket::WriterIdentity;
use duramen_model::{BlockEntry, BlockId, Incarnation, TimeRange, WriterId};

use crate::edit::{Edit, EditKind, Flushed};

/// A tenant's manifest after `sequence` edits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// The number of edits so far: 0 for a tenant that nobody has written to.
    pub sequence: u64,
    /// The live blocks.
    pub blocks: BTreeMap<BlockId, Arc<BlockEntry>>,
    /// The last flush of each writer.
    pub flushed: BTreeMap<WriterId, Flushed>,
    /// The last process of each writer that has fenced or committed.
    pub epochs: BTreeMap<WriterId, Process>,
    /// The highest that any edit has asked of those who write behind it.
    pub writer_version_min: u64,
}

/// One of the processes of a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pub epoch: u64,
    /// Tells it from the processes of copies of its data directory, which count the same epochs.
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

/// Why an edit cannot follow a state.
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
    #[error("the block is named twice. block=`{block}`")]
    BlockTwice { block: BlockId },
    #[error("the entry of the block cannot be. block=`{block}`, fault=`{fault}`")]
    BlockEntry { block: BlockId, fault: &'static str },
    #[error("the flush is that of another writer or process")]
    FlushOfAnother,
    #[error("the flush comes late. flush=`{flush}`, last=`{last}`")]
    FlushLate { flush: u64, last: u64 },
    #[error("the flushed position goes back. position=`{position}`, last=`{last}`")]
    PositionBack { position: u64, last: u64 },
}

impl Violation {
    /// Whether no later state would let the edit follow.
    pub(crate) const fn is_final(&self) -> bool {
        matches!(self, Self::Fenced { .. } | Self::Twin { .. })
    }
}

impl State {
    /// Makes the state that follows by `edit`. Pure: no I/O, no clock; on an error nothing has
    /// changed.
    pub fn apply(&mut self, edit: &Edit) -> Result<(), Violation> {
        self.check_epoch(edit)?;
        self.check_blocks(edit)?;
        self.check_flushed(edit)?;

        for block in &edit.remove {
            self.blocks.remove(block);
        }

        for entry in &edit.add {
            self.blocks.insert(entry.id, Arc::clone(entry));
        }

        if let Some(flushed) = edit.flushed {
            self.flushed.insert(flushed.writer, flushed);
        }

        self.epochs.insert(
            edit.writer,
            Process {
                epoch: edit.epoch,
                incarnation: edit.incarnation,
            },
        );

        self.writer_version_min = self.writer_version_min.max(edit.writer_version_min);
        self.sequence += 1;
        Ok(())
    }

    fn check_epoch(&self, edit: &Edit) -> Result<(), Violation> {
        let epoch = edit.epoch;

        if let Some(last) = self.epochs.get(&edit.writer) {
            if last.epoch > epoch {
                return Err(Violation::Fenced {
                    epoch,
                    later: last.epoch,
                });
            }

            if last.epoch == epoch && last.incarnation != edit.incarnation {
                return Err(Violation::Twin {
                    epoch,
                    incarnation: edit.incarnation,
                    other: last.incarnation,
                });
            }

            if last.epoch == epoch && edit.kind == EditKind::Fence {
                return Err(Violation::EpochTaken { epoch });
            }
        }

        let changes = !edit.add.is_empty() || !edit.remove.is_empty() || edit.flushed.is_some();
        if edit.kind == EditKind::Fence && changes {
            return Err(Violation::FenceWithChange);
        }

        Ok(())
    }

    fn check_blocks(&self, edit: &Edit) -> Result<(), Violation> {
        let mut named = BTreeSet::new();
        for block in edit
            .add
            .iter()
            .map(|entry| entry.id)
            .chain(edit.remove.iter().copied())
        {
            if !named.insert(block) {
                return Err(Violation::BlockTwice { block });
            }
        }

        for entry in &edit.add {
            check_entry(entry)?;
            if self.blocks.contains_key(&entry.id) {
                return Err(Violation::BlockLive { block: entry.id });
            }
        }

        match edit
            .remove
            .iter()
            .find(|block| !self.blocks.contains_key(block))
        {
            Some(block) => Err(Violation::BlockNotLive { block: *block }),
            None => Ok(()),
        }
    }

    fn check_flushed(&self, edit: &Edit) -> Result<(), Violation> {
        let Some(flushed) = edit.flushed else {
            return Ok(());
        };
        let of_flush = (flushed.writer, flushed.epoch, flushed.incarnation);
        let of_edit = (edit.writer, edit.epoch, edit.incarnation);

        if of_flush != of_edit {
            return Err(Violation::FlushOfAnother);
        }

        let Some(last) = self.flushed.get(&flushed.writer) else {
            return Ok(());
        };
        if flushed.flush <= last.flush {
            return Err(Violation::FlushLate {
                flush: flushed.flush,
                last: last.flush,
            });
        }

        if flushed.position < last.position {
            return Err(Violation::PositionBack {
                position: flushed.position,
                last: last.position,
            });
        }

        Ok(())
    }

    /// Whether the commit has happened already: what it adds is live, what it removes is not, and
    /// its flush is the writer's last.
    ///
    /// Positions and numbers of flushes alone say nothing: the process of a copied data directory
    /// gives the same to other samples.
    pub fn has(&self, commit: &crate::Commit) -> bool {
        let is_live = |entry: &BlockEntry| {
            self.blocks
                .get(&entry.id)
                .is_some_and(|live| **live == *entry)
        };

        let changes =
            !commit.add.is_empty() || !commit.remove.is_empty() || commit.flushed.is_some();
        let is_last = |flushed: &Flushed| self.flushed.get(&flushed.writer) == Some(flushed);

        changes
            && commit.flushed.as_ref().is_none_or(is_last)
            && commit.add.iter().all(is_live)
            && !commit
                .remove
                .iter()
                .any(|block| self.blocks.contains_key(block))
    }

    /// The live blocks that may hold samples of `range`, in the order of their ids.
    pub fn blocks_overlapping(&self, range: TimeRange) -> impl Iterator<Item = &Arc<BlockEntry>> {
        self.blocks
            .values()
            .filter(move |entry| entry.stats.range().overlaps(range))
    }

    /// How far the writer's WAL stands in blocks; 0 for a writer that has never flushed.
    pub fn flushed_position(&self, writer: WriterId) -> u64 {
        self.flushed
            .get(&writer)
            .map_or(0, |flushed| flushed.position)
    }
}

/// What [`duramen_model::BlockStats`] and the keys of a block's files rely on.
pub(crate) fn check_entry(entry: &BlockEntry) -> Result<(), Violation> {
    let fault = |fault| {
        Err(Violation::BlockEntry {
            block: entry.id,
            fault,
        })
    };

    if entry.stats.max_ts_ms < entry.stats.min_ts_ms {
        return fault("its last timestamp is before its first");
    }

    if entry.stats.max_ts_ms == i64::MAX {
        return fault("its last timestamp has no successor");
    }

    if entry.stats.ttl_max_ms < 0 {
        return fault("its longest life span is negative");
    }

    if entry.order.max < entry.order.min {
        return fault("its last order is before its first");
    }

    let is_file = |name: &str| {
        !name.is_empty()
            && name.len() <= 100
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
            && !name.starts_with('.')
    };

    if !entry.stats.files.iter().all(|file| is_file(&file.name)) {
        return fault("a file has a name that is none");
    }

    let bytes = entry
        .stats
        .files
        .iter()
        .try_fold(entry.stats.meta_bytes, |sum, file| {
            sum.checked_add(file.bytes)
        });

    if bytes.is_none() {
        return fault("its files are larger than anything");
    }

    Ok(())
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
