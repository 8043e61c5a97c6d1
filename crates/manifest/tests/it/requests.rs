//! The number of requests of each operation, as in the table of `docs/formats/manifest.md`.

use std::sync::Arc;

use duramen_bucket::{Bucket, Config};
use duramen_testkit::s3::{Counts, S3};
use duramen_testkit::store::{Hooked, Trips};
use object_store::ObjectStore;
use object_store::memory::InMemory;

use duramen_manifest::{Commit, Manifests};
use duramen_model::{METRIC_NAME_BYTES_MAX, NameBounds};

use crate::values::{TENANT, block, bucket, clock, flush, identity, process, server};

/// Returns the requests since the last call, as (LISTs, GETs, PUTs). Fails if there were any
/// others.
fn spent(s3: &S3) -> (u64, u64, u64) {
    let Counts {
        lists, gets, puts, ..
    } = s3.counts();
    assert_eq!(s3.counts().requests(), lists + gets + puts);

    s3.reset_counts();
    (lists, gets, puts)
}

#[tokio::test]
async fn a_warm_commit_is_one_put_and_a_warm_refresh_one_get() {
    let s3 = server().await;
    let manifests = process(&bucket(&s3), identity(1, 1));
    manifests.refresh(TENANT).await.unwrap();

    assert_eq!(spent(&s3), (1, 1, 0));

    manifests.fence(TENANT).await.unwrap();
    assert_eq!(spent(&s3), (0, 1, 1));

    for n in 1..=5 {
        manifests
            .commit(TENANT, flush(identity(1, 1), n))
            .await
            .unwrap();

        assert_eq!(spent(&s3), (0, 0, 1));
    }

    manifests.refresh(TENANT).await.unwrap();
    assert_eq!(spent(&s3), (0, 1, 0));

    manifests
        .commit(TENANT, flush(identity(1, 1), 5))
        .await
        .unwrap();

    assert_eq!(spent(&s3), (0, 0, 0));
}

#[tokio::test]
async fn one_commit_in_64_writes_a_snapshot_and_a_hint() {
    let s3 = server().await;
    let manifests = process(&bucket(&s3), identity(1, 1));
    manifests.refresh(TENANT).await.unwrap();
    spent(&s3);

    let puts: Vec<_> = async {
        let mut puts = Vec::new();

        for n in 1..=130 {
            manifests
                .commit(TENANT, flush(identity(1, 1), n))
                .await
                .unwrap();

            puts.push(spent(&s3).2);
        }

        puts
    }
    .await;

    let with_snapshot: Vec<_> = (1..)
        .zip(&puts)
        .filter(|(_, puts)| **puts == 3)
        .map(|(n, _)| n)
        .collect();

    assert_eq!(with_snapshot, [65, 129]);
    assert_eq!(puts.iter().sum::<u64>(), 134);
}

#[tokio::test]
async fn a_snapshot_without_room_in_one_object_is_written_in_parts_and_read() {
    let s3 = server().await;

    // An entry has some 300 bytes of text, so 64 blocks need eight objects.
    let manifests = Manifests::with_snapshots_of(2_700, bucket(&s3), clock(), identity(1, 1));
    for n in 1..=64 {
        manifests
            .commit(TENANT, flush(identity(1, 1), n))
            .await
            .unwrap();
    }

    spent(&s3);

    let state = manifests
        .commit(TENANT, flush(identity(1, 1), 65))
        .await
        .unwrap();

    let parts = spent(&s3).2 - 3;
    assert!((5..20).contains(&parts), "{parts}");

    assert_eq!(
        process(&bucket(&s3), identity(2, 1))
            .refresh(TENANT)
            .await
            .unwrap(),
        state
    );

    assert_eq!(spent(&s3), (1, 3 + parts, 0));
}

#[tokio::test(start_paused = true)]
async fn the_parts_of_a_snapshot_take_one_trip_together() {
    let store = Arc::new(InMemory::new());
    let writes: Arc<dyn ObjectStore> = Arc::clone(&store) as _;
    let over = |store| Bucket::over(store, "memory:".to_owned(), &Config::default(), clock());

    let manifests = Manifests::with_snapshots_of(4_000, over(writes), clock(), identity(1, 1));
    for n in 1..=65 {
        manifests
            .commit(TENANT, flush(identity(1, 1), n))
            .await
            .unwrap();
    }

    let counted = Arc::new(Hooked::new(store, Trips::default()));
    let reads: Arc<dyn ObjectStore> = Arc::clone(&counted) as _;
    let state = process(&over(reads), identity(2, 1)).refresh(TENANT).await;
    assert_eq!(state.unwrap(), manifests.cached(TENANT).unwrap());

    // The hint, the newest object, the snapshot, and its parts together.
    let (gets, trips) = counted.hook().take().gets_and_trips();
    let parts = gets - 3;
    assert!((2..=8).contains(&parts), "{parts}");
    assert_eq!(trips, 4);
}

