//! The start and the end of a process.

use std::time::Duration;

use duramen_testkit::s3::{Fault, Op, Rule, S3, S3Options, When};

use crate::harness::duramen::Duramen;
use crate::harness::http::Request;
use crate::harness::process::{Process, free_address};
use crate::harness::samples::Body;
use crate::harness::wait::{now_ms, until};

const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a process that must refuse to start, and returns its message.
async fn refused(server: &mut Duramen) -> String {
    let process = server.spawn();
    let status = process.ended(PATIENCE).await;

    assert_eq!(status.code(), Some(1), "{}", process.log());

    let log = process.log();
    assert!(!log.contains("panicked"), "{log}");

    log
}

#[tokio::test]
async fn a_second_process_on_a_data_directory_is_refused_and_the_first_goes_on() {
    let mut server = Duramen::local().await;
    let log = server.data_dir().parent().unwrap().join("second-log");
    let mut second = Process::start(
        &mut server.command(free_address(), &server.data_dir()),
        &log,
    );

    let status = second.ended(PATIENCE).await;
    assert_eq!(status.code(), Some(1));

    let said = second.log();
    assert!(
        said.contains("another process") || said.contains("locked") || said.contains("in use"),
        "{said}"
    );

    assert!(
        said.contains(&server.data_dir().display().to_string()),
        "{said}"
    );

    server
        .write(Body::default().sample("m", now_ms(), 1.0).snappy())
        .await;

    // A lock that outlives its process would need a person to remove it.
    server.kill();
    server.start().await;
}

#[tokio::test]
async fn a_second_process_on_a_store_is_refused_and_the_first_goes_on() {
    let directory = tempfile::TempDir::new().unwrap();
    let store = format!("file:{}", directory.path().join("store").display());
    let mut server = Duramen::with(&["--store", &store]).await;

    server
        .write(Body::default().sample("m", now_ms(), 1.0).snappy())
        .await;

    let mut second = Process::start(
        &mut server.command(free_address(), &directory.path().join("other")),
        &directory.path().join("second-log"),
    );

    assert_eq!(second.ended(PATIENCE).await.code(), Some(1));

    let said = second.log();
    assert!(
        said.contains("the store is in use by another process") && said.contains(&store),
        "{said}"
    );

    server.flush().await;
    server.kill();
    server.start().await;
}

#[tokio::test]
async fn a_taken_port_is_told() {
    let server = Duramen::local().await;
    let log = server.data_dir().parent().unwrap().join("second-log");
    let other = server.data_dir().parent().unwrap().join("other");
    let mut second = Process::start(&mut server.command(server.address, &other), &log);

    assert_eq!(second.ended(PATIENCE).await.code(), Some(1));
    assert!(
        second.log().contains(&server.address.to_string()),
        "{}",
        second.log()
    );
}

#[tokio::test]
async fn a_store_without_honest_conditional_puts_is_refused_by_the_failing_check() {
    let s3 = S3::start(S3Options {
        honest_conditional_puts: false,
        ..S3Options::default()
    })
    .await
    .unwrap();

    let endpoint = s3.endpoint();
    let mut server = Duramen::stopped(&["--store", "s3://test", "--s3-endpoint", &endpoint]);
    let log = refused(&mut server).await;

    assert!(log.contains("conditional PUT"), "{log}");
}

#[tokio::test]
async fn credentials_that_are_refused_are_told_without_the_secret() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    s3.inject(Rule {
        when: When::op(Op::Put),
        fault: Fault::Forbidden403,
    });

    let endpoint = s3.endpoint();
    let mut server = Duramen::stopped(&["--store", "s3://test", "--s3-endpoint", &endpoint]);
    let log = refused(&mut server).await;

    assert!(log.contains("AccessDenied") || log.contains("403"), "{log}");
    assert!(!log.contains("secret"), "{log}");
}

#[tokio::test]
async fn a_store_of_another_deployment_is_refused() {
    let first = S3::start(S3Options::default()).await.unwrap();
    let second = S3::start(S3Options::default()).await.unwrap();
    let mut server = Duramen::on(&first).await;

    server
        .write(Body::default().sample("m", now_ms(), 1.0).snappy())
        .await;

    let mut other = Duramen::on(&second).await;
    other.kill();
    server.kill();
    server.points_at(&second);

    let log = refused(&mut server).await;
    assert!(log.contains("deployment"), "{log}");
}

