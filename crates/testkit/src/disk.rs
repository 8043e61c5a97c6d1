//! A simulated disk in memory. After a simulated loss of power, data that was not synced may be
//! lost.
//!
//! [`SimDisk`] has exactly the durability that POSIX promises: appended bytes are durable after
//! `sync_data`, a name is durable after `sync_dir` of its directory. [`SimDisk::crash`] shows what
//! a loss of power leaves. Real file systems keep more than that, so code that is right here is
//! right on all of them.
//!
//! A lying disk ([`SimDisk::ignore_sync_data`], [`SimDisk::ignore_sync_dir`]) answers a sync with
//! success and does nothing. A test that still passes on it does not test the sync.
//!
//! The files: `state` is the disk behind its lock, with its names (`tree`) and the contents of
//! files (`bytes`). `crash` is what a loss of power leaves. `ops` is the log, and the faults of
//! calls.

mod bytes;
mod crash;
mod ops;
mod state;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duramen_runtime::disk::{DirEntry, Disk, DiskFile, FileStat, Lock, Locked, Space};
use parking_lot::Mutex;

use self::state::{Failure, State};

pub use self::ops::{DiskOp, Fault};

/// A handle to a simulated disk. Clones refer to the same disk. The root directory `/` exists from
/// the start; relative paths begin at the root.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    /// Returns an empty disk without faults and with unlimited space.
    pub fn new() -> Self {
        Self::of(State::new())
    }

    fn of(state: State) -> Self {
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Returns the disk as the next start finds it if the power is lost now.
    ///
    /// Everything that was synced is there. For each file, a prefix of the un-synced bytes
    /// survives: none, some or all, and a part of its tail may be zeros. Each un-synced name
    /// survives or not. The `seed` decides. The new disk has no faults, unlimited space and an
    /// empty log. This disk does not change.
    pub fn crash(&self, seed: u64) -> Self {
        Self::of(crash::after_power_loss(&self.state.lock(), seed))
    }

    /// Returns every successful operation since the start, in order. An append that was cut short
    /// by [`SimDisk::set_space`] is included, with the length that fitted.
    pub fn ops(&self) -> Vec<DiskOp> {
        self.state.lock().ops.clone()
    }

    /// Limits the space: `Some(n)` more bytes can be appended before the disk is full. Truncated
    /// and removed bytes become free again. A write that does not fit is written in part and fails
    /// with `StorageFull`, as on a real disk. Without a single free byte, no file can be created.
    /// `None` means no limit.
    pub fn set_space(&self, bytes: Option<u64>) {
        self.state.lock().space = bytes;
    }

    /// Lets the `nth` call of `sync_data` from now on (1 is the next) fail with EIO, once. The
    /// bytes of that sync never become durable: a later `sync_data` succeeds without them, and
    /// after a crash there are zeros in their place.
    pub fn fail_sync_data(&self, nth: u64) {
        self.state.lock().sync_failure_in = Some(nth);
    }

    /// Lets one call fail with `fault`: the `nth` from now on (1 is the next) of those that can
    /// have this fault.
    ///
    /// An append that fails has written half of its bytes. The bytes of a sync that fails never
    /// become durable, as with [`SimDisk::fail_sync_data`].
    pub fn fail_call(&self, nth: u64, fault: Fault) {
        self.state.lock().failure = Some(Failure { left: nth, fault });
    }

    /// Cancels [`SimDisk::fail_call`]. Returns whether the failure was still to come.
    pub fn take_failure(&self) -> bool {
        self.state.lock().failure.take().is_some()
    }

    /// Cuts the power after `operations` more changes: all later ones fail and change nothing.
    /// Together with [`SimDisk::crash`] this stops a procedure between any two of its steps.
    pub fn power_off_after(&self, operations: u64) {
        let mut state = self.state.lock();
        state.power_left = Some(operations);
        state.is_off = false;
    }

    /// Ends what [`SimDisk::power_off_after`] began. Nothing is lost, as if the process died and
    /// not the power.
    pub fn power_on(&self) {
        let mut state = self.state.lock();
        state.power_left = None;
        state.is_off = false;
    }

    /// Whether any operation has failed because of [`SimDisk::power_off_after`].
    pub fn is_off(&self) -> bool {
        self.state.lock().is_off
    }

    /// Whether locks are unsupported from now on, as on some network file systems.
    pub fn refuse_locks(&self, refuse: bool) {
        self.state.lock().refuse_locks = refuse;
    }

    /// Whether no file can get a second name from now on, as between two file systems.
    pub fn refuse_links(&self, refuse: bool) {
        self.state.lock().refuse_links = refuse;
    }

    /// If `ignore`, `sync_data` lies from now on: it succeeds and makes nothing durable.
    pub fn ignore_sync_data(&self, ignore: bool) {
        self.state.lock().ignore_sync_data = ignore;
    }

    /// If `ignore`, `sync_dir` lies from now on: it succeeds and makes nothing durable.
    pub fn ignore_sync_dir(&self, ignore: bool) {
        self.state.lock().ignore_sync_dir = ignore;
    }

    /// Replaces the contents of a file, durably and without an entry in the log. Tests plant damage
    /// with it.
    pub fn plant(&self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        self.state.lock().plant(path, bytes)
    }
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk").finish_non_exhaustive()
    }
}

impl Disk for SimDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = self.state.lock().create_new(path)?;
        Ok(Box::new(SimFile {
            state: Arc::clone(&self.state),
            file,
        }))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = self.state.lock().open(path)?;
        Ok(Box::new(SimFile {
            state: Arc::clone(&self.state),
            file,
        }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.state.lock().read(path)
    }

    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.state.lock().read_at(path, offset, length)
    }

    fn stat(&self, path: &Path) -> io::Result<FileStat> {
        self.state.lock().stat(path)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.state.lock().hard_link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.state.lock().rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.state.lock().remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.state.lock().create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.state.lock().remove_dir(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.state.lock().read_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.state.lock().sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Locked> {
        if self.state.lock().refuse_locks {
            return Ok(Locked::Unsupported(io::ErrorKind::Unsupported.into()));
        }

        if !self.state.lock().take_lock(path)? {
            return Ok(Locked::Held {
                by: "another handle".to_owned(),
            });
        }

        Ok(Locked::Taken(Lock::new(SimLock {
            state: Arc::clone(&self.state),
            path: path.to_path_buf(),
        })))
    }

    /// The capacity is the free space plus the size of all files.
    fn space(&self, _: &Path) -> io::Result<Space> {
        Ok(self.state.lock().space())
    }
}

/// Releases a lock.
struct SimLock {
    state: Arc<Mutex<State>>,
    path: PathBuf,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.state.lock().give_lock_back(&self.path);
    }
}

struct SimFile {
    state: Arc<Mutex<State>>,
    file: tree::FileId,
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFile")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl DiskFile for SimFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.state.lock().append(self.file, bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.state.lock().sync_data(self.file)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.state.lock().truncate(self.file, length)
    }

    fn stat(&self) -> io::Result<FileStat> {
        Ok(self.state.lock().stat_of(self.file))
    }

    fn allocate(&mut self, length: u64) -> io::Result<()> {
        self.state.lock().allocate(self.file, length)
    }
}
