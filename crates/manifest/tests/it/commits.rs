//! What a commit, a fence and a read promise.

use std::collections::BTreeMap;

use duramen_bucket::{Bucket, RetryPolicy};
use duramen_manifest::{Commit, Error, Violation};
use duramen_model::{BlockId, ErrorKind, TenantId, TimeRange};
use duramen_testkit::s3::{Fault, FaultPlan, Op, When};
use ulid::Ulid;

use crate::values::{
    TENANT, added, block, bucket, bucket_with, clock, compaction, flush, flushed, identity,
    process, server, twin,
};

#[tokio::test]
async fn a_commit_is_seen_by_every_process_from_then_on() {
    let bucket = Bucket::memory(clock());
    let one = process(&bucket, identity(1, 1));
    let two = process(&bucket, identity(2, 1));

    assert_eq!(one.cached(TENANT), None);
    assert_eq!(two.refresh(TENANT).await.unwrap().sequence, 0);

    let state = one.commit(TENANT, flush(identity(1, 1), 1)).await.unwrap();
    assert_eq!((state.sequence, state.blocks.len()), (1, 1));
    assert_eq!(state.flushed_position(identity(1, 1).writer), 100);
    assert_eq!(two.cached(TENANT).unwrap().sequence, 0);
    assert_eq!(two.refresh(TENANT).await.unwrap(), state);
}

#[tokio::test]
async fn tenants_have_nothing_in_common() {
    let bucket = Bucket::memory(clock());
    let manifests = process(&bucket, identity(1, 1));
    manifests
        .commit(TENANT, flush(identity(1, 1), 1))
        .await
        .unwrap();

    assert_eq!(
        manifests.refresh(TenantId(Ulid(2))).await.unwrap().sequence,
        0
    );
}

#[tokio::test]
async fn a_flush_counts_once_however_often_it_is_committed() {
    let bucket = Bucket::memory(clock());
    let manifests = process(&bucket, identity(1, 1));

    for n in 1..=3 {
        let first = manifests
            .commit(TENANT, flush(identity(1, 1), n))
            .await
            .unwrap();

        let again = manifests
            .commit(TENANT, flush(identity(1, 1), n))
            .await
            .unwrap();

        assert_eq!((first.sequence, &first), (n, &again));
    }

    let another = process(&bucket, identity(1, 1))
        .commit(TENANT, flush(identity(1, 1), 3))
        .await
        .unwrap();

    assert_eq!(another.sequence, 3);
}

#[tokio::test]
async fn a_compaction_counts_once_however_often_it_is_committed() {
    let bucket = Bucket::memory(clock());
    let manifests = process(&bucket, identity(0, 1));

    for n in 1..=2 {
        manifests
            .commit(TENANT, flush(identity(0, 1), n))
            .await
            .unwrap();
    }

    let first = manifests
        .commit(TENANT, compaction(99, &[1, 2]))
        .await
        .unwrap();

    let again = process(&bucket, identity(5, 1))
        .commit(TENANT, compaction(99, &[1, 2]))
        .await
        .unwrap();

    assert_eq!((first.sequence, again.sequence), (3, 3));
    assert_eq!(
        again.blocks.keys().copied().collect::<Vec<_>>(),
        [BlockId(Ulid(99))]
    );
}

#[tokio::test]
async fn of_two_compactions_of_one_block_the_second_is_refused() {
    let bucket = Bucket::memory(clock());
    let one = process(&bucket, identity(0, 1));
    let two = process(&bucket, identity(2, 1));

    one.commit(TENANT, flush(identity(0, 1), 1)).await.unwrap();
    two.refresh(TENANT).await.unwrap();
    one.commit(TENANT, compaction(98, &[1])).await.unwrap();

    let error = two.commit(TENANT, compaction(99, &[1])).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Refused {
                violation: Violation::BlockNotLive { .. },
                ..
            }
        ),
        "{error}"
    );

    assert_eq!(two.refresh(TENANT).await.unwrap().sequence, 2);
}

#[tokio::test]
async fn a_commit_on_an_old_view_is_tried_again_on_the_new_one_before_it_is_refused() {
    let bucket = Bucket::memory(clock());
    let one = process(&bucket, identity(0, 1));
    let two = process(&bucket, identity(2, 1));

    two.refresh(TENANT).await.unwrap();
    one.commit(TENANT, flush(identity(0, 1), 1)).await.unwrap();

    // The second process does not know the block that is removed.
    assert_eq!(
        two.commit(TENANT, compaction(99, &[1]))
            .await
            .unwrap()
            .sequence,
        2
    );
}

