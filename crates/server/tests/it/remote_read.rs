//! Remote read: answers in the form of Prometheus, and a Prometheus that evaluates queries with
//! them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "an answer that cannot be read fails its test"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use duramen_model::{Counts, Histogram, Labels, ResetHint, STALE_NAN, Span};
use duramen_proto::chunk::{Decoded, decode};
use duramen_proto::remote_read::TimeSeriesEncoder;
use duramen_proto::remote_read::answer::{LabelPairs, read_frames, read_response};
use duramen_proto::snappy;
use duramen_proto::wire::{put_bytes, put_varint_field};
use duramen_testkit::shared;
use serde_json::Value as Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::harness::demo::fill;
use crate::harness::duramen::{Duramen, seconds};
use crate::harness::http::{Answer, Request};
use crate::harness::prometheus::Prometheus;
use crate::harness::rounds::{SERIES, beside_rounds};
use crate::harness::samples::{Body, Random, matrix};
use crate::harness::wait::{now_ms, until};

/// Times, and the 64 bits of each value.
type Floats = Vec<(i64, u64)>;
type Found = Vec<(LabelPairs, Floats)>;

fn recorded(name: &str) -> Option<PathBuf> {
    shared::path(&format!("conformance/prometheus-2.42-answers/{name}"))
}

fn post(body: Vec<u8>) -> Request {
    post_to("/api/v1/read", body)
}

fn post_to(target: impl Into<String>, body: Vec<u8>) -> Request {
    Request::new("POST", target)
        .header("Content-Type", "application/x-protobuf")
        .header("Content-Encoding", "snappy")
        .header("X-Prometheus-Remote-Read-Version", "0.1.0")
        .body(body)
}

const STREAMED: u8 = 1;

/// Returns a query for a metric name in `[start_ms, end_ms]`.
fn query(name: &str, (start_ms, end_ms): (i64, i64)) -> Vec<u8> {
    let mut query = Vec::new();
    let mut matcher = Vec::new();
    put_bytes(&mut matcher, 2, b"__name__");
    put_varint_field(&mut matcher, 1, 2);
    put_bytes(&mut matcher, 3, name.as_bytes());
    put_varint_field(&mut query, 1, start_ms.cast_unsigned());
    put_varint_field(&mut query, 2, end_ms.cast_unsigned());
    put_bytes(&mut query, 3, &matcher);

    query
}

fn request(queries: &[Vec<u8>], accepted: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for query in queries {
        put_bytes(&mut out, 1, query);
    }

    put_bytes(&mut out, 2, accepted);
    snappy::compress(&out)
}

/// Returns the floats of an answer of samples, query by query.
#[track_caller]
fn samples(answer: &Answer) -> Vec<Found> {
    assert_eq!(
        (answer.status, answer.header("content-encoding")),
        (200, Some("snappy")),
        "{}",
        answer.text()
    );

    assert_eq!(
        answer.header("content-type"),
        Some("application/x-protobuf")
    );

    let message = snappy::decompress(&answer.body, 1 << 30).unwrap();
    let bits = |floats: &[(i64, f64)]| {
        floats
            .iter()
            .map(|(ts_ms, value)| (*ts_ms, value.to_bits()))
            .collect()
    };

    let results = read_response(&message).unwrap();
    results
        .iter()
        .map(|all| {
            all.iter()
                .map(|one| (one.labels.clone(), bits(&one.floats)))
                .collect()
        })
        .collect()
}

