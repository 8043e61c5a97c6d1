//! The bucket is unavailable, or a part of the log is damaged.

use std::path::PathBuf;
use std::sync::Arc;

use duramen_bucket::{Bucket, LocalStore};
use duramen_model::TimeRange;
use duramen_runtime::{Clock, Disk, SystemClock};
use duramen_testkit::SimDisk;

use crate::system::System;

/// The length of a segment's header, as documented.
const HEADER_BYTES: usize = 48;

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_bucket_is_away_samples_cost_disk_and_are_read_and_a_later_flush_commits_them() {
    let clock = clock();
    let store_disk = SimDisk::new();
    let store = LocalStore::open(
        Arc::new(store_disk.clone()),
        &PathBuf::from("/store"),
        &*clock,
    )
    .unwrap();
    let mut config = duramen_bucket::Config::default();

    config.retry.attempts_max = 1;

    let bucket = Bucket::over(
        Arc::new(store),
        "away".to_owned(),
        &config,
        Arc::clone(&clock),
    );

    let system = System::start(bucket, Arc::new(SimDisk::new()), Arc::clone(&clock))
        .await
        .unwrap();
    let storage = system.storage(Arc::new(system.ingester.clone()));
    let now_ms = clock.now_ms();

    system
        .write(&[("a".to_owned(), now_ms, 1.0)])
        .await
        .unwrap();

    store_disk.power_off_after(0);
    assert!(system.ingester.flush_all().await.is_err());

    let staged = system.ingester.head_bytes();
    system
        .write(&[("a".to_owned(), now_ms + 1, 2.0)])
        .await
        .unwrap();

    assert!(system.ingester.head_bytes() > staged);
    assert!(system.ingester.flush_all().await.is_err());

    assert_eq!(
        system.ingester.head_bytes(),
        0,
        "what is staged takes no memory"
    );

    assert_eq!(system.read(&storage).await.unwrap().len(), 2);

    store_disk.power_on();
    system.ingester.flush_all().await.unwrap();

    let state = system.manifests.refresh(system.tenant_id()).await.unwrap();
    assert_eq!(state.blocks_overlapping(TimeRange::ALL).count(), 2);
    assert_eq!(system.read(&storage).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samples_whose_series_a_damaged_record_defined_are_counted() {
    let clock = clock();
    let disk = SimDisk::new();
    let bucket = Bucket::memory(Arc::clone(&clock));
    let now_ms = clock.now_ms();
    let system = System::start(bucket.clone(), Arc::new(disk.clone()), Arc::clone(&clock))
        .await
        .unwrap();

    for round in 0..3 {
        system
            .write(&[("a".to_owned(), now_ms + round, 1.0)])
            .await
            .unwrap();
    }

    drop(system);

    // The first record of the only segment with records. It follows the segment's header and
    // defines the series.
    let directory = PathBuf::from("/data/wal");
    let sizes = |name: &String| disk.stat(&directory.join(name)).unwrap().length;

    let names: Vec<String> = disk
        .read_dir(&directory)
        .unwrap()
        .into_iter()
        .map(|entry| entry.name)
        .collect();

    let segment = directory.join(names.iter().max_by_key(|name| sizes(name)).unwrap());
    let mut bytes = disk.read(&segment).unwrap();

    // Only three records follow the header. An eighth of the way through them is inside the first.
    let at = HEADER_BYTES + (bytes.len() - HEADER_BYTES) / 8;
    bytes[at] ^= 1;
    disk.plant(&segment, bytes).unwrap();

    let system = System::start(bucket, Arc::new(disk.clone()), Arc::clone(&clock))
        .await
        .unwrap();
    assert_eq!(
        (
            system.report.lost_records,
            system.report.lost_samples,
            system.report.samples
        ),
        (1, 2, 0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_series_without_a_storable_sample_takes_no_place() {
    let clock = clock();
    let bucket = Bucket::memory(Arc::clone(&clock));
    let system = System::start(bucket, Arc::new(SimDisk::new()), Arc::clone(&clock))
        .await
        .unwrap();
    let far_ms = clock.now_ms() + 3_600_000;
    let report = system
        .write(&[("a".to_owned(), far_ms, 1.0)])
        .await
        .unwrap();

    assert_eq!(report.rejected.lost().total(), 1);
    assert_eq!(system.ingester.head_series(), 0);

    system
        .write(&[("a".to_owned(), far_ms - 7_200_000, 1.0)])
        .await
        .unwrap();

    assert_eq!(system.ingester.head_series(), 1);
}