#[tokio::test]
async fn a_process_that_was_overtaken_cannot_commit_any_more() {
    let bucket = Bucket::memory(clock());
    let zombie = process(&bucket, identity(1, 1));
    let successor = process(&bucket, identity(1, 2));

    zombie.fence(TENANT).await.unwrap();
    zombie
        .commit(TENANT, flush(identity(1, 1), 1))
        .await
        .unwrap();

    let fenced = successor.fence(TENANT).await.unwrap();
    assert_eq!(fenced.sequence, 3);

    for _ in 0..2 {
        let error = zombie
            .commit(TENANT, flush(identity(1, 1), 2))
            .await
            .unwrap_err();

        assert!(
            matches!(
                error,
                Error::Fenced {
                    epoch: 1,
                    later: 2,
                    ..
                }
            ),
            "{error}"
        );

        assert_eq!(error.kind(), ErrorKind::Fenced);
    }

    assert_eq!(
        zombie.fence(TENANT).await.unwrap_err().kind(),
        ErrorKind::Fenced
    );

    successor
        .commit(TENANT, flush(identity(1, 2), 2))
        .await
        .unwrap();

    // Another writer is not affected.
    process(&bucket, identity(2, 1))
        .commit(TENANT, flush(identity(2, 1), 1))
        .await
        .unwrap();

    assert_eq!(successor.refresh(TENANT).await.unwrap().sequence, 5);
}

