//! Removes blocks, and adds blocks that take their place.

use std::collections::BTreeSet;
use std::sync::Arc;

use duramen_model::{BlockEntry, BlockId};
use serde::{Deserialize, Serialize};

use crate::change::flush::Flush;
use crate::state::{BLOCKS_MAX, ROLLUPS_VERSION, State, Violation};
use crate::table::Table;
use crate::{entry, rollups, siblings};

/// Removes the blocks `remove` from the live ones, and adds `add`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Replace {
    /// Blocks to add. All their objects must be durable already.
    pub add: Vec<Arc<BlockEntry>>,
    pub remove: Vec<BlockId>,
    /// The resolutions of rollups that must stand for all samples of the raw blocks in `remove`.
    pub rolled_at: Vec<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    add: Table,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    remove: Vec<BlockId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rolled_at: Vec<i64>,
}

impl TryFrom<Wire> for Replace {
    type Error = &'static str;

    fn try_from(wire: Wire) -> Result<Self, &'static str> {
        Ok(Self {
            add: wire.add.entries()?,
            remove: wire.remove,
            rolled_at: wire.rolled_at,
        })
    }
}

impl From<Replace> for Wire {
    fn from(replace: Replace) -> Self {
        Self {
            add: Table::of(&replace.add),
            remove: replace.remove,
            rolled_at: replace.rolled_at,
        }
    }
}

impl Replace {
    pub(super) fn check(&self, state: &State) -> Result<(), Violation> {
        let mut named = BTreeSet::new();
        for block in self.remove.iter().copied() {
            if !named.insert(block) {
                return Err(Violation::BlockTwice { block });
            }

            if !state.blocks.contains_key(&block) {
                return Err(Violation::BlockNotLive { block });
            }
        }

        let removed = named.clone();
        for added in &self.add {
            let block = added.id;

            if !named.insert(block) {
                return Err(Violation::BlockTwice { block });
            }

            if state.blocks.contains_key(&block) {
                return Err(Violation::BlockLive { block });
            }

            if let Some(horizon) = state.horizon.filter(|horizon| block < *horizon) {
                return Err(Violation::BlockBehindHorizon { block, horizon });
            }

            entry::check(added)?;
        }

        if state.blocks.len() - removed.len() + self.add.len() > BLOCKS_MAX {
            return Err(Violation::TooManyBlocks);
        }

        siblings::check_edit(state, &self.add, &removed)?;
        rollups::check_expiry(state, &removed, &self.rolled_at)
    }

    /// The lowest version that knows the change; 0 if every version does.
    pub(super) fn reader_version_min(&self) -> u64 {
        let has_rollups = self.add.iter().any(|entry| !entry.rolled.is_empty());

        match has_rollups || !self.rolled_at.is_empty() {
            true => ROLLUPS_VERSION,
            false => 0,
        }
    }

    /// Refuses a merge that brings deleted samples back: its output is exempt from the deletions up
    /// to now, and it has applied only those up to `through`.
    pub(super) fn check_deletions(&self, state: &State, through: u64) -> Result<(), Violation> {
        // A rollup has none of the samples that were deleted before its blocks were read.
        let rollups = self.add.iter().filter(|entry| !entry.rolled.is_empty());
        let is_merge = !self.add.is_empty();
        let removed = self.remove.iter().filter(|_| is_merge);
        let merged = removed.filter_map(|block| state.blocks.get(block));

        for entry in rollups.chain(merged) {
            let mut touching = state.deletions.touching(entry);

            if let Some(missed) = touching.find(|tombstone| tombstone.number > through) {
                return Err(Violation::DeletionMissed {
                    block: entry.id,
                    number: missed.number,
                });
            }
        }

        Ok(())
    }

    pub(super) fn apply(&self, state: &mut State, flush: Option<&Flush>) {
        if !state.deletions.in_force.is_empty() {
            self.note_deletions(state, flush);
        }

        for block in &self.remove {
            state.remove(*block);
        }

        for entry in &self.add {
            state.insert(Arc::clone(entry));
        }
    }

    /// Notes which of the added blocks the deletions do not mask, and where deleted samples remain.
    fn note_deletions(&self, state: &mut State, flush: Option<&Flush>) {
        let deletions = Arc::make_mut(&mut state.deletions);

        for entry in self.remove.iter().filter_map(|id| state.blocks.get(id)) {
            deletions.note_removed(entry);
        }

        match flush {
            Some(Flush(flushed)) => {
                deletions.note_flush(&self.add, flushed.writer, flushed.position);
            }
            None => {
                let through = deletions.last();
                deletions.note_clean(self.add.iter().map(|entry| entry.id), through);
            }
        }
    }

    /// Whether all added blocks are live and all removed ones are not.
    pub(super) fn is_in(&self, state: &State) -> bool {
        let is_live = |entry: &Arc<BlockEntry>| state.blocks.get(&entry.id) == Some(entry);

        self.add.iter().all(is_live)
            && !self
                .remove
                .iter()
                .any(|block| state.blocks.contains_key(block))
    }
}
