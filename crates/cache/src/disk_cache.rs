//! The cache that readers ask: it verifies what an engine returns, writes behind the answers, and
//! leaves a failing disk alone.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use duramen_qos::{Account, Share, Use};
use duramen_runtime::{Clock, Disk, OnFailure, Tasks};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::counts::Counts;
use crate::engine::{ENTRY_BYTES_MAX, Engine, Found, Held};
use crate::entry::{self, Expected};
use crate::files::{self, Files};
use crate::folder::{Folder, FolderError};
use crate::foyer::{self, Foyer};
use crate::health::Health;
use crate::key::{Digest, Key};
use crate::options::Options;

/// The most bytes that wait for the disk. Beyond it, entries are not written.
const QUEUE_BYTES_MAX: usize = 32 << 20;
/// How many bytes are handed to the engine at once.
const BATCH_BYTES: usize = 1 << 20;
/// A reader that has got more than this part of the cache from elsewhere puts no more into it.
const SCAN_SHARE: u64 = 16;

/// What keeps the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// One plain file for each entry.
    Files,
    /// Large files of the library `foyer`, each with many entries.
    Foyer,
}

/// What a cache runs on.
#[derive(Clone, Debug)]
pub struct Host {
    pub disk: Arc<dyn Disk>,
    pub clock: Arc<dyn Clock>,
    pub tasks: Tasks,
    pub memory: Arc<Account>,
}

/// A cache of bytes on a disk. Share one among all readers of a process.
///
/// Every byte that it returns has been verified against what the reader expects. An entry that is
/// damaged is dropped, and the reader gets nothing.
#[derive(Debug)]
pub struct DiskCache {
    engine: Arc<dyn Engine>,
    host: Host,
    options: Options,
    reads: Health,
    writes: Health,
    queue: Mutex<Queue>,
    /// Somebody may wait until the queue is empty.
    settled: Notify,
    counts: Counts,
    _folder: Option<Folder>,
}

/// One entry that a reader wants.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub key: Key,
    pub expected: Expected,
}

/// What waits for the disk.
#[derive(Debug)]
struct Queue {
    entries: VecDeque<(Digest, Bytes)>,
    share: Share,
    /// Whether a task writes.
    is_running: bool,
}

impl DiskCache {
    /// Opens the cache in `folder` with what an earlier process left there. A folder of another
    /// engine or version is emptied.
    pub async fn open(
        host: Host,
        folder: &Path,
        kind: EngineKind,
        options: Options,
    ) -> Result<Arc<Self>, FolderError> {
        let opened = {
            let disk = Arc::clone(&host.disk);
            let path = folder.to_path_buf();
            let form = match kind {
                EngineKind::Files => files::FORM.to_owned(),
                EngineKind::Foyer => foyer::form(&options),
            };

            blocking(move || Folder::open(&disk, &path, &form)).await
        };

        let failed = |source| FolderError::Disk {
            what: "read the entries",
            path: folder.to_path_buf(),
            source,
        };

        let owned = opened.map_err(failed)??;
        let entries = owned.entries();
        let disk = Arc::clone(&host.disk);
        let memory = Arc::clone(&host.memory);

        let engine: Arc<dyn Engine> = match kind {
            EngineKind::Files => {
                let open = move || Files::open(disk, &entries, options, &memory);
                Arc::new(
                    blocking(open)
                        .await
                        .and_then(|files| files)
                        .map_err(failed)?,
                )
            }
            EngineKind::Foyer => {
                let opened = Foyer::open(disk, &entries, options, &memory).await;
                Arc::new(opened.map_err(failed)?)
            }
        };

        Ok(Self::of(engine, host, options, Some(owned)))
    }

    /// Returns a cache over any engine.
    pub fn over(engine: Arc<dyn Engine>, host: Host, options: Options) -> Arc<Self> {
        Self::of(engine, host, options, None)
    }

    fn of(
        engine: Arc<dyn Engine>,
        host: Host,
        options: Options,
        folder: Option<Folder>,
    ) -> Arc<Self> {
        let queue = Queue {
            entries: VecDeque::new(),
            share: host.memory.share(Use::Cache),
            is_running: false,
        };

        Arc::new(Self {
            engine,
            host,
            options,
            reads: Health::default(),
            writes: Health::default(),
            queue: Mutex::new(queue),
            settled: Notify::new(),
            counts: Counts::default(),
            _folder: folder,
        })
    }

    /// Returns the verified bytes of each entry that is here, in the same order.
    pub async fn get(&self, wanted: &[Wanted]) -> Vec<Option<Bytes>> {
        let now = self.host.clock.monotonic();
        if wanted.is_empty() || !self.reads.is_on(now) {
            return vec![None; wanted.len()];
        }

        let digests: Vec<Digest> = wanted.iter().map(|one| one.key.digest()).collect();
        let found = self.engine.get(&digests).await;
        let mut answer = Vec::with_capacity(wanted.len());

        for (wanted, found) in wanted.iter().zip(found) {
            answer.push(self.verified(wanted, found).await);
        }

        answer.resize(wanted.len(), None);
        answer
    }

