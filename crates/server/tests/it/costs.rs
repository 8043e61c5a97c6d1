//! The costs of writes and queries, in requests to the bucket and in bytes.

#![expect(
    clippy::unwrap_used,
    reason = "a test server that does not start fails its test"
)]

use std::collections::BTreeSet;

use duramen_testkit::prompb::v1::metric_metadata::MetricType;
use duramen_testkit::s3::{Op, RequestLog, S3, S3Options};

use crate::harness::duramen::Duramen;
use crate::harness::samples::{Body, Random};
use crate::harness::wait::now_ms;
use crate::harness::wire;

/// The length of the windows of the last day. Each becomes a block.
const WINDOW_MS: i64 = 2 * 3_600_000;

/// Returns the start of the last window that has ended.
fn window_ms() -> i64 {
    now_ms() / WINDOW_MS * WINDOW_MS - WINDOW_MS
}

async fn on_s3() -> (S3, Duramen) {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let server = Duramen::on(&s3).await;
    (s3, server)
}

fn of(log: &[RequestLog], op: Op) -> Vec<&str> {
    log.iter()
        .filter(|entry| entry.op == op)
        .map(|entry| entry.key.as_str())
        .collect()
}

#[tokio::test]
async fn a_write_costs_no_request_and_a_flush_three_puts_a_block_and_one_more() {
    let (s3, server) = on_s3().await;
    let window = window_ms();
    let sample = |ts_ms| Body::default().sample("m", ts_ms, 1.0).snappy();

    // The first write creates the tenant.
    server.write(sample(window)).await;
    server.flush().await;

    for (windows, puts) in [(1usize, 4), (2, 7), (5, 16)] {
        s3.reset_counts();
        for n in 0..windows.cast_signed() as i64 {
            server
                .write(sample(
                    window - n * WINDOW_MS + windows.cast_signed() as i64,
                ))
                .await;
        }

        assert_eq!(
            s3.counts().requests(),
            0,
            "writes stay on the local disk: {:?}",
            s3.log()
        );

        server.flush().await;

        let log = s3.log();
        assert_eq!(of(&log, Op::Put).len(), puts, "{windows} windows: {log:#?}");

        assert_eq!(
            s3.counts().requests(),
            puts as u64,
            "{windows} windows: {log:#?}"
        );

        let files = |name: &str| {
            of(&log, Op::Put)
                .iter()
                .filter(|key| key.ends_with(name))
                .count()
        };

        for name in ["/series.parquet", "/samples.parquet", "/meta"] {
            assert_eq!(files(name), windows, "{name}: {log:#?}");
        }

        assert!(
            of(&log, Op::Put).last().unwrap().contains("/manifest/"),
            "the edit is the last: {log:#?}"
        );
    }

    s3.reset_counts();
    server.flush().await;

    assert_eq!(
        s3.counts().requests(),
        0,
        "nothing to flush: {:?}",
        s3.log()
    );
}

#[tokio::test]
async fn a_query_of_the_head_and_a_warm_query_of_blocks_cost_no_request() {
    let (s3, server) = on_s3().await;
    let window = window_ms();
    server
        .write(Body::default().sample("m", window, 1.0).snappy())
        .await;
    s3.reset_counts();

    assert_eq!(server.value("m", window).await.as_deref(), Some("1"));
    assert_eq!(s3.counts().requests(), 0, "{:?}", s3.log());

    server.flush().await;
    assert_eq!(server.value("m", window).await.as_deref(), Some("1"));

    s3.reset_counts();
    assert_eq!(server.value("m", window).await.as_deref(), Some("1"));
    assert_eq!(server.value("absent(m)", window).await, None);
    assert_eq!(s3.counts().requests(), 0, "{:?}", s3.log());
}

#[tokio::test]
async fn a_cold_query_costs_the_manifest_and_two_trips_a_block() {
    let (s3, mut server) = on_s3().await;
    let window = window_ms();
    let blocks = 3usize;

    for n in [0, 1, 2] {
        server
            .write(
                Body::default()
                    .sample("m", window - n * WINDOW_MS, 1.0)
                    .snappy(),
            )
            .await;
    }

    server.flush().await;
    server.kill();
    server.start().await;
    s3.reset_counts();

    let found = server.value("count_over_time(m[1d])", window).await;
    assert_eq!(found.as_deref(), Some(&*blocks.to_string()));

    let log = s3.log();
    let gets = of(&log, Op::Get);
    let metas = gets.iter().filter(|key| key.ends_with("/meta")).count();

    assert_eq!(metas, blocks, "{log:#?}");

    let of_blocks = gets.iter().filter(|key| key.contains("/blocks/")).count();
    println!(
        "{of_blocks} GETs for {blocks} blocks, {} requests in all",
        log.len()
    );

    // A block of this size needs three requests: its meta, the series table, and one range of
    // samples.
    assert!(of_blocks <= 3 * blocks, "{log:#?}");
    assert!(
        log.len() - of_blocks <= 4,
        "one LIST and a few GETs find the manifest: {log:#?}"
    );

    assert_eq!(s3.counts().puts, 0, "a query writes nothing: {log:#?}");
}

