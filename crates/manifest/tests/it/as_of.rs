//! Past states: each of them comes back, by its sequence and by its time, with later deletions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use duramen_bucket::metrics::Op;
use duramen_bucket::{Bucket, keys};
use duramen_manifest::{
    AskedDeletion, Commit, Error, Gone, Manifests, SNAPSHOTS_MAX, State, Tombstones,
};
use duramen_model::{AsOf, BlockId, Deletion, ErrorKind, Matcher, TimeRange};
use duramen_runtime::MockClock;
use ulid::Ulid;

use crate::values::{TENANT, flush, identity};

const START_MS: i64 = 1_700_000_000_000;
const SECOND: Duration = Duration::from_secs(1);
/// More than two snapshots.
const EDITS: u64 = 150;

/// A tenant with an edit each second, and all of its states.
struct History {
    bucket: Bucket,
    clock: Arc<MockClock>,
    manifests: Manifests,
    states: Vec<Arc<State>>,
}

async fn history(edits: u64) -> History {
    let clock = MockClock::at(START_MS);
    let bucket = Bucket::memory(Arc::clone(&clock) as _);
    let manifests = Manifests::new(bucket.clone(), Arc::clone(&clock) as _, identity(1, 1));
    let mut states = vec![Arc::new(State::default())];

    for n in 1..=edits {
        clock.advance(SECOND);
        let commit = flush(identity(1, 1), n);
        states.push(manifests.commit(TENANT, commit).await.unwrap());
    }

    History {
        bucket,
        clock,
        manifests,
        states,
    }
}

impl History {
    /// A process that knows nothing yet.
    fn reader(&self) -> Manifests {
        let clock = Arc::clone(&self.clock) as _;
        Manifests::new(self.bucket.clone(), clock, identity(2, 1))
    }
}

/// When the edit of this sequence was made.
fn made_ms(sequence: u64) -> i64 {
    START_MS + 1_000 * i64::try_from(sequence).unwrap()
}

#[tokio::test]
async fn each_state_comes_back_by_its_sequence_and_by_its_time() {
    let history = history(EDITS).await;
    let reader = history.reader();

    for (sequence, state) in (0..).zip(&history.states) {
        let made_ms = made_ms(sequence);

        for as_of in [
            AsOf::Sequence(sequence),
            AsOf::Time(made_ms),
            AsOf::Time(made_ms + 999),
        ] {
            let found = reader.as_of(TENANT, &as_of).await.unwrap();
            assert_eq!(&found, state, "{as_of}");
        }
    }

    let last = history.states.last().unwrap();
    let later = reader.as_of(TENANT, &AsOf::Time(i64::MAX)).await.unwrap();
    assert_eq!(&later, last);

    let before = reader.as_of(TENANT, &AsOf::Time(i64::MIN)).await.unwrap();
    assert_eq!(*before, State::default());
}

#[tokio::test]
async fn a_state_that_does_not_exist_is_refused() {
    let history = history(3).await;
    let refused = history.reader().as_of(TENANT, &AsOf::Sequence(4)).await;
    let refused = refused.unwrap_err();

    assert!(matches!(refused, Error::NotYet { asked: 4, last: 3 }));
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.to_string().contains("as_of=`seq:4`"), "{refused}");
}

#[tokio::test]
async fn a_state_whose_snapshot_is_deleted_is_refused() {
    let history = history(EDITS).await;
    let snapshots = keys::manifest_snapshots(TENANT);
    let objects = history.bucket.list(&snapshots, None).await.unwrap();
    assert_eq!(objects.len(), 2);
    history.bucket.delete(&objects[0].location).await.unwrap();

    let reader = history.reader();
    let refused = reader.as_of(TENANT, &AsOf::Sequence(100)).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(refused, Error::NotKept { asked: 100 }),
        "{refused}"
    );

    // Those on another snapshot, or on none, are there.
    for sequence in [10, 140] {
        let found = reader
            .as_of(TENANT, &AsOf::Sequence(sequence))
            .await
            .unwrap();
        assert_eq!(found.sequence, sequence);
    }
}

