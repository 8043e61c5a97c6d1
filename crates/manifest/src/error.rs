//! What can go wrong with a manifest.

use duramen_model::{ErrorKind, TenantId, WriterId};

use crate::Violation;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bucket failed. After a commit, it is unknown whether the commit happened. Make the same
    /// commit again to find out.
    #[error(transparent)]
    Bucket(#[from] duramen_bucket::Error),

    /// A later process with the same data directory has taken over. This process must stop: nothing
    /// that it writes will be seen.
    #[error(
        "a later epoch of this writer has taken over. tenant=`{tenant}`, writer=`{writer}`, epoch=`{epoch}`, later=`{later}`"
    )]
    Fenced {
        tenant: TenantId,
        writer: WriterId,
        epoch: u64,
        later: u64,
    },

    /// Another process has published under the name of this writer. It has a copy of this data
    /// directory, or the directory was restored. This process must stop: nothing that it writes
    /// will be seen.
    #[error(
        "another process runs with a copy of this data directory. tenant=`{tenant}`, writer=`{writer}`, cause=`{violation}`"
    )]
    Twin {
        tenant: TenantId,
        writer: WriterId,
        violation: Violation,
    },

    /// The commit does not fit the current state. It has not happened.
    #[error(
        "the commit does not fit the manifest. tenant=`{tenant}`, sequence=`{sequence}`, violation=`{violation}`"
    )]
    Refused {
        tenant: TenantId,
        sequence: u64,
        violation: Violation,
    },

    /// A reader asked for a state that does not exist yet.
    #[error("the manifest has no such edit yet. as_of=`seq:{asked}`, last=`seq:{last}`")]
    NotYet { asked: u64, last: u64 },

    /// A reader asked for a named snapshot that does not exist.
    #[error("there is no such snapshot. as_of=`snapshot:{name}`")]
    NoNamedSnapshot { name: String },

    /// A reader asked for a state whose snapshot is deleted.
    #[error("the state of then is not kept any more. as_of=`seq:{asked}`")]
    NotKept { asked: u64 },

    /// A reader asked for a state from before a deletion that is not remembered any more.
    #[error(
        "too many deletions were made since then to know what was deleted. as_of=`seq:{asked}`, oldest=`seq:{oldest}`"
    )]
    DeletionsForgotten { asked: u64, oldest: u64 },

    /// A correct writer does not leave such a chain. Never retried.
    #[error("the manifest is damaged. key=`{key}`, fault=`{fault}`")]
    Corrupt { key: String, fault: String },

    /// An object names a snapshot that is not there.
    #[error("the manifest is damaged. key=`{key}`, fault=`the snapshot is missing`")]
    NoSnapshot { key: String },

    /// An earlier version of this program, from before the format was fixed, has written this.
    #[error(
        "manifest format {found} is not supported; this version reads format {}. key=`{key}`",
        crate::FORMAT
    )]
    Format { key: String, found: u64 },

    /// A later version of this program has written this. This version must not read it, or must not
    /// write after it.
    #[error(
        "the manifest needs a later version of this program. key=`{key}`, needed=`{needed}`, version=`{}`",
        crate::VERSION
    )]
    Version { key: String, needed: u64 },
}

impl Error {
    /// Whether the commit was refused because a block that it adds is behind the horizon. The same
    /// block can be added under a new id.
    pub const fn is_behind_horizon(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                violation: Violation::BlockBehindHorizon { .. },
                ..
            }
        )
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Bucket(error) => error.kind(),
            Self::Fenced { .. } | Self::Twin { .. } => ErrorKind::Fenced,
            Self::Refused { .. } => ErrorKind::Internal,
            Self::Corrupt { .. } | Self::NoSnapshot { .. } => ErrorKind::Corrupt,
            Self::Version { .. }
            | Self::Format { .. }
            | Self::NotYet { .. }
            | Self::NotKept { .. }
            | Self::NoNamedSnapshot { .. }
            | Self::DeletionsForgotten { .. } => ErrorKind::Invalid,
        }
    }
}
