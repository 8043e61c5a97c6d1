//! Years of history, written in any order.

#![expect(
    clippy::unwrap_used,
    reason = "a test server that does not start fails its test"
)]

use duramen_testkit::s3::{S3, S3Options};

use crate::harness::duramen::{Duramen, seconds};
use crate::harness::samples::{Body, Random, matrix};
use crate::harness::wait::now_ms;

const SERIES: usize = 20;
const STEP_MS: i64 = 6 * 3_600_000;
/// Five years with one sample every six hours.
const SAMPLES: i64 = 5 * 365 * 4;
/// The most blocks of one flush.
const BLOCKS_MAX: usize = 64;

#[tokio::test]
async fn five_years_in_random_order_make_few_objects_and_answer_right() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let mut server = Duramen::on(&s3).await;
    let end_ms = now_ms() / STEP_MS * STEP_MS;
    let mut all: Vec<(usize, i64)> = (0..SERIES)
        .flat_map(|series| (0..SAMPLES).map(move |n| (series, n)))
        .collect();

    Random(5).shuffle(&mut all);

    let flushes = 2;

    for part in all.chunks(all.len().div_ceil(flushes)) {
        for request in part.chunks(2000) {
            server.write(body(request, end_ms)).await;
        }

        let before = blocks(&s3);

        // The second part completes the history.
        check(&server, end_ms, before > 0).await;
        server.flush().await;

        let made = blocks(&s3) - before;
        println!("{} samples made {made} blocks", part.len());

        assert!((1..=BLOCKS_MAX).contains(&made), "{made} blocks");
    }

    check(&server, end_ms, true).await;
    server.kill();
    server.start().await;
    check(&server, end_ms, true).await;
}

/// Returns the value of sample `n` of a series, counted back from now.
fn value(series: usize, n: i64) -> f64 {
    n as f64 + series as f64 / 100.0
}

fn body(samples: &[(usize, i64)], end_ms: i64) -> Vec<u8> {
    let mut body = Body::default();
    for (series, n) in samples {
        let labels = [("__name__", "history"), ("series", &*series.to_string())];
        body = body.series(&labels, &[(end_ms - n * STEP_MS, value(*series, *n))]);
    }

    body.snappy()
}

fn blocks(s3: &S3) -> usize {
    s3.objects()
        .iter()
        .filter(|object| object.key.ends_with("/meta"))
        .count()
}

/// Reads everything back. Before all is written, it only checks that no answer is wrong.
async fn check(server: &Duramen, end_ms: i64, complete: bool) {
    let params = [("query", "history[6y]"), ("time", &*seconds(end_ms))];
    let found = matrix(&server.get("/api/v1/query", &params).await.data());

    assert_eq!(found.len(), SERIES);

    for (labels, points) in &found {
        let series: usize = labels["series"].parse().unwrap();
        assert!(
            points.windows(2).all(|two| two[0].0 < two[1].0),
            "{labels:?} is not in order"
        );

        assert!(
            !complete || points.len() == usize::try_from(SAMPLES).unwrap(),
            "{labels:?}: {}",
            points.len()
        );

        for (ts_ms, text) in points {
            let n = (end_ms - ts_ms) / STEP_MS;
            assert_eq!(*text, value(series, n).to_string(), "{labels:?} at {ts_ms}");
        }
    }

    // A query in the middle, far from both ends.
    let middle_ms = end_ms - SAMPLES / 2 * STEP_MS;
    let count = server
        .value("count(count_over_time(history[6h]))", middle_ms)
        .await;

    if complete {
        assert_eq!(count, Some(SERIES.to_string()));

        let sum = server
            .value("sum(history)", middle_ms)
            .await
            .unwrap()
            .parse::<f64>()
            .unwrap();

        let expected: f64 = (0..SERIES).map(|series| value(series, SAMPLES / 2)).sum();
        assert!((sum - expected).abs() < 1e-6, "{sum}");
    }
}
