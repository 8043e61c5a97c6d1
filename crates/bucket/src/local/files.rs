//! The files of the store: they are staged, made durable, and then given their names. All calls
//! block.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crc32c::{crc32c, crc32c_append};
use duramen_runtime::disk::{FileId, Lock, Locked};
use duramen_runtime::{Disk, DiskFile};
use object_store::path::Path;
use parking_lot::Mutex;
use ulid::Ulid;

use crate::Error;
use crate::config::Access;
use crate::directories::create_settled;

use super::paths::{Segment, path_of, segment_of};

#[derive(Debug)]
pub(super) struct Files {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    /// Part of the names of all files that this process stages. On a file system without locks,
    /// another process may stage files beside it.
    process: Ulid,
    staged: AtomicU64,
    names: Mutex<Names>,
    access: Access,
    _lock: Option<Lock>,
}

const STAGING: &str = ".staging";
/// The lock file of the store. No key has this name, so it is never listed.
const LOCK: &str = ".lock";

/// What is known about the durability of names.
#[derive(Debug, Default)]
struct Names {
    /// Directories whose own name and all names in them were made durable by this process. An
    /// earlier process may have been killed after it gave a name and before it synced it. So every
    /// directory is synced once before anything found in it is trusted.
    settled: HashSet<PathBuf>,
    /// Directories with names that were just given and are not synced yet, with the number of these
    /// names. A read that sees one of them syncs the directory before it returns.
    moving: BTreeMap<PathBuf, usize>,
}

/// Limits the memory of `settled`. When it is exceeded, clean directories are synced again.
const SETTLED_MAX: usize = 10_000;

/// How a staged file gets its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Publish {
    /// Fails with `AlreadyExists` if the name is taken.
    Create,
    Overwrite,
}

/// An object that exists.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) bytes: u64,
    pub(super) modified_ms: i64,
}

impl Found {
    pub(super) fn e_tag(&self) -> String {
        format!("{:x}-{:x}", self.modified_ms, self.bytes)
    }
}

/// The objects and prefixes directly under a prefix, sorted.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) objects: Vec<(Path, Found)>,
    pub(super) prefixes: Vec<Path>,
}

/// An entry of a directory, with the part of a key that its name stands for.
struct Named {
    name: String,
    part: String,
    is_dir: bool,
    /// Whether the part of the key continues in this directory.
    goes_on: bool,
}

/// A file that has no name of its own yet. It is removed if it is dropped before it has one.
#[derive(Debug)]
pub(super) struct Staged {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    open: Mutex<Open>,
}

/// The open file, with the length and checksum of what was written.
#[derive(Debug)]
struct Open {
    file: Box<dyn DiskFile>,
    bytes: u64,
    crc32c: u32,
}

/// The identity of the file that gets a name.
#[derive(Clone, Copy, Debug)]
struct Written {
    id: FileId,
    bytes: u64,
    crc32c: u32,
}

/// A complete file on the disk of the store that becomes an object without a copy. Nobody may
/// change its bytes any more. It keeps its own name, which its owner removes.
///
/// As an extension of [`object_store::PutOptions`] it stands in for the payload of a put.
#[derive(Clone, Debug)]
pub struct CompleteFile {
    pub path: PathBuf,
    /// What the file was when its bytes were checked: its identity, its length, and the CRC32C of
    /// its bytes.
    pub id: FileId,
    pub bytes: u64,
    pub crc32c: u32,
}

impl CompleteFile {
    const fn written(&self) -> Written {
        Written {
            id: self.id,
            bytes: self.bytes,
            crc32c: self.crc32c,
        }
    }
}

impl Staged {
    pub(super) fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut open = self.open.lock();
        open.file.append(bytes)?;
        open.bytes += bytes.len() as u64;
        open.crc32c = crc32c_append(open.crc32c, bytes);

        Ok(())
    }

    /// Makes the bytes durable and returns their identity.
    fn sync(&self) -> io::Result<Written> {
        let mut open = self.open.lock();
        open.file.sync_data()?;

        Ok(Written {
            id: open.file.stat()?.id,
            bytes: open.bytes,
            crc32c: open.crc32c,
        })
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // The file is already gone if it was renamed. If this fails, the next start removes it.
        let _ = self.disk.remove_file(&self.path);
    }
}

