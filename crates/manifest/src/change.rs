//! The kinds of changes in an edit, one file for each.
//!
//! The changes of an edit happen together or not at all: all are checked against the state before
//! the first is applied. A new kind of change needs a file here, a field of [`Commit`] and a later
//! version of the format: its edits raise `reader_version_min`, because an older reader does not
//! know the field and refuses the object.
//!
//! - [`fence`]: refuses later edits of earlier processes of a writer.
//! - [`replace`]: removes blocks and adds blocks that take their place. A flush only adds.
//! - [`flush`]: records how much of a writer's log is in blocks.
//! - [`horizon`]: the id behind which no block comes any more.
//! - [`quarantine`]: live blocks that are damaged.
//! - [`tombstones`]: samples that are deleted.
//! - [`snapshots`]: states that have names.

pub mod fence;
pub mod flush;
pub mod horizon;
pub mod quarantine;
pub mod replace;
pub mod snapshots;
pub mod tombstones;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duramen_bucket::WriterIdentity;
use duramen_model::{BlockEntry, BlockId};
use serde::{Deserialize, Serialize};

use crate::flushed::Flushed;
use crate::state::{COLLECTION_VERSION, DELETIONS_VERSION, SNAPSHOTS_VERSION, State, Violation};
use crate::table;
use crate::tombstone::AskedDeletion;

pub use fence::Fence;
pub use flush::Flush;
pub use horizon::Horizon;
pub use quarantine::Quarantine;
pub use replace::Replace;
pub use snapshots::Snapshots;
pub use tombstones::{Gone, Tombstones};

/// The changes of a commit, at most one of each kind. All of them happen, or none.
///
/// These names are reserved for later versions: `open`, `release`, `retention`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<Fence>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replace: Option<Replace>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flush: Option<Flush>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizon: Option<Horizon>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Quarantine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tombstones: Option<Tombstones>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<Snapshots>,
}

impl Commit {
    /// Makes the commit of a flush: all samples up to `flushed` are in blocks, the last of them in
    /// `blocks`. All objects of these must be durable already.
    ///
    /// The commit has an effect only once: see [`crate::Manifests::commit`].
    pub fn flush(blocks: Vec<BlockEntry>, flushed: Flushed) -> Self {
        Self {
            flush: Some(Flush(flushed)),
            ..Self::replace(Vec::new(), blocks)
        }
    }

    /// Makes a commit that replaces the blocks `remove` by `add`. All objects of `add` must be
    /// durable already.
    pub fn replace(remove: Vec<BlockId>, add: Vec<BlockEntry>) -> Self {
        let add: Vec<_> = add.into_iter().map(Arc::new).collect();
        let is_change = !add.is_empty() || !remove.is_empty();

        Self {
            replace: is_change.then_some(Replace {
                add,
                remove,
                rolled_at: Vec::new(),
            }),
            ..Self::default()
        }
    }

    /// Makes a commit that removes raw blocks which are not kept any more, while their rollups of
    /// these resolutions are. It is illegal unless such rollups stand for all of their samples.
    pub fn expire(blocks: Vec<BlockId>, rolled_at: Vec<i64>) -> Self {
        let mut commit = Self::replace(blocks, Vec::new());

        if let Some(replace) = &mut commit.replace {
            replace.rolled_at = rolled_at;
        }

        commit
    }

    /// Makes a commit after which no block with an id below `horizon` can be added.
    pub fn horizon(horizon: BlockId) -> Self {
        Self {
            horizon: Some(Horizon(horizon)),
            ..Self::default()
        }
    }

    /// Makes a commit that puts a damaged block into quarantine. A long `fault` is cut.
    pub fn quarantine(block: BlockId, fault: &str) -> Self {
        let end = fault.floor_char_boundary(quarantine::FAULT_BYTES_MAX);
        let quarantine = Quarantine {
            add: BTreeMap::from([(block, fault[..end].to_owned())]),
            release: Vec::new(),
        };

        Self {
            quarantine: Some(quarantine),
            ..Self::default()
        }
    }

    /// Makes a commit that gives the state after it a name.
    pub fn snapshot(name: &str) -> Self {
        Self::snapshots(Snapshots {
            add: BTreeSet::from([name.to_owned()]),
            ..Snapshots::default()
        })
    }

    /// Makes a commit that drops a named snapshot.
    pub fn drop_snapshot(name: &str) -> Self {
        Self::snapshots(Snapshots {
            remove: BTreeSet::from([name.to_owned()]),
            ..Snapshots::default()
        })
    }

    fn snapshots(snapshots: Snapshots) -> Self {
        Self {
            snapshots: Some(snapshots),
            ..Self::default()
        }
    }

    /// Makes a commit that deletes samples.
    pub fn delete(asked: AskedDeletion) -> Self {
        Self::tombstones(Tombstones {
            add: Some(Arc::new(asked)),
            ..Tombstones::default()
        })
    }

    /// Makes a commit that records what became of deletions.
    pub fn tombstones(tombstones: Tombstones) -> Self {
        Self {
            tombstones: Some(tombstones),
            ..Self::default()
        }
    }

