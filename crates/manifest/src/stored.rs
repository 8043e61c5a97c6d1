//! The deletions of a tenant as a snapshot has them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duramen_model::{BlockId, WriterId};
use serde::{Deserialize, Serialize};

use crate::deletions::{DELETIONS_MAX, Deletions, GONE_MAX};
use crate::entry;
use crate::flushed::is_zero;
use crate::table::Table;
use crate::tombstone::{AskedDeletion, Tombstone};

/// [`Deletions`] in JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredDeletions {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    in_force: Vec<StoredTombstone>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gone: Vec<StoredTombstone>,
    #[serde(default, skip_serializing_if = "is_zero")]
    clean: u64,
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    remains: Table,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    exempt: Vec<Exempt>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredTombstone {
    number: u64,
    asked: Arc<AskedDeletion>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    positions: BTreeMap<WriterId, u64>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    remains: BTreeSet<BlockId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone_ms: Option<i64>,
}

/// Blocks that no deletion up to a number masks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exempt {
    through: u64,
    blocks: Vec<BlockId>,
}

impl StoredDeletions {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn of(deletions: &Deletions) -> Self {
        let stored = |tombstone: &Arc<Tombstone>| StoredTombstone {
            number: tombstone.number,
            asked: Arc::clone(&tombstone.asked),
            positions: tombstone.positions.clone(),
            remains: tombstone.remains.clone(),
            gone_ms: tombstone.gone_ms,
        };

        let mut exempt: BTreeMap<u64, Vec<BlockId>> = BTreeMap::new();
        for (block, through) in &deletions.exempt {
            exempt.entry(*through).or_default().push(*block);
        }

        let exempt = exempt.into_iter();
        Self {
            in_force: deletions.in_force.values().map(stored).collect(),
            gone: deletions.gone.values().map(stored).collect(),
            clean: deletions.clean,
            remains: Table::of(deletions.remains.values()),
            exempt: exempt
                .map(|(through, blocks)| Exempt { through, blocks })
                .collect(),
        }
    }

    /// Returns the deletions of the snapshot of `sequence`, or what is wrong with them.
    pub(crate) fn deletions(self, sequence: u64) -> Result<Deletions, String> {
        let mut deletions = Deletions {
            in_force: tombstones(self.in_force, sequence, DELETIONS_MAX)?,
            gone: tombstones(self.gone, sequence, GONE_MAX)?,
            clean: self.clean,
            ..Deletions::default()
        };

        for entry in self.remains.entries()? {
            entry::check(&entry).map_err(|violation| violation.to_string())?;
            deletions.remains.insert(entry.id, entry);
        }

        for Exempt { through, blocks } in self.exempt {
            for block in blocks {
                deletions.exempt.insert(block, through);
            }
        }

        Ok(deletions)
    }
}

fn tombstones(
    stored: Vec<StoredTombstone>,
    sequence: u64,
    max: usize,
) -> Result<BTreeMap<u64, Arc<Tombstone>>, String> {
    if stored.len() > max {
        return Err("it has too many deletions".to_owned());
    }

    let mut found = BTreeMap::new();
    for one in stored {
        let number = one.number;
        let tombstone = Tombstone {
            number,
            asked: one.asked,
            positions: one.positions,
            remains: one.remains,
            gone_ms: one.gone_ms,
        };

        let is_new = found.insert(number, Arc::new(tombstone)).is_none();
        if !is_new || number > sequence {
            return Err("a deletion has a wrong number".to_owned());
        }
    }

    Ok(found)
}
