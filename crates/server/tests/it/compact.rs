//! The subcommand `compact`, as a process, on the store of a server.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::process::{Command, Output};

use duramen_testkit::s3::{S3, S3Options};
use serde_json::Value as Json;

use crate::harness::duramen::Duramen;
use crate::harness::samples::Body;
use crate::harness::wait::now_ms;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Runs `duramen compact --once` on the store of the tests.
fn compact(s3: &S3, arguments: &[&str]) -> Output {
    let staging = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));

    command
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", "key-of-the-test")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_REGION", "us-east-1")
        .env("DURAMEN_S3_ENDPOINT", s3.endpoint())
        .args([
            "compact",
            "--once",
            "-o",
            "json",
            "--store",
            "s3://test/duramen",
        ])
        .arg("--staging")
        .arg(staging.path())
        .args(
            arguments
                .iter()
                .filter(|argument| **argument != WITH_ROLLUPS),
        );

    // The counts of most tests are about samples.
    if !arguments.contains(&WITH_ROLLUPS) {
        command.arg("--no-rollups");
    }

    let output = command.output().unwrap();
    let left = std::fs::read_dir(staging.path()).unwrap().count();
    assert_eq!(left, 0, "nothing is left on the disk");
    output
}

/// An argument of [`compact`] alone: makes rollups too.
const WITH_ROLLUPS: &str = "with rollups";

/// What the command prints, if it ends with this code.
fn ended(output: &Output, code: i32) -> Json {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_merged_beside_a_server_and_queries_go_on() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let server = Duramen::on(&s3).await;
    // A day that is over, and not at its border.
    let day_ms = (now_ms() / DAY_MS - 3) * DAY_MS;

    for flush in 0..3 {
        let at_ms = day_ms + (flush + 1) * 3_600_000;
        let body = Body::default()
            .sample("a", at_ms, flush as f64)
            .sample("b", at_ms, 1.0);
        server.write(body.snappy()).await;
        server.flush().await;
    }

    let query = "sum_over_time(a[1d])";
    let asked_ms = day_ms + 4 * 3_600_000;
    assert_eq!(server.value(query, asked_ms).await.as_deref(), Some("3"));

    let planned = ended(&compact(&s3, &["--dry-run"]), 0);
    let job = &planned["tenants"][0]["planned"][0];
    assert_eq!(
        (&job["level"], job["blocks"].as_array().unwrap().len()),
        (&Json::from("day"), 3)
    );

    let elsewhere = (day_ms / 1000 - 86_400).to_string();
    ended(&compact(&s3, &["--window", &elsewhere]), 3);

    let merged = ended(&compact(&s3, &["--tenant", "anonymous"]), 0);
    let merged = &merged["tenants"][0]["merged"];
    assert_eq!(
        (&merged["done"], &merged["blocks_out"]),
        (&Json::from(1), &Json::from(1))
    );
    assert_eq!(merged["samples_out"], 6);

    ended(&compact(&s3, &[]), 3);
    assert_eq!(server.value(query, asked_ms).await.as_deref(), Some("3"));

    // The rollups of the day, of samples that stay as they are.
    let planned = ended(&compact(&s3, &[WITH_ROLLUPS, "--dry-run"]), 0);
    let job = &planned["tenants"][0]["planned"][0];
    assert_eq!(job["level"], "rollups");

    let rolled = ended(&compact(&s3, &[WITH_ROLLUPS]), 0);
    let rolled = &rolled["tenants"][0]["merged"];
    assert_eq!(
        (&rolled["done"], &rolled["blocks_out"]),
        (&Json::from(1), &Json::from(2))
    );
    ended(&compact(&s3, &[WITH_ROLLUPS]), 3);
    assert_eq!(server.value(query, asked_ms).await.as_deref(), Some("3"));

    // The server goes on on top of the merge.
    let body = Body::default().sample("a", asked_ms, 9.0);
    server.write(body.snappy()).await;
    server.flush().await;
    assert_eq!(server.value(query, asked_ms).await.as_deref(), Some("12"));
}