#[tokio::test]
async fn a_named_snapshot_is_the_state_after_its_edit() {
    let history = history(3).await;
    let reader = history.reader();
    let commit = async |commit| history.manifests.commit(TENANT, commit).await;

    let named = commit(Commit::snapshot("before")).await.unwrap();
    assert_eq!(named.snapshots["before"], 4);
    commit(flush(identity(1, 1), 4)).await.unwrap();

    let as_of = || AsOf::Snapshot("before".into());
    let then = reader.as_of(TENANT, &as_of()).await.unwrap();
    assert_eq!(then.blocks, named.blocks);

    let twice = commit(Commit {
        horizon: Commit::horizon(BlockId(Ulid(1))).horizon,
        ..Commit::snapshot("before")
    });
    let twice = twice.await.unwrap_err();
    assert!(twice.to_string().contains("has this name"), "{twice}");

    for name in ["", "a b", "a/b", &"x".repeat(101)] {
        let refused = commit(Commit::snapshot(name)).await.unwrap_err();
        assert!(refused.to_string().contains("letters"), "{refused}");
    }

    commit(Commit::drop_snapshot("before")).await.unwrap();
    let dropped = reader.as_of(TENANT, &as_of()).await.unwrap_err();
    assert!(
        matches!(dropped, Error::NoNamedSnapshot { .. }),
        "{dropped}"
    );

    let unknown = commit(Commit {
        horizon: Commit::horizon(BlockId(Ulid(1))).horizon,
        ..Commit::drop_snapshot("other")
    });
    let unknown = unknown.await.unwrap_err();
    assert!(
        unknown.to_string().contains("no such snapshot"),
        "{unknown}"
    );
}

#[tokio::test]
async fn there_is_room_for_a_hundred_named_snapshots() {
    let history = history(1).await;

    for number in 0..SNAPSHOTS_MAX {
        let commit = Commit::snapshot(&format!("s{number}"));
        history.manifests.commit(TENANT, commit).await.unwrap();
    }

    let commit = history
        .manifests
        .commit(TENANT, Commit::snapshot("one-more"));
    let refused = commit.await.unwrap_err();
    assert!(refused.to_string().contains("snapshots_max"), "{refused}");

    // They are in a snapshot of the manifest by now.
    let fresh = history.reader().refresh(TENANT).await.unwrap();
    assert_eq!(fresh.snapshots.len(), SNAPSHOTS_MAX);
}

#[tokio::test]
async fn a_past_state_takes_a_few_requests() {
    let history = history(EDITS).await;
    let reader = history.reader();
    reader.refresh(TENANT).await.unwrap();

    let metrics = history.bucket.metrics();
    let mut spent = metrics.requests_total();
    let mut gets = metrics.requests(Op::Get);

    for (as_of, expected) in [
        // One GET finds that nothing is new.
        (AsOf::Sequence(150), 1),
        (AsOf::Time(made_ms(150)), 1),
        // And one for the object, and one for its snapshot.
        (AsOf::Sequence(140), 3),
        (AsOf::Time(made_ms(140)), 3),
        // The first edits build on no snapshot.
        (AsOf::Sequence(10), 2),
        // 128 edits before the newest snapshot are halved seven times.
        (AsOf::Time(made_ms(100)), 10),
    ] {
        reader.as_of(TENANT, &as_of).await.unwrap();

        let now = (metrics.requests_total(), metrics.requests(Op::Get));
        assert_eq!(now.1 - gets, expected, "{as_of}");
        assert_eq!(now.0 - spent, expected, "{as_of}");
        (spent, gets) = now;
    }
}

#[tokio::test]
async fn a_later_deletion_masks_a_past_state() {
    let history = history(3).await;
    let reader = history.reader();
    let before = history.states[3].sequence;

    let asked = AskedDeletion {
        id: Ulid(1),
        deletion: Arc::new(Deletion {
            selectors: vec![vec![Matcher::equal("job", "a")]],
            range: TimeRange::ALL,
            value: None,
        }),
        author: String::new(),
        at_ms: START_MS,
        positions: BTreeMap::new(),
    };

    let deleted = Commit::delete(asked);
    let deleted = history.manifests.commit(TENANT, deleted).await.unwrap();
    let number = deleted.deletions.last();
    assert_eq!(number, before + 1);

    let entry = Arc::clone(history.states[3].blocks.values().next().unwrap());
    let is_masked = |state: &State| state.deletions.touching(&entry).count() == 1;
    assert!(!is_masked(&history.states[3]));

    let then = reader.as_of(TENANT, &AsOf::Sequence(before)).await.unwrap();
    assert!(is_masked(&then));
    assert_eq!(then.blocks, history.states[3].blocks);

    // Also when the deletion is over: it ends when its blocks are gone.
    let ids: Vec<_> = deleted.blocks.keys().copied().collect();
    let removed = Commit::replace(ids.clone(), Vec::new());
    history.manifests.commit(TENANT, removed).await.unwrap();

    let gone = Gone {
        at_ms: START_MS,
        blocks: ids,
        deletions: vec![number],
    };

    let ended = Commit::tombstones(Tombstones {
        gone: Some(gone),
        ..Tombstones::default()
    });

    history.manifests.commit(TENANT, ended).await.unwrap();

    let now = reader.refresh(TENANT).await.unwrap();
    assert!(now.deletions.in_force.is_empty());

    let then = reader.as_of(TENANT, &AsOf::Sequence(before)).await.unwrap();
    assert!(is_masked(&then));
}
