//! The operations between a write and its acknowledgement.

use std::sync::Arc;

use duramen_bucket::Bucket;
use duramen_runtime::{Clock, SystemClock};
use duramen_testkit::{DiskOp, SimDisk};

use crate::system::System;

/// Returns the operations on WAL segments, in order.
fn on_segments(disk: &SimDisk) -> Vec<DiskOp> {
    let is_segment = |op: &DiskOp| matches!(op, DiskOp::Append { path, .. } | DiskOp::SyncData { path } if path.starts_with("/data/wal"));
    disk.ops().into_iter().filter(is_segment).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledgement_comes_after_the_fdatasync_of_its_record() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let disk = SimDisk::new();

    let system = System::start(
        Bucket::memory(Arc::clone(&clock)),
        Arc::new(disk.clone()),
        Arc::clone(&clock),
    )
    .await
    .unwrap();

    for round in 0..50 {
        let before = on_segments(&disk).len();
        system
            .write(&[("a".to_owned(), clock.now_ms(), f64::from(round))])
            .await
            .unwrap();

        let since = on_segments(&disk).split_off(before);
        let appended = since.iter().any(|op| matches!(op, DiskOp::Append { .. }));

        assert!(appended, "round {round}: nothing was written: {since:?}");
        assert!(
            matches!(since.last(), Some(DiskOp::SyncData { .. })),
            "round {round}: the last is no sync: {since:?}"
        );
    }
}
