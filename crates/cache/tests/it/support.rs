//! Caches for tests.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use duramen_cache::{DiskCache, EngineKind, Expected, FolderError, Host, Key, Options, Wanted};
use duramen_qos::Account;
use duramen_runtime::{Disk, MockClock, RealDisk, Tasks};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

pub(crate) const ENGINES: [EngineKind; 2] = [EngineKind::Files, EngineKind::Foyer];

/// A cache of 4 MiB.
pub(crate) const OPTIONS: Options = Options {
    disk_bytes_max: 4 << 20,
    free_bytes_min: 0,
};

pub(crate) fn host(disk: Arc<dyn Disk>) -> Host {
    Host {
        disk,
        clock: MockClock::at(0),
        tasks: Tasks::default(),
        memory: Account::unbounded(),
    }
}

pub(crate) async fn try_open(
    folder: &Path,
    kind: EngineKind,
    options: Options,
) -> Result<Arc<DiskCache>, FolderError> {
    DiskCache::open(host(Arc::new(RealDisk)), folder, kind, options).await
}

pub(crate) async fn open(folder: &Path, kind: EngineKind) -> Arc<DiskCache> {
    try_open(folder, kind, OPTIONS).await.unwrap()
}

/// Ends the cache as a process does that stops.
pub(crate) async fn close(cache: Arc<DiskCache>) {
    cache.close().await;
    let weak = Arc::downgrade(&cache);
    drop(cache);

    // The task that wrote last may still hold the cache.
    while weak.strong_count() > 0 {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn key(part: u32) -> Key {
    Key::new("t/a/blocks/b", 0, part)
}

/// Different bytes for each seed, which do not compress.
pub(crate) fn bytes(seed: u64, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes.into()
}

/// Inserts and waits until it is written.
pub(crate) async fn insert(cache: &Arc<DiskCache>, key: &Key, bytes: &Bytes) {
    cache.insert(key, Expected::of(bytes).crc, bytes);
    cache.settle().await;
}

pub(crate) async fn get(cache: &DiskCache, key: &Key, bytes: &Bytes) -> Option<Bytes> {
    let wanted = Wanted {
        key: key.clone(),
        expected: Expected::of(bytes),
    };

    let mut found = cache.get(&[wanted]).await;
    assert_eq!(found.len(), 1);

    let found = found.remove(0);
    assert!(
        found.as_ref().is_none_or(|found| found == bytes),
        "wrong bytes"
    );
    found
}
