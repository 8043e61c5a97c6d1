//! Which of several workers does a job.

use std::sync::Arc;
use std::time::Duration;

use duramen_bucket::keys;
use duramen_compact::claims::{BEAT_EVERY, STILL_MAX};
use duramen_compact::{ClaimWhen, Claims, Policy, Summary, Worker};
use duramen_runtime::{Clock, MockClock};
use duramen_testkit::store::{SimClient, SimCounts, SimStore};

use crate::collect::{bucket_of, flush_a_day};
use crate::entries::DAY_MS;
use crate::store::{Process, TENANT};

const OVER_MS: i64 = 2 * DAY_MS;

/// A worker with a clock of its own.
struct Claiming {
    process: Process,
    client: SimClient,
    clock: Arc<MockClock>,
}

impl Claiming {
    fn new(store: &SimStore, number: u64, when: ClaimWhen) -> Self {
        let clock = MockClock::at(OVER_MS);
        let client = store.client();
        let bucket = bucket_of(&client, &clock);
        let mut process = Process::new(&bucket, number, OVER_MS, Policy::default(), 100);

        let claims = claims_of(&process, &clock);
        process.compactor = process.compactor.claiming(claims, when);

        Self {
            process,
            client,
            clock,
        }
    }

    async fn drain(&self) -> Summary {
        let compactor = &self.process.compactor;
        compactor.drain(TENANT, |_| true, |_| {}).await.unwrap()
    }
}

fn claims_of(process: &Process, clock: &Arc<MockClock>) -> Claims {
    let worker = Worker::new(process.bucket.clone(), &**clock);
    Claims::new(
        process.bucket.clone(),
        worker,
        Arc::clone(clock) as Arc<dyn Clock>,
    )
}

/// A store with one job to do, and the claims of a worker that is about to do it.
async fn world() -> (SimStore, Claiming, Claims) {
    let store = SimStore::new(MockClock::at(OVER_MS));
    let bucket = bucket_of(&store.client(), store.clock());
    flush_a_day(&mut Process::new(
        &bucket,
        1,
        OVER_MS,
        Policy::default(),
        100,
    ))
    .await;

    let slow = Claiming::new(&store, 2, ClaimWhen::Always);
    let claims = claims_of(&slow.process, &slow.clock);
    (store, slow, claims)
}

#[tokio::test]
async fn a_job_that_another_has_claimed_is_left_to_it() {
    let (store, slow, claims) = world().await;
    let jobs = slow.process.compactor.plan(TENANT).await.unwrap();
    let claim = claims.claim(TENANT, &jobs[0]).await.unwrap().unwrap();

    let other = Claiming::new(&store, 3, ClaimWhen::Always);
    other.process.state().await;
    other.client.reset_counts();
    let summary = other.drain().await;
    assert_eq!((summary.left, summary.done), (1, 0));

    // The manifest; the claim, and the object of its worker.
    let expected = SimCounts {
        gets: 1 + 2,
        puts: 1,
        ..SimCounts::default()
    };
    assert_eq!(other.client.counts(), expected);

    // At the next look, only the object of the worker is of interest.
    other.client.reset_counts();
    assert_eq!(other.drain().await.left, 1);
    let expected = SimCounts {
        gets: 1 + 1,
        ..SimCounts::default()
    };
    assert_eq!(other.client.counts(), expected);

    // Given back undone, it is free.
    claims.release(claim).await;
    other.clock.advance(STILL_MAX);
    assert_eq!(other.drain().await.done, 1);
    let left = other.process.bucket.list(&keys::jobs(TENANT), None).await;
    assert!(
        left.unwrap().is_empty(),
        "a claim of the worker itself goes"
    );
}

#[tokio::test]
async fn a_claim_is_taken_over_when_its_worker_has_stood_still() {
    let (store, slow, claims) = world().await;
    let jobs = slow.process.compactor.plan(TENANT).await.unwrap();
    let claim = claims.claim(TENANT, &jobs[0]).await.unwrap();

    let other = Claiming::new(&store, 3, ClaimWhen::Always);
    assert_eq!(other.drain().await.left, 1);

    // While the worker lives, its claim holds, however long it takes.
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let working = claims.alive(stopped);
    let looking = async {
        for _ in 0..10 {
            slow.clock.advance(BEAT_EVERY);
            tokio::task::yield_now().await;
            other.clock.advance(BEAT_EVERY);
            assert_eq!(other.drain().await.left, 1);
        }
        stop.send(()).unwrap();
    };
    let (_, ()) = tokio::join!(working, looking);

    other.clock.advance(STILL_MAX - Duration::from_millis(1));
    assert_eq!(other.drain().await.left, 1);

    // A third one has looked later, and its clock counts for itself.
    let third = Claiming::new(&store, 4, ClaimWhen::Always);
    assert_eq!(third.drain().await.left, 1);

    other.clock.advance(Duration::from_millis(1));
    assert_eq!(other.drain().await.done, 1);
    assert_eq!(third.drain().await, Summary::default());

    // The first one wakes up, and has worked for nothing.
    let done = slow.process.executor.run(TENANT, &jobs[0]).await;
    assert!(done.is_err());
    claims.release(claim.unwrap()).await;
}

#[tokio::test]
async fn a_claim_that_cannot_be_read_is_taken_over_too() {
    let (store, slow, _) = world().await;
    let jobs = slow.process.compactor.plan(TENANT).await.unwrap();
    let key = keys::job(TENANT, &jobs[0].digest().to_string(), 1);

    for body in [Vec::new(), vec![b'x'; 100_000]] {
        slow.process.bucket.put(&key, body).await.unwrap();
        let other = Claiming::new(&store, 3, ClaimWhen::Always);
        assert_eq!(other.drain().await.left, 1);
    }

    let other = Claiming::new(&store, 4, ClaimWhen::Always);
    assert_eq!(other.drain().await.left, 1);
    other.clock.advance(STILL_MAX);
    assert_eq!(other.drain().await.done, 1);
}

#[tokio::test]
async fn a_worker_that_is_alone_claims_nothing() {
    let (store, _, _) = world().await;
    let alone = Claiming::new(&store, 3, ClaimWhen::OthersMerge);
    alone.process.state().await;

    alone.client.reset_counts();
    assert_eq!(alone.drain().await.done, 1);
    let counts = alone.client.counts();

    // Series, samples, `meta`, and the edit.
    assert_eq!((counts.puts, counts.deletes), (4, 0));

    // Another one merges, so from then on jobs are claimed, by a PUT and a DELETE each.
    let bucket = bucket_of(&store.client(), store.clock());
    let mut writer = Process::new(&bucket, 1_000, OVER_MS, Policy::default(), 100);
    flush_a_day(&mut writer).await;
    let other = Claiming::new(&store, 4, ClaimWhen::Always);
    assert_eq!(other.drain().await.done, 1);

    let mut writer = Process::new(&bucket, 1_001, OVER_MS, Policy::default(), 100);
    flush_a_day(&mut writer).await;
    alone.client.reset_counts();
    assert_eq!(alone.drain().await.done, 1);
    let counts = alone.client.counts();
    assert_eq!((counts.puts, counts.deletes), (5, 1));
}