#[tokio::test]
async fn sigterm_ends_cleanly_and_loses_nothing() {
    let s3 = S3::start(S3Options::default()).await.unwrap();

    for mut server in [Duramen::local().await, Duramen::on(&s3).await] {
        let now = now_ms();
        for n in 0..10 {
            server
                .write(Body::default().sample("m", now + n, n as f64).snappy())
                .await;
        }

        server.stop().await;
        server.start().await;

        assert_eq!(
            server
                .value("count_over_time(m[1m])", now + 9)
                .await
                .as_deref(),
            Some("10")
        );

        assert_eq!(server.value("m", now + 9).await.as_deref(), Some("9"));
    }
}

#[tokio::test]
async fn a_clean_end_leaves_nothing_in_the_log_alone() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let now = now_ms();
    let mut first = Duramen::on(&s3).await;

    first
        .write(Body::default().sample("m", now, 1.0).snappy())
        .await;
    first.stop().await;

    let mut other = Duramen::on(&s3).await;
    assert_eq!(other.value("m", now).await.as_deref(), Some("1"));
    other.stop().await;

    first.start().await;
    assert_eq!(first.value("m", now).await.as_deref(), Some("1"));
    assert_eq!(
        first.metric("duramen_wal_replayed_samples_total").await,
        0.0
    );
}

#[tokio::test]
async fn a_clean_end_that_must_not_flush_leaves_samples_in_the_log() {
    let now = now_ms();
    let mut server = Duramen::with(&["--flush-end-wait-max", "0s"]).await;

    server
        .write(Body::default().sample("m", now, 1.0).snappy())
        .await;
    server.stop().await;
    server.start().await;

    assert_eq!(server.value("m", now).await.as_deref(), Some("1"));
    assert_eq!(
        server.metric("duramen_wal_replayed_samples_total").await,
        1.0
    );
}

#[tokio::test]
async fn a_clean_end_whose_store_is_away_ends_in_time_and_loses_nothing() {
    let now = now_ms();
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let mut server = Duramen::on_with(&s3, &["--flush-end-wait-max", "1s"]).await;

    server
        .write(Body::default().sample("m", now, 1.0).snappy())
        .await;

    s3.set_outage(true);
    server.stop().await;
    s3.set_outage(false);

    server.start().await;
    assert_eq!(server.value("m", now).await.as_deref(), Some("1"));
}

#[tokio::test]
async fn from_its_first_moment_a_process_says_that_it_lives_and_how_far_its_start_is() {
    // A store that takes connections and says nothing.
    let store = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", store.local_addr().unwrap());
    let mut server =
        Duramen::stopped(&["--store", "s3://test/duramen", "--s3-endpoint", &endpoint]);

    server.spawn();
    let address = server.address;

    until("an answer", PATIENCE, async || {
        let answer = Request::get("/-/healthy", &[]).send(address).await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;

    let ready = server.get("/-/ready", &[]).await;
    assert_eq!(
        (ready.status, ready.header("retry-after")),
        (503, Some("1"))
    );
    assert!(
        ready.text().starts_with("duramen starts"),
        "{}",
        ready.text()
    );

    let query = server.get("/api/v1/query", &[("query", "up")]).await;
    assert_eq!(query.status, 503);
    assert!(
        query.text().contains(r#""errorType":"unavailable""#),
        "{}",
        query.text()
    );

    let write = server
        .push(Body::default().sample("m", 1, 1.0).snappy())
        .await;
    assert_eq!(write.status, 503);

    server.kill();
}

#[tokio::test]
async fn a_head_is_flushed_by_its_age_alone() {
    let server = Duramen::with(&["--flush-interval", "1s"]).await;
    let now = now_ms();
    server
        .write(Body::default().sample("m", now, 1.0).snappy())
        .await;
    until("a flush by age", PATIENCE, async || {
        (server.metric("duramen_flush_samples_total").await == 1.0).then_some(())
    })
    .await;

    assert_eq!(server.value("m", now).await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_fresh_process_answers_queries_about_itself() {
    let mut server = Duramen::with(&["--self-scrape-interval", "1s"]).await;
    until("its own metrics", PATIENCE, async || {
        let value = server
            .value("duramen_ingest_samples_total{job=\"duramen\"}", now_ms())
            .await?;
        (value != "0").then_some(())
    })
    .await;
    assert_eq!(
        server
            .value("up{job=\"duramen\"}", now_ms())
            .await
            .as_deref(),
        Some("1")
    );

    let said = server.process().log();
    for text in ["/api/v1/write", "curl", "Grafana"] {
        assert!(said.contains(text), "{said}");
    }
}
