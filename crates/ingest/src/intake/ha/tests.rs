//! Tests of pairs with a bucket.

use std::sync::Arc;
use std::time::Duration;

use duramen_bucket::{Config, Credentials, RetryPolicy, StoreUrl};
use duramen_limits::HaLimits;
use duramen_model::{ErrorKind, Incarnation, TenantId, WriterId};
use duramen_proto::{WriteLimits, WriteRequestEncoder};
use duramen_runtime::{Clock, MockClock, RealDisk};
use duramen_testkit::s3::{S3, S3Options};
use ulid::Ulid;

use super::*;

/// A tenant with pairs, and the bucket that all processes share.
struct World {
    clock: Arc<MockClock>,
    bucket: Bucket,
    limits: HaLimits,
}

impl World {
    fn new() -> Self {
        let clock = MockClock::at(1_700_000_000_000);
        Self::over(Bucket::memory(Arc::clone(&clock) as Arc<dyn Clock>), clock)
    }

    fn over(bucket: Bucket, clock: Arc<MockClock>) -> Self {
        Self {
            clock,
            bucket,
            limits: HaLimits {
                enabled: true,
                clusters_max: 2,
                ..HaLimits::default()
            },
        }
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn gate(&self, process: &Pairs, series: &[&[(&str, &str)]]) -> Result<Gate, Error> {
        let mut encoder = WriteRequestEncoder::default();
        for labels in series {
            encoder.push(labels.iter().copied(), [(1, 1.0)]);
        }

        let body = encoder.finish();
        let request = WriteRequest::decode_v1(&body, &WriteLimits::of_body(body.len())).unwrap();

        let writer = WriterIdentity {
            writer: WriterId(Ulid(7)),
            epoch: 1,
            incarnation: Incarnation(Ulid(1)),
        };

        let electorate = Electorate {
            tenant: TenantId(Ulid(1)),
            bucket: &self.bucket,
            writer,
        };

        process.gate(&request, &self.limits, 5, electorate).await
    }

    /// Returns whether a sample of a replica of cluster `c` is taken.
    async fn takes(&self, process: &Pairs, replica: &str) -> bool {
        let series = [
            ("__name__", "m"),
            ("__replica__", replica),
            ("cluster", "c"),
        ];

        let gate = self.gate(process, &[&series]).await.unwrap();
        match gate.verdict(0) {
            Verdict::Without {
                label: "__replica__",
            } => true,
            Verdict::Duplicate { cluster: "c" } => false,
            other => panic!("{other:?}"),
        }
    }

    async fn elections(&self) -> u64 {
        Chain::new(self.bucket.clone(), keys::ha(TenantId(Ulid(1))))
            .last(None)
            .await
            .unwrap()
            .unwrap_or(0)
    }
}

#[tokio::test]
async fn the_first_that_sends_is_elected_and_another_takes_over_after_a_silence_for_good() {
    let world = World::new();
    let process = Pairs::default();

    assert!(world.takes(&process, "a").await);

    for _ in 0..10 {
        world.pass(20);
        assert!(!world.takes(&process, "b").await);
        assert!(world.takes(&process, "a").await);
    }

    assert_eq!(world.elections().await, 1);

    world.pass(31);
    assert!(world.takes(&process, "b").await);
    assert!(!world.takes(&process, "a").await, "no flapping back");
    assert_eq!(world.elections().await, 2);
}

#[tokio::test]
async fn who_returns_after_a_silence_of_all_goes_on_without_an_election() {
    let world = World::new();
    let process = Pairs::default();

    assert!(world.takes(&process, "a").await);

    world.pass(3600);
    assert!(world.takes(&process, "a").await);
    assert!(!world.takes(&process, "b").await);
    assert_eq!(world.elections().await, 1);
}

#[tokio::test]
async fn a_restart_keeps_the_election_and_gives_the_elected_one_its_time() {
    let world = World::new();
    assert!(world.takes(&Pairs::default(), "a").await);

    world.pass(3600);

    let restarted = Pairs::default();
    assert!(!world.takes(&restarted, "b").await);

    world.pass(30);
    assert!(!world.takes(&restarted, "b").await);

    world.pass(1);
    assert!(world.takes(&restarted, "b").await);
}

#[tokio::test]
async fn two_processes_on_one_bucket_agree() {
    let world = World::new();
    let one = Pairs::default();
    let two = Pairs::default();

    assert!(world.takes(&one, "a").await);
    assert!(
        !world.takes(&two, "b").await,
        "elected by the other process"
    );

    // The senders go to the second process. The first server dies, and the second server is elected
    // there.
    world.pass(31);
    assert!(world.takes(&two, "b").await);

    // The senders go back to the first process, whose view is old. It must not take the replica
    // that was elected before.
    assert!(!world.takes(&one, "a").await);
    assert!(world.takes(&one, "b").await);
    assert_eq!(world.elections().await, 2);

    // Both processes elect at once, each another replica.
    world.pass(31);

    let (first, second) = tokio::join!(world.takes(&one, "x"), world.takes(&two, "y"));
    assert!(first != second, "one of the two is elected");
    assert_eq!(world.elections().await, 3);
}

#[tokio::test]
async fn a_series_with_one_of_the_labels_or_an_empty_one_is_taken_as_it_is() {
    let world = World::new();
    let process = Pairs::default();

    let series: [&[(&str, &str)]; 4] = [
        &[("__name__", "m"), ("cluster", "c")],
        &[("__name__", "m"), ("__replica__", "a")],
        &[("__name__", "m"), ("__replica__", ""), ("cluster", "c")],
        &[("__name__", "m"), ("__replica__", "a"), ("cluster", "c")],
    ];

    for _ in 0..2 {
        let gate = world.gate(&process, &series).await.unwrap();
        let verdicts: Vec<_> = (0..4).map(|at| gate.verdict(at)).collect();
        let without = Verdict::Without {
            label: "__replica__",
        };

        assert_eq!(
            verdicts,
            [Verdict::AsItIs, Verdict::AsItIs, Verdict::AsItIs, without]
        );
    }
}

#[tokio::test]
async fn a_cluster_beyond_the_limit_is_told() {
    let world = World::new();
    let process = Pairs::default();

    let of = |cluster| {
        [
            ("__name__", "m"),
            ("__replica__", "a"),
            ("cluster", cluster),
        ]
    };

    let gate = world
        .gate(&process, &[&of("1"), &of("2"), &of("3")])
        .await
        .unwrap();

    assert_eq!(
        gate.verdict(1),
        Verdict::Without {
            label: "__replica__"
        }
    );

    assert_eq!(
        gate.verdict(2),
        Verdict::OverLimit {
            cluster: "3",
            max: 2
        }
    );

    assert_eq!(world.elections().await, 2);
}

#[tokio::test]
async fn labels_that_are_named_otherwise_hold_from_the_next_request_on() {
    let mut world = World::new();
    let process = Pairs::default();

    let series: &[(&str, &str)] = &[
        ("__name__", "m"),
        ("cluster", "c"),
        ("pair", "p"),
        ("side", "left"),
    ];

    assert_eq!(
        world.gate(&process, &[series]).await.unwrap().verdict(0),
        Verdict::AsItIs
    );

    world.limits.cluster_label = "pair".to_owned();
    world.limits.replica_label = "side".to_owned();

    let gate = world.gate(&process, &[series]).await.unwrap();
    assert_eq!(gate.verdict(0), Verdict::Without { label: "side" });

    assert_ne!(
        gate.key(0, 1),
        1,
        "the registry must not take it for the series with the label"
    );

    world.limits.enabled = false;
    assert_eq!(
        world.gate(&process, &[series]).await.unwrap().verdict(0),
        Verdict::AsItIs
    );
}

/// Returns a server that counts requests, and a world that uses it.
async fn on_s3(retry: RetryPolicy) -> (S3, World) {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let clock = MockClock::at(1_700_000_000_000);

    let mut config = Config {
        retry,
        ..Config::default()
    };

    config.s3.endpoint = Some(s3.endpoint());
    config.s3.region = Some("us-east-1".to_owned());
    config.s3.credentials = Some(Credentials {
        access_key_id: "key-of-the-test".to_owned(),
        secret_access_key: "secret".to_owned(),
        session_token: None,
    });

    let url: StoreUrl = "s3://test".parse().unwrap();
    let bucket = Bucket::open(
        &url,
        &config,
        Arc::new(RealDisk),
        Arc::clone(&clock) as Arc<dyn Clock>,
    )
    .unwrap();
    (s3, World::over(bucket, clock))
}

#[tokio::test]
async fn requests_are_none_while_the_elected_one_sends_and_two_at_most_for_a_fail_over() {
    let (s3, world) = on_s3(RetryPolicy::default()).await;
    let process = Pairs::default();
    let other = Pairs::default();

    let requests = || {
        let count = s3.counts().requests();
        s3.reset_counts();
        count
    };

    assert!(world.takes(&process, "a").await);
    assert_eq!(
        requests(),
        2,
        "nothing stands there yet: a LIST, and the election"
    );

    for _ in 0..5 {
        world.pass(20);
        assert!(world.takes(&process, "a").await);
        assert!(!world.takes(&process, "b").await);
    }

    assert_eq!(requests(), 0);
    assert!(!world.takes(&other, "b").await);
    assert_eq!(requests(), 2, "a process that is new: a LIST and a GET");

    world.pass(31);
    assert!(world.takes(&process, "b").await);
    assert_eq!(requests(), 1, "a fail-over");
    assert!(world.takes(&other, "b").await);

    assert_eq!(
        requests(),
        2,
        "a fail-over in which another process was first"
    );

    world.pass(31);
    assert!(world.takes(&process, "b").await);
    assert_eq!(requests(), 1, "the elected one after a silence");
}

#[tokio::test]
async fn while_the_bucket_is_away_nobody_is_elected_and_the_elected_one_goes_on() {
    let (s3, world) = on_s3(RetryPolicy {
        attempts_max: 1,
        ..RetryPolicy::default()
    })
    .await;

    let process = Pairs::default();
    assert!(world.takes(&process, "a").await);

    s3.set_outage(true);
    assert!(world.takes(&process, "a").await);

    world.pass(31);

    let series: &[(&str, &str)] = &[("__name__", "m"), ("__replica__", "b"), ("cluster", "c")];
    let error = world.gate(&process, &[series]).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unavailable);

    s3.set_outage(false);
    assert!(world.takes(&process, "b").await);
    assert!(!world.takes(&process, "a").await);
}