#[tokio::test]
async fn of_two_processes_with_one_epoch_the_second_learns_at_its_fence_that_it_must_stop() {
    let bucket = Bucket::memory(clock());
    let first = process(&bucket, identity(1, 4));
    let second = process(&bucket, twin(1, 4));

    first.fence(TENANT).await.unwrap();

    let error = second.fence(TENANT).await.unwrap_err();
    assert!(matches!(error, Error::Twin { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Fenced);

    first
        .commit(TENANT, flush(identity(1, 4), 1))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_flush_of_a_copy_is_never_taken_for_the_flush_of_this_process() {
    let bucket = Bucket::memory(clock());
    let first = process(&bucket, identity(1, 4));
    let second = process(&bucket, twin(1, 4));

    first
        .commit(TENANT, flush(identity(1, 4), 1))
        .await
        .unwrap();

    // It has the same writer, epoch, number and position, but other samples.
    let mut theirs = flush(twin(1, 4), 1);
    added(&mut theirs).id = BlockId(Ulid(77));

    for _ in 0..2 {
        let error = second.commit(TENANT, theirs.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    }

    let state = first.refresh(TENANT).await.unwrap();
    assert_eq!(state.sequence, 1);
    assert!(!state.has(&theirs, twin(1, 4)));
}

#[tokio::test]
async fn a_flush_whose_blocks_were_built_again_counts_once_with_the_first_blocks() {
    let manifests = process(&Bucket::memory(clock()), identity(1, 4));
    let first = flush(identity(1, 4), 1);
    let state = manifests.commit(TENANT, first).await.unwrap();

    let mut other = flush(identity(1, 4), 1);
    added(&mut other).id = BlockId(Ulid(77));

    assert_eq!(manifests.commit(TENANT, other).await.unwrap(), state);
    assert!(!state.blocks.contains_key(&BlockId(Ulid(77))));
}

#[tokio::test]
async fn a_fence_is_taken_once_by_a_process() {
    let bucket = Bucket::memory(clock());
    let manifests = process(&bucket, identity(1, 4));

    assert_eq!(manifests.fence(TENANT).await.unwrap().sequence, 1);
    assert_eq!(manifests.fence(TENANT).await.unwrap().sequence, 1);
}

#[tokio::test]
async fn a_commit_in_doubt_can_be_made_again() {
    let s3 = server().await;
    let retry = RetryPolicy {
        attempts_max: 1,
        ..RetryPolicy::default()
    };

    let manifests = process(&bucket_with(&s3, retry), identity(1, 1));

    for (n, fault) in (1..).zip([
        Fault::ResetAfterCommit,
        Fault::Status500AfterCommit,
        Fault::ResetBeforeCommit,
    ]) {
        manifests.refresh(TENANT).await.unwrap();
        s3.set_plan(
            FaultPlan::new(0)
                .rule(When::op(Op::Put), fault)
                .rule(When::op(Op::Get), Fault::Status(503)),
        );
        let error = manifests
            .commit(TENANT, flush(identity(1, 1), n))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        s3.clear_faults();
        assert_eq!(
            manifests
                .commit(TENANT, flush(identity(1, 1), n))
                .await
                .unwrap()
                .sequence,
            n
        );
    }
}

#[tokio::test]
async fn a_flush_that_comes_late_or_goes_back_is_refused() {
    let manifests = process(&Bucket::memory(clock()), identity(1, 1));
    manifests
        .commit(TENANT, flush(identity(1, 1), 5))
        .await
        .unwrap();

    let mut back = flush(identity(1, 1), 6);
    flushed(&mut back).position = 499;

    for commit in [
        flush(identity(1, 1), 4),
        back,
        flush(identity(2, 1), 6),
        flush(identity(1, 3), 6),
    ] {
        let error = manifests.commit(TENANT, commit).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
    }

    assert_eq!(manifests.refresh(TENANT).await.unwrap().sequence, 1);
}

#[tokio::test]
async fn a_query_finds_the_blocks_of_its_time() {
    let manifests = process(&Bucket::memory(clock()), identity(0, 1));
    for n in 1..=5 {
        manifests
            .commit(TENANT, flush(identity(0, 1), n))
            .await
            .unwrap();
    }

    let state = manifests.cached(TENANT).unwrap();
    let found = |start, end| -> Vec<_> {
        state
            .blocks_overlapping(TimeRange::new(start, end).unwrap())
            .map(|entry| entry.id.0.0)
            .collect()
    };

    assert_eq!(found(2_000, 4_000), [2, 3]);
    assert_eq!(found(1_999, 4_001), [1, 2, 3, 4]);
    assert!(found(6_000, 9_000).is_empty());
    assert_eq!(state.blocks[&BlockId(Ulid(2))].stats, block(2).stats);
}

#[tokio::test]
async fn a_damaged_or_missing_object_is_corrupt_and_never_another_state() {
    let s3 = server().await;
    let manifests = process(&bucket(&s3), identity(1, 1));

    for n in 1..=70 {
        manifests
            .commit(TENANT, flush(identity(1, 1), n))
            .await
            .unwrap();
    }

    let keys: Vec<_> = s3
        .clone_contents()
        .into_iter()
        .filter(|(key, _)| !key.contains("boundary"))
        .collect();

    let newest = keys
        .iter()
        .rfind(|(key, _)| key.contains("/manifest/"))
        .unwrap()
        .clone();

    let snapshot = keys
        .iter()
        .find(|(key, _)| key.contains("snapshots"))
        .unwrap()
        .clone();

    // One client serves many readers, each without any known state.
    let bucket = bucket(&s3);

    for (key, body) in [newest, snapshot] {
        for bit in (0..body.len() * 8).step_by(997) {
            let mut damaged = body.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            s3.plant(&key, damaged);

            let error = process(&bucket, identity(2, 1))
                .refresh(TENANT)
                .await
                .unwrap_err();

            assert!(
                matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid),
                "{error}"
            );
        }

        s3.uproot(&key);

        let read = process(&bucket, identity(2, 1)).refresh(TENANT).await;
        assert!(key.contains("/manifest/") || read.unwrap_err().kind() == ErrorKind::Corrupt);

        s3.plant(key, body);
    }

    assert_eq!(
        process(&bucket, identity(2, 1))
            .refresh(TENANT)
            .await
            .unwrap()
            .sequence,
        70
    );
}

#[tokio::test]
async fn a_flush_whose_blocks_were_merged_before_it_is_known_to_have_happened_counts_once() {
    let bucket = Bucket::memory(clock());
    let writer = process(&bucket, identity(1, 1));
    let worker = process(&bucket, identity(2, 1));

    let commit = flush(identity(1, 1), 1);
    let added = commit.replace.as_ref().unwrap().add[0].id;
    writer.commit(TENANT, commit.clone()).await.unwrap();

    worker.refresh(TENANT).await.unwrap();
    let merge = compaction(99, &[added.0.0]);
    let merged = worker.commit(TENANT, merge).await.unwrap();
    writer.refresh(TENANT).await.unwrap();

    // The writer's first answer was lost, so it asks again.
    assert_eq!(writer.commit(TENANT, commit).await.unwrap(), merged);
}

#[tokio::test]
async fn a_block_behind_the_horizon_comes_too_late_and_comes_under_a_new_id() {
    let bucket = Bucket::memory(clock());
    let collector = process(&bucket, identity(1, 1));
    let late = process(&bucket, identity(2, 1));
    let commit = flush(identity(2, 1), 1);
    let horizon = BlockId(Ulid(2_000_002));

    late.refresh(TENANT).await.unwrap();
    let state = collector.raise_horizon(TENANT, horizon).await.unwrap();
    assert!(state.is_behind_horizon(BlockId(Ulid(2_000_001))));
    assert!(!state.is_behind_horizon(horizon));

    let error = late.commit(TENANT, commit.clone()).await.unwrap_err();
    assert!(error.is_behind_horizon(), "{error}");

    let mut again = commit;
    added(&mut again).id = late.reserve(TENANT).id();
    let state = late.commit(TENANT, again).await.unwrap();
    assert_eq!(state.blocks.len(), 1);
}

#[tokio::test]
async fn the_horizon_only_rises_and_stays_below_the_ids_that_its_process_has_reserved() {
    let bucket = Bucket::memory(clock());
    let manifests = process(&bucket, identity(1, 1));
    let above = BlockId(Ulid::from_parts(1 << 47, 0));

    let reserved = manifests.reserve(TENANT);
    let state = manifests.raise_horizon(TENANT, above).await.unwrap();
    assert_eq!(state.horizon, Some(reserved.id()));

    drop(reserved);
    let state = manifests.raise_horizon(TENANT, above).await.unwrap();
    assert_eq!((state.horizon, state.sequence), (Some(above), 2));

    let lower = BlockId(Ulid(7));
    let state = manifests.raise_horizon(TENANT, lower).await.unwrap();
    assert_eq!((state.horizon, state.sequence), (Some(above), 2));

    // An id is above the horizon even if the clock of its process is far behind.
    let late = manifests.reserve(TENANT).id();
    assert!(late > above);
    assert_ne!(manifests.reserve(TENANT).id(), late);
}

#[tokio::test]
async fn a_live_block_has_no_need_to_be_above_the_horizon() {
    let bucket = Bucket::memory(clock());
    let manifests = process(&bucket, identity(1, 1));
    let old = flush(identity(1, 1), 1);
    manifests.commit(TENANT, old).await.unwrap();

    let horizon = BlockId(Ulid(5_000_000));
    manifests.raise_horizon(TENANT, horizon).await.unwrap();
    let merged = compaction(5_000_001, &[1_000_001]);
    let state = manifests.commit(TENANT, merged).await.unwrap();
    assert_eq!(state.blocks.len(), 1);
}

#[tokio::test]
async fn a_damaged_block_is_in_quarantine_until_it_goes() {
    let bucket = Bucket::memory(clock());
    let manifests = process(&bucket, identity(1, 1));
    let block = BlockId(Ulid(1_000_001));
    let quarantine = Commit::quarantine(block, "torn");

    let error = manifests.commit(TENANT, quarantine.clone()).await;
    let violation = Violation::BlockNotLive { block };
    assert!(matches!(error, Err(Error::Refused { violation: found, .. }) if found == violation));

    manifests
        .commit(TENANT, flush(identity(1, 1), 1))
        .await
        .unwrap();
    let state = manifests.commit(TENANT, quarantine.clone()).await.unwrap();
    assert_eq!(state.quarantined[&block], "torn");

    // Another process that finds it too changes nothing.
    let other = process(&bucket, identity(2, 1));
    let found = Commit::quarantine(block, "torn in another way");
    let again = other.commit(TENANT, found).await.unwrap();
    assert_eq!(again, state);

    let state = manifests
        .commit(TENANT, compaction(9, &[1_000_001]))
        .await
        .unwrap();
    assert!(state.quarantined.is_empty());
}

#[tokio::test]
async fn what_late_edits_have_removed_is_found_however_far_back_it_is() {
    let bucket = Bucket::memory(clock());
    let manifests = process(&bucket, identity(0, 1));

    for n in 1..=100 {
        manifests
            .commit(TENANT, flush(identity(0, 1), n))
            .await
            .unwrap();
        let merged = u128::from(n) + 1_000;
        manifests
            .commit(TENANT, compaction(merged, &[u128::from(n)]))
            .await
            .unwrap();
    }

    let reader = process(&bucket, identity(0, 1));
    assert!(reader.removed_since(TENANT, 0).await.unwrap().is_empty());

    let state = reader.refresh(TENANT).await.unwrap();
    assert_eq!(state.sequence, 200);

    for since in [0, 1, 63, 64, 65, 128, 191, 192, 199, 200] {
        let removed = reader.removed_since(TENANT, since).await.unwrap();
        let expected: BTreeMap<_, _> = (1..=100_u64)
            .map(|n| (BlockId(Ulid(u128::from(n))), 2 * n))
            .filter(|(_, sequence)| *sequence > since)
            .collect();

        assert_eq!(removed, expected, "since {since}");
    }
}

#[tokio::test]
async fn a_process_without_a_data_directory_leaves_no_name() {
    let bucket = Bucket::memory(clock());
    let writer = process(&bucket, identity(0, 1));
    for n in 1..=2 {
        writer
            .commit(TENANT, flush(identity(0, 1), n))
            .await
            .unwrap();
    }

    let worker = process(&bucket, identity(5, 0));
    let state = worker
        .commit(TENANT, compaction(99, &[1, 2]))
        .await
        .unwrap();
    assert_eq!(state.epochs.len(), 1);

    // The flush of an import is remembered with its process: it may come only once.
    let import = process(&bucket, identity(6, 0));
    let state = import
        .commit(TENANT, flush(identity(6, 0), 1))
        .await
        .unwrap();
    assert_eq!(state.epochs.len(), 2);
}
