//! The errors of a WAL.

use std::io;
use std::path::PathBuf;

use duramen_model::{ErrorKind, WriterId};
use duramen_runtime::disk::{descriptors, is_full};

use crate::position::{Position, SegmentId};

/// The result of the calls of [`crate::Wal`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason why a caller of [`crate::Wal::open`] refused a record.
pub type ApplyError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk failed. A failed write poisons the WAL, since the state of the file is unknown
    /// afterwards.
    #[error("the disk failed. action=`{action}`, path=`{path}`")]
    Disk {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },

    /// There is no space, or no file descriptor, for the records since the last sync or for a new
    /// segment. None of those records is acknowledged, now or later. The WAL is intact: rotate,
    /// then append again.
    #[error("no {} for the write-ahead log. path=`{path}`", lacking(source))]
    Full { path: PathBuf, source: io::Error },

    /// The disk failed in an earlier call, and nothing may be acknowledged since then. Stop the
    /// process and replay.
    #[error("the write-ahead log is poisoned by an earlier failure of the disk")]
    Poisoned,

    /// Records of this segment were dropped because the disk was full. They may have defined
    /// series.
    #[error(
        "no space for the write-ahead log: it needs a new segment before the next record. segment=`{segment}`"
    )]
    RotationNeeded { segment: SegmentId },

    #[error("a record is too large. bytes=`{bytes}`, bytes_max=`{bytes_max}`")]
    RecordTooLarge { bytes: usize, bytes_max: usize },

    #[error(
        "a segment belongs to another writer. path=`{path}`, expected=`{expected}`, actual=`{actual}`"
    )]
    Foreign {
        path: PathBuf,
        expected: WriterId,
        actual: WriterId,
    },

    /// The file was copied to another name, or two files were swapped.
    #[error(
        "a segment has the name of another. path=`{path}`, expected=`{expected}`, actual=`{actual}`"
    )]
    Misnamed {
        path: PathBuf,
        expected: SegmentId,
        actual: SegmentId,
    },

    #[error(
        "WAL format {version} is not supported; this version reads format {}. path=`{path}`",
        crate::header::VERSION
    )]
    Version { path: PathBuf, version: u32 },

    /// Two segments claim the same positions.
    #[error(
        "two segments overlap. earlier=`{earlier}`, ends_before=`{end}`, later=`{later}`, starts_at=`{start}`"
    )]
    Overlap {
        earlier: PathBuf,
        end: Position,
        later: PathBuf,
        start: Position,
    },

    #[error("a replayed record was refused. segment=`{segment}`, position=`{position}`")]
    Apply {
        segment: SegmentId,
        position: Position,
        source: ApplyError,
    },
}

impl Error {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Full { .. } | Self::RotationNeeded { .. } => ErrorKind::Unavailable,
            Self::RecordTooLarge { .. } => ErrorKind::TooMuch,
            Self::Foreign { .. }
            | Self::Misnamed { .. }
            | Self::Version { .. }
            | Self::Overlap { .. } => ErrorKind::Corrupt,
            Self::Disk { .. } | Self::Poisoned | Self::Apply { .. } => ErrorKind::Internal,
        }
    }

    /// Returns the error of a failed call: [`Error::Full`] if it lacked a resource that can come
    /// back (see [`is_full`]), else [`Error::Disk`].
    pub(crate) fn disk(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| {
            if is_full(&source) {
                Self::Full { path, source }
            } else {
                Self::Disk {
                    action,
                    path,
                    source,
                }
            }
        }
    }
}

/// Names the resource that was missing when a call failed with [`is_full`].
fn lacking(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::OutOfMemory => "memory",
        _ if descriptors::is_exhausted(error) => "file descriptor",
        _ => "space",
    }
}
