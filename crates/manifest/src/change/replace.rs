//! Removes blocks, and adds blocks that take their place.

use std::collections::BTreeSet;
use std::sync::Arc;

use duramen_model::{BlockEntry, BlockId};
use serde::{Deserialize, Serialize};

use crate::state::{BLOCKS_MAX, State, Violation};
use crate::table::Table;
use crate::{entry, siblings};

/// Removes the blocks `remove` from the live ones, and adds `add`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Replace {
    /// Blocks to add. All their objects must be durable already.
    pub add: Vec<Arc<BlockEntry>>,
    pub remove: Vec<BlockId>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    add: Table,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    remove: Vec<BlockId>,
}

impl TryFrom<Wire> for Replace {
    type Error = &'static str;

    fn try_from(wire: Wire) -> Result<Self, &'static str> {
        Ok(Self {
            add: wire.add.entries()?,
            remove: wire.remove,
        })
    }
}

impl From<Replace> for Wire {
    fn from(replace: Replace) -> Self {
        Self {
            add: Table::of(&replace.add),
            remove: replace.remove,
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

        siblings::check_edit(state, &self.add, &removed)
    }

    pub(super) fn apply(&self, state: &mut State) {
        for block in &self.remove {
            state.remove(*block);
        }

        for entry in &self.add {
            state.insert(Arc::clone(entry));
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
