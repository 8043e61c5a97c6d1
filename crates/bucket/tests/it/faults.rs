//! Failing requests, and how they are handled.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use duramen_bucket::{Config, RetryPolicy};
use duramen_runtime::RealDisk;
use duramen_testkit::s3::{Fault, FaultPlan, Op, Rule, When};
use object_store::path::Path;

use crate::stores::{bucket, bucket_with, config, server};

#[tokio::test]
async fn what_may_be_sent_twice_is_retried_in_one_layer() {
    let s3 = server().await;
    let bucket = bucket(&s3);
    let key = Path::from("k");

    for fault in [
        Fault::Status(503),
        Fault::Status(500),
        Fault::Status(429),
        Fault::ResetBeforeCommit,
        Fault::ResetAfterCommit,
    ] {
        s3.set_plan(FaultPlan::new(0).rule(When::any().first(2), fault.clone()));
        s3.reset_counts();
        bucket.put(&key, Bytes::from_static(b"x")).await.unwrap();
        assert_eq!(s3.counts().puts, 3, "{fault:?}");
        s3.set_plan(FaultPlan::new(0).rule(When::op(Op::Get).first(2), fault.clone()));
        assert_eq!(bucket.get(&key, 10).await.unwrap(), "x");
        assert_eq!(s3.counts().gets, 3, "{fault:?}");
        s3.set_plan(FaultPlan::new(0).rule(When::op(Op::List).first(2), fault.clone()));
        assert_eq!(bucket.list(&Path::default(), None).await.unwrap().len(), 1);
        assert_eq!(s3.counts().lists, 3, "{fault:?}");
    }

    assert_eq!(bucket.metrics().retries(), 5 * 6);
    assert_eq!(
        bucket.metrics().requests_total(),
        s3.counts().requests() + 4 * 9
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_taken_up_where_it_broke() {
    let s3 = server().await;
    s3.plant("k", "0123456789");
    s3.set_plan(FaultPlan::new(0).rule(When::op(Op::Get).first(2), Fault::TruncateBody(4)));

    let bucket = bucket(&s3);
    assert_eq!(
        bucket.get(&Path::from("k"), 100).await.unwrap(),
        "0123456789"
    );

    assert_eq!(
        bucket.get_range(&Path::from("k"), 3..8).await.unwrap(),
        "34567"
    );

    let ranges: Vec<_> = s3.log().iter().map(|entry| entry.range).collect();
    assert_eq!(ranges.len(), 4);
    assert!(
        format!("{:?}", ranges[1]).contains('4') && format!("{:?}", ranges[2]).contains('8'),
        "{ranges:?}"
    );
}

#[tokio::test]
async fn a_ranged_body_that_a_proxy_has_shortened_is_not_taken_for_the_whole() {
    let s3 = server().await;
    s3.plant("k", "0123456789");
    s3.set_plan(FaultPlan::new(0).rule(When::op(Op::Get).first(1), Fault::ShortenBody(2)));

    assert_eq!(
        bucket(&s3).get_range(&Path::from("k"), 3..8).await.unwrap(),
        "34567"
    );

    assert_eq!(s3.counts().gets, 2);
}

#[tokio::test]
async fn an_outage_ends_in_an_error_within_the_budget() {
    let s3 = server().await;
    s3.set_outage(true);

    let retry = RetryPolicy {
        attempts_max: 4,
        backoff_first: Duration::from_millis(1),
        saved_max: 5,
        ..RetryPolicy::default()
    };

    let bucket = bucket_with(
        &s3,
        "s3://test",
        &Config {
            retry,
            ..config(&s3)
        },
    );

    let mut gets = Vec::new();
    for _ in 0..4 {
        assert!(bucket.get(&Path::from("k"), 1).await.is_err());

        gets.push(s3.counts().gets);
        s3.reset_counts();
    }

    // There are three retries, then the two that were left, then none.
    assert_eq!(gets, [4, 3, 1, 1]);
}

#[tokio::test]
async fn requests_at_once_are_bounded_and_a_broken_body_does_not_keep_its_place() {
    let s3 = server().await;
    s3.plant("k", "0123456789");
    s3.set_plan(FaultPlan::new(0).rule(When::op(Op::Get).first(20), Fault::TruncateBody(1)));

    let bucket = bucket_with(
        &s3,
        "s3://test",
        &Config {
            requests_max: 2,
            ..config(&s3)
        },
    );

    let reads = (0..20).map(|_| async { bucket.get(&Path::from("k"), 100).await.unwrap() });
    assert!(
        futures::future::join_all(reads)
            .await
            .iter()
            .all(|body| body == "0123456789")
    );
}

#[tokio::test]
async fn parts_of_an_upload_are_sent_again() {
    let s3 = server().await;
    s3.inject(Rule {
        when: When::op(Op::PutPart).nth(2),
        fault: Fault::Status(500),
    });

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f");
    std::fs::write(&file, vec![7; 33 << 20]).unwrap();

    let disk: Arc<dyn duramen_runtime::Disk> = Arc::new(RealDisk);
    bucket(&s3)
        .put_file(&Path::from("k"), &disk, &file, 33 << 20, |_| Ok(()))
        .await
        .unwrap();

    assert_eq!(s3.object("k").unwrap().len(), 33 << 20);
    assert_eq!(s3.counts().parts, 4);
}

#[tokio::test]
async fn nothing_that_is_printed_holds_the_secret() {
    let s3 = server().await;
    let bucket = bucket(&s3);
    s3.inject(Rule {
        when: When::any(),
        fault: Fault::ExpiredToken,
    });

    let error = bucket.get(&Path::from("k"), 1).await.unwrap_err();
    let chain = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
    let text: String = chain.map(|e| format!("{e} {e:?}")).collect();

    assert!(text.contains("ExpiredToken"), "{text}");

    let everything = format!(
        "{text} {bucket:?} {:?} {} {:?}",
        bucket.store(),
        bucket.name(),
        config(&s3)
    );

    assert!(!everything.contains("hunter2"), "{everything}");
}
