//! Every fault, as object_store's client sees it.

use std::time::Duration;

use duramen_testkit::s3::{Fault, FaultPlan, Gate, Latency, Op, Point, Rule, S3, When};
use object_store::path::Path;
use object_store::{ClientOptions, Error, ObjectStoreExt};

use crate::client::{builder, client, create, read, start};

async fn faulty(when: When, fault: Fault) -> S3 {
    let s3 = start().await;
    s3.plant("held", "0123456789");
    s3.inject(Rule { when, fault });

    s3
}

#[tokio::test]
async fn a_status_before_the_commit_changes_nothing_and_is_retried() {
    for status in [500, 503, 429] {
        let s3 = faulty(When::op(Op::Put).first(2), Fault::Status(status)).await;
        assert!(create(&client(&s3, 0), "k", "x").await.is_err());
        assert!(s3.object("k").is_none());

        create(&client(&s3, 1), "k", "x").await.unwrap();

        let statuses: Vec<_> = s3.log().iter().map(|entry| entry.status.unwrap()).collect();
        assert_eq!(statuses, [status, status, 200]);
    }
}

#[tokio::test]
async fn a_500_after_the_commit_makes_the_own_retry_lose() {
    let s3 = faulty(When::op(Op::Put).nth(1), Fault::Status500AfterCommit).await;
    let outcome = create(&client(&s3, 3), "k", "mine").await;

    assert!(
        matches!(outcome, Err(Error::AlreadyExists { .. })),
        "{outcome:?}"
    );

    assert_eq!(s3.object("k").unwrap(), "mine");
    assert_eq!(s3.counts().puts, 2);
}

#[tokio::test]
async fn a_reset_tells_nothing_about_the_commit() {
    for (fault, committed) in [
        (Fault::ResetBeforeCommit, false),
        (Fault::ResetAfterCommit, true),
    ] {
        let s3 = faulty(When::op(Op::Put), fault).await;
        let outcome = create(&client(&s3, 0), "k", "mine").await;
        assert!(matches!(outcome, Err(Error::Generic { .. })), "{outcome:?}");
        assert_eq!(s3.object("k").is_some(), committed);
        assert_eq!(s3.log()[0].status, None);
    }
}

#[tokio::test]
async fn a_reset_overwrite_is_retried_and_a_reset_create_is_not() {
    let s3 = faulty(When::op(Op::Put).under("k").nth(1), Fault::ResetAfterCommit).await;
    s3.inject(Rule {
        when: When::op(Op::Put).under("l").nth(1),
        fault: Fault::ResetAfterCommit,
    });

    let store = client(&s3, 3);
    store.put(&Path::from("k"), "x".into()).await.unwrap();

    assert_eq!(s3.counts().puts, 2);
    assert!(create(&store, "l", "x").await.is_err());
    assert_eq!(s3.counts().puts, 3);
}

#[tokio::test]
async fn a_conflict_on_create_is_told_as_already_exists_by_the_client() {
    let s3 = faulty(When::op(Op::Put).conditional(), Fault::Conflict409).await;
    let store = client(&s3, 3);
    let outcome = create(&store, "k", "mine").await;

    assert!(
        matches!(outcome, Err(Error::AlreadyExists { .. })),
        "{outcome:?}"
    );

    assert!(s3.object("k").is_none());

    store
        .put(&Path::from("k"), "unconditional".into())
        .await
        .unwrap();
}

#[tokio::test]
async fn refused_credentials_are_told_and_not_retried() {
    let cases = [
        (Fault::Forbidden403, "AccessDenied"),
        (Fault::ExpiredToken, "ExpiredToken"),
        (Fault::ClockSkew, "RequestTimeTooSkewed"),
    ];

    for (fault, code) in cases {
        let s3 = faulty(When::any(), fault).await;
        let error = read(&client(&s3, 3), "held").await.unwrap_err();

        assert!(matches!(error, Error::PermissionDenied { .. }), "{error:?}");
        assert!(format!("{error:?}").contains(code), "{error:?}");
        assert_eq!(s3.counts().gets, 1);
    }
}

#[tokio::test]
async fn a_truncated_body_is_never_taken_for_the_whole() {
    for bytes in [0, 4, 9] {
        let s3 = faulty(When::op(Op::Get).nth(1), Fault::TruncateBody(bytes)).await;
        assert!(read(&client(&s3, 0), "held").await.is_err());
        assert_eq!(s3.log()[0].bytes_out, bytes);
        assert_eq!(read(&client(&s3, 0), "held").await.unwrap(), "0123456789");
    }
}

#[tokio::test]
async fn a_shortened_body_looks_like_a_success() {
    let s3 = faulty(When::op(Op::Get), Fault::ShortenBody(4)).await;
    assert_eq!(read(&client(&s3, 0), "held").await.unwrap(), "0123");

    let range = client(&s3, 0).get_range(&Path::from("held"), 2..8).await;
    assert_eq!(range.unwrap(), "2345");
}

