//! Deleted samples go from the bucket, and only they.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use duramen_bucket::Bucket;
use duramen_compact::{Level, Policy, Rounds};
use duramen_manifest::{AskedDeletion, Commit, Manifests, State, Tombstones};
use duramen_model::{AsOf, Deletion, Matcher, TimeRange, ValueTest, WriterId};
use duramen_qos::Account;
use duramen_runtime::MockClock;
use ulid::Ulid;

use crate::entries::{DAY_MS, HOUR_MS};
use crate::store::{Answer, Process, TENANT, orphans, query};

const OVER_MS: i64 = 2 * DAY_MS;
const WRITER: u64 = 1;

/// A bucket with some flushes of one day. Each has samples of `m0`, `m5` and `m9`.
async fn flushed(flushes: i64) -> (Bucket, Answer) {
    let bucket = Bucket::memory(MockClock::at(OVER_MS));
    let mut writer = Process::new(&bucket, WRITER, HOUR_MS, Policy::default(), 100);
    let mut all = Answer::new();

    for flush in 0..flushes {
        let samples: Answer = [0, 5, 9]
            .into_iter()
            .flat_map(|name| (0..30).map(move |at| (name, flush * HOUR_MS + at)))
            .map(|(name, ts_ms)| ((name, ts_ms), f64::to_bits(f64::from(name))))
            .collect();

        all.extend(&samples);
        writer.flush(flush, &[(0, samples)]).await;
    }

    (bucket, all)
}

fn process(bucket: &Bucket, number: u64) -> Process {
    Process::new(bucket, number, OVER_MS, Policy::default(), 100)
}

fn deletion(name: &str, range: TimeRange) -> Deletion {
    Deletion {
        selectors: vec![vec![Matcher::equal("__name__", name)]],
        range,
        value: None,
    }
}

/// Deletes what was flushed so far.
async fn delete(manifests: &Manifests, deletion: Deletion) -> Ulid {
    let state = manifests.refresh(TENANT).await.unwrap();
    let id = Ulid(u128::from(state.sequence));
    let writer = WriterId(Ulid(u128::from(WRITER)));

    let asked = AskedDeletion {
        id,
        deletion: Arc::new(deletion),
        author: String::new(),
        at_ms: OVER_MS,
        positions: BTreeMap::from([(writer, state.flushed_position(writer))]),
    };

    manifests
        .commit(TENANT, Commit::delete(asked))
        .await
        .unwrap();
    id
}

/// Asks for a clean bucket soon.
async fn clean(manifests: &Manifests) {
    let state = manifests.refresh(TENANT).await.unwrap();
    let clean = Tombstones {
        clean: state.deletions.last(),
        ..Tombstones::default()
    };
    manifests
        .commit(TENANT, Commit::tombstones(clean))
        .await
        .unwrap();
}

fn gone_ms(state: &State, id: Ulid) -> Option<i64> {
    state.deletions.get(id).unwrap().gone_ms
}

/// A worker that only cleans, and its clock.
async fn cleaner(bucket: &Bucket) -> (Rounds, Arc<MockClock>) {
    let worker = process(bucket, 9);
    let clock = Arc::clone(&worker.clock);
    (worker.into_rounds(false, Account::unbounded()).await, clock)
}

#[tokio::test]
async fn a_merge_leaves_out_what_was_deleted_and_the_receipt_says_when_it_is_gone() {
    let (bucket, all) = flushed(4).await;
    let observer = process(&bucket, 10);
    let id = delete(&observer.manifests, deletion("m0", TimeRange::ALL)).await;

    let worker = process(&bucket, 9);
    let clock = Arc::clone(&worker.clock);
    let rounds = worker.into_rounds(true, Account::unbounded()).await;
    rounds.round().await;

    let state = observer.state().await;
    let left: Answer = all
        .into_iter()
        .filter(|((name, _), _)| *name != 0)
        .collect();
    assert_eq!(
        (state.blocks.len(), query(&bucket, &state).await),
        (1, left)
    );
    assert_eq!(
        (gone_ms(&state, id), state.deletions.remains.len()),
        (None, 4)
    );

    clock.advance(Duration::from_secs(3599));
    rounds.round().await;
    let state = observer.state().await;
    assert_eq!(gone_ms(&state, id), None);

    clock.advance(Duration::from_secs(1));
    rounds.round().await;
    let state = observer.state().await;
    assert_eq!(gone_ms(&state, id), Some(OVER_MS + HOUR_MS));
    assert_eq!(orphans(&bucket, &state).await, 0);
    assert!(state.deletions.in_force.is_empty());
}

