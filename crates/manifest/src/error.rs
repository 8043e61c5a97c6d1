//! What can go wrong with a manifest.

use duramen_model::{ErrorKind, TenantId, WriterId};

use crate::Violation;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bucket failed. After a commit nobody knows whether it happened: the same commit again
    /// finds out.
    #[error(transparent)]
    Bucket(#[from] duramen_bucket::Error),

    /// A later process with the same data directory has taken over. This one must stop: nothing it
    /// writes will be seen.
    #[error(
        "a later epoch of this writer has taken over. tenant=`{tenant}`, writer=`{writer}`, epoch=`{epoch}`, later=`{later}`"
    )]
    Fenced {
        tenant: TenantId,
        writer: WriterId,
        epoch: u64,
        later: u64,
    },

    /// A process of a copy of this one's data directory, or of the same one restored, has published
    /// under this writer's name. This one must stop: nothing it writes will be seen.
    #[error(
        "another process runs with a copy of this data directory. tenant=`{tenant}`, writer=`{writer}`, cause=`{violation}`"
    )]
    Twin {
        tenant: TenantId,
        writer: WriterId,
        violation: Violation,
    },

    /// The commit does not fit what is there; it has not happened.
    #[error(
        "the commit does not fit the manifest. tenant=`{tenant}`, sequence=`{sequence}`, violation=`{violation}`"
    )]
    Refused {
        tenant: TenantId,
        sequence: u64,
        violation: Violation,
    },

    /// The chain is not what a correct writer leaves. Never retried.
    #[error("the manifest is damaged. key=`{key}`, fault=`{fault}`")]
    Corrupt { key: String, fault: String },

    /// Written by a version of this program that this one must not follow, or must not write
    /// behind.
    #[error(
        "the manifest needs a later version of this program. key=`{key}`, needed=`{needed}`, version=`{}`",
        crate::VERSION
    )]
    Version { key: String, needed: u64 },
}

impl Error {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Bucket(error) => error.kind(),
            Self::Fenced { .. } | Self::Twin { .. } => ErrorKind::Fenced,
            Self::Refused { .. } => ErrorKind::Internal,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Version { .. } => ErrorKind::Invalid,
        }
    }
}
