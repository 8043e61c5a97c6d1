//! `explain` over HTTP and on the command line: the operators of a query, and what they did.
//! `DURAMEN_BLESS=1` writes the snapshots anew.

#![expect(
    clippy::unwrap_used,
    reason = "a test server that does not start fails its test"
)]

use std::path::Path;
use std::process::Command;

use duramen_testkit::s3::{Op, S3, S3Options};
use serde_json::Value as Json;

use crate::harness::duramen::{Duramen, seconds};
use crate::harness::samples::Body;
use crate::harness::wait::now_ms;

/// The length of the windows of the last day. Each becomes a block.
const WINDOW_MS: i64 = 2 * 3_600_000;

fn of_job(job: &str) -> [(&str, &str); 2] {
    [("__name__", "m"), ("job", job)]
}

/// Returns a restarted server with `m` of two jobs in three blocks and another series in the last
/// block, and the time of the newest sample.
async fn three_blocks(s3: &S3) -> (Duramen, i64) {
    let newest = now_ms() / WINDOW_MS * WINDOW_MS - WINDOW_MS;
    let mut server = Duramen::on(s3).await;

    for n in [0, 1, 2] {
        let ts_ms = newest - n * WINDOW_MS;
        let body = Body::default()
            .series(&of_job("a"), &[(ts_ms, 1.0)])
            .series(&of_job("b"), &[(ts_ms, 2.0)]);
        server
            .write(body.sample("other", ts_ms, 3.0).snappy())
            .await;
    }

    server.flush().await;
    server.kill();
    server.start().await;

    (server, newest)
}

async fn analyze(server: &Duramen, query: &str, time_ms: i64) -> Json {
    let time = seconds(time_ms);
    server
        .get(
            "/api/v1/explain",
            &[("query", query), ("time", &time), ("analyze", "true")],
        )
        .await
        .data()
}

/// Returns the reads of the only scan of a query, in the order of their names.
fn reads(explained: &Json) -> Vec<(&str, u64)> {
    let scans: Vec<_> = explained["operators"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|o| o["work"]["reads"].as_object())
        .collect();

    assert_eq!(scans.len(), 1, "{explained}");

    scans[0]
        .iter()
        .map(|(name, count)| (name.as_str(), count.as_u64().unwrap()))
        .collect()
}

fn read_of(explained: &Json, name: &str) -> u64 {
    reads(explained)
        .into_iter()
        .find(|(known, _)| *known == name)
        .unwrap()
        .1
}

#[tokio::test]
async fn an_analyzed_query_tells_what_was_left_out_at_each_level_and_what_was_asked_of_the_bucket()
{
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let (server, newest) = three_blocks(&s3).await;
    s3.reset_counts();

    let query = format!(
        "sum(count_over_time(m{{job=\"a\"}}[{}m]))",
        WINDOW_MS / 60_000 + 1
    );

    let cold = analyze(&server, &query, newest).await;
    let found: Vec<_> = [
        "heads",
        "blocks",
        "blocks_in_range",
        "blocks_opened",
        "block_series",
        "block_series_found",
    ]
    .map(|name| read_of(&cold, name))
    .to_vec();

    // The open generation of the head is empty. Two of three blocks are in the range, and one of
    // their three series passes in each.
    assert_eq!(found, [1, 3, 2, 2, 6, 2], "{cold}");

    let gets = s3
        .log()
        .iter()
        .filter(|entry| entry.op == Op::Get && entry.key.contains("/blocks/"))
        .count() as u64;

    assert!(gets >= 4, "cold: {:?}", s3.log());
    assert_eq!(read_of(&cold, "gets"), gets, "{:?}", s3.log());
    assert!(
        read_of(&cold, "get_bytes") > 0 && read_of(&cold, "cache_hits") == 0,
        "{cold}"
    );

    assert_eq!(
        (
            &cold["resultSeries"],
            &cold["stats"]["samples"]["samplesRead"]
        ),
        (&1.into(), &2.into()),
        "{cold}"
    );

    s3.reset_counts();

    let warm = analyze(&server, &query, newest).await;
    assert_eq!(
        (read_of(&warm, "gets"), s3.counts().requests()),
        (0, 0),
        "{warm}"
    );

    assert!(read_of(&warm, "cache_hits") > 0, "{warm}");
    let matcher_hits = [&cold, &warm].map(|explained| read_of(explained, "matcher_hits"));
    assert_eq!(matcher_hits, [0, 2], "once in each block: {warm}");

    server
        .write(
            Body::default()
                .series(&of_job("a"), &[(newest + 1, 1.0)])
                .snappy(),
        )
        .await;

    let with_head = analyze(&server, &query, newest + 1).await;
    assert_eq!(
        (
            read_of(&with_head, "heads"),
            read_of(&with_head, "blocks_in_range")
        ),
        (1, 2),
        "{with_head}"
    );

    let rows: Vec<_> = with_head["operators"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| o["work"]["rows"].as_u64())
        .collect();

    assert!(
        rows.iter().all(|rows| *rows == Some(1)),
        "one series at every operator: {with_head}"
    );
}

