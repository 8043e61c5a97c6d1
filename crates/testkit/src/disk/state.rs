//! The disk behind its lock: files, names, faults and the log.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};

use duramen_runtime::disk::{self, DirEntry, FileStat, Space};

use super::bytes::Bytes;
use super::ops::{DiskOp, Fault};
use super::tree::{FileId, NameChange, Node, Tree};

const EIO: i32 = 5;
const EMFILE: i32 = 24;
const EDQUOT: i32 = 122;
const ENOSPC: i32 = 28;

#[derive(Debug)]
pub(super) struct State {
    pub(super) tree: Tree,
    pub(super) files: BTreeMap<FileId, Bytes>,
    pub(super) last_file: u64,
    pub(super) ops: Vec<DiskOp>,
    pub(super) space: Option<u64>,
    pub(super) sync_failure_in: Option<u64>,
    pub(super) failure: Option<Failure>,
    locks: BTreeSet<PathBuf>,
    pub(super) refuse_locks: bool,
    pub(super) refuse_links: bool,
    pub(super) power_left: Option<u64>,
    pub(super) is_off: bool,
    pub(super) ignore_sync_data: bool,
    pub(super) ignore_sync_dir: bool,
}

/// A failure that will happen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    /// How many calls that can have the fault are left. 1 means that the next one fails.
    pub(super) left: u64,
    pub(super) fault: Fault,
}

/// What a call needs. This decides which faults it can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// It changes something, and may need space for it.
    Space,
    /// It opens something.
    Descriptor,
    /// It changes something that may need space, and opens something.
    Both,
    /// It changes something without new space or a new descriptor.
    Device,
    /// It changes something in a directory, which it opens.
    Directory,
}

