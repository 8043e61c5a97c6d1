//! What a disk was asked, and what its calls may fail of.

use std::path::PathBuf;

/// One call that changed the disk, or made a change durable, and succeeded. A file is named by its
/// name at that time.
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

/// What a call of a [`SimDisk`](super::SimDisk) may fail of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No space is left, ENOSPC. It meets the calls that may need some: creations, appends, syncs,
    /// links, renames.
    Full,
    /// The quota is used up, EDQUOT. As [`Fault::Full`].
    Quota,
    /// No file descriptor is left, EMFILE. It meets the calls that open something, a sync of a
    /// directory among them.
    Descriptors,
    /// The device is broken, EIO. It meets every call that changes something.
    Broken,
}