#[tokio::test]
async fn a_plan_reads_no_sample_and_is_the_same_by_http_and_on_the_command_line() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let (server, newest) = three_blocks(&s3).await;

    // The first query loads the manifest.
    server.query("1", newest).await;
    analyze(&server, "vector(1)", newest).await;
    s3.reset_counts();

    let query = "sum by(job) (rate(m[5m])) / 2";
    let start = seconds(newest - 60_000);
    let end = seconds(newest);

    let range = [
        ("query", query),
        ("start", &*start),
        ("end", &*end),
        ("step", "15s"),
    ];

    let answer = server
        .get(
            "/api/v1/explain",
            &[&range[..], &[("format", "text")]].concat(),
        )
        .await;

    let text = answer.text();
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.trim_start().split(':').next().unwrap())
        .collect();

    let expected = [
        "MapCellsExec",
        "FinalAggregateExec",
        "OrderedGatherExec",
        "PartialAggregateExec",
        "StepEvalExec",
        "SeriesScanExec",
        "ScalarExec",
    ];

    assert_eq!(lines, expected, "{text}");
    assert!(
        s3.log().iter().all(|entry| !entry.key.contains("/blocks/")),
        "{:?}",
        s3.log()
    );

    let json = server.post("/api/v1/explain", &range).await.data();
    let told: Vec<_> = json["operators"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| o["operator"].as_str().unwrap())
        .collect();

    assert_eq!(told, expected);
    assert!(
        json["operators"][0].get("work").is_none() && json.get("stats").is_none(),
        "{json}"
    );

    let url = format!("http://{}", server.address);
    let printed = Command::new(env!("CARGO_BIN_EXE_duramen"))
        .env_clear()
        .args([
            "explain", "--url", &url, "--start", &start, "--end", &end, "--step", "15s", query,
        ])
        .output()
        .unwrap();

    assert!(printed.status.success(), "{printed:?}");
    assert_eq!(String::from_utf8(printed.stdout).unwrap(), text);

    let refused = Command::new(env!("CARGO_BIN_EXE_duramen"))
        .env_clear()
        .args(["explain", "--url", &url, "sum(("])
        .output();

    let refused = refused.unwrap();
    assert!(!refused.status.success());

    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(
        told.starts_with("error: invalid parameter \"query\": 1:6: parse error: "),
        "{told}"
    );

    assert!(
        told.ends_with(&format!(". status=`400`, url=`{url}/api/v1/explain`\n")),
        "{told}"
    );
}

#[tokio::test]
async fn what_cannot_be_explained_is_refused_with_the_parameter_at_fault() {
    let server = Duramen::local().await;

    for (params, text) in [
        (&[("query", "up"), ("analyze", "perhaps")][..], "analyze"),
        (&[("query", "up"), ("format", "xml")], "format"),
        (
            &[("query", "up"), ("start", "1"), ("end", "0"), ("step", "1")],
            "end timestamp must not be before start time",
        ),
        (&[("query", "up"), ("start", "0"), ("end", "1")], "step"),
        (
            &[
                ("query", "up[5m]"),
                ("start", "0"),
                ("end", "1"),
                ("step", "1"),
            ],
            "must be Scalar or instant Vector",
        ),
        (&[("query", "up{")], "parse error"),
    ] {
        let answer = server.get("/api/v1/explain", params).await;
        assert_eq!(answer.status, 400, "{params:?}: {}", answer.text());
        assert!(
            answer.text().contains(text),
            "{params:?}: {}",
            answer.text()
        );
    }

    let string = server
        .get(
            "/api/v1/explain",
            &[("query", "\"text\""), ("analyze", "true")],
        )
        .await
        .data();

    assert_eq!(
        string["operators"].as_array().unwrap().len(),
        0,
        "a string needs no operators"
    );
}

type Params = &'static [(&'static str, &'static str)];