#[tokio::test]
async fn a_flipped_bit_comes_with_success() {
    let s3 = faulty(When::op(Op::Get), Fault::FlipBit { offset: 3 }).await;
    assert_eq!(read(&client(&s3, 0), "held").await.unwrap(), "0122456789");
    assert_eq!(s3.object("held").unwrap(), "0123456789");
}

#[tokio::test]
async fn a_slow_body_arrives_whole_in_the_end() {
    let pause = Duration::from_millis(2);
    let s3 = faulty(
        When::op(Op::Get),
        Fault::Trickle {
            piece_bytes: 3,
            pause,
        },
    )
    .await;
    assert_eq!(read(&client(&s3, 0), "held").await.unwrap(), "0123456789");
}

#[tokio::test]
async fn a_delay_beyond_the_clients_patience_is_a_time_out() {
    let s3 = faulty(When::op(Op::Get), Fault::Delay(Duration::from_secs(3600))).await;
    let options = ClientOptions::new()
        .with_allow_http(true)
        .with_timeout(Duration::from_millis(50));
    let store = builder(&s3, 0)
        .with_client_options(options)
        .build()
        .unwrap();

    let error = read(&store, "held").await.unwrap_err();
    assert!(format!("{error:?}").contains("Timeout"), "{error:?}");
}

#[tokio::test]
async fn a_request_held_before_its_commit_is_not_seen() {
    let gate = Gate::new();
    let s3 = faulty(
        When::op(Op::Put).nth(1),
        Fault::HoldUntil {
            point: Point::BeforeCommit,
            gate: gate.clone(),
        },
    )
    .await;

    let store = client(&s3, 0);
    let race = async {
        gate.arrived().await;
        assert!(s3.object("k").is_none());

        create(&store, "k", "overtaker").await.unwrap();
        gate.open();
    };

    let (held, ()) = tokio::join!(create(&store, "k", "held"), race);
    assert!(matches!(held, Err(Error::AlreadyExists { .. })), "{held:?}");
    assert_eq!(s3.object("k").unwrap(), "overtaker");
}

#[tokio::test]
async fn a_request_held_after_its_commit_is_seen_by_all_but_its_sender() {
    let gate = Gate::new();
    let s3 = faulty(
        When::op(Op::Put).nth(1),
        Fault::HoldUntil {
            point: Point::AfterCommit,
            gate: gate.clone(),
        },
    )
    .await;

    let store = client(&s3, 0);
    let race = async {
        gate.arrived().await;
        assert_eq!(read(&store, "k").await.unwrap(), "held");

        gate.let_one_through();
    };

    let (held, ()) = tokio::join!(create(&store, "k", "held"), race);
    assert!(held.is_ok(), "{held:?}");
}

#[tokio::test]
async fn a_write_lands_although_its_client_has_given_up() {
    let gate = Gate::new();
    let s3 = faulty(
        When::op(Op::Put),
        Fault::HoldUntil {
            point: Point::BeforeCommit,
            gate: gate.clone(),
        },
    )
    .await;

    let options = ClientOptions::new()
        .with_allow_http(true)
        .with_timeout(Duration::from_millis(50));
    let store = builder(&s3, 0)
        .with_client_options(options)
        .build()
        .unwrap();

    assert!(create(&store, "k", "late").await.is_err());

    // When these have been served, the server has noticed that the connection is closed.
    for _ in 0..20 {
        client(&s3, 0).head(&Path::from("held")).await.unwrap();
    }

    assert!(s3.object("k").is_none());

    gate.open();

    let landed = async {
        while s3.counts().puts == 0 {
            tokio::task::yield_now().await;
        }
    };

    tokio::time::timeout(Duration::from_secs(10), landed)
        .await
        .expect("the write never landed");
    assert_eq!(s3.object("k").unwrap(), "late");
}

#[tokio::test]
async fn a_plan_does_the_same_for_the_same_seed() {
    let run = async |seed: u64| {
        let s3 = start().await;
        s3.set_plan(FaultPlan::unlucky(seed, 0.08));

        let store = client(&s3, 10);
        for n in 0..60 {
            // The result does not matter. The object is written in any case: ten retries are enough
            // for all of these faults.
            let _ = create(&store, &format!("k{n}"), "x").await;
        }

        s3.log()
            .iter()
            .map(|entry| (entry.key.clone(), entry.status))
            .collect::<Vec<_>>()
    };

    let first = run(1).await;
    let again = run(1).await;
    let other = run(2).await;

    assert_eq!(first, again);
    assert_ne!(first, other);
    assert!(first.iter().any(|(_, status)| status.is_none()));
    assert!(first.iter().any(|(_, status)| *status == Some(409)));
}

#[tokio::test]
async fn faults_end_when_they_are_cleared() {
    let s3 = start().await;
    s3.plant("held", "x");

    let ids = s3.set_plan(
        FaultPlan::new(1)
            .rule(When::any(), Fault::Status(500))
            .latency(Latency::TYPICAL),
    );

    let store = client(&s3, 0);
    assert!(read(&store, "held").await.is_err());
    assert_eq!(s3.fired(ids[0]), 1);

    s3.clear_faults();
    assert_eq!(read(&store, "held").await.unwrap(), "x");
    assert_eq!(s3.fired(ids[0]), 0);
}