/// Returns the floats of a streamed answer. The frames of a series are joined.
#[track_caller]
fn streamed(answer: &Answer) -> Found {
    let media = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some(media)),
        "{}",
        answer.text()
    );

    assert_eq!(answer.header("content-encoding"), None);

    let mut found: Found = Vec::new();

    for frame in read_frames(&answer.body).unwrap() {
        let mut floats = Floats::new();

        for chunk in frame.chunks {
            let Some(Decoded::Floats(all)) = decode(chunk.encoding, &chunk.data) else {
                panic!("{chunk:?}")
            };
            assert_eq!(
                (all[0].0, all[all.len() - 1].0),
                (chunk.first_ms, chunk.last_ms)
            );

            floats.extend(all.iter().map(|(ts_ms, value)| (*ts_ms, value.to_bits())));
        }

        match found.last_mut() {
            Some((labels, held)) if *labels == frame.labels => held.extend(floats),
            _ => found.push((frame.labels, floats)),
        }
    }

    found
}

fn within(found: &Found, start_ms: i64, end_ms: i64) -> Found {
    let keep = |floats: &Floats| {
        floats
            .iter()
            .copied()
            .filter(|(ts, _)| (start_ms..=end_ms).contains(ts))
            .collect()
    };

    found
        .iter()
        .map(|(labels, floats)| (labels.clone(), keep(floats)))
        .collect()
}

#[tokio::test]
async fn recorded_requests_are_answered_as_prometheus_answered_them() {
    let (Some(folder), Some(demo)) = (recorded("remote-read"), recorded("demo.jsonl.gz")) else {
        return;
    };
    let server = Duramen::local().await;
    fill(&server, &demo).await;
    compare(&server, &folder).await;
    server.flush().await;
    compare(&server, &folder).await;
}

async fn compare(server: &Duramen, folder: &std::path::Path) {
    let index: Json =
        serde_json::from_slice(&std::fs::read(folder.join("index.json")).unwrap()).unwrap();
    let file = |name: String| std::fs::read(folder.join(name)).unwrap();
    let cases = index.as_array().unwrap();

    assert_eq!(cases.len(), 6);

    for case in cases {
        let name = case["case"].as_str().unwrap();
        let body = file(format!("{name}.request.snappy"));
        let answer = server.send(&post(body)).await;

        assert_eq!(answer.status, case["code"], "{name}: {}", answer.text());

        for header in ["Content-Type", "Content-Encoding", "X-Content-Type-Options"] {
            assert_eq!(
                answer.header(&header.to_lowercase()),
                case["headers"][header].as_str(),
                "{name}: {header}"
            );
        }

        let wanted = file(format!("{name}.response.bin"));

        match name {
            "unknown_response_type" => assert_eq!(answer.body, wanted),
            "streamed_xor" | "streamed_then_samples_preference" => {
                let mut theirs = answer.clone();
                theirs.body = wanted;

                let wanted = streamed(&theirs);
                let floats = || {
                    wanted
                        .iter()
                        .flat_map(|(_, floats)| floats)
                        .map(|(ts_ms, _)| *ts_ms)
                };

                // Chunks of Prometheus reach beyond the range; ours do not.
                let (start_ms, end_ms) = match name {
                    "streamed_xor" => (1_700_000_000_000, 1_700_003_600_000),
                    _ => (floats().min().unwrap(), 1_700_000_060_000),
                };

                let found = streamed(&answer);
                assert_eq!(found, within(&wanted, start_ms, end_ms), "{name}");
                assert!(
                    !found.is_empty() && found.iter().all(|(_, floats)| floats.len() > 10),
                    "{name}"
                );
            }
            _ => {
                let decoded = snappy::decompress(&answer.body, 1 << 20).unwrap();
                assert_eq!(
                    decoded,
                    file(format!("{name}.response.decoded.pb")),
                    "{name}"
                );
            }
        }
    }
}

