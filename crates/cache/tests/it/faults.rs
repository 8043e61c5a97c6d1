//! Plain files on disks that are full, that fail, and that lose their power.

use std::path::Path;
use std::sync::Arc;

use duramen_cache::{DiskCache, EngineKind, Host, Options};
use duramen_qos::{Account, Use};
use duramen_runtime::Disk;
use duramen_testkit::{Fault, SimDisk};

use crate::support::{OPTIONS, bytes, close, get, host, insert, key};

async fn open(disk: &SimDisk, options: Options) -> Arc<DiskCache> {
    let host = host(Arc::new(disk.clone()));
    DiskCache::open(host, Path::new("/cache"), EngineKind::Files, options)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_full_disk_stops_writes_only_and_leaves_no_torn_file() {
    for fault in [Fault::Full, Fault::Quota, Fault::Broken] {
        for nth in 1..=3 {
            let disk = SimDisk::new();
            let cache = open(&disk, OPTIONS).await;
            let payload = bytes(1, 5000);
            insert(&cache, &key(1), &payload).await;

            disk.fail_call(nth, fault);
            insert(&cache, &key(2), &payload).await;

            assert!(
                get(&cache, &key(1), &payload).await.is_some(),
                "{fault:?}, {nth}"
            );
            get(&cache, &key(2), &payload).await;
            assert_eq!(cache.counts().damaged.get(), 0, "{fault:?}, {nth}");
            assert_eq!(cache.is_on(), disk.take_failure(), "{fault:?}, {nth}");
            close(cache).await;

            let cache = open(&disk, OPTIONS).await;
            assert!(get(&cache, &key(1), &payload).await.is_some());
            get(&cache, &key(2), &payload).await;
        }
    }
}

#[tokio::test]
async fn the_cache_shrinks_when_others_need_the_disk() {
    let disk = SimDisk::new();
    let options = Options {
        free_bytes_min: 1 << 20,
        ..OPTIONS
    };

    let cache = open(&disk, options).await;
    let payload = bytes(1, 10_000);
    for part in 0..100 {
        insert(&cache, &key(part), &payload).await;
    }

    let held = cache.held().disk_bytes;

    // Only half of what must stay free is free.
    disk.set_space(Some(512 << 10));
    insert(&cache, &key(100), &payload).await;

    assert!(get(&cache, &key(100), &payload).await.is_some());
    let now = cache.held().disk_bytes;
    assert!(now <= held - (500 << 10), "{held}, {now}");

    // Without any free space, the cache has nothing to give in the end.
    disk.set_space(Some(0));
    insert(&cache, &key(101), &payload).await;
    assert_eq!(cache.held().entries, 0);
    assert!(!cache.is_on());
}

#[tokio::test]
async fn after_a_loss_of_power_every_entry_is_whole_or_gone() {
    for seed in 0..200 {
        let disk = SimDisk::new();
        let cache = open(&disk, OPTIONS).await;
        let payload = |part: u32| bytes(u64::from(part), 3000 + part as usize);

        disk.power_off_after(seed / 2);
        for part in 0..30 {
            insert(&cache, &key(part), &payload(part)).await;
        }

        drop(cache);

        let disk = disk.crash(seed);
        let cache = open(&disk, OPTIONS).await;

        for part in 0..30 {
            get(&cache, &key(part), &payload(part)).await;
        }

        insert(&cache, &key(40), &payload(40)).await;
        assert!(
            get(&cache, &key(40), &payload(40)).await.is_some(),
            "{seed}"
        );
    }
}

#[tokio::test]
async fn a_start_that_dies_at_any_step_is_no_obstacle_to_the_next() {
    for steps in 0..12 {
        for seed in 0..20 {
            let disk = SimDisk::new();
            disk.power_off_after(steps);

            let host = host(Arc::new(disk.clone()));
            let opened =
                DiskCache::open(host, Path::new("/cache"), EngineKind::Files, OPTIONS).await;
            drop(opened);

            let disk = disk.crash(seed);
            let cache = open(&disk, OPTIONS).await;
            insert(&cache, &key(1), &bytes(1, 100)).await;
            assert!(get(&cache, &key(1), &bytes(1, 100)).await.is_some());
        }
    }
}

#[tokio::test]
async fn the_index_is_bounded_by_the_account() {
    let disk = SimDisk::new();
    let memory = Account::new(100_000);
    let host = Host {
        memory: Arc::clone(&memory),
        ..host(Arc::new(disk.clone()))
    };

    let cache = DiskCache::open(host, Path::new("/cache"), EngineKind::Files, OPTIONS)
        .await
        .unwrap();

    for part in 0..1000 {
        insert(&cache, &key(part), &bytes(1, 100)).await;
    }

    let held = cache.held();
    assert!(held.entries > 300, "{held:?}");
    assert!(held.memory_bytes <= 60_000, "{held:?}");
    assert_eq!(held.memory_bytes, memory.used_by(Use::Cache) as u64);
    assert!(cache.is_on());
    drop(cache);

    let found = disk.read_dir(Path::new("/cache/entries")).unwrap();
    assert!(!found.is_empty());
}
