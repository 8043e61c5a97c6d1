//! What a worker does to a bucket.

use std::sync::Arc;
use std::time::Duration;

use duramen_bucket::{Bucket, Config, Credentials, RetryPolicy, S3Config, keys};
use duramen_compact::{Event, Level, Policy, Summary};
use duramen_manifest::Violation;
use duramen_model::{BlockId, WriterId};
use duramen_runtime::{MockClock, RealDisk};
use duramen_testkit::s3::{Counts, S3, S3Options};
use ulid::Ulid;

use crate::entries::{DAY_MS, HOUR_MS};
use crate::store::{Answer, Process, TENANT, orphans, query};

const OVER_MS: i64 = 2 * DAY_MS;

fn samples(start_ms: i64, value: u64) -> Vec<(i64, Answer)> {
    let at = |at: i64| ((u8::try_from(at % 3).unwrap(), start_ms + at), value);
    vec![(start_ms, (0..30).map(at).collect())]
}

/// A tenant with four flushes in different windows of a day, and a worker.
async fn world(bucket: &Bucket) -> Process {
    let mut writer = Process::new(bucket, 1, HOUR_MS, Policy::default(), 100);
    for flush in 0..4 {
        let start_ms = flush * 2 * HOUR_MS;
        writer
            .flush(flush, &samples(start_ms, flush.cast_unsigned()))
            .await;
    }

    Process::new(bucket, 9, OVER_MS, Policy::default(), 100)
}

async fn drain(worker: &Process) -> Summary {
    worker
        .compactor
        .drain(TENANT, |_| true, |_| {})
        .await
        .unwrap()
}

fn on(s3: &S3) -> Bucket {
    let credentials = Some(Credentials {
        access_key_id: "key-of-the-test".to_owned(),
        secret_access_key: "secret".to_owned(),
        session_token: None,
    });

    let config = Config {
        s3: S3Config {
            endpoint: Some(s3.endpoint()),
            region: Some("us-east-1".to_owned()),
            path_style: None,
            credentials,
        },
        retry: RetryPolicy {
            backoff_first: Duration::from_millis(1),
            ..RetryPolicy::default()
        },
        ..Config::default()
    };

    let url = "s3://test".parse().unwrap();
    Bucket::open(&url, &config, Arc::new(RealDisk), MockClock::at(OVER_MS)).unwrap()
}

#[tokio::test]
async fn a_day_becomes_one_block_while_queries_go_on_with_so_many_requests() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let bucket = on(&s3);
    let worker = world(&bucket).await;
    let before = worker.state().await;
    let expected = query(&bucket, &before).await;
    s3.reset_counts();

    let summary = drain(&worker).await;
    let Counts {
        gets, puts, lists, ..
    } = s3.counts();
    let others = s3.counts().requests() - gets - puts - lists;

    // Of each input `meta`, its series file and its samples. A look at the manifest before and
    // after.
    assert_eq!((gets, lists, others), (4 * 3 + 2, 0, 0));
    // Series, samples, `meta`, and the edit.
    assert_eq!(puts, 4);

    assert_eq!(
        (summary.done, summary.blocks_in, summary.blocks_out),
        (1, 4, 1)
    );
    assert_eq!((summary.samples_in, summary.samples_out), (120, 120));
    assert_eq!((summary.lost, summary.failed.len()), (0, 0));
    assert!(summary.bytes_out < summary.bytes_in);

    let after = worker.state().await;
    assert_eq!(after.blocks.len(), 1);
    assert_eq!(query(&bucket, &after).await, expected);

    // A query that began before the merge goes on with the blocks of then.
    assert_eq!(query(&bucket, &before).await, expected);
    assert_eq!(orphans(&bucket, &after).await, 4);

    assert_eq!(drain(&worker).await, Summary::default());
}