#[tokio::test]
async fn both_ends_of_the_range_are_inside_and_every_bit_of_a_value_comes_back() {
    let server = Duramen::local().await;
    let end_ms = now_ms();

    let odd = [
        STALE_NAN,
        f64::from_bits(0x7ff8_0000_0000_0001),
        -0.0,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE / 4.0,
    ];

    let held: Vec<_> = odd
        .iter()
        .zip(0..)
        .map(|(value, at)| (end_ms - 4000 + 1000 * at, *value))
        .collect();

    server
        .write(
            Body::default()
                .series(&[("__name__", "odd")], &held)
                .snappy(),
        )
        .await;

    let expected: Floats = held[1..4]
        .iter()
        .map(|(ts_ms, value)| (*ts_ms, value.to_bits()))
        .collect();

    let range = (held[1].0, held[3].0);
    let asked = [
        query("odd", range),
        query("nothing", range),
        query("odd", (range.1, range.0)),
    ];

    let found = samples(&server.send(&post(request(&asked, &[]))).await);
    let labels = vec![("__name__".to_owned(), "odd".to_owned())];

    assert_eq!(
        found,
        [vec![(labels.clone(), expected.clone())], vec![], vec![]]
    );

    let found = streamed(&server.send(&post(request(&asked, &[STREAMED]))).await);
    assert_eq!(found, [(labels, expected)]);
}

#[tokio::test]
async fn series_come_in_the_order_of_their_labels_also_where_labels_sort_before_the_name() {
    let server = Duramen::local().await;
    let end_ms = now_ms();

    let sets: [&[(&str, &str)]; 5] = [
        &[("__name__", "a")],
        &[("__name__", "a"), ("Zone", "2")],
        &[("__name__", "b"), ("Zone", "1")],
        &[("__name__", "b"), ("zone", "1")],
        &[("__name__", "a"), ("Zone", "2"), ("b", "c")],
    ];

    let body = sets.iter().fold(Body::default(), |body, set| {
        body.series(set, &[(end_ms, 1.0)])
    });
    server.write(body.snappy()).await;

    let body = |accepted: &[u8]| post(request(&[query("a|b", (end_ms, end_ms))], accepted));
    let found = streamed(&server.send(&body(&[STREAMED])).await);
    let mut sorted: Vec<_> = found.iter().map(|(labels, _)| labels.clone()).collect();

    sorted.sort();

    let order: Vec<_> = found.iter().map(|(labels, _)| labels.clone()).collect();
    assert_eq!((order.len(), &order), (5, &sorted));
    assert_eq!(samples(&server.send(&body(&[])).await), [found]);
}

/// Writes `series` of `samples` floats each, which do not compress, one every millisecond. Returns
/// their range.
async fn write_noise(server: &Duramen, series: usize, samples: i64) -> (i64, i64) {
    let mut random = Random(7);
    let end_ms = now_ms();

    for number in 0..series {
        for part in (0..samples).collect::<Vec<_>>().chunks(50_000) {
            let half = |random: &mut Random| random.below(1 << 31) as u64;
            let value =
                |random: &mut Random| f64::from_bits(half(random) << 31 | half(random) | 1 << 62);
            let floats: Vec<_> = part
                .iter()
                .map(|at| (end_ms - samples + at, value(&mut random)))
                .collect();

            server
                .write(
                    Body::default()
                        .series(
                            &[("__name__", "noise"), ("n", &format!("{number:03}"))],
                            &floats,
                        )
                        .snappy(),
                )
                .await;
        }
    }

    (end_ms - samples, end_ms)
}

