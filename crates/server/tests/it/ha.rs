//! Pairs of equal senders, over HTTP.

use std::collections::BTreeMap;

use duramen_testkit::s3::{S3, S3Options};
use serde_json::json;

use crate::harness::duramen::{Duramen, seconds, write};
use crate::harness::http::Answer;
use crate::harness::samples::{Body, matrix};
use crate::harness::wait::{now_ms, pass, until};

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
const LIMITS: &str = "defaults: {ha: {enabled: true, failover_timeout: 2s, clusters_max: 2}}\n";

/// Returns the arguments of a server with pairs. The file is in a directory of its own, which is
/// returned.
fn limits() -> (tempfile::TempDir, String) {
    let directory = tempfile::TempDir::new().expect("a folder of the test");
    let path = directory.path().join("limits.yml");
    std::fs::write(&path, LIMITS).expect("a folder of the test");

    let path = path.to_str().expect("a folder of the test").to_owned();
    (directory, path)
}

/// Returns one scrape by one of two equal servers. The value tells which of them it was.
fn scrape(cluster: &str, replica: &str, ts_ms: i64) -> Vec<u8> {
    let value = if replica == "a" { 1.0 } else { 2.0 };
    let labels = [
        ("__name__", "m"),
        ("__replica__", replica),
        ("cluster", cluster),
        ("job", "node"),
    ];

    Body::default().series(&labels, &[(ts_ms, value)]).snappy()
}

async fn send(server: &Duramen, replica: &str) -> (i64, Answer) {
    let ts_ms = now_ms();
    (ts_ms, server.push(scrape("c", replica, ts_ms)).await)
}

/// Sends until the replica is elected, which a sample of it shows. Returns the time of that sample.
async fn elected(server: &Duramen, replica: &str, value: &str) -> i64 {
    until("an election", PATIENCE, async || {
        let (ts_ms, answer) = send(server, replica).await;
        assert_eq!(answer.status, 204, "{}", answer.text());

        (server.value("m", ts_ms).await.as_deref() == Some(value)).then_some(ts_ms)
    })
    .await
}

#[tokio::test]
async fn of_two_senders_one_is_stored_and_when_it_dies_the_other_goes_on() {
    let (_held, file) = limits();
    let mut server = Duramen::with(&["--limits-file", &file]).await;
    let start_ms = now_ms();

    for _ in 0..5 {
        // The second replica sends a little later, as two real servers do.
        for replica in ["a", "b"] {
            let (_, answer) = send(&server, replica).await;
            assert_eq!(
                answer.status,
                204,
                "a replica that is not elected need not send again: {}",
                answer.text()
            );
        }
    }

    let metric = "duramen_ha_deduplicated_samples_total{tenant=\"anonymous\",cluster=\"c\"}";
    assert_eq!(server.metric(metric).await, 5.0);

    // The elected replica stops here. A restarted process still knows who was elected.
    server.kill();
    server.start().await;

    assert_eq!(send(&server, "b").await.1.status, 204);
    assert_eq!(server.metric(metric).await, 1.0);

    let failed_over_ms = elected(&server, "b", "2").await;
    assert_eq!(send(&server, "a").await.1.status, 204, "it comes back");

    let end_ms = now_ms();
    let range = [("query", "m[1h]"), ("time", &seconds(end_ms))];
    let found = matrix(&server.get("/api/v1/query", &range).await.data());
    let labels = [("__name__", "m"), ("cluster", "c"), ("job", "node")];
    let labels: BTreeMap<_, _> = labels
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();

    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        [&labels],
        "one series, without the replica"
    );

    let points = &found[&labels];
    let (first, second): (Vec<_>, Vec<_>) = points
        .iter()
        .partition(|(ts_ms, _)| *ts_ms < failed_over_ms);

    assert_eq!(first.len(), 5);
    assert!(
        first
            .iter()
            .all(|(ts_ms, value)| *ts_ms >= start_ms && value == "1"),
        "{points:?}"
    );

    assert!(
        !second.is_empty() && second.iter().all(|(_, value)| value == "2"),
        "{points:?}"
    );

    assert_eq!(
        server
            .get("/api/v1/label/__replica__/values", &[])
            .await
            .data(),
        json!([])
    );
}

#[tokio::test]
async fn writes_of_elected_replicas_cost_no_request_and_an_election_one() {
    let (_held, file) = limits();
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let endpoint = s3.endpoint();

    let server = Duramen::with(&[
        "--limits-file",
        &file,
        "--store",
        "s3://test/x",
        "--s3-endpoint",
        &endpoint,
    ])
    .await;
    send(&server, "a").await;
    s3.reset_counts();
    send(&server, "a").await;
    send(&server, "b").await;

    assert_eq!(s3.counts().requests(), 0, "{:?}", s3.log());
    assert_eq!(server.push(scrape("d", "a", now_ms())).await.status, 204);
    assert_eq!(s3.counts().requests(), 1, "{:?}", s3.log());
}

#[tokio::test]
async fn while_the_bucket_is_away_a_fail_over_waits_and_nothing_is_stored_twice() {
    let (_held, file) = limits();
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let endpoint = s3.endpoint();

    let server = Duramen::with(&[
        "--limits-file",
        &file,
        "--store",
        "s3://test/x",
        "--s3-endpoint",
        &endpoint,
    ])
    .await;
    assert_eq!(send(&server, "a").await.1.status, 204);

    s3.set_outage(true);

    // The silence of the replica is the injected fault.
    pass(std::time::Duration::from_millis(2500)).await;

    let (ts_ms, answer) = send(&server, "b").await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
    assert_eq!(server.value("m", ts_ms).await.as_deref(), Some("1"));

    s3.set_outage(false);
    elected(&server, "b", "2").await;
}

#[tokio::test]
async fn a_pair_too_many_is_refused_and_a_series_with_one_label_is_not_of_a_pair() {
    let (_held, file) = limits();
    let server = Duramen::with(&["--limits-file", &file]).await;
    let now = now_ms();

    for cluster in ["1", "2"] {
        assert_eq!(server.push(scrape(cluster, "a", now)).await.status, 204);
    }

    let refused = server.push(scrape("3", "a", now)).await;
    assert_eq!(refused.status, 400);

    assert!(
        refused.text().contains("clusters_max=`2`"),
        "{}",
        refused.text()
    );

    let rejected =
        "duramen_ingest_rejected_samples_total{tenant=\"anonymous\",reason=\"ha_clusters_limit\"}";
    assert_eq!(server.metric(rejected).await, 1.0);

    let alone = Body::default()
        .series(&[("__name__", "one"), ("__replica__", "x")], &[(now, 1.0)])
        .snappy();
    assert_eq!(server.send(&write(alone)).await.status, 204);

    assert_eq!(
        server
            .get("/api/v1/label/__replica__/values", &[])
            .await
            .data(),
        json!(["x"])
    );
}
