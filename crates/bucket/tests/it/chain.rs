//! Chains: who came first.

use bytes::Bytes;
use duramen_bucket::{Author, Bucket, Chain, Created, Error, chain};
use duramen_model::{ErrorKind, WriterId};
use duramen_testkit::s3::{Fault, FaultPlan, Gate, Op, Point, Rule, S3, When};
use object_store::path::Path;
use ulid::Ulid;

use crate::stores::{WRITER, bucket, bucket_with, clock, config, server};

fn on(bucket: &Bucket) -> Chain {
    Chain::new(bucket.clone(), Path::from("c"))
}

fn author() -> Author {
    Author::new(WRITER, &*clock())
}

async fn faulty(when: When, fault: Fault) -> (S3, Chain) {
    let s3 = server().await;
    s3.inject(Rule { when, fault });

    let chain = on(&bucket(&s3));
    (s3, chain)
}

#[tokio::test]
async fn the_second_is_told_who_was_first() {
    let chain = on(&Bucket::memory(clock()));
    let a = author();
    let b = author();

    assert_eq!(chain.get(1).await.unwrap(), None);
    assert_eq!(chain.create(1, a, b"a").await.unwrap(), Created::Ours);

    let Created::Theirs(entry) = chain.create(1, b, b"b").await.unwrap() else {
        panic!("two winners")
    };
    assert_eq!(
        (entry.slot, entry.author, entry.body),
        (1, a, Bytes::from_static(b"a"))
    );
}

#[tokio::test]
async fn the_last_slot_is_found_behind_any_other() {
    let chain = on(&Bucket::memory(clock()));
    assert_eq!(chain.last(None).await.unwrap(), None);

    for slot in [1, 2, 10] {
        chain.create(slot, author(), b"x").await.unwrap();
    }

    assert_eq!(chain.last(None).await.unwrap(), Some(10));
    assert_eq!(chain.last(Some(2)).await.unwrap(), Some(10));
    assert_eq!(chain.last(Some(10)).await.unwrap(), None);
}

#[tokio::test]
async fn an_answer_that_says_nothing_is_cleared_up_by_reading_back() {
    let create = || When::op(Op::Put).nth(1);
    let cases = [
        (Fault::Status500AfterCommit, 1),
        (Fault::ResetAfterCommit, 1),
        (Fault::ResetBeforeCommit, 2),
        (Fault::Status(503), 2),
        (Fault::Conflict409, 2),
    ];

    for (fault, puts) in cases {
        let (s3, chain) = faulty(create(), fault.clone()).await;
        assert_eq!(
            chain.create(1, author(), b"ours").await.unwrap(),
            Created::Ours,
            "{fault:?}"
        );

        assert_eq!((s3.counts().puts, s3.counts().gets), (puts, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn a_warm_create_is_one_put() {
    let s3 = server().await;
    assert_eq!(
        on(&bucket(&s3)).create(1, author(), b"x").await.unwrap(),
        Created::Ours
    );

    assert_eq!((s3.counts().puts, s3.counts().requests()), (1, 1));
}

#[tokio::test]
async fn a_time_out_that_another_has_overtaken_is_theirs() {
    let gate = Gate::new();
    let held = Fault::HoldUntil {
        point: Point::BeforeCommit,
        gate: gate.clone(),
    };

    let (s3, other) = faulty(When::op(Op::Put).nth(1), held).await;
    let impatient = duramen_bucket::Config {
        request_timeout: std::time::Duration::from_millis(100),
        ..config(&s3)
    };

    let chain = on(&bucket_with(&s3, "s3://test", &impatient));
    let theirs = author();

    let overtake = async {
        gate.arrived().await;
        assert_eq!(
            other.create(1, theirs, b"theirs").await.unwrap(),
            Created::Ours
        );
    };

    let (outcome, ()) = tokio::join!(chain.create(1, author(), b"ours"), overtake);
    gate.open();

    assert!(matches!(outcome.unwrap(), Created::Theirs(entry) if entry.author == theirs));
}

#[tokio::test]
async fn an_outcome_that_cannot_be_known_is_an_error_and_the_slot_tells_later() {
    let s3 = server().await;
    s3.set_plan(
        FaultPlan::new(1)
            .rule(When::op(Op::Put), Fault::ResetAfterCommit)
            .rule(When::op(Op::Get), Fault::Status(503)),
    );

    let mut config = config(&s3);
    config.retry.attempts_max = 3;

    let chain = on(&bucket_with(&s3, "s3://test", &config));
    let ours = author();
    let error = chain.create(1, ours, b"ours").await.unwrap_err();

    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);

    s3.clear_faults();

    let Created::Theirs(entry) = chain.create(1, author(), b"again").await.unwrap() else {
        panic!("two winners")
    };
    assert_eq!(entry.author, ours);
}

#[tokio::test]
async fn a_damaged_object_is_never_misread() {
    let s3 = server().await;
    s3.plant("c/00000000000000000001", "not of a chain");
    s3.plant(
        "c/00000000000000000002",
        chain::encode(3, author(), b"of slot 3"),
    );

    let chain = on(&bucket(&s3));
    for slot in [1, 2] {
        let error = chain.get(slot).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");

        let error = chain.create(slot, author(), b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
}

#[tokio::test]
async fn refused_credentials_fail_at_once() {
    let (s3, chain) = faulty(When::any(), Fault::Forbidden403).await;
    let error = chain.create(1, author(), b"x").await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(!format!("{error:?} {error}").contains("hunter2"));
    assert_eq!(s3.counts().requests(), 1);
}

/// Runs eight writers, each with its own client, until each has taken 20 slots.
async fn race(chains: Vec<Chain>) -> Vec<Author> {
    let writers = chains.into_iter().enumerate().map(|(n, chain)| async move {
        let writer = WriterId(Ulid(n as u128));
        let mut slot = 1;
        let mut won = Vec::new();

        while won.len() < 20 {
            let author = Author::new(writer, &*clock());
            match chain.create(slot, author, b"x").await.unwrap() {
                Created::Ours => won.push((slot, author)),
                Created::Theirs(entry) => assert_eq!(entry.slot, slot),
            }

            slot += 1;
        }

        won
    });

    let mut won: Vec<_> = futures::future::join_all(writers)
        .await
        .into_iter()
        .flatten()
        .collect();

    won.sort_unstable_by_key(|(slot, _)| *slot);

    let slots: Vec<_> = won.iter().map(|(slot, _)| *slot).collect();
    assert_eq!(slots, (1..=160).collect::<Vec<_>>());

    won.into_iter().map(|(_, author)| author).collect()
}

#[tokio::test]
async fn eight_writers_under_faults_agree_on_one_order() {
    for seed in 0..3 {
        let s3 = server().await;
        s3.set_plan(FaultPlan::unlucky(seed, 0.06));

        let won = race((0..8).map(|_| on(&bucket(&s3))).collect()).await;
        s3.clear_faults();

        let chain = on(&bucket(&s3));
        for (slot, author) in (1..).zip(won) {
            assert_eq!(
                chain.get(slot).await.unwrap().unwrap().author,
                author,
                "seed {seed}, slot {slot}"
            );
        }
    }
}

#[tokio::test]
async fn eight_writers_in_one_directory_agree_on_one_order() {
    let root = tempfile::tempdir().unwrap();
    let bucket = crate::stores::directory(root.path());
    race((0..8).map(|_| on(&bucket)).collect()).await;
}