    /// Puts `bytes`, which the caller has verified, into the cache. Nothing waits for the disk: if
    /// it cannot keep pace, the entry is skipped.
    pub fn insert(self: &Arc<Self>, key: &Key, crc: u32, bytes: &[u8]) {
        let digest = key.digest();
        let now = self.host.clock.monotonic();

        if !self.writes.is_on(now) || self.engine.contains(digest) {
            return;
        }

        let entry = entry::seal(key, crc, bytes).filter(|entry| entry.len() <= ENTRY_BYTES_MAX);
        let Some(entry) = entry else {
            return;
        };

        let mut queue = self.queue.lock();
        let fits = queue.share.bytes() + entry.len() <= QUEUE_BYTES_MAX;
        if !fits || queue.share.grow(entry.len()).is_err() {
            self.counts.skipped.inc();
            return;
        }

        queue.entries.push_back((digest, entry));
        if !queue.is_running {
            queue.is_running = true;
            self.host
                .tasks
                .spawn("disk cache", OnFailure::Log, Arc::clone(self).write());
        }
    }

    /// Whether a reader that has got `bytes` from elsewhere may put more into the cache. What a
    /// scan reads is left out, because it would push out everything else.
    pub const fn admits(&self, bytes: u64) -> bool {
        bytes <= self.options.disk_bytes_max / SCAN_SHARE
    }

    /// Notes that an entry was of use to a reader who had it from elsewhere.
    pub fn touch(&self, key: &Key) {
        self.engine.touch(key.digest());
    }

    /// Returns when nothing waits for the disk.
    pub async fn settle(&self) {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();

            if !self.queue.lock().is_running {
                return;
            }

            settled.await;
        }
    }

    /// Writes out what waits for the disk.
    pub async fn close(&self) {
        self.settle().await;
        self.engine.close().await;
    }

    /// Whether the disk is asked now.
    pub fn is_on(&self) -> bool {
        let now = self.host.clock.monotonic();
        self.reads.is_on(now) && self.writes.is_on(now)
    }

    pub fn held(&self) -> Held {
        self.engine.held()
    }

    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    async fn verified(&self, wanted: &Wanted, found: Found) -> Option<Bytes> {
        let now = self.host.clock.monotonic();
        let opened = match found {
            Found::Entry(entry) => {
                self.note_success(&self.reads);
                entry::open(&entry, &wanted.key, wanted.expected)
            }
            Found::Damaged => None,
            Found::Absent => {
                self.counts.misses.inc();
                return None;
            }
            Found::Failed(error) => {
                self.counts.misses.inc();
                self.note_failure(&self.reads, "read", &error, now);
                return None;
            }
        };

        if let Some(bytes) = opened {
            self.counts.hits.inc();
            self.counts.hit_bytes.inc_by(bytes.len() as u64);
            return Some(bytes);
        }

        self.counts.misses.inc();
        self.counts.damaged.inc();
        tracing::debug!(key = ?wanted.key, "an entry of the disk cache is damaged and is dropped");
        self.engine.remove(wanted.key.digest()).await;
        None
    }

    /// Writes until nothing waits.
    async fn write(self: Arc<Self>) -> Result<(), Infallible> {
        while let Some(batch) = self.next_batch() {
            let bytes = batch.iter().map(|(_, entry)| entry.len()).sum();
            let entries = batch.len() as u64;

            if self.writes.is_on(self.host.clock.monotonic()) {
                self.note_written(self.engine.insert(batch).await, entries, bytes);
            }

            self.queue.lock().share.shrink(bytes);
        }

        self.settled.notify_waiters();
        Ok(())
    }

    /// Takes some of what waits. If nothing does, the task that asks ends.
    fn next_batch(&self) -> Option<Vec<(Digest, Bytes)>> {
        let mut queue = self.queue.lock();
        let mut batch = Vec::new();
        let mut bytes = 0;

        while bytes < BATCH_BYTES
            && let Some((digest, entry)) = queue.entries.pop_front()
        {
            bytes += entry.len();
            batch.push((digest, entry));
        }

        queue.is_running = !batch.is_empty();
        queue.is_running.then_some(batch)
    }

    fn note_written(&self, written: io::Result<()>, entries: u64, bytes: usize) {
        match written {
            Ok(()) => {
                self.counts.inserted.inc_by(entries);
                self.counts.inserted_bytes.inc_by(bytes as u64);
                self.note_success(&self.writes);
            }
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
                self.counts.skipped.inc_by(entries);
            }
            Err(error) => {
                let now = self.host.clock.monotonic();
                self.note_failure(&self.writes, "written", &error, now);
            }
        }
    }

    fn note_success(&self, health: &Health) {
        if health.worked(self.host.clock.monotonic()) {
            tracing::info!("the disk cache works again");
        }
    }

    /// Warns at the first failure only.
    fn note_failure(
        &self,
        health: &Health,
        what: &str,
        error: &io::Error,
        now: std::time::Duration,
    ) {
        self.counts.errors.inc();
        if health.failed(now) {
            tracing::warn!(
                %error,
                "the disk cache cannot be {what}: it is left alone for a while, and queries ask the store"
            );
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    Ok(tokio::task::spawn_blocking(work).await?)
}
