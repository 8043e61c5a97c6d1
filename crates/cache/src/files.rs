//! An engine of plain files: one for each entry.
//!
//! Entries are spread over 256 folders. A file is named by the digest, its number and its length,
//! so the names alone tell what is there: a start lists the folders and reads no file. Nothing is
//! synced. A file that was torn by a loss of power is shorter than its name says, or its checksums
//! do not fit.

mod shelf;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use async_trait::async_trait;
use bytes::Bytes;
use duramen_qos::{Account, Share, Use};
use duramen_runtime::Disk;
use duramen_runtime::disk::is_full;
use futures::future::join_all;
use parking_lot::Mutex;

use crate::engine::{ENTRY_BYTES_MAX, Engine, Found, Held};
use crate::files::shelf::{Item, SLOT_BYTES, Shelf, disk_bytes};
use crate::key::Digest;
use crate::options::Options;

/// Names the form of the folder.
pub(crate) const FORM: &str = "files 1";
/// How many files one thread reads one after the other.
const READS_MAX: usize = 16;

/// Entries as plain files.
#[derive(Debug)]
pub struct Files(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    options: Options,
    shelf: Mutex<Shelf>,
    /// The memory of the shelf.
    memory: Mutex<Share>,
    evictions: AtomicU64,
}

impl Files {
    /// Opens the folder with what an earlier process left in it. Lists all files, and removes those
    /// beyond the bound; so it blocks.
    pub fn open(
        disk: Arc<dyn Disk>,
        folder: &Path,
        options: Options,
        memory: &Arc<Account>,
    ) -> io::Result<Self> {
        let inner = Inner {
            disk,
            folder: folder.to_path_buf(),
            options,
            shelf: Mutex::default(),
            memory: Mutex::new(memory.share(Use::Cache)),
            evictions: AtomicU64::new(0),
        };

        inner.list()?;
        match inner.make_room(0) {
            // Nothing is left, and the next entry asks again.
            Err(error) if is_full(&error) => {}
            made => made?,
        }

        Ok(Self(Arc::new(inner)))
    }
}

#[async_trait]
impl Engine for Files {
    async fn get(&self, digests: &[Digest]) -> Vec<Found> {
        let items: Vec<Option<Item>> = {
            let mut shelf = self.0.shelf.lock();
            digests.iter().map(|digest| shelf.find(*digest)).collect()
        };

        let reads = items.chunks(READS_MAX).map(|items| {
            let inner = Arc::clone(&self.0);
            let items = items.to_vec();
            let absent = items.iter().map(|_| Found::Absent).collect();

            async move {
                let read = move || items.into_iter().map(|item| inner.read(item)).collect();
                let found: Result<Vec<_>, _> = tokio::task::spawn_blocking(read).await;
                found.unwrap_or(absent)
            }
        });

        join_all(reads).await.into_iter().flatten().collect()
    }

    async fn insert(&self, entries: Vec<(Digest, Bytes)>) -> io::Result<()> {
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || inner.write(&entries)).await?
    }

    async fn remove(&self, digest: Digest) {
        let removed = self.0.shelf.lock().remove(digest);
        let Some(item) = removed else {
            return;
        };

        let inner = Arc::clone(&self.0);
        // If the file stays, the next start finds it and this process does not.
        let _ = tokio::task::spawn_blocking(move || inner.delete(item)).await;
    }

    fn contains(&self, digest: Digest) -> bool {
        self.0.shelf.lock().contains(digest)
    }

    fn touch(&self, digest: Digest) {
        self.0.shelf.lock().find(digest);
    }

    fn held(&self) -> Held {
        let shelf = self.0.shelf.lock();
        Held {
            entries: shelf.len(),
            disk_bytes: shelf.bytes(),
            memory_bytes: shelf.len() * SLOT_BYTES,
            evictions: self.0.evictions.load(Relaxed),
        }
    }

    async fn close(&self) {}
}

impl Inner {
    /// Fills the shelf from the names of the files.
    fn list(&self) -> io::Result<()> {
        let mut items = Vec::new();

        for entry in self.disk.read_dir(&self.folder)? {
            if !entry.is_dir {
                continue;
            }

            let folder = self.folder.join(&entry.name);
            for file in self.disk.read_dir(&folder)? {
                if file.is_dir {
                    continue;
                }

                match item_of(&file.name) {
                    Some(item) if self.folder_of(item.digest) == folder => items.push(item),
                    _ => self.disk.remove_file(&folder.join(&file.name))?,
                }
            }
        }

        let (shelf, replaced) = Shelf::of(items);
        for item in replaced {
            self.delete(item)?;
        }

        *self.shelf.lock() = shelf;
        Ok(())
    }

