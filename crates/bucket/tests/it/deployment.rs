//! Whether a store and a data directory belong together.

use std::sync::Arc;

use duramen_bucket::{DataDir, Deployment, Error};
use duramen_model::ErrorKind;
use duramen_runtime::RealDisk;
use duramen_testkit::s3::{Fault, FaultPlan, Op, When};

use crate::stores::{bucket, clock, directory, server};

#[tokio::test]
async fn the_first_to_open_a_store_names_it_and_all_others_find_that_name() {
    let s3 = server().await;
    let buckets: Vec<_> = (0..8).map(|_| bucket(&s3)).collect();
    let opened = futures::future::join_all(buckets.iter().map(Deployment::open)).await;
    let opened: Vec<_> = opened.into_iter().map(Result::unwrap).collect();

    assert!(opened.windows(2).all(|w| w[0] == w[1]));

    s3.reset_counts();
    assert_eq!(Deployment::open(&buckets[0]).await.unwrap(), opened[0]);
    assert_eq!((s3.counts().gets, s3.counts().requests()), (1, 1));
}

#[tokio::test]
async fn a_lost_answer_to_the_naming_does_not_make_two_names() {
    for fault in [
        Fault::ResetAfterCommit,
        Fault::Status500AfterCommit,
        Fault::Conflict409,
        Fault::ResetBeforeCommit,
    ] {
        let s3 = server().await;
        s3.set_plan(FaultPlan::new(0).rule(When::op(Op::Put).nth(1), fault));
        let first = Deployment::open(&bucket(&s3)).await.unwrap();
        assert_eq!(Deployment::open(&bucket(&s3)).await.unwrap(), first);
    }
}

#[tokio::test]
async fn a_store_of_another_deployment_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let one = directory(&root.path().join("one"));
    let two = directory(&root.path().join("two"));
    let data = DataDir::open(Arc::new(RealDisk), &root.path().join("data"), &*clock()).unwrap();
    let first = Deployment::open(&one).await.unwrap();
    let second = Deployment::open(&two).await.unwrap();

    data.bind(&first).unwrap();
    data.bind(&first).unwrap();

    let error = data.bind(&second).unwrap_err();
    assert!(matches!(error, Error::OtherDeployment { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_store_of_another_format_is_refused() {
    let s3 = server().await;

    for format in [0, 2, 9] {
        let id = "00000000000000000000000001";
        let body = format!(r#"{{"deployment": "{id}", "format": {format}}}"#);
        s3.plant("duramen.json", body);

        let error = Deployment::open(&bucket(&s3)).await.unwrap_err();
        let message = format!(
            "format {format} of an object is not supported; this version reads format 1. \
             key=`duramen.json`"
        );

        assert_eq!(error.to_string(), message);
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }

    s3.plant("duramen.json", "{}");
    assert_eq!(
        Deployment::open(&bucket(&s3)).await.unwrap_err().kind(),
        ErrorKind::Corrupt
    );
}
