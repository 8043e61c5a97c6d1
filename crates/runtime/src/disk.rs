//! The disk, as far as durability needs it.
//!
//! Everything whose bytes must survive a loss of power is written through [`Disk`], so that a
//! simulated disk that forgets what was not synced can stand in for the real one. What need not
//! survive (caches, staged blocks before their commit) may use it too.

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
/// [`DiskFile::sync_data`], a name (created, linked, renamed, removed) after [`Disk::sync_dir`] of
/// the directory that holds it. All calls block.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Creates a file that must not exist and opens it for writing at its end.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file for writing at its end.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// The whole file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Bytes `[offset, offset + length)`; fails with `UnexpectedEof` when the file is shorter.
    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>>;

    /// The size of a file in bytes and its time of modification in milliseconds since the epoch.
    fn stat(&self, path: &Path) -> io::Result<FileStat>;

    /// Makes `to` a second name of the file `from`. Fails with `AlreadyExists` when `to` exists:
    /// this is the atomic create.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Renames, replacing `to` atomically.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Creates one directory; its parent must exist. Fails with `AlreadyExists`.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// The entries of a directory, in no order.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>>;

    /// Makes the names in `path` durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Takes the lock that the file `path` stands for, or says at once who has it. The file is made
    /// when it is missing, and stays.
    ///
    /// The lock holds against every other process and every other caller, until it is dropped or
    /// the process ends.
    fn lock(&self, path: &Path) -> io::Result<Locked>;

    /// The space of the file system that holds `path`. A quota is not seen.
    fn space(&self, path: &Path) -> io::Result<Space>;
}

/// A file open for appending.
pub trait DiskFile: Send + fmt::Debug {
    /// Appends all of `bytes`. They are in the page cache on return, not yet durable.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was appended durable, with the size of the file. After an error nothing is known
    /// about the bytes since the last success: they must be cut off, and the cut synced, before
    /// anything is said about the file.
    fn sync_data(&mut self) -> io::Result<()>;

    /// What [`Disk::stat`] would tell of the open file, whatever its name is now.
    fn stat(&self) -> io::Result<FileStat>;

    /// Makes the file `length` bytes long, with space for all of them: a later loss of space
    /// elsewhere does not touch it.
    fn allocate(&mut self, length: u64) -> io::Result<()>;

    /// Cuts the file to `length` bytes; durable after [`DiskFile::sync_data`].
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// What [`Disk::stat`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStat {
    pub length: u64,
    pub modified_ms: i64,
    pub is_dir: bool,
    pub id: FileId,
}

/// Which file it is, whatever its names. Some network file systems give one file several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
}

/// The space of a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What this process may still use.
    pub free: u64,
    /// Of the whole file system, used and free.
    pub capacity: u64,
}

/// Whether a call failed for want of something that comes back, and not because the device is
/// broken: space, a quota, inodes, file descriptors or the kernel's memory. The file system is as
/// good as before; the same call may succeed later.
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

/// Whether [`is_full`] is at the bottom of an error.
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

/// Removes the directory `path` with everything in it. Nothing is synced.
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

/// Creates `path` with every missing parent. On return all their names are durable.
///
/// Each level is made durable before the next is made, so of those that are there only the last may
/// not be: an earlier process may have died between its creation and its sync.
pub fn create_dir_all_synced(disk: &Arc<dyn Disk>, path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());

    match disk.create_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            create_dir_all_synced(disk, parent.ok_or(e)?)?;
            create_dir_all_synced(disk, path)
        }
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => disk.sync_dir(parent.unwrap_or_else(|| Path::new("."))),
    }
}
