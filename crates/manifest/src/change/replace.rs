//! Removes blocks, and adds blocks that take their place.

use std::collections::BTreeSet;
use std::sync::Arc;

use duramen_model::{BlockEntry, BlockId};

use crate::state::{State, Violation};

/// Removes the blocks `remove` from the live ones, and adds `add`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replace {
    /// Blocks to add. All their objects must be durable already.
    pub add: Vec<Arc<BlockEntry>>,
    pub remove: Vec<BlockId>,
}

impl Replace {
    pub(super) fn check(&self, state: &State) -> Result<(), Violation> {
        let added = self.add.iter().map(|entry| entry.id);
        let mut named = BTreeSet::new();

        for block in added.chain(self.remove.iter().copied()) {
            if !named.insert(block) {
                return Err(Violation::BlockTwice { block });
            }
        }

        for entry in &self.add {
            check_entry(entry)?;

            if state.blocks.contains_key(&entry.id) {
                return Err(Violation::BlockLive { block: entry.id });
            }
        }

        let missing = |block: &&BlockId| !state.blocks.contains_key(block);
        match self.remove.iter().find(missing) {
            Some(block) => Err(Violation::BlockNotLive { block: *block }),
            None => Ok(()),
        }
    }

    pub(super) fn apply(&self, state: &mut State) {
        for block in &self.remove {
            state.blocks.remove(block);
        }

        for entry in &self.add {
            state.blocks.insert(entry.id, Arc::clone(entry));
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

/// Checks what [`duramen_model::BlockStats`] and the keys of a block's files rely on.
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
