//! Many writers at the same time: there is one history, and nothing is lost from it.

use std::collections::BTreeSet;

use duramen_bucket::{Author, Bucket, Chain, keys};
use duramen_manifest::object::Tail;
use duramen_manifest::{Edit, Error, State};
use duramen_runtime::{OnFailure, Tasks};
use duramen_testkit::s3::{Fault, FaultPlan, Gate, Op, Point, Rule, When};

use crate::values::{TENANT, bucket, clock, flush, identity, process, server};

const WRITERS: u128 = 8;

/// Runs eight processes, each in its own task. Each makes `flushes` commits, every tenth of them
/// twice, and fences in between.
async fn race(buckets: Vec<Bucket>, flushes: u64) {
    let tasks = Tasks::default();
    let writers = (1..).zip(buckets).map(|(writer, bucket)| {
        tasks.spawn("writer", OnFailure::Fatal, async move {
            write(writer, bucket, flushes).await
        })
    });

    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }

    assert!(!tasks.failed().is_cancelled(), "a writer failed");
}

async fn write(writer: u128, bucket: Bucket, flushes: u64) -> Result<(), Error> {
    for n in 1..=flushes {
        // The second half has a new epoch, in a process that knows nothing yet.
        let identity = identity(writer, 1 + u64::from(n > flushes / 2));
        let manifests = process(&bucket, identity);

        if n == 1 || n == flushes / 2 + 1 {
            manifests.fence(TENANT).await?;
        }

        let state = manifests.commit(TENANT, flush(identity, n)).await?;
        assert_eq!(state.flushed[&identity.writer].flush, n);

        if n % 10 == 0 {
            manifests.commit(TENANT, flush(identity, n)).await?;
        }
    }

    Ok(())
}

/// Reads the chain object by object. Each must have the history of the one before and one more
/// edit. All of them together must make the state that a reader sees.
async fn check_history(bucket: &Bucket, flushes: u64) {
    let chain = Chain::new(bucket.clone(), keys::manifest(TENANT));
    let mut state = State::default();
    let mut history = Vec::<std::sync::Arc<Edit>>::new();

    while let Some(entry) = chain.get(state.sequence + 1).await.unwrap() {
        let tail = Tail::decode(&chain.key(entry.slot), entry.slot, &entry.body).unwrap();
        let own = tail.edits.last().unwrap();

        assert_eq!(
            Author {
                writer: own.writer,
                attempt: own.attempt
            },
            entry.author
        );

        history.push(std::sync::Arc::clone(own));

        let base = usize::try_from(tail.base_sequence()).unwrap();
        assert_eq!(tail.edits, history[base..], "slot {}", entry.slot);

        state.apply(own).unwrap();
    }

    let attempts: BTreeSet<_> = history.iter().map(|edit| edit.attempt).collect();
    assert_eq!(attempts.len(), history.len());

    let commits = history
        .iter()
        .filter(|edit| !edit.changes.is_fence())
        .count() as u128;

    assert_eq!(
        commits,
        WRITERS * u128::from(flushes),
        "each flush counts once"
    );

    assert_eq!(state.blocks.len() as u128, commits);
    assert_eq!(
        *process(bucket, identity(99, 1))
            .refresh(TENANT)
            .await
            .unwrap(),
        state
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_writers_lose_no_update_in_memory() {
    let bucket = Bucket::memory(clock());
    race((0..WRITERS).map(|_| bucket.clone()).collect(), 40).await;
    check_history(&bucket, 40).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_writers_lose_no_update_in_a_directory() {
    let root = tempfile::tempdir().unwrap();
    let url = duramen_bucket::StoreUrl::File(root.path().to_path_buf());
    let disk = std::sync::Arc::new(duramen_runtime::RealDisk);
    let bucket = Bucket::open(&url, &duramen_bucket::Config::default(), disk, clock()).unwrap();

    race((0..WRITERS).map(|_| bucket.clone()).collect(), 12).await;
    check_history(&bucket, 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_writers_lose_no_update_on_s3_under_faults() {
    for seed in 0..3 {
        let s3 = server().await;
        s3.set_plan(FaultPlan::unlucky(seed, 0.04));
        race((0..WRITERS).map(|_| bucket(&s3)).collect(), 12).await;
        s3.clear_faults();
        check_history(&bucket(&s3), 12).await;
    }
}

#[tokio::test]
async fn a_commit_under_way_when_its_successor_fences_happened_before_or_never() {
    let s3 = server().await;
    let zombie = process(&bucket(&s3), identity(1, 1));
    let successor = process(&bucket(&s3), identity(1, 2));

    zombie.fence(TENANT).await.unwrap();

    let gate = Gate::new();
    let held = Fault::HoldUntil {
        point: Point::BeforeCommit,
        gate: gate.clone(),
    };

    s3.inject(Rule {
        when: When::op(Op::Put).nth(1),
        fault: held,
    });

    let fence = async {
        gate.arrived().await;

        let fenced = successor.fence(TENANT).await.unwrap();
        gate.open();
        fenced
    };

    let (late, fenced) = tokio::join!(zombie.commit(TENANT, flush(identity(1, 1), 1)), fence);
    assert!(
        matches!(late, Err(Error::Fenced { later: 2, .. })),
        "{late:?}"
    );

    assert!(fenced.blocks.is_empty());
    assert_eq!(successor.refresh(TENANT).await.unwrap(), fenced);
}