#[tokio::test]
async fn a_commit_that_no_reader_would_take_is_refused_before_it_is_written() {
    let s3 = server().await;
    let manifests = process(&bucket(&s3), identity(1, 1));
    manifests.fence(TENANT).await.unwrap();
    spent(&s3);

    let mut commit = flush(identity(1, 1), 1);
    let replace = commit.replace.as_mut().unwrap();
    replace.add = (0..200_000).map(|id| block(id).into()).collect();

    // `unwrap_err` would print the whole value.
    let Err(error) = manifests.commit(TENANT, commit).await else {
        panic!("the commit is taken");
    };

    assert!(error.to_string().contains("too large"), "{error}");
    assert_eq!(spent(&s3), (0, 0, 0));

    manifests
        .commit(TENANT, flush(identity(1, 1), 2))
        .await
        .unwrap();
}

#[tokio::test]
async fn edits_with_long_names_get_a_snapshot_before_they_fill_an_object() {
    let s3 = server().await;
    let manifests = process(&bucket(&s3), identity(1, 1));
    manifests.fence(TENANT).await.unwrap();
    spent(&s3);

    let mut puts = Vec::new();

    for n in 0..24_u128 {
        let long = |first: &str| first.repeat(METRIC_NAME_BYTES_MAX);
        let blocks = (0..40).map(|at| {
            let mut entry = block(n * 40 + at);
            entry.stats.names = Some(NameBounds {
                first: long("a"),
                last: long("z"),
            });

            entry
        });

        let commit = Commit::replace(Vec::new(), blocks.collect());
        manifests.commit(TENANT, commit).await.unwrap();
        puts.push(spent(&s3).2);
    }

    // Seven commits have 4 MiB of names. A snapshot of one has two objects more.
    assert_eq!(puts.iter().filter(|puts| **puts > 1).count(), 3, "{puts:?}");

    let read = process(&bucket(&s3), identity(2, 1)).refresh(TENANT).await;
    assert_eq!(Some(read.unwrap()), manifests.cached(TENANT));
}

#[tokio::test]
async fn a_first_read_is_one_list_and_two_or_three_gets() {
    let s3 = server().await;
    let manifests = process(&bucket(&s3), identity(1, 1));

    for n in 1..=10 {
        manifests
            .commit(TENANT, flush(identity(1, 1), n))
            .await
            .unwrap();
    }

    spent(&s3);
    process(&bucket(&s3), identity(2, 1))
        .refresh(TENANT)
        .await
        .unwrap();

    assert_eq!(spent(&s3), (1, 2, 0));

    for n in 11..=330 {
        manifests
            .commit(TENANT, flush(identity(1, 1), n))
            .await
            .unwrap();
    }

    spent(&s3);

    let state = process(&bucket(&s3), identity(2, 1))
        .refresh(TENANT)
        .await
        .unwrap();

    assert_eq!(spent(&s3), (1, 3, 0));
    assert_eq!(Some(state), manifests.cached(TENANT));
}

#[tokio::test]
async fn a_process_far_behind_reads_the_newest_and_not_all_between() {
    let s3 = server().await;
    let ahead = process(&bucket(&s3), identity(1, 1));
    let behind = process(&bucket(&s3), identity(2, 1));

    behind.refresh(TENANT).await.unwrap();
    for n in 1..=200 {
        ahead
            .commit(TENANT, flush(identity(1, 1), n))
            .await
            .unwrap();
    }

    spent(&s3);
    assert_eq!(
        behind.refresh(TENANT).await.unwrap(),
        ahead.cached(TENANT).unwrap()
    );

    assert_eq!(spent(&s3), (1, 12, 0));
}

#[tokio::test]
async fn without_the_hint_a_first_read_still_finds_the_newest() {
    let s3 = server().await;
    let manifests = process(&bucket(&s3), identity(1, 1));

    for n in 1..=70 {
        manifests
            .commit(TENANT, flush(identity(1, 1), n))
            .await
            .unwrap();
    }

    let hint = format!("t/{TENANT}/manifest-boundary");
    assert!(s3.uproot(&hint));

    assert_eq!(
        process(&bucket(&s3), identity(2, 1))
            .refresh(TENANT)
            .await
            .unwrap()
            .sequence,
        70
    );

    s3.plant(hint, "not a hint");
    assert_eq!(
        process(&bucket(&s3), identity(2, 1))
            .refresh(TENANT)
            .await
            .unwrap()
            .sequence,
        70
    );
}
