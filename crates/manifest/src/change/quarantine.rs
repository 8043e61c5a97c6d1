//! Names live blocks that are damaged, so that nobody tries to merge them.

use std::collections::BTreeMap;

use duramen_model::BlockId;
use serde::{Deserialize, Serialize};

use crate::state::{QUARANTINED_MAX, State, Violation};

/// The longest fault, in bytes.
pub const FAULT_BYTES_MAX: usize = 1024;

/// Puts blocks into quarantine, or lets them go from it. They stay live: queries read them as
/// before. A block that is removed leaves the quarantine too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantine {
    /// Damaged blocks, and what was found.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub add: BTreeMap<BlockId, String>,
    /// Blocks that are good again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub release: Vec<BlockId>,
}

impl Quarantine {
    pub(super) fn check(&self, state: &State) -> Result<(), Violation> {
        for (&block, fault) in &self.add {
            if !state.blocks.contains_key(&block) {
                return Err(Violation::BlockNotLive { block });
            }

            check_fault(block, fault)?;
        }

        for &block in &self.release {
            if !state.quarantined.contains_key(&block) {
                return Err(Violation::NotInQuarantine { block });
            }

            if self.add.contains_key(&block) {
                return Err(Violation::BlockTwice { block });
            }
        }

        let new = |block: &&BlockId| !state.quarantined.contains_key(*block);
        let added = self.add.keys().filter(new).count();

        match state.quarantined.len() + added > QUARANTINED_MAX {
            true => Err(Violation::TooManyQuarantined),
            false => Ok(()),
        }
    }

    pub(super) fn apply(&self, state: &mut State) {
        for block in &self.release {
            state.quarantined.remove(block);
        }

        for (block, fault) in &self.add {
            state.quarantined.insert(*block, fault.clone());
        }
    }

    /// Whether the added blocks are in quarantine, whatever was found, and the released ones are
    /// not.
    pub(super) fn is_in(&self, state: &State) -> bool {
        let is_held = |block: &BlockId| state.quarantined.contains_key(block);
        self.add.keys().all(is_held) && !self.release.iter().any(is_held)
    }

    pub(super) fn text_bytes(&self) -> usize {
        const ID: usize = 40;

        let faults: usize = self.add.values().map(String::len).sum();
        faults + (self.add.len() + self.release.len()) * ID
    }
}

/// Refuses a fault that is too long.
pub(crate) fn check_fault(block: BlockId, fault: &str) -> Result<(), Violation> {
    match fault.len() > FAULT_BYTES_MAX {
        true => Err(Violation::BlockEntry {
            block,
            fault: "the fault is too long",
        }),
        false => Ok(()),
    }
}