    fn read(&self, item: Option<Item>) -> Found {
        let Some(item) = item else {
            return Found::Absent;
        };

        let length = usize::try_from(item.length).unwrap_or(usize::MAX);
        match self.disk.read_at(&self.path_of(item), 0, length) {
            Ok(bytes) => Found::Entry(bytes.into()),
            // It was dropped since it was found.
            Err(_) if !self.shelf.lock().contains(item.digest) => Found::Absent,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof
                ) =>
            {
                Found::Damaged
            }
            Err(error) => Found::Failed(error),
        }
    }

    fn write(&self, entries: &[(Digest, Bytes)]) -> io::Result<()> {
        for (digest, bytes) in entries {
            let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;

            let item = {
                let mut shelf = self.shelf.lock();
                if shelf.contains(*digest) {
                    continue;
                }

                shelf.number(*digest, length)
            };

            self.make_room(item.disk_bytes())?;
            self.create(item, bytes)?;

            let replaced = self.shelf.lock().add(item);
            if let Some(replaced) = replaced {
                self.delete(replaced)?;
            }
        }

        Ok(())
    }

    /// Writes one file. Leaves none behind if it fails.
    fn create(&self, item: Item, bytes: &[u8]) -> io::Result<()> {
        let path = self.path_of(item);
        let created = match self.disk.create_new(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.disk.create_dir(&self.folder_of(item.digest))?;
                self.disk.create_new(&path)
            }
            created => created,
        };

        let mut file = created?;
        let written = file.append(bytes);
        drop(file);

        if written.is_err() {
            // If this fails too, the next start finds a file that is shorter than its name says.
            let _ = self.disk.remove_file(&path);
        }

        written
    }

    /// Drops entries until `bytes` more fit into the bound, into the free space of the disk, and
    /// into the account of memory.
    fn make_room(&self, bytes: u64) -> io::Result<()> {
        let free = self.disk.space(&self.folder)?.free;
        let mut missing = disk_bytes(bytes.max(1))
            .saturating_add(self.options.free_bytes_min)
            .saturating_sub(free);

        loop {
            let (victim, wanting) = {
                let mut shelf = self.shelf.lock();
                let is_over = shelf.bytes().saturating_add(bytes) > self.options.disk_bytes_max;
                let has_memory = self.fits(shelf.len() + u64::from(bytes > 0));

                match (is_over || missing > 0, has_memory) {
                    (false, true) => return Ok(()),
                    (true, _) => (shelf.evict(), io::ErrorKind::StorageFull),
                    (false, false) => (shelf.evict(), io::ErrorKind::OutOfMemory),
                }
            };

            // Perhaps nothing is left that could be dropped.
            let item = victim.ok_or(wanting)?;
            self.evictions.fetch_add(1, Relaxed);
            self.delete(item)?;
            missing = missing.saturating_sub(item.disk_bytes());
        }
    }

    /// Whether the account has memory for a shelf of `entries`. Takes it if so.
    fn fits(&self, entries: u64) -> bool {
        let wanted = usize::try_from(entries * SLOT_BYTES).unwrap_or(usize::MAX);
        let mut memory = self.memory.lock();

        match wanted.checked_sub(memory.bytes()) {
            Some(more) => memory.grow(more).is_ok(),
            None => {
                memory.set(wanted);
                true
            }
        }
    }

    fn delete(&self, item: Item) -> io::Result<()> {
        match self.disk.remove_file(&self.path_of(item)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn folder_of(&self, digest: Digest) -> PathBuf {
        self.folder.join(format!("{:02x}", digest.0 >> 120))
    }

    fn path_of(&self, item: Item) -> PathBuf {
        let Item {
            digest,
            number,
            length,
        } = item;

        let name = format!("{:032x}-{number:016x}-{length:08x}", digest.0);
        self.folder_of(digest).join(name)
    }
}

/// Parses the name of a file. Returns `None` if no entry has this name.
fn item_of(name: &str) -> Option<Item> {
    let mut parts = name.split('-');
    let mut part = |digits: usize| {
        let part = parts.next().filter(|part| part.len() == digits)?;
        let is_plain = part.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        is_plain.then_some(part)
    };

    let digest = u128::from_str_radix(part(32)?, 16).ok()?;
    let number = u64::from_str_radix(part(16)?, 16).ok()?;
    let length = u32::from_str_radix(part(8)?, 16).ok()?;

    // The highest number has no next one.
    let is_possible = number < u64::MAX && length as usize <= ENTRY_BYTES_MAX;
    (parts.next().is_none() && is_possible).then_some(Item {
        digest: Digest(digest),
        number,
        length,
    })
}