impl Needs {
    fn can_fail_of(self, fault: Fault) -> bool {
        match fault {
            Fault::Full | Fault::Quota => matches!(self, Self::Space | Self::Both),
            Fault::Descriptors => matches!(self, Self::Descriptor | Self::Both | Self::Directory),
            Fault::Broken => self != Self::Descriptor,
        }
    }
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            tree: Tree::default(),
            files: BTreeMap::new(),
            last_file: 0,
            ops: vec![],
            space: None,
            sync_failure_in: None,
            failure: None,
            locks: BTreeSet::new(),
            refuse_locks: false,
            refuse_links: false,
            power_left: None,
            is_off: false,
            ignore_sync_data: false,
            ignore_sync_dir: false,
        }
    }

    pub(super) fn create_new(&mut self, path: &Path) -> io::Result<FileId> {
        let path = absolute(path);
        let dir = self.parent_dir(&path)?;
        self.must_be_free(&path)?;

        if self.space == Some(0) {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }

        self.spend_power()?;
        self.meet_failure(Needs::Both)?;
        self.last_file += 1;

        let file = FileId(self.last_file);
        self.files.insert(file, Bytes::default());

        self.tree.change(NameChange {
            dir,
            removed: None,
            added: Some((path.clone(), Node::File(file))),
        });

        self.ops.push(DiskOp::Create { path });
        Ok(file)
    }

    pub(super) fn file_at(&self, path: &Path) -> io::Result<FileId> {
        match self.tree.live.get(&absolute(path)) {
            Some(Node::File(file)) => Ok(*file),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn open(&mut self, path: &Path) -> io::Result<FileId> {
        self.meet_failure(Needs::Descriptor)?;
        self.file_at(path)
    }

    pub(super) fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        self.meet_failure(Needs::Descriptor)?;
        Ok(self.files[&self.file_at(path)?].live.clone())
    }

    pub(super) fn read_at(
        &mut self,
        path: &Path,
        offset: u64,
        length: usize,
    ) -> io::Result<Vec<u8>> {
        self.meet_failure(Needs::Descriptor)?;

        let bytes = &self.files[&self.file_at(path)?].live;
        let range = usize::try_from(offset)
            .ok()
            .and_then(|start| Some(start..start.checked_add(length)?));
        let found = range.and_then(|range| bytes.get(range));

        found
            .map(<[u8]>::to_vec)
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// The modification time is always 0, because this disk has no clock.
    pub(super) fn stat(&self, path: &Path) -> io::Result<FileStat> {
        if self.is_dir(&absolute(path)) {
            let id = disk::FileId {
                device: 0,
                inode: 0,
            };

            return Ok(FileStat {
                length: 0,
                modified_ms: 0,
                is_dir: true,
                id,
            });
        }

        Ok(self.stat_of(self.file_at(path)?))
    }

    pub(super) fn stat_of(&self, file: FileId) -> FileStat {
        let length = self.files[&file].live.len() as u64;
        let id = disk::FileId {
            device: 0,
            inode: file.0,
        };

        FileStat {
            length,
            modified_ms: 0,
            is_dir: false,
            id,
        }
    }

    pub(super) fn append(&mut self, file: FileId, bytes: &[u8]) -> io::Result<()> {
        self.spend_power()?;

        let fits = match self.space {
            Some(space) => bytes
                .len()
                .min(usize::try_from(space).unwrap_or(usize::MAX)),
            None => bytes.len(),
        };

        if let Err(failed) = self.meet_failure(Needs::Space) {
            self.file(file).append(&bytes[..fits.min(bytes.len() / 2)]);
            return Err(failed);
        }

        self.space = self.space.map(|space| space - fits as u64);

        let path = self.path_of(file);
        self.file(file).append(&bytes[..fits]);
        self.ops.push(DiskOp::Append { path, len: fits });

        if fits < bytes.len() {
            Err(io::Error::from_raw_os_error(ENOSPC))
        } else {
            Ok(())
        }
    }

    pub(super) fn truncate(&mut self, file: FileId, length: u64) -> io::Result<()> {
        self.spend_power()?;
        self.meet_failure(Needs::Device)?;

        let path = self.path_of(file);
        let bytes = self.file(file);
        let shorter = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .min(bytes.live.len());
        let freed = (bytes.live.len() - shorter) as u64;

        bytes.truncate(shorter);
        self.space = self.space.map(|space| space + freed);
        self.ops.push(DiskOp::Truncate { path, length });

        Ok(())
    }

    pub(super) fn sync_data(&mut self, file: FileId) -> io::Result<()> {
        self.spend_power()?;
        self.sync_failure_in = self.sync_failure_in.map(|nth| nth.saturating_sub(1));

        if self.sync_failure_in == Some(0) {
            self.sync_failure_in = None;
            self.file(file).drop_pages();
            return Err(io::Error::from_raw_os_error(EIO));
        }

        if let Err(failed) = self.meet_failure(Needs::Space) {
            self.file(file).drop_pages();
            return Err(failed);
        }

        if !self.ignore_sync_data {
            self.file(file).sync();
        }

        let path = self.path_of(file);
        self.ops.push(DiskOp::SyncData { path });
        Ok(())
    }

    pub(super) fn hard_link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if self.refuse_links {
            return Err(io::ErrorKind::CrossesDevices.into());
        }

        let from = absolute(from);
        let to = absolute(to);
        let file = self.file_at(&from)?;
        let dir = self.parent_dir(&to)?;

        self.must_be_free(&to)?;
        self.spend_power()?;
        self.meet_failure(Needs::Space)?;

        self.tree.change(NameChange {
            dir,
            removed: None,
            added: Some((to.clone(), Node::File(file))),
        });

        self.ops.push(DiskOp::Link { from, to });
        Ok(())
    }

    /// Inside of one directory, a rename is one change. Between two directories it is two, each
    /// made durable with its own directory.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let from = absolute(from);
        let to = absolute(to);
        let file = self.file_at(&from)?;
        let from_dir = self.parent_dir(&from)?;
        let to_dir = self.parent_dir(&to)?;

        if self.is_dir(&to) {
            return Err(io::ErrorKind::IsADirectory.into());
        }

        self.spend_power()?;
        self.meet_failure(Needs::Space)?;

        let replaced = self.file_at(&to).ok();
        let added = Some((to.clone(), Node::File(file)));

        if from == to {
            // Both names are the same, so nothing changes.
        } else if from_dir == to_dir {
            self.tree.change(NameChange {
                dir: to_dir,
                removed: Some(from.clone()),
                added,
            });
        } else {
            self.tree.change(NameChange {
                dir: to_dir,
                removed: None,
                added,
            });

            self.tree.change(NameChange {
                dir: from_dir,
                removed: Some(from.clone()),
                added: None,
            });
        }

        self.free_if_nameless(replaced);
        self.ops.push(DiskOp::Rename { from, to });
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        let path = absolute(path);
        let file = self.file_at(&path)?;
        let dir = self.parent_dir(&path)?;

        self.spend_power()?;
        self.meet_failure(Needs::Device)?;

        self.tree.change(NameChange {
            dir,
            removed: Some(path.clone()),
            added: None,
        });

        self.free_if_nameless(Some(file));
        self.ops.push(DiskOp::Remove { path });
        Ok(())
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        let path = absolute(path);
        if self.is_dir(&path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }

        let dir = self.parent_dir(&path)?;
        self.must_be_free(&path)?;
        self.spend_power()?;
        self.meet_failure(Needs::Space)?;

        self.tree.change(NameChange {
            dir,
            removed: None,
            added: Some((path.clone(), Node::Dir)),
        });

        self.ops.push(DiskOp::CreateDir { path });
        Ok(())
    }

    pub(super) fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        let path = absolute(path);
        self.must_be_dir(&path)?;

        if self.tree.entries(&path).next().is_some() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }

        let dir = self.parent_dir(&path)?;
        self.spend_power()?;

        self.tree.change(NameChange {
            dir,
            removed: Some(path.clone()),
            added: None,
        });

        self.ops.push(DiskOp::RemoveDir { path });
        Ok(())
    }

    pub(super) fn read_dir(&mut self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let path = absolute(path);
        self.must_be_dir(&path)?;
        self.meet_failure(Needs::Descriptor)?;

        let entry = |(path, node): (&Path, Node)| DirEntry {
            name: path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            is_dir: node == Node::Dir,
        };

        Ok(self.tree.entries(&path).map(entry).collect())
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let path = absolute(path);
        self.must_be_dir(&path)?;
        self.spend_power()?;
        self.meet_failure(Needs::Directory)?;

        if !self.ignore_sync_dir {
            self.tree.sync_dir(&path);
        }

        self.ops.push(DiskOp::SyncDir { path });
        Ok(())
    }

    /// Takes a lock. Returns false if another handle has it.
    pub(super) fn take_lock(&mut self, path: &Path) -> io::Result<bool> {
        if self.file_at(path).is_err() {
            self.create_new(path)?;
        }

        Ok(self.locks.insert(absolute(path)))
    }

    pub(super) fn give_lock_back(&mut self, path: &Path) {
        self.locks.remove(&absolute(path));
    }

    pub(super) fn space(&self) -> Space {
        let used = self.files.values().map(|file| file.live.len() as u64).sum();
        let free = self.space.unwrap_or(u64::MAX);
        Space {
            free,
            capacity: free.saturating_add(used),
        }
    }

    pub(super) fn allocate(&mut self, file: FileId, length: u64) -> io::Result<()> {
        let missing = length.saturating_sub(self.files[&file].live.len() as u64);
        if self.space.is_some_and(|space| space < missing) {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }

        self.append(
            file,
            &vec![0; usize::try_from(missing).map_err(io::Error::other)?],
        )
    }

    pub(super) fn plant(&mut self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        let file = self.file_at(path)?;
        *self.file(file) = Bytes {
            live: bytes.clone(),
            durable: bytes,
            pending: vec![],
        };

        Ok(())
    }

    fn file(&mut self, file: FileId) -> &mut Bytes {
        self.files
            .get_mut(&file)
            .expect("a file is kept for ever, since a handle or a crash may bring it back")
    }

    fn path_of(&self, file: FileId) -> PathBuf {
        self.tree
            .path_of(file)
            .map(Path::to_path_buf)
            .unwrap_or_default()
    }

    fn free_if_nameless(&mut self, file: Option<FileId>) {
        if let Some(file) = file
            && self.tree.path_of(file).is_none()
        {
            let freed = self.files[&file].live.len() as u64;
            self.space = self.space.map(|space| space + freed);
        }
    }

    fn is_dir(&self, path: &Path) -> bool {
        path == Path::new("/") || self.tree.live.get(path) == Some(&Node::Dir)
    }

    fn must_be_dir(&self, path: &Path) -> io::Result<()> {
        match self.tree.live.get(path) {
            _ if self.is_dir(path) => Ok(()),
            Some(_) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn must_be_free(&self, path: &Path) -> io::Result<()> {
        if self.tree.live.contains_key(path) {
            Err(io::ErrorKind::AlreadyExists.into())
        } else {
            Ok(())
        }
    }

    fn parent_dir(&self, path: &Path) -> io::Result<PathBuf> {
        let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        self.must_be_dir(parent)?;
        Ok(parent.to_path_buf())
    }

    /// Fails if the failure that is set applies to this call.
    fn meet_failure(&mut self, needs: Needs) -> io::Result<()> {
        let Some(failure) = self
            .failure
            .as_mut()
            .filter(|failure| needs.can_fail_of(failure.fault))
        else {
            return Ok(());
        };
        failure.left = failure.left.saturating_sub(1);

        if failure.left > 0 {
            return Ok(());
        }

        let code = match failure.fault {
            Fault::Full => ENOSPC,
            Fault::Quota => EDQUOT,
            Fault::Descriptors => EMFILE,
            Fault::Broken => EIO,
        };

        self.failure = None;
        Err(io::Error::from_raw_os_error(code))
    }

    fn spend_power(&mut self) -> io::Result<()> {
        match &mut self.power_left {
            Some(0) => {
                self.is_off = true;
                Err(io::Error::other("the simulated power is off"))
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// Returns the absolute path, without `.` and `..`.
fn absolute(path: &Path) -> PathBuf {
    let mut absolute = PathBuf::from("/");

    for component in path.components() {
        match component {
            Component::Normal(name) => absolute.push(name),
            Component::ParentDir => {
                absolute.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }

    absolute
}
