//! Rounds over all tenants: what is merged, and when replaced blocks go.

use std::sync::Arc;
use std::time::Duration;

use duramen_bucket::Bucket;
use duramen_compact::Policy;
use duramen_qos::Account;
use duramen_runtime::MockClock;

use crate::entries::{DAY_MS, HOUR_MS};
use crate::store::{Answer, Process, orphans, query};

const OVER_MS: i64 = 2 * DAY_MS;

/// A bucket with four flushes of one day.
async fn flushed() -> Bucket {
    let bucket = Bucket::memory(MockClock::at(OVER_MS));
    let mut writer = Process::new(&bucket, 1, HOUR_MS, Policy::default(), 100);

    for flush in 0..4 {
        let samples: Answer = (0..30).map(|at| ((0, flush * HOUR_MS + at), 7)).collect();
        writer.flush(flush, &[(0, samples)]).await;
    }

    bucket
}

fn process(bucket: &Bucket, number: u64) -> Process {
    Process::new(bucket, number, OVER_MS, Policy::default(), 100)
}

#[tokio::test]
async fn replaced_blocks_are_read_for_the_grace_and_then_go() {
    let bucket = flushed().await;
    let observer = process(&bucket, 10);
    let before = observer.state().await;
    let expected = query(&bucket, &before).await;

    let worker = process(&bucket, 9);
    let clock = Arc::clone(&worker.clock);
    let rounds = worker.into_rounds(true, Account::unbounded()).await;
    rounds.round().await;
    let after = observer.state().await;
    assert_eq!(after.blocks.len(), 1);

    clock.advance(Duration::from_secs(3599));
    rounds.round().await;
    assert_eq!(orphans(&bucket, &after).await, 4);
    assert_eq!(
        query(&bucket, &before).await,
        expected,
        "a query that began before"
    );

    clock.advance(Duration::from_secs(1));
    rounds.round().await;
    assert_eq!(orphans(&bucket, &after).await, 0);
    assert_eq!(query(&bucket, &after).await, expected);
}

#[tokio::test]
async fn replaced_blocks_stay_for_the_history() {
    let bucket = flushed().await;
    let observer = process(&bucket, 10);
    let before = observer.state().await;
    let expected = query(&bucket, &before).await;

    let worker = process(&bucket, 9);
    let clock = Arc::clone(&worker.clock);
    let mut rounds = worker.into_rounds(true, Account::unbounded()).await;
    rounds.settings.history = Duration::from_hours(48);
    rounds.round().await;

    clock.advance(Duration::from_hours(47));
    rounds.round().await;
    let after = observer.state().await;
    assert_eq!(orphans(&bucket, &after).await, 4);
    assert_eq!(query(&bucket, &before).await, expected);

    clock.advance(Duration::from_hours(1));
    rounds.round().await;
    assert_eq!(orphans(&bucket, &after).await, 0);
}

#[tokio::test]
async fn what_another_process_has_merged_goes_too() {
    let bucket = flushed().await;
    let watcher = process(&bucket, 9);
    let clock = Arc::clone(&watcher.clock);
    let watching = watcher.into_rounds(false, Account::unbounded()).await;
    watching.round().await;

    let observer = process(&bucket, 10);
    let before = observer.state().await;
    assert_eq!(before.blocks.len(), 4, "it merges nothing itself");

    let merging = process(&bucket, 11)
        .into_rounds(true, Account::unbounded())
        .await;
    merging.round().await;
    watching.round().await;

    clock.advance(Duration::from_secs(3600));
    watching.round().await;
    let after = observer.state().await;
    assert_eq!((after.blocks.len(), orphans(&bucket, &after).await), (1, 0));
}

#[tokio::test]
async fn a_tenant_waits_while_queries_need_the_memory() {
    let bucket = flushed().await;
    let observer = process(&bucket, 10);
    let small = Account::new(1000);
    let rounds = process(&bucket, 9).into_rounds(true, small).await;

    rounds.round().await;
    assert_eq!(observer.state().await.blocks.len(), 4);
}