impl Files {
    /// Takes the store for this process alone, and removes staged files of earlier processes.
    pub(super) fn open(disk: Arc<dyn Disk>, root: &FilePath, process: Ulid) -> Result<Self, Error> {
        let failed = |source| Error::Disk {
            operation: "open the store",
            path: root.to_path_buf(),
            source,
        };

        let staging = root.join(STAGING);
        create_settled(&disk, &staging).map_err(failed)?;

        let lock = match disk.lock(&root.join(LOCK)).map_err(failed)? {
            Locked::Taken(lock) => Some(lock),
            Locked::Held { by } => {
                return Err(Error::StoreLocked {
                    store: root.to_path_buf(),
                    pid: by,
                });
            }
            Locked::Unsupported(error) => {
                tracing::warn!(%error, store = %root.display(),
                    "the store's file system has no locks: nothing keeps a second process away from it");
                None
            }
        };

        // Without the lock, a staged file may belong to another process that still runs.
        if lock.is_some() {
            sweep(&*disk, &staging).map_err(failed)?;
        }

        Ok(Self {
            disk,
            root: root.to_path_buf(),
            process,
            staged: AtomicU64::new(0),
            names: Mutex::default(),
            access: Access::Alone,
            _lock: lock,
        })
    }

    /// Opens the store beside the process that has it. Nothing is created, locked or removed, and
    /// what would change the store fails.
    pub(super) fn open_to_read(disk: Arc<dyn Disk>, root: &FilePath, process: Ulid) -> Self {
        Self {
            disk,
            root: root.to_path_buf(),
            process,
            staged: AtomicU64::new(0),
            names: Mutex::default(),
            access: Access::Reads,
            _lock: None,
        }
    }

