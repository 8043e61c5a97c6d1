//! Clones of a tenant: they begin with its blocks, which stay in its folder.
//!
//! A clone holds the blocks by a named snapshot of its home. So whoever deletes objects keeps them,
//! as for any other snapshot, until the name is dropped.

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_model::{BlockEntry, TenantId};

use crate::deletions::Deletions;
use crate::state::{Origin, State};
use crate::tombstone::Tombstone;

const PREFIX: &str = "clone-";

/// The name of the snapshot by which a clone holds the blocks of its home.
pub fn hold(clone: TenantId) -> String {
    format!("{PREFIX}{clone}")
}

/// Whether the name of a snapshot is for clones alone.
pub fn is_hold(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// The clone that holds blocks by a snapshot of this name.
pub fn held_by(name: &str) -> Option<TenantId> {
    name.strip_prefix(PREFIX)?.parse().ok().map(TenantId)
}

impl State {
    /// Whether live blocks of a clone are in the folder of `home`.
    pub fn has_blocks_of(&self, home: TenantId) -> bool {
        self.blocks.values().any(|entry| entry.home == Some(home))
    }

    /// The state that a clone of this one begins with: the blocks with what was deleted of them.
    ///
    /// No log has records of the clone, so no writer has flushed anything, and no deletion waits
    /// for a log. The objects of the home are for the home to delete.
    pub(crate) fn cloned(&self, home: TenantId) -> Self {
        let mut clone = Self {
            sequence: self.sequence,
            horizon: self.horizon,
            quarantined: self.quarantined.clone(),
            deletions: Arc::new(cloned(&self.deletions)),
            writer_version_min: self.writer_version_min,
            origin: Some(Origin {
                home,
                sequence: self.sequence,
            }),
            ..Self::default()
        };

        for entry in self.blocks.values() {
            clone.insert(Arc::new(BlockEntry {
                home: Some(home),
                ..BlockEntry::clone(entry)
            }));
        }

        clone
    }
}

fn cloned(deletions: &Deletions) -> Deletions {
    let in_force = deletions.in_force.iter().map(|(number, tombstone)| {
        let tombstone = Tombstone {
            positions: BTreeMap::new(),
            remains: std::collections::BTreeSet::new(),
            ..Tombstone::clone(tombstone)
        };
        (*number, Arc::new(tombstone))
    });

    Deletions {
        in_force: in_force.collect(),
        remains: BTreeMap::new(),
        ..deletions.clone()
    }
}
