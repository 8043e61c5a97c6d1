//! Which blocks must stay in the bucket. Pure.

use std::collections::{BTreeMap, BTreeSet};

use duramen_manifest::State;
use duramen_model::{BlockId, TenantId};

/// What is known of a tenant when the objects in its folder are judged.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    pub(crate) tenant: TenantId,
    /// The newest state.
    pub(crate) state: &'a State,
    /// The blocks that late edits have removed, with the sequences of these edits.
    pub(crate) removed: &'a BTreeMap<BlockId, u64>,
    /// Edits above this sequence are younger than the grace: queries may have begun before them.
    pub(crate) settled: u64,
    /// Blocks that went while this process looked on, less than the grace ago by its own clock.
    pub(crate) seen: BTreeSet<BlockId>,
}

/// What may become of the objects of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Somebody reads it, or may.
    Held,
    /// It was live. It never comes back, and nobody can read it any more.
    Replaced,
    /// Nothing names it. It may be a block that is about to come, as long as its id is not behind
    /// the horizon.
    Unnamed,
}

impl Held<'_> {
    /// Says what is held of one state: the live blocks, and those that queries may still read. What
    /// named snapshots and clones need is asked before.
    pub(crate) fn fate(&self, block: BlockId) -> Fate {
        if self.is_live(block) || self.seen.contains(&block) {
            return Fate::Held;
        }

        match self.removed.get(&block) {
            Some(sequence) if *sequence > self.settled => Fate::Held,
            Some(_) => Fate::Replaced,
            None => Fate::Unnamed,
        }
    }

    /// Whether the state names the block in the folder of the tenant. A block of another home has
    /// its objects there.
    fn is_live(&self, block: BlockId) -> bool {
        let entry = self.state.blocks.get(&block);
        entry.is_some_and(|entry| entry.home_of(self.tenant) == self.tenant)
    }
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;

    #[test]
    fn a_removed_block_is_held_until_its_edit_is_settled() {
        let block = |id| BlockId(Ulid(id));
        let removed = BTreeMap::from([(block(1), 5), (block(2), 6)]);
        let held = Held {
            tenant: TenantId(Ulid(1)),
            state: &State::default(),
            removed: &removed,
            settled: 5,
            seen: BTreeSet::from([block(4)]),
        };

        assert_eq!(held.fate(block(1)), Fate::Replaced);
        assert_eq!(held.fate(block(2)), Fate::Held);
        assert_eq!(held.fate(block(3)), Fate::Unnamed);
        assert_eq!(held.fate(block(4)), Fate::Held);
    }
}
