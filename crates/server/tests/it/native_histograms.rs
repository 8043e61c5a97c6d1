//! A real Prometheus scrapes a native histogram and an exemplar, and both arrive as they were
//! exposed.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use duramen_proto::wire::{put_bytes, put_fixed64, put_varint, put_varint_field};
use duramen_testkit::prompb::v1;

use crate::harness::duramen::{Duramen, seconds};
use crate::harness::prometheus::Prometheus;
use crate::harness::read::read;
use crate::harness::wait::{now_ms, until};

const PATIENCE: Duration = Duration::from_secs(60);

fn pair(name: &str, value: &str) -> Vec<u8> {
    let mut pair = Vec::new();
    put_bytes(&mut pair, 1, name.as_bytes());
    put_bytes(&mut pair, 2, value.as_bytes());

    pair
}

/// Returns the family `latency_seconds` in the exposition format of protobuf. It has six
/// observations in native buckets and, in the classic one, an exemplar.
fn exposition() -> Vec<u8> {
    let mut exemplar = Vec::new();
    let mut bucket = Vec::new();
    put_bytes(&mut exemplar, 1, &pair("trace_id", "abc"));
    put_fixed64(&mut exemplar, 2, 1.5f64.to_bits());
    put_varint_field(&mut bucket, 1, 5);
    put_fixed64(&mut bucket, 2, 10f64.to_bits());
    put_bytes(&mut bucket, 3, &exemplar);

    let mut histogram = Vec::new();
    put_varint_field(&mut histogram, 1, 6);
    put_fixed64(&mut histogram, 2, 18.5f64.to_bits());
    put_bytes(&mut histogram, 3, &bucket);

    // Signed numbers are in zigzag. The schema is 3, with two buckets from the second on, which
    // have 3 observations each.
    put_varint_field(&mut histogram, 5, 6);
    put_fixed64(&mut histogram, 6, 0.001f64.to_bits());
    put_varint_field(&mut histogram, 7, 0);

    let mut span = Vec::new();
    put_varint_field(&mut span, 1, 4);
    put_varint_field(&mut span, 2, 2);
    put_bytes(&mut histogram, 12, &span);
    put_varint_field(&mut histogram, 13, 6);
    put_varint_field(&mut histogram, 13, 0);

    let mut metric = Vec::new();
    let mut family = Vec::new();
    put_bytes(&mut metric, 1, &pair("path", "/a b"));
    put_bytes(&mut metric, 7, &histogram);
    put_bytes(&mut family, 1, b"latency_seconds");
    put_bytes(&mut family, 2, b"How long it takes.");
    put_varint_field(&mut family, 3, 4);
    put_bytes(&mut family, 4, &metric);

    let mut delimited = Vec::new();
    put_varint(&mut delimited, family.len() as u64);
    delimited.extend_from_slice(&family);

    delimited
}

/// Answers every request on a port of its own with the exposition, as long as the test runs.
fn target() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let body = exposition();
    let media = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let answer = [head.into_bytes(), body].concat();

    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };

            // A scrape fits into one read. If one fails, its Prometheus retries it.
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(&answer);
        }
    });

    address
}

#[tokio::test]
async fn a_native_histogram_that_prometheus_scrapes_arrives_with_its_exemplar_and_its_metadata() {
    let server = Duramen::local().await;
    let target = target();
    let start_ms = now_ms();
    let Some(prometheus) = Prometheus::start_with_all_kinds(server.address, &[target]).await else {
        return;
    };

    let stored = until("two native histograms", PATIENCE, async || {
        let series = read(&server, "latency_seconds", start_ms, now_ms() + 60_000).await;
        series
            .into_iter()
            .next()
            .filter(|series| series.histograms.len() >= 2)
    })
    .await;
    assert_eq!(stored.labels["path"], "/a b");
    assert_eq!(stored.samples, []);

    let one = &stored.histograms[0];
    assert_eq!(
        (one.count, one.sum, one.schema),
        (Some(v1::histogram::Count::CountInt(6)), 18.5, 3),
        "{one:?}"
    );

    assert_eq!(
        (one.zero_threshold, &one.positive_deltas[..]),
        (0.001, &[3, 0][..]),
        "{one:?}"
    );

    assert_eq!(
        one.positive_spans,
        [v1::BucketSpan {
            offset: 2,
            length: 2
        }]
    );

    assert!(one.timestamp >= start_ms, "{one:?}");

    let metadata = until("metadata", PATIENCE, async || {
        let data = server
            .get("/api/v1/metadata", &[("metric", "latency_seconds")])
            .await
            .data();

        data.get("latency_seconds").cloned()
    })
    .await;
    assert_eq!(metadata[0]["help"], "How long it takes.");
    assert_eq!(metadata[0]["type"], "histogram");

    let exemplar = until("an exemplar", PATIENCE, async || {
        let start = seconds(start_ms);
        let end = seconds(now_ms() + 60_000);

        let params = [
            ("query", "{__name__=~\"latency_seconds.*\"}"),
            ("start", start.as_str()),
            ("end", end.as_str()),
        ];

        let data = server.get("/api/v1/query_exemplars", &params).await.data();
        data.get(0).map(|series| series["exemplars"][0].clone())
    })
    .await;
    assert_eq!(exemplar["labels"]["trace_id"], "abc", "{exemplar}");
    assert_eq!(exemplar["value"], "1.5", "{exemplar}");
    assert_eq!(prometheus.queue().await.lost, 0.0, "{}", prometheus.log());
}
