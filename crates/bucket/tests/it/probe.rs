//! The probe of a store at the start.

use duramen_bucket::probe::probe;
use duramen_bucket::{Bucket, Error};
use duramen_testkit::s3::{Fault, FaultPlan, Op, Rule, S3, S3Options, When};

use crate::stores::{bucket, clock, directory, server};

#[tokio::test]
async fn honest_stores_pass_and_are_left_clean() {
    let root = tempfile::tempdir().unwrap();
    let s3 = server().await;

    for bucket in [Bucket::memory(clock()), directory(root.path()), bucket(&s3)] {
        let report = probe(&bucket).await.unwrap();
        assert_eq!(report.requests, 10, "{bucket:?}");

        assert!(
            bucket
                .list(&object_store::path::Path::default(), None)
                .await
                .unwrap()
                .is_empty()
        );
    }

    assert_eq!(s3.counts().requests(), 11);
}

#[tokio::test]
async fn a_store_that_overwrites_what_it_should_refuse_is_refused() {
    let s3 = S3::start(S3Options {
        honest_conditional_puts: false,
        ..S3Options::default()
    })
    .await
    .unwrap();

    let error = probe(&bucket(&s3)).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Probe {
                check: "conditional PUT",
                ..
            }
        ),
        "{error}"
    );

    assert!(s3.objects().is_empty(), "the probe leaves nothing behind");
}

#[tokio::test]
async fn a_store_that_reads_back_something_else_is_refused() {
    let s3 = server().await;
    s3.inject(Rule {
        when: When::op(Op::Get),
        fault: Fault::FlipBit { offset: 5 },
    });

    let error = probe(&bucket(&s3)).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Probe {
                check: "read after write",
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn an_honest_store_with_bad_luck_passes() {
    for seed in 0..20 {
        let s3 = server().await;
        s3.set_plan(FaultPlan::unlucky(seed, 0.05));
        probe(&bucket(&s3))
            .await
            .unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    }
}