/// Name of the snapshots, query, and its times as parameters. Each query finds in the cache what
/// the queries before it read, and its JSON finds what its text read.
const SNAPSHOTS: &[(&str, &str, Params)] = &[
    (
        "sum_of_rate",
        "sum by(job) (rate(requests_total[5m]))",
        &RANGE,
    ),
    (
        "selector",
        "requests_total{instance=\"1\"} > 3",
        &[("time", "1700006520")],
    ),
    (
        "ratio",
        "requests_total / on(job) group_left(version) build_info",
        &[("time", "1700006520")],
    ),
    (
        "subquery",
        "max_over_time(rate(requests_total{job=\"a\"}[5m])[30m:1m])",
        &[("time", "1700006520")],
    ),
    (
        "topk",
        "topk(2, requests_total) + scalar(count(build_info))",
        &RANGE,
    ),
    ("nothing", "absent(nothing)", &[("time", "1700006520")]),
];
/// A range across midnight, which is the border of two blocks.
const RANGE: [(&str, &str); 3] = [
    ("start", "1700005800"),
    ("end", "1700007000"),
    ("step", "60"),
];

/// Writes counters of two jobs with two instances each, and a version for each job, with a sample a
/// minute around the midnight after 2023-11-14. They are old enough to be in blocks of a day each.
/// The last two minutes are in memory.
async fn around_midnight(s3: &S3) -> Duramen {
    let body = |minutes: std::ops::Range<i64>| {
        let series = [("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")];
        let samples = |by: f64| {
            minutes
                .clone()
                .map(|n| (MIDNIGHT_MS + n * 60_000, by * n as f64))
                .collect::<Vec<_>>()
        };

        let counters = (1..)
            .zip(series)
            .fold(Body::default(), |body, (n, (job, instance))| {
                let labels = [
                    ("__name__", "requests_total"),
                    ("job", job),
                    ("instance", instance),
                ];

                body.series(&labels, &samples(f64::from(n)))
            });

        let info = |body: Body, job| {
            body.series(
                &[("__name__", "build_info"), ("job", job), ("version", "7")],
                &samples(0.0),
            )
        };

        info(info(counters, "a"), "b").snappy()
    };

    let mut server = Duramen::on(s3).await;
    server.write(body(-60..10)).await;
    server.flush().await;
    server.kill();
    server.start().await;
    server.write(body(10..12)).await;

    server
}

const MIDNIGHT_MS: i64 = 1_700_006_400_000;

/// Returns whether a number differs from run to run: times, bytes of memory and of compressed
/// extents, and memory that several partitions held at once.
fn varies(name: &str) -> bool {
    ["busy", "busySeconds", "peakSamples"].contains(&name)
        || name.ends_with("bytes")
        || name.ends_with("Time")
}

fn mask_text(text: &str) -> String {
    let mask_pair = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if varies(name.rsplit(' ').next().unwrap_or(name)) => format!("{name}=?"),
        _ => pair.to_owned(),
    };

    let mask_line = |line: &str| {
        line.split(", ")
            .map(mask_pair)
            .collect::<Vec<_>>()
            .join(", ")
    };

    text.lines().map(|line| mask_line(line) + "\n").collect()
}

fn mask_json(json: &mut Json) {
    match json {
        Json::Object(fields) => {
            for (name, value) in fields {
                if varies(name) {
                    *value = "?".into();
                }

                mask_json(value);
            }
        }
        Json::Array(all) => all.iter_mut().for_each(mask_json),
        _ => {}
    }
}

#[tokio::test]
async fn analyzed_queries_over_blocks_and_memory_are_told_as_in_the_snapshots() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let server = around_midnight(&s3).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explain");
    let mut changed = Vec::new();

    for (name, query, times) in SNAPSHOTS {
        let params = [&[("query", *query), ("analyze", "true")], *times].concat();
        let text = server
            .get(
                "/api/v1/explain",
                &[&params[..], &[("format", "text")]].concat(),
            )
            .await
            .text();

        let mut json = server.get("/api/v1/explain", &params).await.data();
        mask_json(&mut json);

        let found = [
            (
                format!("{name}.txt"),
                format!("{query}\n\n{}", mask_text(&text)),
            ),
            (format!("{name}.json"), format!("{json:#}\n")),
        ];

        for (file, found) in found {
            if std::env::var_os("DURAMEN_BLESS").is_some() {
                std::fs::write(folder.join(&file), &found).unwrap();
            }

            if std::fs::read_to_string(folder.join(&file)).unwrap_or_default() != found {
                println!("{file} is now\n{found}");
                changed.push(file);
            }
        }
    }

    assert!(changed.is_empty(), "changed: {changed:?}");
}
