//! One change of a manifest.

use std::collections::BTreeMap;

use duramen_bucket::{Author, WriterIdentity};
use duramen_model::{BlockEntry, BlockId, Incarnation, WriterId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use ulid::Ulid;

/// The version of the format that this code writes, and the highest that it reads. An edit names
/// the lowest version that may read it, and the lowest that may write behind it.
pub const VERSION: u64 = 1;

/// How far a writer's WAL stands in blocks: everything before `position` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flushed {
    pub writer: WriterId,
    /// The process that flushed, as its writer counts them.
    pub epoch: u64,
    /// The process that flushed, and no other that counts the same.
    #[serde(default, skip_serializing_if = "Incarnation::is_unknown")]
    pub incarnation: Incarnation,
    /// The first position of the writer's WAL that is not in a block of this tenant. Never goes
    /// back.
    pub position: u64,
    /// The number of the flush, counted over all epochs of the writer. Rises with each flush of
    /// this tenant.
    pub flush: u64,
}

/// What a commit is to change: all of it at once or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Commit {
    /// Blocks whose every object is durable already.
    pub add: Vec<BlockEntry>,
    pub remove: Vec<BlockId>,
    /// Makes the commit one that counts once: see [`crate::Manifests::commit`].
    pub flushed: Option<Flushed>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EditKind {
    /// Changes nothing but that lower epochs of its writer come too late from here on.
    Fence,
    Commit,
}

/// One change as it is recorded.
///
/// Names reserved for later versions: `tombstones`, `snapshots`, `rollups`, `retention`. Like every
/// field that this version does not know they are kept with the edit and have no effect, if the
/// edit lets this version read it at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    pub kind: EditKind,
    pub writer: WriterId,
    pub epoch: u64,
    /// The process that made it. A copy of a data directory has the writer and the epoch as well,
    /// and never this.
    #[serde(default, skip_serializing_if = "Incarnation::is_unknown")]
    pub incarnation: Incarnation,
    /// Tells this edit from every other.
    pub attempt: Ulid,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<Arc<BlockEntry>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<BlockId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flushed: Option<Flushed>,
    /// The lowest version that understands what this edit does.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reader_version_min: u64,
    /// The lowest version that may write behind this edit: one below it would lose in a snapshot
    /// what it does not know.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub writer_version_min: u64,
    /// Fields of later versions.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
pub(crate) fn is_zero(version: &u64) -> bool {
    *version == 0
}

impl Edit {
    pub fn fence(identity: WriterIdentity, author: Author) -> Self {
        Self {
            kind: EditKind::Fence,
            writer: identity.writer,
            epoch: identity.epoch,
            incarnation: identity.incarnation,
            attempt: author.attempt,
            add: Vec::new(),
            remove: Vec::new(),
            flushed: None,
            reader_version_min: 0,
            writer_version_min: 0,
            other: BTreeMap::new(),
        }
    }

    pub fn commit(identity: WriterIdentity, author: Author, commit: Commit) -> Self {
        let add = commit.add.into_iter().map(Arc::new).collect();
        let Commit {
            remove, flushed, ..
        } = commit;

        Self {
            kind: EditKind::Commit,
            add,
            remove,
            flushed,
            ..Self::fence(identity, author)
        }
    }
}