    /// The same commit, of a merge that has applied all deletions up to this number to its inputs.
    #[must_use]
    pub fn applying(self, through: u64) -> Self {
        let tombstones = Tombstones {
            through,
            ..Tombstones::default()
        };

        Self {
            tombstones: (through > 0).then_some(tombstones),
            ..self
        }
    }

    pub(crate) fn fence() -> Self {
        Self {
            fence: Some(Fence {}),
            ..Self::default()
        }
    }

    /// Whether the commit fences processes instead of changing data.
    pub const fn is_fence(&self) -> bool {
        self.fence.is_some()
    }

    /// The lowest version that knows all of the changes; 0 if every version does.
    pub(crate) fn reader_version_min(&self) -> u64 {
        let Self {
            fence: _,
            replace,
            flush: _,
            horizon,
            quarantine,
            tombstones,
            snapshots,
        } = self;

        let versions = [
            replace.as_ref().map(Replace::reader_version_min),
            horizon.as_ref().map(|_| COLLECTION_VERSION),
            quarantine.as_ref().map(|_| COLLECTION_VERSION),
            tombstones.as_ref().map(|_| DELETIONS_VERSION),
            snapshots.as_ref().map(|_| SNAPSHOTS_VERSION),
        ];

        versions.into_iter().flatten().max().unwrap_or(0)
    }

    /// Checks whether the changes can be applied to `state` when `process` makes them. Pure: no
    /// I/O, no clock.
    pub(crate) fn check(&self, state: &State, process: WriterIdentity) -> Result<(), Violation> {
        let Self {
            fence,
            replace,
            flush,
            horizon,
            quarantine,
            tombstones,
            snapshots,
        } = self;

        if let Some(fence) = fence {
            fence.check(state, process)?;

            let is_alone = *self == Self::fence();
            if !is_alone {
                return Err(Violation::FenceWithChange);
            }
        }

        if let Some(flush) = flush {
            flush.check(state, process)?;
        }

        if let Some(replace) = replace {
            replace.check(state)?;

            let through = tombstones
                .as_ref()
                .map_or(0, |tombstones| tombstones.through);
            replace.check_deletions(state, through)?;
        }

        if let Some(tombstones) = tombstones {
            tombstones.check(state)?;
        }

        if let Some(horizon) = horizon {
            horizon.check(state)?;
        }

        if let Some(quarantine) = quarantine {
            quarantine.check(state)?;
        }

        if let Some(snapshots) = snapshots {
            snapshots.check(state)?;
        }

        Ok(())
    }

    /// Applies the changes, which must have passed the check.
    pub(crate) fn apply(&self, state: &mut State) {
        let Self {
            // Each edit records its process. A fence has no other effect.
            fence: _,
            replace,
            flush,
            horizon,
            quarantine,
            tombstones,
            snapshots,
        } = self;

        // A block that is removed in the same edit leaves the quarantine again.
        if let Some(quarantine) = quarantine {
            quarantine.apply(state);
        }

        if let Some(replace) = replace {
            replace.apply(state, flush.as_ref());
        }

        if let Some(flush) = flush {
            flush.apply(state);
        }

        if let Some(horizon) = horizon {
            horizon.apply(state);
        }

        if let Some(tombstones) = tombstones {
            tombstones.apply(state);
        }

        if let Some(snapshots) = snapshots {
            snapshots.apply(state);
        }
    }

    /// Whether the commit of `process` has already happened: it changes something, and all of its
    /// changes are in `state`. A flush is known by its number alone, because its blocks may have
    /// been merged since.
    pub(crate) fn is_in(&self, state: &State, process: WriterIdentity) -> bool {
        let Self {
            fence,
            replace,
            flush,
            horizon,
            quarantine,
            tombstones,
            snapshots,
        } = self;

        if let Some(flush) = flush {
            return flush.is_in(state);
        }

        *self != Self::default()
            && fence.is_none_or(|fence| fence.is_in(state, process))
            && replace.as_ref().is_none_or(|replace| replace.is_in(state))
            && horizon.is_none_or(|horizon| horizon.is_in(state))
            && quarantine
                .as_ref()
                .is_none_or(|quarantine| quarantine.is_in(state))
            && tombstones
                .as_ref()
                .is_none_or(|tombstones| tombstones.is_in(state))
            && snapshots
                .as_ref()
                .is_none_or(|snapshots| snapshots.is_in(state))
    }

    /// Estimates the length of the changes as text.
    pub(crate) fn text_bytes(&self) -> usize {
        const OTHERS: usize = 400;
        const REMOVED: usize = 30;

        let replace = self.replace.as_ref();
        let of_replace = replace.map_or(0, |replace| {
            let added = replace.add.iter().map(|entry| table::text_bytes(entry));
            added.sum::<usize>() + replace.remove.len() * REMOVED
        });

        let quarantine = self.quarantine.as_ref();
        let of_quarantine = quarantine.map_or(0, Quarantine::text_bytes);

        let tombstones = self.tombstones.as_ref();
        let of_tombstones = tombstones.map_or(0, Tombstones::text_bytes);

        let snapshots = self.snapshots.as_ref();
        let of_snapshots = snapshots.map_or(0, Snapshots::text_bytes);

        OTHERS + of_replace + of_quarantine + of_tombstones + of_snapshots
    }
}
