//! Conditional writes: which of several wins, and what each is told.

use duramen_testkit::s3::{Fault, Gate, Op, Point, Rule, S3, S3Options, When};
use futures::future::join_all;
use object_store::aws::S3CopyIfNotExists;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};

use crate::client::{builder, client, create, read, start};

#[tokio::test]
async fn the_second_creator_is_told_that_the_object_exists() {
    let s3 = start().await;
    let store = client(&s3, 3);
    create(&store, "k", "first").await.unwrap();

    let lost = create(&store, "k", "second").await;
    assert!(matches!(lost, Err(Error::AlreadyExists { .. })), "{lost:?}");
    assert_eq!(read(&store, "k").await.unwrap(), "first");
    assert_eq!(s3.log()[1].status, Some(412));
    assert!(s3.log()[1].conditional);
}

#[tokio::test]
async fn a_deleted_object_may_be_created_again() {
    let s3 = start().await;
    let store = client(&s3, 0);
    create(&store, "k", "first").await.unwrap();
    store.delete(&Path::from("k")).await.unwrap();
    create(&store, "k", "second").await.unwrap();

    assert_eq!(read(&store, "k").await.unwrap(), "second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_creators_at_once_exactly_one_wins() {
    let s3 = start().await;
    let stores: Vec<_> = (0..16).map(|_| client(&s3, 0)).collect();

    for round in 0..20 {
        let key = format!("claim/{round}");
        let creators = stores.iter().zip(0..).map(|(store, n)| {
            let store = store.clone();
            let key = key.clone();

            async move {
                create(&store, &key, &n.to_string())
                    .await
                    .map(|_| n.to_string())
            }
        });

        let outcomes = join_all(creators).await;
        let winners: Vec<_> = outcomes
            .iter()
            .filter_map(|outcome| outcome.as_ref().ok())
            .collect();

        assert_eq!(winners.len(), 1, "{outcomes:?}");
        assert!(
            outcomes
                .iter()
                .flat_map(|outcome| outcome.as_ref().err())
                .all(|e| matches!(e, Error::AlreadyExists { .. }))
        );

        assert_eq!(s3.object(&key).unwrap(), *winners[0]);
    }
}

#[tokio::test]
async fn creators_that_wait_at_the_same_point_still_have_one_winner() {
    let s3 = start().await;
    let gate = Gate::new();
    let fault = Fault::HoldUntil {
        point: Point::BeforeCommit,
        gate: gate.clone(),
    };

    s3.inject(Rule {
        when: When::op(Op::Put).conditional(),
        fault,
    });

    let opened = async {
        for _ in 0..16 {
            gate.arrived().await;
        }

        gate.open();
    };

    let stores: Vec<_> = (0..16).map(|_| client(&s3, 0)).collect();
    let creators = join_all(stores.iter().map(|store| create(store, "k", "x")));
    let (outcomes, ()) = tokio::join!(creators, opened);

    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
}

#[tokio::test]
async fn an_update_needs_the_tag_that_is_held() {
    let s3 = start().await;
    let store = client(&s3, 0);
    let key = Path::from("k");

    let update = |e_tag: Option<String>| {
        let version = UpdateVersion {
            e_tag,
            version: None,
        };

        PutOptions::from(PutMode::Update(version))
    };

    let absent = store
        .put_opts(&key, "x".into(), update(Some("\"t\"".into())))
        .await;
    assert!(
        matches!(absent, Err(Error::Precondition { .. })),
        "{absent:?}"
    );

    let first = store.put(&key, "one".into()).await.unwrap();
    let second = store
        .put_opts(&key, "two".into(), update(first.e_tag.clone()))
        .await
        .unwrap();

    let stale = store
        .put_opts(&key, "three".into(), update(first.e_tag))
        .await;
    assert!(
        matches!(stale, Err(Error::Precondition { .. })),
        "{stale:?}"
    );

    store
        .put_opts(&key, "four".into(), update(second.e_tag))
        .await
        .unwrap();

    assert_eq!(read(&store, "k").await.unwrap(), "four");
}

#[tokio::test]
async fn a_copy_may_be_made_to_depend_on_an_absent_destination() {
    let headers = [
        S3CopyIfNotExists::Multipart,
        S3CopyIfNotExists::Header("cf-copy-destination-if-none-match".into(), "*".into()),
        S3CopyIfNotExists::Header("if-none-match".into(), "*".into()),
    ];

    for way in headers {
        let s3 = start().await;
        s3.plant("from", "x");

        let store = builder(&s3, 0)
            .with_copy_if_not_exists(way)
            .build()
            .unwrap();

        let (from, to) = (Path::from("from"), Path::from("to"));
        store.copy_if_not_exists(&from, &to).await.unwrap();

        assert_eq!(s3.object("to").unwrap(), "x");

        s3.plant("from", "y");

        let lost = store.copy_if_not_exists(&from, &to).await;
        assert!(matches!(lost, Err(Error::AlreadyExists { .. })), "{lost:?}");
        assert_eq!(s3.object("to").unwrap(), "x");
        assert_eq!(s3.open_uploads(), 0);
    }
}

#[tokio::test]
async fn a_store_that_lies_overwrites_with_success() {
    let options = S3Options {
        honest_conditional_puts: false,
        ..S3Options::default()
    };

    let s3 = S3::start(options).await.unwrap();
    let store = client(&s3, 0);
    create(&store, "k", "first").await.unwrap();
    create(&store, "k", "second").await.unwrap();

    assert_eq!(read(&store, "k").await.unwrap(), "second");
}
