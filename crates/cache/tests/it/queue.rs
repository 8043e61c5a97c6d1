//! What waits for the disk is bounded, and a disk that fails is left alone.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use duramen_cache::{Digest, DiskCache, Engine, Found, Held, Host};
use duramen_qos::{Account, Use};
use duramen_runtime::MockClock;
use duramen_testkit::SimDisk;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::support::{OPTIONS, bytes, get, host, insert, key};

/// An engine that a test controls.
#[derive(Debug)]
struct Controlled {
    /// An insert needs a permit.
    permits: Semaphore,
    entries: Mutex<Vec<(Digest, Bytes)>>,
    /// The error of each call.
    error: Mutex<Option<i32>>,
}

impl Controlled {
    fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self {
            permits: Semaphore::new(permits),
            entries: Mutex::default(),
            error: Mutex::default(),
        })
    }

    fn fail(&self, code: Option<i32>) {
        *self.error.lock() = code;
    }

    fn outcome(&self) -> io::Result<()> {
        let code = *self.error.lock();
        code.map_or(Ok(()), |code| Err(io::Error::from_raw_os_error(code)))
    }
}

#[async_trait]
impl Engine for Controlled {
    async fn get(&self, digests: &[Digest]) -> Vec<Found> {
        let find = |digest: &Digest| {
            if let Err(error) = self.outcome() {
                return Found::Failed(error);
            }

            let entries = self.entries.lock();
            let found = entries.iter().find(|(name, _)| name == digest);
            found.map_or(Found::Absent, |(_, bytes)| Found::Entry(bytes.clone()))
        };

        digests.iter().map(find).collect()
    }

    async fn insert(&self, entries: Vec<(Digest, Bytes)>) -> io::Result<()> {
        self.permits.acquire().await.unwrap().forget();
        self.outcome()?;
        self.entries.lock().extend(entries);
        Ok(())
    }

    async fn remove(&self, digest: Digest) {
        self.entries.lock().retain(|(name, _)| *name != digest);
    }

    fn contains(&self, _: Digest) -> bool {
        false
    }

    fn touch(&self, _: Digest) {}

    fn held(&self) -> Held {
        Held::default()
    }

    async fn close(&self) {}
}

#[tokio::test]
async fn a_slow_disk_makes_entries_wait_up_to_a_bound_and_nobody_else() {
    let engine = Controlled::new(0);
    let memory = Account::new(1 << 30);
    let host = Host {
        memory: Arc::clone(&memory),
        ..host(Arc::new(SimDisk::new()))
    };

    let cache = DiskCache::over(Arc::clone(&engine) as Arc<dyn Engine>, host, OPTIONS);
    let payload = bytes(1, 1 << 20);

    for part in 0..40 {
        cache.insert(&key(part), 0, &payload);
    }

    assert_eq!(
        cache.counts().skipped.get(),
        9,
        "31 of a MiB and their headers"
    );
    assert!(memory.used_by(Use::Cache) <= 32 << 20);

    engine.permits.add_permits(1000);
    cache.settle().await;

    assert_eq!(engine.entries.lock().len(), 31);
    assert_eq!(memory.used_by(Use::Cache), 0);
}

#[tokio::test]
async fn an_account_without_memory_lets_nothing_wait() {
    let memory = Account::new(1 << 20);
    let _others = memory.take(Use::Body, memory.mark(Use::Body)).unwrap();
    let host = Host {
        memory,
        ..host(Arc::new(SimDisk::new()))
    };

    let cache = DiskCache::over(Controlled::new(1000), host, OPTIONS);
    insert(&cache, &key(1), &bytes(1, 100)).await;

    assert_eq!(cache.counts().skipped.get(), 1);
    assert_eq!(cache.counts().inserted.get(), 0);
}

#[tokio::test]
async fn a_disk_that_fails_to_read_is_left_alone_and_asked_again() {
    const EIO: i32 = 5;
    let engine = Controlled::new(1000);
    let clock = MockClock::at(0);
    let host = Host {
        clock: Arc::clone(&clock) as _,
        ..host(Arc::new(SimDisk::new()))
    };

    let cache = DiskCache::over(Arc::clone(&engine) as Arc<dyn Engine>, host, OPTIONS);
    let payload = bytes(1, 100);
    insert(&cache, &key(1), &payload).await;

    engine.fail(Some(EIO));
    assert_eq!(get(&cache, &key(1), &payload).await, None);
    assert!(!cache.is_on());
    assert_eq!(cache.counts().errors.get(), 1);

    // The disk is well again, but nobody asks it yet.
    engine.fail(None);
    assert_eq!(get(&cache, &key(1), &payload).await, None);

    clock.advance(Duration::from_secs(11));
    assert!(get(&cache, &key(1), &payload).await.is_some());
    assert!(cache.is_on());
    assert_eq!(cache.counts().errors.get(), 1);
    assert_eq!(cache.counts().damaged.get(), 0, "nothing was dropped");
}

#[tokio::test]
async fn a_disk_that_fails_to_write_is_left_alone_and_still_read() {
    const ENOSPC: i32 = 28;
    let engine = Controlled::new(1000);
    let clock = MockClock::at(0);
    let host = Host {
        clock: Arc::clone(&clock) as _,
        ..host(Arc::new(SimDisk::new()))
    };

    let cache = DiskCache::over(Arc::clone(&engine) as Arc<dyn Engine>, host, OPTIONS);
    let payload = bytes(1, 100);
    insert(&cache, &key(1), &payload).await;

    engine.fail(Some(ENOSPC));
    insert(&cache, &key(2), &payload).await;
    engine.fail(None);

    assert!(!cache.is_on());
    assert!(
        get(&cache, &key(1), &payload).await.is_some(),
        "reads go on"
    );

    insert(&cache, &key(2), &payload).await;
    assert_eq!(
        cache.counts().inserted.get(),
        1,
        "nothing is written meanwhile"
    );

    clock.advance(Duration::from_secs(11));
    insert(&cache, &key(2), &payload).await;
    assert!(get(&cache, &key(2), &payload).await.is_some());
    assert!(cache.is_on());
}
