//! Names: which file or directory each path means, now and after a loss of power.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Identifies a file, whatever its names are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FileId(pub(super) u64);

/// What a name refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Dir,
    File(FileId),
}

/// A change of the names in one directory. It happens as a whole or not at all.
#[derive(Clone, Debug)]
pub(super) struct NameChange {
    pub(super) dir: PathBuf,
    pub(super) removed: Option<PathBuf>,
    pub(super) added: Option<(PathBuf, Node)>,
}

impl NameChange {
    pub(super) fn apply(&self, to: &mut BTreeMap<PathBuf, Node>) {
        if let Some(path) = &self.removed {
            to.remove(path);
        }

        if let Some((path, node)) = &self.added {
            to.insert(path.clone(), *node);
        }
    }
}

/// All names. The root is not among them; it always exists.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub(super) live: BTreeMap<PathBuf, Node>,
    pub(super) durable: BTreeMap<PathBuf, Node>,
    pub(super) pending: Vec<NameChange>,
}

impl Tree {
    pub(super) fn change(&mut self, change: NameChange) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) {
        for change in self.pending.extract_if(.., |change| change.dir == dir) {
            change.apply(&mut self.durable);
        }
    }

    /// Returns the entries of a directory, each with the last component of its path.
    pub(super) fn entries<'a>(&'a self, dir: &'a Path) -> impl Iterator<Item = (&'a Path, Node)> {
        self.live
            .iter()
            .filter(move |(path, _)| path.parent() == Some(dir))
            .map(|(path, node)| (path.as_path(), *node))
    }

    pub(super) fn path_of(&self, file: FileId) -> Option<&Path> {
        self.live
            .iter()
            .find(|(_, node)| **node == Node::File(file))
            .map(|(path, _)| path.as_path())
    }
}
