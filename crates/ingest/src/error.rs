//! The errors of writes and flushes.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use duramen_model::{ErrorKind, TenantId, TenantName};
use duramen_runtime::disk::{is_caused_by_full, is_full};
use duramen_wal::Position;

use crate::room::NoRoom;

/// A failure of the ingester. No part of a failed write is acknowledged, but parts of it may be
/// stored all the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Decode(#[from] duramen_proto::Error),
    #[error("too many requests are in work. writes_in_flight_bytes_max=`{max}`")]
    Overload { max: usize },
    #[error(
        "the memory of the heads is full and their flush is behind. head_bytes=`{bytes}`, head_bytes_max=`{max}`"
    )]
    HeadFull { bytes: usize, max: usize },
    /// The memory limit of the whole process, not only of the heads.
    #[error(transparent)]
    Memory(#[from] duramen_qos::Full),
    /// Tenants are never removed automatically: the operator has to raise the limit.
    #[error("there are too many tenants. tenants_max=`{max}`")]
    TooManyTenants { max: usize },
    #[error(
        "the tenant sends faster than it may. samples=`{samples}`, samples_per_second=`{per_second}`, samples_burst=`{burst}`, \
         retry_after_ms=`{}`", wait.as_millis()
    )]
    RateLimited {
        samples: u64,
        per_second: f64,
        burst: u64,
        wait: Duration,
    },
    /// The request can never pass, however long the sender waits.
    #[error(
        "a request has more samples than may come at once. samples=`{samples}`, samples_burst=`{max}`"
    )]
    OverBurst { samples: u64, max: u64 },
    #[error("the write-ahead log failed")]
    Wal(#[from] duramen_wal::Error),
    /// The samples of the write are not durable; they may be stored after a restart.
    #[error("the write-ahead log could not be synced: {message}")]
    WalSync { message: String },
    /// The log would take the space that a flush needs: the disk would stay full.
    #[error(
        "no space for the write-ahead log: the space for flushing the heads must stay free. free_bytes=`{free_bytes}`, needed_bytes=`{needed_bytes}`"
    )]
    NoRoom { free_bytes: u64, needed_bytes: u64 },
    /// Staged blocks are damaged, and so is the log from which they were made. Both are kept.
    #[error(
        "the write-ahead log is damaged where staged blocks must be made again from it. tenant=`{tenant}`, start=`{start}`, end=`{end}`"
    )]
    LogDamaged {
        tenant: TenantName,
        start: Position,
        end: Position,
    },
    #[error("a block could not be written or read")]
    Block(#[from] duramen_block::Error),
    #[error("the bucket failed")]
    Bucket(#[from] duramen_bucket::Error),
    #[error("the manifest failed")]
    Manifest(#[from] duramen_manifest::Error),
    /// The manifest does not take the deletion. Nothing was deleted.
    #[error("nothing is deleted: {0}")]
    Deletion(duramen_manifest::Violation),
    /// The manifest does not take a change of named snapshots. Nothing has changed.
    #[error("no snapshot is made or dropped: {0}")]
    Snapshot(duramen_manifest::Violation),
    #[error("the local disk failed. path=`{path}`")]
    Disk {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// This process can publish nothing any more.
    #[error("another process has published under this one's name: {cause}")]
    Overtaken { cause: String },
    /// The samples are in the log of an earlier version of this program, which did not write the
    /// names of tenants.
    #[error(
        "the register does not know the tenant, and the log does not name it. tenant=`{tenant}`"
    )]
    UnknownTenant { tenant: TenantId },
    /// The tenant's manifest is damaged or of a later version. The same request passes once it is
    /// repaired.
    #[error("the tenant waits until an object of it is repaired. tenant=`{tenant}`: {cause}")]
    Quarantined { tenant: TenantName, cause: Arc<str> },
    #[error("the ingester has stopped")]
    Stopped,
}

impl From<duramen_blocks::Error> for Error {
    fn from(error: duramen_blocks::Error) -> Self {
        match error {
            duramen_blocks::Error::Block(error) => Self::Block(error),
            duramen_blocks::Error::Bucket(error) => Self::Bucket(error),
            duramen_blocks::Error::Manifest(error) => Self::Manifest(error),
            duramen_blocks::Error::Disk { path, source } => Self::Disk { path, source },
            duramen_blocks::Error::Stopped | _ => Self::Stopped,
        }
    }
}

impl From<NoRoom> for Error {
    fn from(
        NoRoom {
            free_bytes,
            needed_bytes,
        }: NoRoom,
    ) -> Self {
        Self::NoRoom {
            free_bytes,
            needed_bytes,
        }
    }
}

impl Error {
    /// Returns how long to wait before the same request may pass, if that is known.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { wait, .. } => Some(*wait),
            _ => None,
        }
    }

    /// Returns the ingester's own error, if that is why a replay was refused, without the log's
    /// error around it.
    pub(crate) fn of_replay(error: duramen_wal::Error) -> Self {
        match error {
            duramen_wal::Error::Apply {
                segment,
                position,
                source,
            } => match source.downcast::<Self>() {
                Ok(error) => *error,
                Err(source) => Self::Wal(duramen_wal::Error::Apply {
                    segment,
                    position,
                    source,
                }),
            },
            error => Self::Wal(error),
        }
    }

    /// Returns whether an object of one tenant is the cause, and a retry cannot help: the object is
    /// damaged or missing, or a later version of this program wrote it.
    pub(crate) fn is_damage(&self) -> bool {
        let is_damaged_object = |error: &duramen_bucket::Error| {
            use duramen_bucket::Error::{Corrupt, Format, TooLarge};
            matches!(error, Corrupt { .. } | Format { .. } | TooLarge { .. })
        };

        match self {
            Self::Manifest(duramen_manifest::Error::Bucket(error)) | Self::Bucket(error) => {
                is_damaged_object(error)
            }
            Self::Manifest(duramen_manifest::Error::Version { .. }) => true,
            Self::Manifest(error) => error.kind() == ErrorKind::Corrupt,
            _ => false,
        }
    }

    /// Returns the cause of the error in one line.
    pub(crate) fn cause(&self) -> String {
        match self {
            Self::Manifest(error) => error.to_string(),
            Self::Bucket(error) => error.to_string(),
            other => other.to_string(),
        }
    }

    /// Returns whether a disk has no space, or the process has no file descriptor left. The same
    /// call may succeed later.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::NoRoom { .. }) || is_caused_by_full(self)
    }

    /// Returns whether a staged block is damaged or cannot be read.
    pub(crate) fn is_staged_damage(&self) -> bool {
        match self {
            Self::Bucket(duramen_bucket::Error::Damaged { .. }) => true,
            Self::Bucket(duramen_bucket::Error::Disk { source, .. }) => !is_full(source),
            Self::Block(e) => e.kind() == ErrorKind::Corrupt,
            _ => false,
        }
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Decode(e) => e.kind(),
            Self::Overload { .. }
            | Self::HeadFull { .. }
            | Self::Memory(_)
            | Self::NoRoom { .. }
            | Self::Disk { .. }
            | Self::WalSync { .. }
            | Self::Quarantined { .. }
            | Self::UnknownTenant { .. }
            | Self::Stopped => ErrorKind::Unavailable,
            // These limits pass while the sender waits.
            Self::Deletion(duramen_manifest::Violation::TooManyDeletions) => ErrorKind::Limited,
            Self::Snapshot(duramen_manifest::Violation::TooManySnapshots) => ErrorKind::TooMuch,
            Self::Deletion(_) | Self::Snapshot(_) => ErrorKind::Invalid,
            Self::RateLimited { .. } => ErrorKind::Limited,
            Self::OverBurst { .. } | Self::TooManyTenants { .. } => ErrorKind::TooMuch,
            Self::Overtaken { .. } => ErrorKind::Fenced,
            Self::LogDamaged { .. } => ErrorKind::Corrupt,
            Self::Wal(e) => e.kind(),
            Self::Block(e) => e.kind(),
            Self::Bucket(e) => e.kind(),
            Self::Manifest(e) => e.kind(),
        }
    }
}
