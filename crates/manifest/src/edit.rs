//! One edit of a manifest.

use duramen_bucket::{Author, WriterIdentity};
use duramen_model::{Incarnation, WriterId};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::change::Commit;
use crate::flushed::is_zero;
use crate::optional::Optional;

/// The version of the format that this code writes, and the highest that it reads. An edit states
/// the lowest version that may read it, and the lowest version that may write after it.
pub const VERSION: u64 = 6;

/// The form of the bodies: JSON in a frame of zstd.
pub const FORMAT: u64 = 1;

/// Changes in their recorded form, with the process that made them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    pub writer: WriterId,
    pub epoch: u64,
    /// The process that made the edit. The process of a copied data directory may have the same
    /// writer and epoch, but never the same incarnation.
    pub incarnation: Incarnation,
    /// Identifies this edit.
    pub attempt: Ulid,
    pub changes: Commit,
    /// The lowest version that understands the effect of this edit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reader_version_min: u64,
    /// The lowest version that may write after this edit. A lower version would lose what it does
    /// not know when it writes a snapshot.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub writer_version_min: u64,
    #[serde(default, skip_serializing_if = "Optional::is_empty")]
    pub optional: Optional,
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
            reader_version_min: commit.reader_version_min(),
            changes: commit,
            writer_version_min: 0,
            optional: Optional::default(),
        }
    }

    /// Whether the state remembers the process. A process without a data directory has the epoch 0
    /// and a name that no other process ever has, so only its flush needs to be remembered.
    pub(crate) const fn leaves_its_name(&self) -> bool {
        self.epoch > 0 || self.changes.flush.is_some() || self.changes.is_fence()
    }

    /// Whether the edit asks for the version that its changes need.
    pub(crate) fn asks_enough(&self) -> bool {
        self.reader_version_min >= self.changes.reader_version_min()
    }

    /// The process that made the edit.
    pub(crate) const fn process(&self) -> WriterIdentity {
        WriterIdentity {
            writer: self.writer,
            epoch: self.epoch,
            incarnation: self.incarnation,
        }
    }
}