#[tokio::test]
async fn a_long_series_spans_frames_that_follow_each_other() {
    let server = Duramen::local().await;
    let range = write_noise(&server, 2, 200_000).await;
    let answer = server
        .send(&post(request(&[query("noise", range)], &[STREAMED])))
        .await;
    let frames = read_frames(&answer.body).unwrap();
    let numbers: Vec<_> = frames
        .iter()
        .map(|frame| frame.labels[1].1.clone())
        .collect();

    assert!(numbers.len() >= 4 && numbers.is_sorted(), "{numbers:?}");

    let found = streamed(&answer);
    assert_eq!(
        found
            .iter()
            .map(|(_, floats)| floats.len())
            .collect::<Vec<_>>(),
        [200_000; 2]
    );

    assert!(
        found
            .iter()
            .all(|(_, floats)| floats.is_sorted_by(|a, b| a.0 < b.0))
    );

    assert_eq!(
        samples(
            &server
                .send(&post(request(&[query("noise", range)], &[])))
                .await
        ),
        [found]
    );
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_reading() {
    let server = Duramen::local().await;
    let range = write_noise(&server, 10, 100_000).await;
    let body = request(&[query("noise", range)], &[STREAMED]);
    let counted = "duramen_remote_read_samples_total{form=\"streamed_xor_chunks\"}";

    // Takes the head of the answer, waits until the server has filled the buffers between, and goes
    // away.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();

    let mut client = socket.connect(server.address).await.unwrap();
    let head = format!(
        "POST /api/v1/read HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );

    client
        .write_all(&[head.as_bytes(), &body].concat())
        .await
        .unwrap();

    client.read_exact(&mut [0; 12]).await.unwrap();
    until("a series under way", Duration::from_secs(60), async || {
        (server.metric(counted).await > 0.0).then_some(())
    })
    .await;
    drop(client);

    // If the reading had not ended, it would be done when this equal reading is.
    let whole = streamed(&server.send(&post(body)).await);
    assert_eq!(whole.len(), 10);

    let sent = server.metric(counted).await;
    assert!((1_000_000.0..2_000_000.0).contains(&sent), "{sent}");
}

#[tokio::test]
async fn bodies_that_are_no_request_are_refused_as_text() {
    let server = Duramen::local().await;
    let snappy_of = |bytes: &[u8]| snappy::compress(bytes);
    let many = request(&vec![query("a", (0, 1)); 101], &[]);
    let bomb = snappy::compress(&vec![0; 8 << 20]);

    for (body, status, part) in [
        (Vec::new(), 400, "snappy"),
        (b"garbage".to_vec(), 400, "snappy"),
        (
            vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0],
            400,
            "declares more bytes",
        ),
        (bomb, 400, "declares more bytes"),
        (snappy_of(b"\x0a\xff"), 400, "protobuf"),
        (request(&[query("(", (0, 1))], &[]), 400, "__name__"),
        (many, 400, "read_queries_max=`100`"),
        (vec![0; 2 << 20], 413, "read_body_bytes_max"),
    ] {
        let answer = server.send(&post(body)).await;
        assert_eq!(
            (answer.status, answer.header("x-content-type-options")),
            (status, Some("nosniff")),
            "{part}"
        );
        assert!(answer.text().contains(part), "{}", answer.text());
    }

    assert_eq!(server.get("/api/v1/read", &[]).await.status, 405);
}

/// Returns a histogram with two buckets, which counted `at` and twice as much.
fn histogram(at: u64) -> Histogram {
    let counts = Counts::Integer {
        count: 3 * at + 1,
        zero_count: 1,
        positive: vec![at.cast_signed(), at.cast_signed()],
        negative: Vec::new(),
    };

    Histogram {
        schema: 0,
        hint: ResetHint::Unknown,
        sum: at as f64 / 4.0,
        zero_threshold: 0.001,
        counts,
        positive_spans: vec![Span {
            offset: 1,
            length: 2,
        }],
        negative_spans: Vec::new(),
        custom_values: Vec::new(),
    }
}

fn as_floats(histogram: Histogram) -> Histogram {
    let Counts::Integer {
        count,
        zero_count,
        positive,
        negative,
    } = histogram.counts
    else {
        panic!("{histogram:?}")
    };

    let absolute = |deltas: Vec<i64>| {
        deltas
            .into_iter()
            .scan(0, |sum, delta| {
                *sum += delta;
                Some(*sum as f64)
            })
            .collect()
    };

    let counts = Counts::Float {
        count: count as f64,
        zero_count: zero_count as f64,
        positive: absolute(positive),
        negative: absolute(negative),
    };

    Histogram {
        counts,
        ..histogram
    }
}

/// Writes histograms of one series, one every 15 s. Returns their range.
async fn write_histograms(server: &Duramen, name: &str, histograms: &[Histogram]) -> (i64, i64) {
    let start_ms = now_ms() - 15_000 * i64::try_from(histograms.len()).unwrap();
    let labels = Labels::from_pairs([("__name__", name), ("job", "x")]).unwrap();

    // The series of a write and of an answer are the same message.
    let mut series = Vec::new();
    let mut encoder = TimeSeriesEncoder::begin(&mut series, labels.encoded());

    for (ts_ms, histogram) in (start_ms..).step_by(15_000).zip(histograms) {
        encoder.push_histogram(ts_ms, histogram);
    }

    let mut body = Vec::new();
    put_bytes(&mut body, 1, &series);
    server.write(snappy::compress(&body)).await;

    (start_ms, now_ms())
}

#[tokio::test]
async fn native_histograms_are_read_in_both_forms() {
    let server = Duramen::local().await;
    let mut counter: Vec<_> = (0..200).map(histogram).collect();
    counter.push(Histogram {
        sum: STALE_NAN,
        ..histogram(0)
    });

    counter.push(histogram(5));

    let gauge: Vec<_> = [5, 3, 4]
        .map(|at| {
            as_floats(Histogram {
                hint: ResetHint::Gauge,
                ..histogram(at)
            })
        })
        .to_vec();

    for (name, written, lengths) in [
        ("counter", counter, vec![120, 81, 1]),
        ("gauge", gauge, vec![3]),
    ] {
        let range = write_histograms(&server, name, &written).await;
        let answer = server
            .send(&post(request(&[query(name, range)], &[])))
            .await;
        let results = read_response(&snappy::decompress(&answer.body, 1 << 30).unwrap()).unwrap();
        let found: Vec<_> = results[0][0]
            .histograms
            .iter()
            .map(|(_, histogram)| histogram.clone())
            .collect();
        let alive = |all: &[Histogram]| {
            all.iter()
                .filter(|one| !one.is_stale())
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (found.len(), alive(&found)),
            (written.len(), alive(&written)),
            "{name}"
        );

        let answer = server
            .send(&post(request(&[query(name, range)], &[STREAMED])))
            .await;
        let frames = read_frames(&answer.body).unwrap();
        let mut chunks = Vec::new();
        let mut found = Vec::new();
        for chunk in frames.iter().flat_map(|frame| &frame.chunks) {
            let Some(Decoded::Histograms(all)) = decode(chunk.encoding, &chunk.data) else {
                panic!("{chunk:?}")
            };
            chunks.push(all.len());

            // A chunk tells gauges from counters. The other hints follow from the position.
            let hint = if name == "gauge" {
                ResetHint::Gauge
            } else {
                ResetHint::Unknown
            };

            found.extend(
                all.into_iter()
                    .map(|(_, histogram)| Histogram { hint, ..histogram }),
            );
        }
        assert_eq!(
            (chunks, alive(&found)),
            (lengths, alive(&written)),
            "{name}"
        );
    }
}

/// Checks that both have the same answer to a query over the recorded data.
async fn assert_same(server: &Duramen, prometheus: &Prometheus, query: &str) {
    let at = seconds(1_700_005_000_000);
    let times = [
        ("query", query),
        ("start", &*seconds(1_700_002_000_000)),
        ("end", &*at),
        ("step", "60"),
    ];

    let theirs = matrix(&prometheus.query("/api/v1/query_range", &times).await);
    let ours = matrix(&server.post("/api/v1/query_range", &times).await.data());

    assert!(!theirs.is_empty(), "{query}: {}", prometheus.log());
    assert_eq!(theirs, ours, "{query}");
}

#[tokio::test]
async fn a_prometheus_that_reads_from_here_answers_as_we_do() {
    let Some(demo) = recorded("demo.jsonl.gz") else {
        return;
    };
    let server = Duramen::local().await;
    let url = format!("http://{}/api/v1/read", server.address);
    let configuration = |_| format!("remote_read: [{{url: \"{url}\", read_recent: true}}]\n");
    let Some(prometheus) = Prometheus::configured(configuration, &[]).await else {
        return;
    };

    fill(&server, &demo).await;

    for query in [
        "demo_num_cpus",
        "demo_memory_usage_bytes{type!~\"used|free\"}",
        "demo_intermittent_metric",
        "rate(demo_cpu_usage_seconds_total[5m])",
        "demo_disk_usage_bytes offset 10m - demo_disk_usage_bytes",
        "{__name__=~\"demo_.*\"}",
    ] {
        assert_same(&server, &prometheus, query).await;
    }

    let at = [
        ("query", "demo_num_cpus[1h]"),
        ("time", &*seconds(1_700_005_000_000)),
    ];

    let theirs: BTreeMap<_, _> = matrix(&prometheus.query("/api/v1/query", &at).await);
    assert_eq!(
        theirs,
        matrix(&server.get("/api/v1/query", &at).await.data())
    );

    assert_eq!(theirs.values().map(Vec::len).collect::<Vec<_>>(), [720; 3]);

    // Prometheus chooses one of the two forms; 2.42 knows only samples.
    let forms = ["samples", "streamed_xor_chunks"]
        .map(|form| format!("duramen_remote_reads_total{{form=\"{form}\"}}"));
    let asked = server.metric(&forms[0]).await + server.metric(&forms[1]).await;

    assert!(asked >= 8.0, "{asked}");
}

/// Returns the number of floats in the series of an answer, which are all series of a request.
#[track_caller]
fn rounds(found: &Found) -> usize {
    let counts: std::collections::BTreeSet<usize> =
        found.iter().map(|(_, floats)| floats.len()).collect();
    assert_eq!(
        (found.len(), counts.len()),
        (SERIES, 1),
        "a write is seen in part: {counts:?}"
    );

    counts.into_iter().sum()
}

#[tokio::test]
async fn all_queries_of_a_request_are_answered_of_one_moment() {
    let server = Duramen::local().await;
    let asking = async {
        for _ in 0..2 {
            let all = query("rounds", (0, now_ms() + 60_000));
            let answer = server
                .send(&post(request(&[all.clone(), all.clone()], &[])))
                .await;
            let results = samples(&answer);

            assert_eq!(rounds(&results[0]), rounds(&results[1]));

            let answer = server.send(&post(request(&[all], &[STREAMED]))).await;
            rounds(&streamed(&answer));
        }
    };

    beside_rounds(&server, asking).await;
}

/// A Prometheus whose URL for remote read has `as_of` reads a past state of the bucket.
#[tokio::test]
async fn a_past_state_is_read() {
    let server = Duramen::local().await;
    let at_ms = now_ms() - 60_000;

    server
        .write(Body::default().sample("old", at_ms, 1.0).snappy())
        .await;
    server.flush().await;
    let then = seconds(now_ms());
    server
        .write(Body::default().sample("new", at_ms, 2.0).snappy())
        .await;
    server.flush().await;

    let range = (at_ms - 1, now_ms());
    let queries = [query("old", range), query("new", range)];
    let ask = async |as_of: &str, accepted: &[u8]| {
        let target = format!("/api/v1/read?as_of={as_of}");
        server
            .send(&post_to(target, request(&queries, accepted)))
            .await
    };

    let found = |answer: &Answer| -> Vec<usize> { samples(answer).iter().map(Vec::len).collect() };
    assert_eq!(found(&ask("", &[]).await), [1, 1]);
    assert_eq!(found(&ask(&then, &[]).await), [1, 0]);

    assert_eq!(streamed(&ask("", &[STREAMED]).await).len(), 2);
    assert_eq!(streamed(&ask(&then, &[STREAMED]).await).len(), 1);

    let refused = ask("yesterday", &[]).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("as_of"), "{}", refused.text());
}
