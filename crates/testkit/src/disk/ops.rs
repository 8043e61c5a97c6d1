//! The operations of a disk, and the faults that its calls can have.

use std::path::PathBuf;

/// One successful call that changed the disk or made a change durable. Files have the names that
/// they had at that time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskOp {
    Create { path: PathBuf },
    Append { path: PathBuf, len: usize },
    Truncate { path: PathBuf, length: u64 },
    SyncData { path: PathBuf },
    SyncDir { path: PathBuf },
    Link { from: PathBuf, to: PathBuf },
    Rename { from: PathBuf, to: PathBuf },
    Remove { path: PathBuf },
    CreateDir { path: PathBuf },
    RemoveDir { path: PathBuf },
}

/// The cause of a failed call of a [`SimDisk`](super::SimDisk).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No space is left: ENOSPC. This can happen to creations, appends, syncs, links and renames,
    /// which may need space.
    Full,
    /// The quota is used up: EDQUOT. This can happen to the same calls as [`Fault::Full`].
    Quota,
    /// No file descriptor is left: EMFILE. This can happen to calls that open something, which
    /// include a sync of a directory.
    Descriptors,
    /// The device is broken: EIO. This can happen to every call that changes something.
    Broken,
}