#[tokio::test]
async fn conflicts_are_counted_once_for_the_writer_whose_sample_lost() {
    let bucket = Bucket::memory(MockClock::at(OVER_MS));
    let mut one = Process::new(&bucket, 1, HOUR_MS, Policy::default(), 100);
    let mut two = Process::new(&bucket, 2, HOUR_MS, Policy::default(), 100);
    one.flush(1, &samples(0, 5)).await;
    two.flush(2, &samples(0, 6)).await;
    one.flush(3, &samples(2 * HOUR_MS, 7)).await;

    let worker = Process::new(&bucket, 9, OVER_MS, Policy::default(), 100);
    let summary = drain(&worker).await;
    assert_eq!(Vec::from_iter(summary.conflicts), [(WriterId(Ulid(2)), 30)]);
}

#[tokio::test]
async fn a_damaged_input_is_named_and_left_alone_and_the_rest_goes_on() {
    let bucket = Bucket::memory(MockClock::at(OVER_MS));
    let worker = world(&bucket).await;
    let state = worker.state().await;
    let damaged = state.blocks.values().nth(1).unwrap();

    let key = keys::block_file(TENANT, damaged, "samples.parquet");
    let mut bytes = bucket.get(&key, 1 << 20).await.unwrap().to_vec();
    bytes[6] ^= 1;
    bucket.put(&key, bytes).await.unwrap();

    let mut events = Vec::new();
    let notice = |event: Event<'_>| {
        events.push(match event {
            Event::Begins(job) => ("begins", job.inputs.len()),
            Event::Left(job) => ("left", job.inputs.len()),
            Event::Done(job) => ("done", job.inputs.len()),
            Event::Lost(job) => ("lost", job.inputs.len()),
            Event::Failed(job, _) => ("failed", job.inputs.len()),
        });
    };
    let summary = worker
        .compactor
        .drain(TENANT, |_| true, notice)
        .await
        .unwrap();

    assert_eq!(
        events,
        [("begins", 4), ("failed", 4), ("begins", 3), ("done", 3)]
    );
    assert_eq!(summary.failed[0].held, [damaged.id]);
    assert!(summary.failed[0].reason.contains(&damaged.id.to_string()));

    // From then on nobody tries again, and another process does not either.
    assert_eq!(drain(&worker).await, Summary::default());
    let other = Process::new(&bucket, 10, OVER_MS, Policy::default(), 100);
    assert_eq!(drain(&other).await, Summary::default());

    let state = other.state().await;
    let (quarantined, fault) = state.quarantined.first_key_value().unwrap();
    assert_eq!(*quarantined, damaged.id);
    assert!(fault.contains("samples.parquet"), "{fault}");
    let ids: Vec<BlockId> = worker.state().await.blocks.keys().copied().collect();
    assert!(ids.contains(&damaged.id) && ids.len() == 2);
}

#[tokio::test]
async fn of_two_workers_with_one_job_one_is_right() {
    let bucket = Bucket::memory(MockClock::at(OVER_MS));
    let worker = world(&bucket).await;
    let slow = Process::new(&bucket, 10, OVER_MS, Policy::default(), 100);
    let expected = query(&bucket, &*worker.state().await).await;

    let [job] = &slow.compactor.plan(TENANT).await.unwrap()[..] else {
        unreachable!("one day");
    };
    assert_eq!(job.level, Level::Day);
    assert_eq!(
        worker.compactor.plan(TENANT).await.unwrap()[0].digest(),
        job.digest()
    );
    assert_eq!(drain(&worker).await.done, 1);

    let refused = slow.executor.run(TENANT, job).await.unwrap_err();
    let duramen_blocks::Error::Manifest(duramen_manifest::Error::Refused { violation, .. }) =
        refused
    else {
        panic!("{refused:?}");
    };
    assert!(matches!(violation, Violation::BlockNotLive { .. }));
    assert_eq!(query(&bucket, &*worker.state().await).await, expected);

    // Both at once: each job is done once, whoever does it.
    let (one, two) = (
        world(&Bucket::memory(MockClock::at(OVER_MS))).await,
        OVER_MS,
    );
    let other = Process::new(&one.bucket, 10, two, Policy::default(), 100);
    let (a, b) = tokio::join!(drain(&one), drain(&other));
    assert_eq!((a.done + b.done, a.failed.len() + b.failed.len()), (1, 0));
    assert_eq!(a.lost + b.lost, 1);
}
