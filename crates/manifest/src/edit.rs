//! One edit of a manifest.

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_bucket::{Author, WriterIdentity};
use duramen_model::{BlockEntry, BlockId, Incarnation, WriterId};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::change::{Change, Fence, Flush, Replace};
use crate::flushed::Flushed;

/// The version of the format that this code writes, and the highest that it reads. An edit states
/// the lowest version that may read it, and the lowest version that may write after it.
pub const VERSION: u64 = 1;

/// The changes of a commit. All of them happen, or none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Commit {
    /// The changes: at most one of each kind.
    pub changes: Vec<Change>,
}

impl Commit {
    /// Makes the commit of a flush: all samples up to `flushed` are in blocks, the last of them in
    /// `blocks`. All objects of these must be durable already.
    ///
    /// The commit has an effect only once: see [`crate::Manifests::commit`].
    pub fn flush(blocks: Vec<BlockEntry>, flushed: Flushed) -> Self {
        let mut commit = Self::replace(Vec::new(), blocks);
        commit.changes.push(Change::Flush(Flush(flushed)));
        commit
    }

    /// Makes a commit that replaces the blocks `remove` by `add`. All objects of `add` must be
    /// durable already.
    pub fn replace(remove: Vec<BlockId>, add: Vec<BlockEntry>) -> Self {
        let add = add.into_iter().map(Arc::new).collect();
        let changes = blocks(add, remove).into_iter().collect();

        Self { changes }
    }

    pub(crate) fn fence() -> Self {
        Self {
            changes: vec![Change::Fence(Fence)],
        }
    }

    /// Whether the commit fences processes instead of changing data.
    pub(crate) fn is_fence(&self) -> bool {
        self.changes.contains(&Change::Fence(Fence))
    }
}

/// Returns the change of the live blocks, if there is one.
fn blocks(add: Vec<Arc<BlockEntry>>, remove: Vec<BlockId>) -> Option<Change> {
    let changes = !add.is_empty() || !remove.is_empty();
    changes.then_some(Change::Replace(Replace { add, remove }))
}

/// Changes in their recorded form, with the process that made them.
///
/// Fields of later versions are kept and have no effect, provided that the edit allows this version
/// to read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
pub struct Edit {
    pub writer: WriterId,
    pub epoch: u64,
    /// The process that made the edit. The process of a copied data directory may have the same
    /// writer and epoch, but never the same incarnation.
    pub incarnation: Incarnation,
    /// Identifies this edit.
    pub attempt: Ulid,
    /// The changes: at most one of each kind.
    pub changes: Vec<Change>,
    /// The lowest version that understands the effect of this edit.
    pub reader_version_min: u64,
    /// The lowest version that may write after this edit. A lower version would lose what it does
    /// not know when it writes a snapshot.
    pub writer_version_min: u64,
    /// Fields of later versions.
    pub other: BTreeMap<String, serde_json::Value>,
}

impl Edit {
    pub fn fence(identity: WriterIdentity, author: Author) -> Self {
        Self::commit(identity, author, Commit::fence())
    }

    pub fn commit(identity: WriterIdentity, author: Author, commit: Commit) -> Self {
        let WriterIdentity {
            writer,
            epoch,
            incarnation,
        } = identity;

        Self {
            writer,
            epoch,
            incarnation,
            attempt: author.attempt,
            changes: commit.changes,
            reader_version_min: 0,
            writer_version_min: 0,
            other: BTreeMap::new(),
        }
    }

    /// The process that made the edit.
    pub(crate) const fn process(&self) -> WriterIdentity {
        WriterIdentity {
            writer: self.writer,
            epoch: self.epoch,
            incarnation: self.incarnation,
        }
    }

    /// Whether it fences earlier processes of its writer.
    pub fn is_fence(&self) -> bool {
        self.changes.contains(&Change::Fence(Fence))
    }

    /// How many blocks it names.
    pub(crate) fn blocks(&self) -> usize {
        self.changes.iter().map(Change::blocks).sum()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Fence,
    Commit,
}

/// The JSON form of an edit, with all changes side by side.
///
/// These names are reserved for later versions: `tombstones`, `snapshots`, `rollups`, `retention`.
#[derive(Serialize, Deserialize)]
struct Wire {
    kind: Kind,
    writer: WriterId,
    epoch: u64,
    #[serde(default, skip_serializing_if = "Incarnation::is_unknown")]
    incarnation: Incarnation,
    attempt: Ulid,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    add: Vec<Arc<BlockEntry>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    remove: Vec<BlockId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flushed: Option<Flushed>,
    #[serde(default, skip_serializing_if = "is_zero")]
    reader_version_min: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    writer_version_min: u64,
    #[serde(flatten)]
    other: BTreeMap<String, serde_json::Value>,
}

impl From<Wire> for Edit {
    fn from(wire: Wire) -> Self {
        let fence = (wire.kind == Kind::Fence).then_some(Change::Fence(Fence));
        let blocks = blocks(wire.add, wire.remove);
        let flush = wire.flushed.map(|flushed| Change::Flush(Flush(flushed)));

        Self {
            writer: wire.writer,
            epoch: wire.epoch,
            incarnation: wire.incarnation,
            attempt: wire.attempt,
            changes: [fence, blocks, flush].into_iter().flatten().collect(),
            reader_version_min: wire.reader_version_min,
            writer_version_min: wire.writer_version_min,
            other: wire.other,
        }
    }
}

impl From<Edit> for Wire {
    fn from(edit: Edit) -> Self {
        let mut wire = Self {
            kind: Kind::Commit,
            writer: edit.writer,
            epoch: edit.epoch,
            incarnation: edit.incarnation,
            attempt: edit.attempt,
            add: Vec::new(),
            remove: Vec::new(),
            flushed: None,
            reader_version_min: edit.reader_version_min,
            writer_version_min: edit.writer_version_min,
            other: edit.other,
        };

        for change in edit.changes {
            match change {
                Change::Fence(Fence) => wire.kind = Kind::Fence,
                Change::Replace(Replace { add, remove }) => {
                    wire.add = add;
                    wire.remove = remove;
                }
                Change::Flush(Flush(flushed)) => wire.flushed = Some(flushed),
            }
        }

        wire
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
pub(crate) fn is_zero(version: &u64) -> bool {
    *version == 0
}
