//! A store that is not available for a while.

use duramen_testkit::s3::{Fault, Gate, Op, Point, Rule, S3, S3Options, When};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::client::{client, create, read, start};

#[tokio::test]
async fn an_outage_answers_503_and_forgets_nothing() {
    let s3 = start().await;
    let store = client(&s3, 0);
    create(&store, "k", "x").await.unwrap();
    s3.set_outage(true);

    assert!(read(&store, "k").await.is_err());
    assert!(create(&store, "l", "x").await.is_err());

    s3.set_outage(false);
    assert_eq!(read(&store, "k").await.unwrap(), "x");
    assert!(s3.object("l").is_none());
    assert_eq!(s3.log()[1].status, Some(503));
}

#[tokio::test]
async fn a_stopped_server_refuses_connections_and_comes_back_on_its_port_with_its_contents() {
    let s3 = start().await;
    let store = client(&s3, 0);
    create(&store, "k", "x").await.unwrap();

    let endpoint = s3.endpoint();
    s3.stop().await;

    assert!(
        tokio::net::TcpStream::connect(endpoint.trim_start_matches("http://"))
            .await
            .is_err()
    );

    assert!(read(&store, "k").await.is_err());

    s3.start_again().await.unwrap();
    assert_eq!(s3.endpoint(), endpoint);
    assert_eq!(read(&store, "k").await.unwrap(), "x");

    s3.start_again().await.unwrap();
}

#[tokio::test]
async fn a_stop_ends_requests_that_have_not_committed() {
    let s3 = start().await;
    let gate = Gate::new();
    let fault = Fault::HoldUntil {
        point: Point::BeforeCommit,
        gate: gate.clone(),
    };

    s3.inject(Rule {
        when: When::op(Op::Put),
        fault,
    });

    let store = client(&s3, 0);
    let stop = async {
        gate.arrived().await;
        s3.stop().await;
        gate.open();
    };

    let (outcome, ()) = tokio::join!(create(&store, "k", "x"), stop);
    assert!(outcome.is_err());
    assert!(s3.object("k").is_none());
}

#[tokio::test]
async fn a_dropped_server_is_gone() {
    let s3 = start().await;
    let store = client(&s3, 0);
    create(&store, "k", "x").await.unwrap();
    drop(s3);

    assert!(read(&store, "k").await.is_err());
}

#[tokio::test]
async fn a_second_server_takes_over_the_contents() {
    let s3 = start().await;
    let store = client(&s3, 0);
    store.put(&Path::from("k"), "x".into()).await.unwrap();

    let contents = s3.clone_contents();
    assert!(s3.uproot("k"));

    let second = S3::start(S3Options {
        contents,
        ..S3Options::default()
    })
    .await
    .unwrap();

    assert_eq!(read(&client(&second, 0), "k").await.unwrap(), "x");
}

#[tokio::test]
async fn only_the_loop_back_address_is_listened_on() {
    let options = S3Options {
        listen: "0.0.0.0:0".parse().unwrap(),
        ..S3Options::default()
    };

    assert!(S3::start(options).await.is_err());
}