#[tokio::test]
async fn a_block_that_no_merge_takes_is_written_again_when_that_is_asked_for() {
    let (bucket, all) = flushed(1).await;
    let observer = process(&bucket, 10);
    let (mut rounds, clock) = cleaner(&bucket).await;

    // Past states do not hold what was deleted.
    rounds.settings.history = Duration::from_hours(1_000);

    let some = Deletion {
        value: ValueTest::parse("> 4"),
        ..deletion("m5", TimeRange::new(3, 7).unwrap())
    };
    let id = delete(&observer.manifests, some).await;
    rounds.round().await;
    let before = observer.state().await;
    assert_eq!(query(&bucket, &before).await, all, "it waits for a day");

    clean(&observer.manifests).await;
    clock.advance(Duration::from_hours(1));
    rounds.round().await;

    let state = observer.state().await;
    let is_left = |((name, ts_ms), _): &((u8, i64), u64)| *name != 5 || !(3..7).contains(ts_ms);
    let left: Answer = all.into_iter().filter(is_left).collect();
    assert_eq!(query(&bucket, &state).await, left);

    let entry = |state: &State| Arc::clone(state.blocks.values().next().unwrap());
    let (old, new) = (entry(&before), entry(&state));
    assert_eq!(
        (new.level, new.order, new.content),
        (old.level, old.order, old.content)
    );

    clock.advance(Duration::from_hours(1));
    rounds.round().await;
    let state = observer.state().await;
    assert!(gone_ms(&state, id).is_some());
    assert_eq!(orphans(&bucket, &state).await, 0);
}

/// Whether the deletion is over while a snapshot from before it is there, and after it is dropped.
async fn is_gone_with_a_snapshot(merged_first: bool) -> (bool, bool) {
    let (bucket, _) = flushed(4).await;
    let observer = process(&bucket, 10);
    let commit = async |commit| {
        observer.manifests.commit(TENANT, commit).await.unwrap();
    };

    commit(Commit::snapshot("before")).await;

    let worker = process(&bucket, 9);
    let clock = Arc::clone(&worker.clock);
    let rounds = worker.into_rounds(true, Account::unbounded()).await;

    // The snapshot has the deleted samples in blocks that the deletion never touched.
    if merged_first {
        rounds.round().await;
    }

    let id = delete(&observer.manifests, deletion("m0", TimeRange::ALL)).await;
    clean(&observer.manifests).await;

    let is_gone = async || {
        for _ in 0..4 {
            clock.advance(Duration::from_hours(2));
            rounds.round().await;
        }

        let state = observer.state().await;
        gone_ms(&state, id).is_some()
    };

    let with_snapshot = is_gone().await;
    let before = AsOf::Snapshot("before".into());
    let then = observer.manifests.as_of(TENANT, &before).await.unwrap();
    assert!(
        !query(&bucket, &then).await.is_empty(),
        "its blocks are there"
    );

    commit(Commit::drop_snapshot("before")).await;
    (with_snapshot, is_gone().await)
}

#[tokio::test]
async fn a_deletion_is_not_over_while_a_snapshot_may_have_its_samples() {
    for merged_first in [false, true] {
        let gone = is_gone_with_a_snapshot(merged_first).await;
        assert_eq!(gone, (false, true), "{merged_first}");
    }
}

#[tokio::test]
async fn a_block_without_deleted_series_stays_and_one_with_nothing_else_goes() {
    let (bucket, all) = flushed(1).await;
    let observer = process(&bucket, 10);
    let before = observer.state().await;
    let (rounds, clock) = cleaner(&bucket).await;

    let id = delete(&observer.manifests, deletion("m7", TimeRange::ALL)).await;
    clean(&observer.manifests).await;
    rounds.round().await;

    let state = observer.state().await;
    assert_eq!(state.blocks, before.blocks);
    assert!(gone_ms(&state, id).is_some(), "there was nothing of it");
    assert_eq!(query(&bucket, &state).await, all);

    let everything = Deletion {
        selectors: vec![vec![Matcher::regex("__name__", ".+").unwrap()]],
        ..deletion("", TimeRange::ALL)
    };
    let id = delete(&observer.manifests, everything).await;
    clean(&observer.manifests).await;
    clock.advance(Duration::from_hours(1));
    rounds.round().await;
    assert!(observer.state().await.blocks.is_empty());

    clock.advance(Duration::from_hours(1));
    rounds.round().await;
    let state = observer.state().await;
    assert!(gone_ms(&state, id).is_some());
    assert_eq!(orphans(&bucket, &state).await, 0);
}

#[tokio::test]
async fn a_merge_during_which_samples_were_deleted_is_done_again() {
    let (bucket, all) = flushed(4).await;
    let observer = process(&bucket, 10);
    let worker = process(&bucket, 9);
    let job = worker.compactor.plan(TENANT).await.unwrap().remove(0);
    assert_eq!(job.level, Level::Day);

    // The worker has not seen this deletion.
    delete(&observer.manifests, deletion("m0", TimeRange::ALL)).await;
    let missed = worker.executor.run(TENANT, &job).await.unwrap_err();
    let missed = format!("{missed:?}");
    assert!(missed.contains("DeletionMissed"), "{missed}");

    let summary = worker
        .compactor
        .drain(TENANT, |_| true, |_| {})
        .await
        .unwrap();
    assert_eq!((summary.done, summary.failed.len()), (1, 0));

    let left: Answer = all
        .into_iter()
        .filter(|((name, _), _)| *name != 0)
        .collect();
    let state = observer.state().await;
    assert_eq!(query(&bucket, &state).await, left);
}
