//! The folder of a cache: who has it, and which form its contents have.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duramen_runtime::Disk;
use duramen_runtime::disk::{Lock, Locked, create_dir_all_synced, remove_dir_all};

/// The file that this process has locked.
const LOCK_FILE: &str = "lock";
/// The file that makes a folder a cache, and names the form of its contents.
const FORM_FILE: &str = "duramen-cache";
/// No form has a longer name.
const FORM_BYTES_MAX: u64 = 256;
/// The folder of the entries.
const ENTRIES: &str = "entries";

/// The error when a folder cannot be used as a cache.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("another process has the cache. folder=`{}`, pid=`{pid}`", folder.display())]
    Held { folder: PathBuf, pid: String },
    #[error(
        "the file system of the cache has no locks, so another process may use it too. folder=`{}`",
        folder.display()
    )]
    Unlockable { folder: PathBuf, source: io::Error },
    #[error(
        "the folder is no cache: it has files and no `{FORM_FILE}`. Name an empty folder, because a cache deletes what it does not know. folder=`{}`",
        folder.display()
    )]
    NotACache { folder: PathBuf },
    #[error("cannot {what} of the cache. path=`{}`", path.display())]
    Disk {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

/// A folder that this process alone uses, until the value is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: Lock,
}

impl Folder {
    /// Takes the folder, creates it if it is missing, and empties it if its contents have another
    /// form than `form`. It blocks.
    pub(crate) fn open(disk: &Arc<dyn Disk>, path: &Path, form: &str) -> Result<Self, FolderError> {
        create_dir_all_synced(disk, path).map_err(failed("create the folder", path))?;

        let folder = Self {
            path: path.to_path_buf(),
            _lock: lock(disk, path)?,
        };

        folder.settle(disk, form)?;
        Ok(folder)
    }

    /// Where the entries are.
    pub(crate) fn entries(&self) -> PathBuf {
        self.path.join(ENTRIES)
    }

    fn settle(&self, disk: &Arc<dyn Disk>, form: &str) -> Result<(), FolderError> {
        let marker = self.path.join(FORM_FILE);
        let found = form_of(disk, &marker).map_err(failed("read the form", &marker))?;

        if found.as_deref() == Some(form.as_bytes()) {
            return self.make_entries(disk);
        }

        if found.is_none() && !self.is_empty(disk)? {
            return Err(FolderError::NotACache {
                folder: self.path.clone(),
            });
        }

        // The marker goes last. So if the process dies on the way, the next one goes on here.
        let entries = self.entries();
        not_found_is_fine(remove_dir_all(&**disk, &entries))
            .and_then(|()| disk.sync_dir(&self.path))
            .map_err(failed("empty the folder", &entries))?;
        not_found_is_fine(disk.remove_file(&marker)).map_err(failed("remove the form", &marker))?;

        if let Some(found) = found {
            tracing::info!(
                folder = %self.path.display(),
                found = %String::from_utf8_lossy(&found),
                form,
                "the cache had another form and was emptied"
            );
        }

        // The marker comes first, durably: a folder with entries and without it would be refused.
        write(disk, &marker, form.as_bytes())
            .and_then(|()| disk.sync_dir(&self.path))
            .map_err(failed("write the form", &marker))?;
        self.make_entries(disk)
    }

    fn make_entries(&self, disk: &Arc<dyn Disk>) -> Result<(), FolderError> {
        let entries = self.entries();
        match disk.create_dir(&entries) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            created => created.map_err(failed("create the folder", &entries)),
        }
    }

    /// Whether there is nothing but the lock.
    fn is_empty(&self, disk: &Arc<dyn Disk>) -> Result<bool, FolderError> {
        let listed = disk
            .read_dir(&self.path)
            .map_err(failed("list the folder", &self.path))?;

        Ok(listed.iter().all(|entry| entry.name == LOCK_FILE))
    }
}

fn lock(disk: &Arc<dyn Disk>, folder: &Path) -> Result<Lock, FolderError> {
    let path = folder.join(LOCK_FILE);
    match disk.lock(&path).map_err(failed("lock the folder", &path))? {
        Locked::Taken(lock) => Ok(lock),
        Locked::Held { by } => Err(FolderError::Held {
            folder: folder.to_path_buf(),
            pid: by,
        }),
        Locked::Unsupported(source) => Err(FolderError::Unlockable {
            folder: folder.to_path_buf(),
            source,
        }),
    }
}

/// Returns the form that the marker names; `None` if there is no marker.
fn form_of(disk: &Arc<dyn Disk>, marker: &Path) -> io::Result<Option<Vec<u8>>> {
    let length = match disk.stat(marker) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        stat => stat?.length.min(FORM_BYTES_MAX),
    };

    let length = usize::try_from(length).unwrap_or(usize::MAX);
    disk.read_at(marker, 0, length).map(Some)
}

fn write(disk: &Arc<dyn Disk>, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = disk.create_new(path)?;
    file.append(bytes)?;
    file.sync_data()
}

fn not_found_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn failed<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> FolderError + 'a {
    move |source| FolderError::Disk {
        what,
        path: path.to_path_buf(),
        source,
    }
}
