//! Blocks in local folders, outside of a store: what commands that work offline read and write.
//!
//! A bucket keeps the entries of its blocks in the manifest. A folder that a command has written
//! has its entry beside its files, in [`ENTRY_FILE`]. A folder that was copied from a bucket has
//! none; then only the caller knows how the block ranks among others.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use duramen_block::{META_FILE, stats_of_folder};
use duramen_model::{BlockEntry, BlockId, Content, Order, OrderRange, WriterId};
use duramen_runtime::Disk;
use object_store::path::Path as Key;
use ulid::Ulid;

use crate::disk_store::DiskStore;
use crate::error::Error;
use crate::merge::MergeInput;

/// The entry of a block in a local folder, as JSON.
pub const ENTRY_FILE: &str = "entry.json";

/// The name of a block's folder begins with this. Its id follows.
const FOLDER_PREFIX: &str = "block=";

/// A block in a local folder.
#[derive(Clone, Debug)]
pub struct LocalBlock {
    pub folder: PathBuf,
    /// The entry, if the folder has one.
    pub entry: Option<BlockEntry>,
}

/// Returns the folder of a block in `parent`.
pub fn folder_of(parent: &Path, block: BlockId) -> PathBuf {
    parent.join(format!("{FOLDER_PREFIX}{block}"))
}

/// Finds blocks: `path` is the folder of a block, or a folder of such folders, which are returned
/// in the order of their names. This call blocks.
pub fn find(disk: &dyn Disk, path: &Path) -> Result<Vec<LocalBlock>, Error> {
    let failed = |source| Error::Disk {
        path: path.to_owned(),
        source,
    };

    let mut names: Vec<_> = disk.read_dir(path).map_err(failed)?;
    names.sort_by(|a, b| a.name.cmp(&b.name));

    if names.iter().any(|entry| entry.name == META_FILE) {
        return Ok(vec![read(disk, path.to_owned())?]);
    }

    let mut blocks = Vec::new();

    for entry in names.iter().filter(|entry| entry.is_dir) {
        let folder = path.join(&entry.name);
        let meta = disk.stat(&folder.join(META_FILE));

        match meta {
            Ok(_) => blocks.push(read(disk, folder)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(Error::Disk {
                    path: folder,
                    source,
                });
            }
        }
    }

    Ok(blocks)
}

fn read(disk: &dyn Disk, folder: PathBuf) -> Result<LocalBlock, Error> {
    let path = folder.join(ENTRY_FILE);

    let entry = match disk.read(&path) {
        Ok(bytes) => {
            let parsed = serde_json::from_slice(&bytes);
            Some(parsed.map_err(|source| Error::Entry { path, source })?)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(Error::Disk { path, source }),
    };

    Ok(LocalBlock { folder, entry })
}

impl LocalBlock {
    /// Returns the block as an input of a merge, with its own entry or, with a `rank`, one that
    /// ranks it among other blocks: the smaller rank wins. This call blocks.
    pub fn input(&self, disk: &Arc<dyn Disk>, rank: Option<u64>) -> Result<MergeInput, Error> {
        let mut entry = match &self.entry {
            Some(entry) => entry.clone(),
            None => self.entry_of_files(disk)?,
        };

        if let Some(rank) = rank {
            entry.order = ranked(rank);
        }

        let named = self.folder.file_name().and_then(|name| name.to_str());
        let parts = named.zip(self.folder.parent());
        let parsed = parts.and_then(|(name, parent)| Some((Key::parse(name).ok()?, parent)));
        let (directory, parent) = parsed.ok_or_else(|| Error::FolderName {
            path: self.folder.clone(),
        })?;

        let store = DiskStore::new(Arc::clone(disk), parent.to_owned());
        Ok(MergeInput {
            entry,
            store: Arc::new(store),
            directory,
            deletions: Vec::new(),
        })
    }

    /// Returns an entry with what the files tell. The id is that in the folder's name.
    fn entry_of_files(&self, disk: &Arc<dyn Disk>) -> Result<BlockEntry, Error> {
        let name = self.folder.file_name().and_then(|name| name.to_str());
        let id = name
            .and_then(|name| name.strip_prefix(FOLDER_PREFIX))
            .and_then(|id| id.parse().ok())
            .unwrap_or(BlockId(Ulid::nil()));

        Ok(BlockEntry {
            id,
            order: ranked(0),
            level: 0,
            resolution_ms: None,
            retention: String::new(),
            home: None,
            content: Content::default(),
            rolled: Vec::new(),
            stats: stats_of_folder(disk, &self.folder)?,
        })
    }
}

fn ranked(rank: u64) -> OrderRange {
    let order = Order {
        opened: rank,
        writer: WriterId(Ulid::nil()),
        flush: 0,
    };

    OrderRange {
        min: order,
        max: order,
    }
}

/// Writes the entry of a block into its folder. This call blocks.
pub fn write_entry(disk: &dyn Disk, folder: &Path, entry: &BlockEntry) -> Result<(), Error> {
    let path = folder.join(ENTRY_FILE);
    let json = serde_json::to_vec_pretty(entry).expect("an entry has a JSON form");
    let written = disk
        .create_new(&path)
        .and_then(|mut file| file.append(&Bytes::from(json)));

    written.map_err(|source| Error::Disk { path, source })
}
