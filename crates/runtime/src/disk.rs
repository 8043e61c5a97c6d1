//! The disk, with the calls that durability needs.
//!
//! All data that must survive a loss of power is written through [`Disk`]. In tests, a simulated
//! disk takes the place of the real one and loses everything that was not synced. Data that need
//! not survive (caches, staged blocks before their commit) may use it too.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub mod descriptors;
mod lock;
pub mod real;

pub use lock::{Lock, Locked};

/// Files and directories with the durability rules of POSIX: bytes are durable after
/// [`DiskFile::sync_data`]. A name that was created, linked, renamed or removed is durable after
/// [`Disk::sync_dir`] of its directory. All calls block.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Creates a file and opens it for appending. The file must not exist.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file for appending.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Reads the whole file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Reads the bytes `[offset, offset + length)`. Fails with `UnexpectedEof` when the file is
    /// shorter.
    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>>;

    /// The size of a file in bytes and its time of modification in milliseconds since the epoch.
    fn stat(&self, path: &Path) -> io::Result<FileStat>;

    /// Makes `to` a second name of the file `from`. Fails with `AlreadyExists` when `to` exists, so
    /// it serves as an atomic create.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Renames `from` to `to`, and replaces an existing `to` atomically.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Creates one directory; its parent must exist. Fails with `AlreadyExists`.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// The entries of a directory, in any order.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>>;

    /// Makes the names in `path` durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Takes the lock of the file `path`, or returns at once and says who has it. The file is
    /// created if it is missing, and stays.
    ///
    /// The lock excludes every other process and every other caller, until it is dropped or the
    /// process ends.
    fn lock(&self, path: &Path) -> io::Result<Locked>;

    /// The space of the file system of `path`. A quota is not taken into account.
    fn space(&self, path: &Path) -> io::Result<Space>;
}

/// A file open for appending.
pub trait DiskFile: Send + fmt::Debug {
    /// Appends all of `bytes`. They are in the page cache on return, not yet durable.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the appended bytes and the size of the file durable. After an error, the state of the
    /// bytes since the last success is unknown. The caller must truncate them and sync the file
    /// before it relies on the file again.
    fn sync_data(&mut self) -> io::Result<()>;

    /// Like [`Disk::stat`], for the open file, whatever its name is now.
    fn stat(&self) -> io::Result<FileStat>;

    /// Makes the file `length` bytes long and reserves the space, so that writing these bytes
    /// cannot fail later because the disk is full.
    fn allocate(&mut self, length: u64) -> io::Result<()>;

    /// Truncates the file to `length` bytes. It is durable after [`DiskFile::sync_data`].
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// The result of [`Disk::stat`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStat {
    pub length: u64,
    pub modified_ms: i64,
    pub is_dir: bool,
    pub id: FileId,
}

/// The identity of a file, independent of its names. Some network file systems give one file
/// several identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
}

/// The space of a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// The bytes that this process may still use.
    pub free: u64,
    /// The size of the whole file system, used and free.
    pub capacity: u64,
}

/// Whether a call failed because a resource is used up: space, a quota, inodes, file descriptors or
/// the kernel's memory. The device is not broken, the file system is intact, and the same call may
/// succeed later.
pub fn is_full(error: &io::Error) -> bool {
    let is_short = |kind| {
        matches!(
            kind,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::OutOfMemory
        )
    };

    is_short(error.kind()) || descriptors::is_exhausted(error)
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    pub name: String,
    pub is_dir: bool,
}

/// Whether an [`is_full`] error is among the causes of an error.
pub fn is_caused_by_full(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(is_full) {
            return true;
        }

        cause = error.source();
    }

    false
}

/// Removes the directory `path` with everything in it. It syncs nothing.
pub fn remove_dir_all(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    for entry in disk.read_dir(path)? {
        let inner = path.join(entry.name);

        if entry.is_dir {
            remove_dir_all(disk, &inner)?;
        } else {
            disk.remove_file(&inner)?;
        }
    }

    disk.remove_dir(path)
}

/// Creates `path` and every missing parent. On return, all their names are durable.
///
/// Each level is made durable before the next is created. So of the existing levels, only the last
/// may not be durable, if an earlier process died between its creation and its sync.
pub fn create_dir_all_synced(disk: &Arc<dyn Disk>, path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());

    let created = match disk.create_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            create_dir_all_synced(disk, parent.ok_or(e)?)?;
            // The parent is there now, so who says "not found" again means something else: a link
            // that leads nowhere, or a file system that makes no folders.
            disk.create_dir(path)
        }
        created => created,
    };

    match created {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => disk.sync_dir(parent.unwrap_or_else(|| Path::new("."))),
    }
}