    fn check_may_write(&self) -> io::Result<()> {
        match self.access {
            Access::Alone => Ok(()),
            Access::Reads => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the store was opened only to read it",
            )),
        }
    }

    pub(super) fn root(&self) -> &FilePath {
        &self.root
    }

    fn path(&self, key: &Path) -> PathBuf {
        self.root.join(path_of(key))
    }

    pub(super) fn stage(&self) -> io::Result<Staged> {
        self.check_may_write()?;

        let path = self.staging_path();
        let file = self.disk.create_new(&path)?;

        let open = Mutex::new(Open {
            file,
            bytes: 0,
            crc32c: 0,
        });

        Ok(Staged {
            disk: Arc::clone(&self.disk),
            path,
            open,
        })
    }

    /// Returns a new path for a staged file. No other process uses it, and this one uses it once.
    fn staging_path(&self) -> PathBuf {
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        self.root
            .join(STAGING)
            .join(format!("{}-{number}", self.process))
    }

    /// Makes the bytes durable, then the name. Then checks that the name leads to this file. On an
    /// error, it is unknown which of these steps have happened.
    pub(super) fn publish(
        &self,
        staged: Staged,
        key: &Path,
        publish: Publish,
    ) -> io::Result<Found> {
        let written = staged.sync()?;
        self.must_be(&staged.path, written)?;

        let to = self.path(key);
        self.give_name(&to, publish, |to| match publish {
            Publish::Create => {
                self.disk.hard_link(&staged.path, to)?;

                let is_ours = self.must_be(to, written);
                if is_ours.is_err() {
                    // The name is new and we gave it, so nobody relies on it yet.
                    let _ = self.disk.remove_file(to);
                }

                is_ours
            }
            Publish::Overwrite => {
                self.disk.rename(&staged.path, to)?;
                self.must_be(to, written)
            }
        })?;

        self.stat(&to)
    }

    /// Makes the bytes of a complete file durable, then gives it the name of `key`. It is checked
    /// as in [`Files::publish`]. An existing object is replaced.
    ///
    /// Fails with `CrossesDevices` or another error of a link if the file cannot have a second name
    /// here. Then nothing has changed.
    pub(super) fn link(&self, file: &CompleteFile, key: &Path) -> io::Result<Found> {
        self.check_may_write()?;

        self.disk.open_append(&file.path)?.sync_data()?;
        self.must_be(&file.path, file.written())?;

        let staging = self.staging_path();
        self.disk.hard_link(&file.path, &staging)?;

        let to = self.path(key);
        let given = self.give_name(&to, Publish::Overwrite, |to| {
            self.disk.rename(&staging, to)?;
            self.must_be(to, file.written())
        });

        // A rename to another name of the same file does nothing, and leaves both names.
        let _ = self.disk.remove_file(&staging);

        given?;
        self.stat(&to)
    }

    /// Fails unless the file at `path` is the one that was written. If the disk cannot tell whether
    /// both names are of one file, the bytes are compared.
    fn must_be(&self, path: &FilePath, written: Written) -> io::Result<()> {
        let named = self.disk.stat(path)?;
        let is_ours = named.length == written.bytes
            && (named.id == written.id || crc32c(&self.disk.read(path)?) == written.crc32c);

        if is_ours {
            Ok(())
        } else {
            Err(io::Error::other(
                "another file stands where the staged one was",
            ))
        }
    }

    /// Gives the object `from` a second name `to`. Both may share their bytes, because objects are
    /// never changed in place.
    pub(super) fn copy(&self, from: &Path, to: &Path, publish: Publish) -> io::Result<()> {
        self.check_may_write()?;

        self.find(from)?;

        let from = self.path(from);
        let to = self.path(to);

        if from == to && publish == Publish::Overwrite {
            return Ok(());
        }

        self.give_name(&to, publish, |to| match publish {
            Publish::Create => self.disk.hard_link(&from, to),
            Publish::Overwrite => {
                let staging = self.staging_path();
                self.disk.hard_link(&from, &staging)?;
                self.disk.rename(&staging, to)
            }
        })
    }

    /// Runs `give`, which gives the name `to`, and makes the name durable. If the name is taken,
    /// that is made durable as well before it is reported, because the caller may rely on it.
    fn give_name(
        &self,
        to: &FilePath,
        publish: Publish,
        give: impl FnOnce(&FilePath) -> io::Result<()>,
    ) -> io::Result<()> {
        let parent = parent(to);
        self.settle(parent)?;

        *self
            .names
            .lock()
            .moving
            .entry(parent.to_path_buf())
            .or_default() += 1;

        let given = give(to);
        let is_taken =
            |e: &io::Error| publish == Publish::Create && e.kind() == io::ErrorKind::AlreadyExists;

        if given.is_ok() || given.as_ref().is_err_and(is_taken) {
            // If this fails, the directory stays in `moving`, and every read of it tries to sync it
            // again.
            self.disk.sync_dir(parent)?;
        }

        let mut names = self.names.lock();
        if let Some(count) = names.moving.get_mut(parent) {
            *count -= 1;
            if *count == 0 {
                names.moving.remove(parent);
            }
        }

        given
    }

    /// Creates a directory and all its parents up to the root, durably. Nothing is synced twice.
    fn settle(&self, directory: &FilePath) -> io::Result<()> {
        if self.names.lock().settled.contains(directory) {
            return Ok(());
        }

        if directory != self.root {
            self.settle(parent(directory))?;

            match self.disk.create_dir(directory) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    if !self.disk.stat(directory)?.is_dir {
                        return Err(io::Error::new(
                            io::ErrorKind::NotADirectory,
                            "an object is in the way of a prefix",
                        ));
                    }
                }
                other => other?,
            }

            // Another process may have created it. From here on its name is durable.
            self.disk.sync_dir(parent(directory))?;
        }

        self.disk.sync_dir(directory)?;

        let mut names = self.names.lock();
        if names.settled.len() >= SETTLED_MAX {
            names.settled.clear();
        }

        names.settled.insert(directory.to_path_buf());
        Ok(())
    }

    /// Makes all names durable that were seen in an existing directory.
    fn settle_seen(&self, directory: &FilePath) -> io::Result<()> {
        self.settle(directory)?;
        if self.names.lock().moving.contains_key(directory) {
            self.disk.sync_dir(directory)?;
        }

        Ok(())
    }

    fn stat(&self, path: &FilePath) -> io::Result<Found> {
        let stat = match self.disk.stat(path) {
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
                return Err(io::ErrorKind::NotFound.into());
            }
            stat => stat?,
        };

        if stat.is_dir {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "a prefix, not an object",
            ));
        }

        Ok(Found {
            bytes: stat.length,
            modified_ms: stat.modified_ms,
        })
    }

    /// Returns what is known about an object. `NotFound` if it does not exist.
    pub(super) fn find(&self, key: &Path) -> io::Result<Found> {
        let path = self.path(key);
        let found = self.stat(&path)?;
        self.settle_seen(parent(&path))?;

        Ok(found)
    }

    /// Reads the bytes `[offset, offset + length)`.
    pub(super) fn read(&self, key: &Path, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.disk.read_at(&self.path(key), offset, length)
    }

    /// Removes an object, durably.
    pub(super) fn remove(&self, key: &Path) -> io::Result<()> {
        self.check_may_write()?;

        let path = self.path(key);
        self.stat(&path)?;
        self.disk.remove_file(&path)?;

        self.disk.sync_dir(parent(&path))
    }

    /// Returns the objects under `prefix` with a key greater than `offset`, sorted.
    pub(super) fn list(&self, prefix: &Path, offset: &Path) -> io::Result<Vec<(Path, Found)>> {
        let mut objects = Vec::new();
        let mut level = vec![(self.path(prefix), prefix.to_string(), false)];

        while let Some((directory, key, in_segment)) = level.pop() {
            for Named {
                name,
                part,
                is_dir,

                goes_on,
            } in self.entries(&directory)?
            {
                let path = directory.join(&name);
                let key = append(&key, &part, in_segment);

                if is_dir {
                    level.push((path, key, goes_on));
                } else {
                    self.add(&mut objects, &path, &key, offset)?;
                }
            }
        }

        objects.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(objects)
    }

    /// Returns the objects and the prefixes directly under `prefix`, both sorted.
    pub(super) fn list_level(&self, prefix: &Path) -> io::Result<Level> {
        // A long segment is several levels of directories, and an empty directory is not a prefix.
        // So list everything and cut the keys.
        let mut objects = Vec::new();
        let mut prefixes = BTreeSet::new();

        for (key, found) in self.list(prefix, &Path::default())? {
            let Some(first) = key
                .prefix_match(prefix)
                .and_then(|mut parts| parts.next().map(|part| prefix.clone().join(part)))
            else {
                continue;
            };

            if first == key {
                objects.push((key, found));
            } else {
                prefixes.insert(first);
            }
        }

        Ok(Level {
            objects,
            prefixes: prefixes.into_iter().collect(),
        })
    }

    /// Returns the entries of a directory, without files of others. A missing directory is empty.
    fn entries(&self, directory: &FilePath) -> io::Result<Vec<Named>> {
        let entries = match self.disk.read_dir(directory) {
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(Vec::new());
            }
            entries => entries?,
        };

        self.settle_seen(directory)?;

        let known = entries
            .into_iter()
            .filter_map(|entry| match segment_of(&entry.name)? {
                Segment::Ends(part) => Some(Named {
                    name: entry.name,
                    part,
                    is_dir: entry.is_dir,
                    goes_on: false,
                }),
                Segment::GoesOn(part) => Some(Named {
                    name: entry.name,
                    part,
                    is_dir: entry.is_dir,
                    goes_on: true,
                }),
            });

        Ok(known.collect())
    }

    /// Adds a file, unless its key is not greater than `offset`, it has been removed meanwhile, or
    /// it is not ours.
    fn add(
        &self,
        objects: &mut Vec<(Path, Found)>,
        path: &FilePath,
        key: &str,
        offset: &Path,
    ) -> io::Result<()> {
        let Some(key) = Path::parse(key)
            .ok()
            .filter(|key| key > offset && self.path(key) == path)
        else {
            return Ok(());
        };

        match self.stat(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            found => objects.push((key, found?)),
        }

        Ok(())
    }
}

/// Removes the staged files of processes that have ended.
fn sweep(disk: &dyn Disk, staging: &FilePath) -> io::Result<()> {
    for entry in disk.read_dir(staging)? {
        if entry.is_dir {
            continue;
        }

        match disk.remove_file(&staging.join(entry.name)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }

    Ok(())
}

fn append(key: &str, part: &str, in_segment: bool) -> String {
    if in_segment || key.is_empty() {
        format!("{key}{part}")
    } else {
        format!("{key}/{part}")
    }
}

fn parent(path: &FilePath) -> &FilePath {
    path.parent().expect("a path below the root has a parent")
}