#[tokio::test]
async fn one_of_ten_thousand_series_reads_under_two_percent_of_a_block() {
    let (s3, mut server) = on_s3().await;
    let window = window_ms();
    let mut random = Random(7);
    let scrapes = 200i64;

    for batch in 0..20 {
        let mut body = Body::default();

        for series in 0..500 {
            let name = format!("metric_{batch:02}_total");
            let instance = format!("10.0.{}.{series}:9100", batch % 3);

            // The values have full mantissas, so that the block does not shrink for another reason.
            let mut sample = |n| (window + n * 15_000, (random.below(1 << 30) as f64).sqrt());
            let samples: Vec<_> = (0..scrapes).map(&mut sample).collect();

            body = body.series(
                &[
                    ("__name__", &name),
                    ("instance", &instance),
                    ("job", "node"),
                ],
                &samples,
            );
        }

        server.write(body.snappy()).await;
    }

    server.flush().await;
    server.kill();
    server.start().await;

    let block: u64 = s3
        .objects()
        .iter()
        .filter(|object| object.key.contains("/blocks/"))
        .map(|o| o.size)
        .sum();

    s3.reset_counts();

    let query = "count_over_time(metric_11_total{instance=\"10.0.2.123:9100\"}[2h])";
    let found = server.value(query, window + WINDOW_MS - 1).await;

    assert_eq!(found, Some(scrapes.to_string()));

    let gets = s3.counts().gets;
    let bytes = s3.counts().bytes_out;
    let share = bytes as f64 / block as f64 * 100.0;

    println!("{gets} GETs read {bytes} of {block} bytes: {share:.2} %");
    assert!(share < 2.0, "{bytes} of {block} bytes: {:#?}", s3.log());
}

/// Returns the blocks that requests were about.
fn blocks_of(log: &[RequestLog]) -> BTreeSet<&str> {
    log.iter()
        .filter_map(|entry| entry.key.split_once("/blocks/")?.1.split('/').next())
        .collect()
}

#[tokio::test]
async fn exemplars_and_metadata_cost_the_blocks_that_have_them_and_no_others() {
    let (s3, mut server) = on_s3().await;
    let window = window_ms();
    let name = [("__name__", "m")];

    for flush in 0..4i64 {
        let traces = [("t", 1.0, window + flush)];
        let traces = if flush == 1 { &traces[..] } else { &[] };
        let body = wire::Request::default().series(&name, &[(window + flush, 1.0)], traces);

        let body = if flush == 0 {
            body.family("m", MetricType::Gauge, "help", "")
        } else {
            body
        };

        server.write(body.snappy()).await;
        server.flush().await;
    }

    server.kill();
    server.start().await;

    let blocks = s3
        .objects()
        .iter()
        .filter(|object| object.key.ends_with("/meta"))
        .count();

    assert_eq!(blocks, 4);

    // Requests for each block: its meta with the series table, then the exemplars or the metadata.
    for (path, params, blocks, gets_max) in [
        ("/api/v1/query_exemplars", vec![("query", "m")], 1, 3),
        ("/api/v1/metadata", vec![], 1, 3),
        ("/api/v1/status/tsdb", vec![("start", "0")], 4, 8),
    ] {
        s3.reset_counts();
        let answer = server.get(path, &params).await.text();
        assert!(answer.contains("\"m\""), "{path}: {answer}");
        let log = s3.log();
        println!("{path}: {} requests", log.len());
        assert!(blocks_of(&log).len() <= blocks, "{path}: {log:#?}");
        let gets = of(&log, Op::Get)
            .iter()
            .filter(|key| key.contains("/blocks/"))
            .count();
        assert!(gets <= gets_max, "{path}: {log:#?}");
        s3.reset_counts();
        server.get(path, &params).await.data();
        let log = s3.log();
        assert!(
            blocks_of(&log).is_empty(),
            "a second time: {path}: {log:#?}"
        );
    }
}