/// Which rollups a query may read, and which it has read.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_names_its_rollups() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let server = Duramen::on(&s3).await;
    let day_ms = (now_ms() / DAY_MS - 3) * DAY_MS;

    let mut body = Body::default();
    for minute in 0..24 * 60 {
        body = body.sample("a", day_ms + minute * 60_000 + 1, minute as f64);
    }
    server.write(body.snappy()).await;
    server.flush().await;

    ended(&compact(&s3, &[WITH_ROLLUPS]), 0);
    // The server hears of it with its next flush.
    let body = Body::default().sample("a", day_ms + DAY_MS, 0.0);
    server.write(body.snappy()).await;
    server.flush().await;

    let start = (day_ms / 1000 + 3 * 3_600).to_string();
    let end = (day_ms / 1000 + 9 * 3_600).to_string();
    let ask = async |step: &str, resolution: Option<&str>| {
        let mut params = vec![
            ("query", "sum_over_time(a[1h])"),
            ("start", start.as_str()),
            ("end", end.as_str()),
            ("step", step),
        ];
        params.extend(resolution.map(|text| ("max_source_resolution", text)));
        server.get("/api/v1/query_range", &params).await
    };

    for (step, resolution, read) in [
        ("1h", None, Some("1h")),
        ("1h", Some("auto"), Some("1h")),
        ("1h", Some("5m"), Some("5m")),
        ("1h", Some("0s"), None),
        ("5m", None, Some("5m")),
        ("5m", Some("1m"), None),
        ("61s", None, None),
    ] {
        let answer = ask(step, resolution).await;
        let case = format!("{step} {resolution:?}");

        assert_eq!(answer.status, 200, "{case}");
        assert_eq!(answer.header("x-duramen-resolution"), read, "{case}");

        let first = &answer.json()["data"]["result"][0]["values"][0][1];
        assert_eq!(*first, (60 * 120 + 59 * 60 / 2).to_string(), "{case}");
    }

    let refused = ask("1h", Some("often")).await;
    assert_eq!(refused.status, 400);
    let why = refused.json()["error"].to_string();
    assert!(why.contains("max_source_resolution"), "{why}");
    assert!(why.contains("a duration or `auto`"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_beyond_its_retention_goes_without_a_server() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let server = Duramen::on(&s3).await;

    // A block whose last sample is too old, and one that is not.
    for days in [3, 1] {
        let at_ms = now_ms() - days * DAY_MS;
        let body = Body::default().sample("a", at_ms, 1.0);
        server.write(body.snappy()).await;
        server.flush().await;
    }

    let folder = tempfile::tempdir().unwrap();
    let limits = folder.path().join("limits.yaml");
    std::fs::write(&limits, "defaults:\n  retention: {period: 2d}\n").unwrap();

    let settings = folder.path().join("duramen.yaml");
    std::fs::write(&settings, format!("limits_file: {}\n", limits.display())).unwrap();
    let config = ["--config", settings.to_str().unwrap()];

    // Without the file, nothing is known of a retention.
    let planned = ended(&compact(&s3, &["--dry-run"]), 3);
    assert_eq!(planned["tenants"][0]["expired"], 0);

    let planned = ended(&compact(&s3, &[&config[..], &["--dry-run"]].concat()), 0);
    assert_eq!(planned["tenants"][0]["expired"], 1);

    let done = ended(&compact(&s3, &config), 0);
    assert_eq!(done["tenants"][0]["merged"]["expired"], 1);
    assert_eq!(done["tenants"][0]["merged"]["done"], 0);

    ended(&compact(&s3, &config), 3);

    // The server sees it with its next commit.
    let at_ms = now_ms();
    server
        .write(Body::default().sample("a", at_ms, 1.0).snappy())
        .await;
    server.flush().await;
    let left = server.value("count_over_time(a[5d])", at_ms).await;
    assert_eq!(left.as_deref(), Some("2"));
}

/// Runs `duramen bucket clean` on the store of the tests.
fn clean(s3: &S3, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));

    command
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", "key-of-the-test")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_REGION", "us-east-1")
        .env("DURAMEN_S3_ENDPOINT", s3.endpoint())
        .args(["bucket", "clean", "-o", "json"])
        .args(["--store", "s3://test/duramen"])
        .args(arguments);

    command.output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_needs_is_cleaned_beside_a_server() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let server = Duramen::on(&s3).await;
    let day_ms = (now_ms() / DAY_MS - 3) * DAY_MS;

    for flush in 0..3 {
        let at_ms = day_ms + (flush + 1) * 3_600_000;
        let body = Body::default().sample("a", at_ms, 1.0);
        server.write(body.snappy()).await;
        server.flush().await;
    }

    ended(&clean(&s3, &["--once"]), 3);
    ended(&compact(&s3, &[]), 0);

    // A block of 2001 that no manifest names.
    let objects = s3.objects();
    let meta = objects
        .iter()
        .find(|object| object.key.ends_with("/meta"))
        .unwrap();
    let (blocks, _) = meta.key.split_once("/block=").unwrap();
    let orphan = format!("{blocks}/block=00WJZ8S0000000000000000000/meta");
    s3.plant(orphan.clone(), "x");

    let planned = ended(&clean(&s3, &["--dry-run", "--grace", "0s"]), 0);
    let expected = &planned["tenants"][0]["deleted"];
    assert_eq!(expected["unnamed_blocks"], 1);
    assert_eq!(expected["replaced_blocks"], 3);
    assert!(s3.object(&orphan).is_some(), "nothing is deleted yet");

    let cleaned = ended(&clean(&s3, &["--once", "--grace", "0s"]), 0);
    assert_eq!(&cleaned["tenants"][0]["deleted"], expected);
    assert!(s3.object(&orphan).is_none());
    assert!(
        !s3.objects()
            .iter()
            .any(|object| object.key.contains("workers/"))
    );

    let left = s3
        .objects()
        .iter()
        .filter(|object| object.key.ends_with("/meta"))
        .count();
    assert_eq!(left, 1);
    ended(&clean(&s3, &["--once", "--grace", "0s"]), 3);

    // The server goes on, behind the horizon.
    server
        .write(Body::default().sample("a", day_ms, 9.0).snappy())
        .await;
    server.flush().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_share_the_work_and_end_when_they_are_asked_to() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let server = Duramen::on(&s3).await;
    let day_ms = (now_ms() / DAY_MS - 9) * DAY_MS;

    for flush in 0..6 {
        let at_ms = day_ms + flush / 2 * DAY_MS + (flush + 1) * 3_600_000;
        let body = Body::default().sample("a", at_ms, 1.0);
        server.write(body.snappy()).await;
        server.flush().await;
    }

    let staging = tempfile::tempdir().unwrap();
    let start = || {
        Command::new(env!("CARGO_BIN_EXE_duramen"))
            .env_clear()
            .env("AWS_ACCESS_KEY_ID", "key-of-the-test")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_REGION", "us-east-1")
            .env("DURAMEN_S3_ENDPOINT", s3.endpoint())
            .env("DURAMEN_COMPACT_INTERVAL", "50ms")
            .args(["compact", "--store", "s3://test/duramen", "--staging"])
            .arg(staging.path())
            .spawn()
            .unwrap()
    };

    let workers = [start(), start()];
    let mut looks = 0;

    // Three days, of two flushes each.
    loop {
        let planned = compact(&s3, &["--dry-run"]);
        if planned.status.code() == Some(3) {
            break;
        }

        looks += 1;
        assert!(looks < 1_000, "nothing is merged");
    }

    for mut worker in workers {
        let id = worker.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(worker.wait().unwrap().code(), Some(0));
    }

    assert_eq!(std::fs::read_dir(staging.path()).unwrap().count(), 0);
    let keys: Vec<String> = s3.objects().into_iter().map(|object| object.key).collect();
    let left = keys
        .iter()
        .filter(|key| key.contains("/workers/") || key.contains("/jobs/"));
    assert_eq!(left.count(), 0, "{keys:?}");

    let asked_ms = day_ms + 3 * DAY_MS;
    let sum = server.value("sum_over_time(a[3d])", asked_ms).await;
    assert_eq!(sum.as_deref(), Some("6"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_cannot_work_says_why() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let _server = Duramen::on(&s3).await;
    let output = compact(&s3, &["--tenant", "nobody"]);

    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("the store has no tenant nobody"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_merges_by_itself() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let server = Duramen::on_with(&s3, &["--compact-interval", "50ms"]).await;
    let day_ms = (now_ms() / DAY_MS - 3) * DAY_MS;

    for flush in 0..3 {
        let at_ms = day_ms + (flush + 1) * 3_600_000;
        server
            .write(Body::default().sample("a", at_ms, 1.0).snappy())
            .await;
        server.flush().await;
    }

    let idle = [
        "duramen_compact_backlog_blocks{level=\"day\"}",
        "duramen_compact_oldest_window_age_seconds",
    ];
    let is_merged = async || {
        let merged = server
            .metric("duramen_compact_jobs_total{outcome=\"done\"}")
            .await;
        merged >= 1.0 && server.metric(idle[0]).await + server.metric(idle[1]).await == 0.0
    };

    let mut looks = 0;
    while !is_merged().await {
        looks += 1;
        assert!(looks < 10_000, "nothing is merged");
    }

    let sum = server
        .value("sum_over_time(a[1d])", day_ms + 4 * 3_600_000)
        .await;
    assert_eq!(sum.as_deref(), Some("3"));
}
