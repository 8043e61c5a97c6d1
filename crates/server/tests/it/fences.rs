//! Copies of data directories, restored directories, and second processes on one store. Only one of
//! them publishes, and acknowledged samples are never reported as flushed and then lost.

use std::time::Duration;

use duramen_testkit::s3::{S3, S3Options};

use crate::harness::directory::copy_directory;
use crate::harness::duramen::Duramen;
use crate::harness::samples::Body;
use crate::harness::wait::now_ms;

const PATIENCE: Duration = Duration::from_secs(90);

/// Returns a server with its own data directory, on the same store.
fn another(s3: &S3, arguments: &[&str]) -> Duramen {
    let endpoint = s3.endpoint();
    let store = ["--store", "s3://test/duramen", "--s3-endpoint", &endpoint];
    Duramen::stopped(&[&store, arguments].concat())
}

/// Starts a process that must refuse to start, and returns its last words.
async fn refused(server: &mut Duramen) -> String {
    let process = server.spawn();
    let status = process.ended(PATIENCE).await;

    assert_eq!(status.code(), Some(1), "{}", process.log());

    let last = process.log().lines().last().unwrap_or_default().to_owned();
    server.kill();
    last
}

async fn write(server: &Duramen, metric: &str, values: std::ops::Range<i64>, now: i64) {
    for value in values {
        server
            .write(
                Body::default()
                    .sample(metric, now - 60_000 + value * 1_000, value as f64)
                    .snappy(),
            )
            .await;
    }
}

async fn count(server: &Duramen, metric: &str, now: i64) -> Option<String> {
    server
        .value(&format!("count_over_time({metric}[10m])"), now)
        .await
}

#[tokio::test]
async fn a_copied_data_directory_is_refused_beside_the_first_and_goes_on_alone_after_it() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let now = now_ms();
    let mut first = Duramen::on(&s3).await;

    write(&first, "seed", 0..3, now).await;
    first.kill();

    let mut copied = another(&s3, &[]);
    copy_directory(&first.data_dir(), &copied.data_dir());

    first.start().await;

    let said = refused(&mut copied).await;
    assert!(
        said.contains("another process writes to the store") && said.contains("--take-over"),
        "{said}"
    );

    write(&first, "from_first", 0..5, now).await;
    first.flush().await;
    first.kill();

    // The same log positions as those that the first process has flushed, with other samples.
    copied.start().await;
    write(&copied, "from_copy", 0..5, now).await;
    copied.flush().await;
    copied.kill();
    copied.start().await;

    for (metric, samples) in [("seed", "3"), ("from_first", "5"), ("from_copy", "5")] {
        assert_eq!(
            count(&copied, metric, now).await.as_deref(),
            Some(samples),
            "{metric}"
        );
    }
}

#[tokio::test]
async fn what_a_copy_acknowledged_before_it_was_overtaken_is_read_when_it_starts_again() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let now = now_ms();
    let mut first = Duramen::on(&s3).await;

    write(&first, "seed", 0..3, now).await;
    first.kill();

    let mut copied = another(&s3, &[]);
    copy_directory(&first.data_dir(), &copied.data_dir());
    copied.start().await;
    write(&copied, "from_copy", 0..5, now).await;
    copied.kill();

    // The first process writes past the positions of the copy's samples, and flushes there.
    first.start().await;
    write(&first, "from_first", 0..20, now).await;
    first.flush().await;
    first.kill();
    copied.start().await;

    for (metric, samples) in [("seed", "3"), ("from_first", "20"), ("from_copy", "5")] {
        assert_eq!(
            count(&copied, metric, now).await.as_deref(),
            Some(samples),
            "{metric}"
        );
    }

    copied.flush().await;
    assert_eq!(count(&copied, "from_copy", now).await.as_deref(), Some("5"));
}

#[tokio::test]
async fn a_data_directory_restored_from_an_older_copy_goes_on_without_a_person() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let now = now_ms();
    let mut server = Duramen::on(&s3).await;

    write(&server, "seed", 0..1, now).await;
    server.flush().await;
    server.kill();

    let older = server.data_dir().with_extension("older");
    copy_directory(&server.data_dir(), &older);

    server.start().await;
    for value in 0..3 {
        write(&server, "mid", value..value + 1, now).await;
        server.flush().await;
    }

    server.kill();
    std::fs::remove_dir_all(server.data_dir()).unwrap();
    copy_directory(&older, &server.data_dir());

    server.start().await;
    for value in 0..5 {
        write(&server, "after", value..value + 1, now).await;
        server.flush().await;
    }

    for _ in 0..2 {
        for (metric, samples) in [("seed", "1"), ("mid", "3"), ("after", "5")] {
            assert_eq!(
                count(&server, metric, now).await.as_deref(),
                Some(samples),
                "{metric}"
            );
        }

        server.kill();
        server.start().await;
    }
}

#[tokio::test]
async fn a_second_live_process_on_a_store_is_refused_and_may_have_it_once_the_first_is_gone() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let now = now_ms();
    let mut first = Duramen::on(&s3).await;
    let mut second = another(&s3, &[]);
    let said = refused(&mut second).await;

    assert!(
        said.contains("another process writes to the store"),
        "{said}"
    );

    write(&first, "from_first", 0..2, now).await;
    first.flush().await;
    first.kill();
    second.start().await;

    assert_eq!(
        count(&second, "from_first", now).await.as_deref(),
        Some("2")
    );

    second.stop().await;

    // A clean end releases the store at once, wherever the next process runs.
    first.start().await;
    assert_eq!(count(&first, "from_first", now).await.as_deref(), Some("2"));
}

#[tokio::test]
async fn a_process_that_was_stopped_neither_answers_nor_publishes_after_another_took_over() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let now = now_ms();
    let mut first = Duramen::on(&s3).await;

    write(&first, "flushed", 0..2, now).await;
    first.flush().await;
    write(&first, "held", 0..2, now).await;
    first.process().signal("STOP");

    let mut second = another(&s3, &["--take-over"]);
    second.start().await;
    write(&second, "from_second", 0..3, now).await;
    second.flush().await;
    first.process().signal("CONT");

    let query = [
        ("query", "from_second"),
        ("time", &*crate::harness::duramen::seconds(now)),
    ];

    let request = crate::harness::http::Request::get("/api/v1/query", &query);

    if let Ok(answer) = request.send(first.address).await {
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(
            answer
                .text()
                .contains("another process has taken over the store"),
            "{}",
            answer.text()
        );
    }

    let status = first.process().ended(PATIENCE).await;
    assert_eq!(status.code(), Some(1));

    let log = first.process().log();
    assert!(
        log.contains("another process has taken over the store"),
        "{log}"
    );

    first.kill();

    // Its own samples are in its log. They cannot be read until it may write again.
    assert_eq!(count(&second, "held", now).await, None);

    second.kill();
    first.start().await;

    for (metric, samples) in [("flushed", "2"), ("held", "2"), ("from_second", "3")] {
        assert_eq!(
            count(&first, metric, now).await.as_deref(),
            Some(samples),
            "{metric}"
        );
    }
}
