//! Deletes samples, and records what became of earlier deletions.

use std::collections::BTreeSet;
use std::sync::Arc;

use duramen_model::BlockId;
use serde::{Deserialize, Serialize};

use crate::deletions::DELETIONS_MAX;
use crate::flushed::is_zero;
use crate::state::{State, Violation};
use crate::tombstone::{AskedDeletion, DELETION_BYTES_MAX, SELECTORS_MAX};

/// A new deletion, or what was done for earlier ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tombstones {
    /// A deletion that masks what was acknowledged before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add: Option<Arc<AskedDeletion>>,
    /// The number of the last deletion that a merge has applied to its inputs, or that was looked
    /// for in the blocks of `cleared`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub through: u64,
    /// Live blocks in which no deletion up to `through` has found anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cleared: Vec<BlockId>,
    /// All deletions up to this number should be cleaned soon.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub clean: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Gone>,
}

/// What is gone from the bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gone {
    pub at_ms: i64,
    /// Blocks whose objects are deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<BlockId>,
    /// Deletions that are over: nothing in the bucket has their samples.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deletions: Vec<u64>,
}

impl Tombstones {
    pub(super) fn check(&self, state: &State) -> Result<(), Violation> {
        let deletions = &state.deletions;

        if let Some(asked) = &self.add {
            check_asked(asked)?;

            if deletions.get(asked.id).is_some() {
                return Err(Violation::DeletionTwice { id: asked.id });
            }

            if deletions.in_force.len() >= DELETIONS_MAX {
                return Err(Violation::TooManyDeletions);
            }
        }

        let highest = self.through.max(self.clean);
        if highest > state.sequence {
            return Err(Violation::NoDeletion { number: highest });
        }

        for &block in &self.cleared {
            if !state.blocks.contains_key(&block) {
                return Err(Violation::BlockNotLive { block });
            }
        }

        match &self.gone {
            Some(gone) => gone.check(state),
            None => Ok(()),
        }
    }

    pub(super) fn apply(&self, state: &mut State) {
        let number = state.sequence + 1;
        let deletions = Arc::make_mut(&mut state.deletions);

        deletions.note_clean(self.cleared.iter().copied(), self.through);
        deletions.clean = deletions.clean.max(self.clean);

        if let Some(gone) = &self.gone {
            deletions.note_deleted(&gone.blocks);

            for deletion in &gone.deletions {
                deletions.end(*deletion, gone.at_ms);
            }
        }

        if let Some(asked) = &self.add {
            deletions.add(number, asked);
        }
    }

    pub(super) fn is_in(&self, state: &State) -> bool {
        let deletions = &state.deletions;
        let is_clean = |block: &BlockId| {
            let through = deletions.exempt.get(block).copied().unwrap_or(0);
            through >= self.through || !state.blocks.contains_key(block)
        };

        let added = self.add.as_ref();
        let gone = self.gone.as_ref();

        added.is_none_or(|asked| deletions.get(asked.id).is_some())
            && self.cleared.iter().all(is_clean)
            && deletions.clean >= self.clean
            && gone.is_none_or(|gone| gone.is_in(state))
    }

    /// Estimates the length as text.
    pub(super) fn text_bytes(&self) -> usize {
        const ID: usize = 30;

        let added = self.add.as_ref();
        let added = added.and_then(|asked| serde_json::to_string(asked).ok());
        let gone = self.gone.as_ref();
        let gone = gone.map_or(0, |gone| gone.blocks.len() + gone.deletions.len());

        added.map_or(0, |text| text.len()) + (self.cleared.len() + gone) * ID
    }
}

/// Refuses a deletion that is too large.
fn check_asked(asked: &AskedDeletion) -> Result<(), Violation> {
    let selectors = asked.deletion.selectors.len();
    if selectors == 0 || selectors > SELECTORS_MAX {
        return Err(Violation::DeletionSelectors);
    }

    match serde_json::to_string(asked).is_ok_and(|text| text.len() <= DELETION_BYTES_MAX) {
        true => Ok(()),
        false => Err(Violation::DeletionTooLong),
    }
}

impl Gone {
    fn check(&self, state: &State) -> Result<(), Violation> {
        let deletions = &state.deletions;
        let deleted: BTreeSet<_> = self.blocks.iter().copied().collect();

        for &block in &deleted {
            if !deletions.remains.contains_key(&block) {
                return Err(Violation::NoRemains { block });
            }
        }

        for &number in &self.deletions {
            let tombstone = deletions.in_force.get(&number);
            let tombstone = tombstone.ok_or(Violation::NoDeletion { number })?;
            let is_left = state.waits_for(tombstone).next().is_some()
                || state.holds_deleted(tombstone).next().is_some()
                || !tombstone.remains.is_subset(&deleted);

            if is_left {
                return Err(Violation::DeletedIsLeft { number });
            }
        }

        Ok(())
    }

    fn is_in(&self, state: &State) -> bool {
        let deletions = &state.deletions;
        let is_left = |block: &BlockId| deletions.remains.contains_key(block);
        let is_in_force = |number: &u64| deletions.in_force.contains_key(number);

        !self.blocks.iter().any(is_left) && !self.deletions.iter().any(is_in_force)
    }
}
