//! Remote write 2.0: the rules for receivers one by one, and the requests of the public receiver
//! suite.

use duramen_proto::snappy;
use duramen_testkit::prompb::{Message, Symbols, v1, v2};

use crate::harness::duramen::{Duramen, write};
use crate::harness::http::{Answer, Request};
use crate::harness::samples::Body;
use crate::harness::wait::now_ms;

const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
const WRITTEN: [&str; 3] = ["samples", "histograms", "exemplars"];

/// A request that is being built.
#[derive(Clone, Debug, Default)]
pub(super) struct Sending {
    symbols: Symbols,
    series: Vec<v2::TimeSeries>,
}

impl Sending {
    /// Adds a series. `fill` sets everything except for its labels.
    pub(super) fn series(
        mut self,
        labels: &[(&str, &str)],
        fill: impl FnOnce(&mut Symbols, &mut v2::TimeSeries),
    ) -> Self {
        let labels_refs = self.symbols.labels(labels.iter().copied());
        let mut series = v2::TimeSeries {
            labels_refs,
            ..v2::TimeSeries::default()
        };

        fill(&mut self.symbols, &mut series);
        self.series.push(series);
        self
    }

    /// Adds a series of a metric without other labels, with one sample.
    fn sample(self, name: &str, timestamp: i64, value: f64) -> Self {
        self.series(&[("__name__", name)], |_, series| {
            series.samples.push(sample(timestamp, value))
        })
    }

    fn encoded(self) -> Vec<u8> {
        v2::Request {
            symbols: self.symbols.0,
            timeseries: self.series,
        }
        .encode_to_vec()
    }

    fn request(self) -> Request {
        request(snappy::compress(&self.encoded()))
    }
}

fn request(body: Vec<u8>) -> Request {
    Request::new("POST", "/api/v1/write")
        .header("Content-Type", V2)
        .header("Content-Encoding", "snappy")
        .header("X-Prometheus-Remote-Write-Version", "2.0.0")
        .body(body)
}

pub(super) fn sample(timestamp: i64, value: f64) -> v2::Sample {
    v2::Sample {
        value,
        timestamp,
        ..v2::Sample::default()
    }
}

/// Returns a valid histogram of `count` observations in one bucket.
pub(super) fn histogram(timestamp: i64, count: u64) -> v2::Histogram {
    v2::Histogram {
        count: Some(v2::histogram::Count::CountInt(count)),
        sum: count as f64,
        zero_threshold: 1e-128,
        positive_spans: vec![v2::BucketSpan {
            offset: 0,
            length: 1,
        }],
        positive_deltas: vec![count.cast_signed()],
        timestamp,
        ..v2::Histogram::default()
    }
}

/// Returns an exemplar with a trace.
fn exemplar(symbols: &mut Symbols, timestamp: i64, value: f64) -> v2::Exemplar {
    v2::Exemplar {
        labels_refs: symbols.labels([("trace_id", "abc")]),
        value,
        timestamp,
    }
}

/// Returns the written counts of an answer, or `None` without them.
fn written(answer: &Answer) -> Option<[u64; 3]> {
    let count = |kind: &str| {
        answer
            .header(&format!("x-prometheus-remote-write-{kind}-written"))?
            .parse()
            .ok()
    };

    let counts = WRITTEN.map(count);
    assert!(
        counts.iter().all(Option::is_some) || counts.iter().all(Option::is_none),
        "{answer:?}"
    );

    Some([counts[0]?, counts[1]?, counts[2]?])
}

/// Sends the request, and checks that all of it is stored.
pub(super) async fn stored(server: &Duramen, what: &str, sending: Sending, counts: [u64; 3]) {
    let answer = server.send(&sending.request()).await;
    assert_eq!((answer.status, answer.text().as_str()), (204, ""), "{what}");
    assert_eq!(written(&answer), Some(counts), "{what}");
    assert_eq!(answer.header("x-duramen-ack"), Some("local"), "{what}");
}

/// Sends the request, and checks that `counts` are stored and that each of `texts` tells why the
/// rest is not.
pub(super) async fn partly(
    server: &Duramen,
    what: &str,
    sending: Sending,
    counts: [u64; 3],
    texts: &[&str],
) {
    let answer = server.send(&sending.request()).await;
    assert_eq!(answer.status, 400, "{what}: {}", answer.text());
    assert_eq!(written(&answer), Some(counts), "{what}: {}", answer.text());

    for text in texts {
        assert!(answer.text().contains(text), "{what}: {}", answer.text());
    }
}

// Negotiation.

#[tokio::test]
async fn the_content_type_alone_says_which_message_a_body_is() {
    let server = Duramen::local().await;
    let now = now_ms();

    stored(
        &server,
        "2.0",
        Sending::default().sample("two", now, 2.0),
        [1, 0, 0],
    )
    .await;

    // The version header is ignored and may be absent.
    let body = snappy::compress(&Sending::default().sample("other", now, 3.0).encoded());
    let bare = Request::new("POST", "/api/v1/write")
        .header("Content-Type", V2)
        .body(body);

    assert_eq!(written(&server.send(&bare).await), Some([1, 0, 0]));

    let one = v1::TimeSeries {
        labels: vec![v1::Label {
            name: "__name__".to_owned(),
            value: "one".to_owned(),
        }],
        samples: vec![v1::Sample {
            value: 1.0,
            timestamp: now,
            ttl_ms: 0,
        }],
        ..v1::TimeSeries::default()
    };

    let body = v1::WriteRequest {
        timeseries: vec![one],
        metadata: vec![],
    }
    .encode_to_vec();

    let answer = server
        .send(&Request::new("POST", "/api/v1/write").body(snappy::compress(&body)))
        .await;
    assert_eq!(
        (answer.status, written(&answer)),
        (204, None),
        "no content type is 1.0, which has no counts"
    );

    for (name, value) in [("one", "1"), ("two", "2"), ("other", "3")] {
        assert_eq!(
            server.value(name, now).await.as_deref(),
            Some(value),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_wrong_type_or_encoding_is_415_whatever_the_body_is() {
    let server = Duramen::local().await;
    let corrupt = |kind: &str, encoding: &str| {
        let request = Request::new("POST", "/api/v1/write").body("this is no snappy");
        request
            .header("Content-Type", kind)
            .header("Content-Encoding", encoding)
    };

    let v3 = "application/x-protobuf;proto=io.prometheus.write.v3.Request";

    for (kind, encoding) in [
        ("application/json", "snappy"),
        ("text/plain", "snappy"),
        (v3, "snappy"),
        (V2, "gzip"),
        (V2, "zstd"),
        ("application/x-protobuf", "identity"),
    ] {
        let answer = server.send(&corrupt(kind, encoding)).await;
        assert_eq!(
            (answer.status, written(&answer)),
            (415, None),
            "{kind} {encoding}: {}",
            answer.text()
        );
    }

    let answer = server.send(&corrupt(V2, "snappy")).await;
    assert_eq!(
        (answer.status, written(&answer)),
        (400, Some([0; 3])),
        "{}",
        answer.text()
    );
}

// Counts.

#[tokio::test]
async fn a_request_of_every_kind_is_answered_with_204_and_counts() {
    let server = Duramen::local().await;
    let now = now_ms();

    let sending = Sending::default()
        .series(
            &[("__name__", "requests_total"), ("job", "a")],
            |symbols, series| {
                series
                    .samples
                    .extend([sample(now - 1, 1.0), sample(now, 2.0)]);
                series.exemplars.push(exemplar(symbols, now, 1.0));

                let help_ref = symbols.reference("Requests.");
                series.metadata = Some(v2::Metadata {
                    r#type: 1,
                    help_ref,
                    unit_ref: 0,
                });
            },
        )
        .series(
            &[("__name__", "latency"), ("job", "a")],
            |symbols, series| {
                series.histograms.push(histogram(now, 3));
                series
                    .exemplars
                    .extend([exemplar(symbols, now - 1, 0.5), exemplar(symbols, now, 0.7)]);
            },
        );

    stored(&server, "all kinds", sending.clone(), [2, 1, 3]).await;

    // A repetition counts everything as written, also what is stored already.
    stored(&server, "all kinds again", sending, [2, 1, 3]).await;
    assert_eq!(
        server.value("requests_total", now).await.as_deref(),
        Some("2")
    );
}

#[tokio::test]
async fn every_failure_after_negotiation_says_that_nothing_is_written() {
    let server = Duramen::local().await;
    let mut first_symbol = Sending::default().sample("m", now_ms(), 1.0);
    first_symbol.symbols.0[0] = "not empty".to_owned();

    let one = v1::WriteRequest {
        timeseries: vec![v1::TimeSeries::default()],
        metadata: vec![],
    }
    .encode_to_vec();

    let announced = request(Vec::new()).header("Content-Length", &((32 << 20) + 1).to_string());

    for (what, request, status, text) in [
        (
            "no snappy",
            request(b"\xff\xff\xff\xff".to_vec()),
            400,
            "snappy",
        ),
        (
            "no protobuf",
            request(snappy::compress(b"\x2a\x7f")),
            400,
            "protobuf",
        ),
        (
            "a first symbol",
            first_symbol.request(),
            400,
            "first symbol",
        ),
        (
            "a message of 1.0",
            request(snappy::compress(&one)),
            400,
            "remote write 1.0",
        ),
        ("too large", announced, 413, "body_bytes_max"),
        (
            "too large decoded",
            request(snappy::compress(&vec![0; (32 << 20) + 1])),
            400,
            "decoded_body_bytes_max",
        ),
    ] {
        let answer = server.send(&request).await;
        assert_eq!(
            (answer.status, written(&answer)),
            (status, Some([0; 3])),
            "{what}: {}",
            answer.text()
        );
        assert!(answer.text().contains(text), "{what}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_request_of_nothing_is_a_success() {
    let server = Duramen::local().await;
    stored(&server, "no series", Sending::default(), [0; 3]).await;

    let answer = server.send(&request(snappy::compress(b""))).await;
    assert_eq!((answer.status, written(&answer)), (204, Some([0; 3])));
}

#[tokio::test]
async fn the_valid_part_is_written_and_the_answer_says_how_much_and_why() {
    let server = Duramen::local().await;
    let now = now_ms();
    let odd = |symbols: &mut Symbols, series: &mut v2::TimeSeries| {
        series.labels_refs.push(symbols.reference("odd"));
        series.samples.push(sample(now, 1.0));
    };

    let far = |_: &mut Symbols, series: &mut v2::TimeSeries| {
        series.labels_refs.push(9999);
        series.labels_refs.push(0);
        series
            .histograms
            .extend([histogram(now, 1), histogram(now + 1, 1)]);
    };

    let mixed = |_: &mut Symbols, series: &mut v2::TimeSeries| {
        series.samples.push(sample(now, 1.0));
        series.histograms.push(histogram(now, 1));
    };

    let good = || Sending::default().sample("good", now, 1.0);
    partly(
        &server,
        "odd references",
        good().series(&[("__name__", "m")], odd),
        [1, 0, 0],
        &["not pairs", "=1"],
    )
    .await;
    partly(
        &server,
        "a far reference",
        good().series(&[("__name__", "m")], far),
        [1, 0, 0],
        &["no symbol", "=2"],
    )
    .await;
    partly(
        &server,
        "a mixed series",
        good().series(&[("__name__", "m")], mixed),
        [1, 0, 0],
        &["samples and histograms"],
    )
    .await;
    partly(
        &server,
        "a series of nothing",
        good().series(&[("__name__", "m")], |_, _| {}),
        [1, 0, 0],
        &["no sample"],
    )
    .await;

    let future = good().series(&[("__name__", "m")], |_, series| {
        series.samples.extend([
            sample(now, 1.0),
            sample(now + 3_600_000, 1.0),
            sample(now + 3_600_001, 1.0),
        ]);
    });

    partly(
        &server,
        "a far future",
        future,
        [2, 0, 0],
        &["far_future=2"],
    )
    .await;

    let all = good()
        .series(&[("__name__", "m")], odd)
        .series(&[("__name__", "m")], far)
        .series(&[("a", "b")], |_, series| {
            series.samples.push(sample(now, 1.0));
        });

    let answer = server.send(&all.request()).await;
    assert_eq!(
        (answer.status, written(&answer)),
        (400, Some([1, 0, 0])),
        "{}",
        answer.text()
    );

    assert!(
        answer.text().lines().count() >= 3,
        "one line for each reason: {}",
        answer.text()
    );

    assert_eq!(server.value("good", now).await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_series_beyond_the_limit_is_refused_for_good_and_known_series_go_on() {
    let directory = tempfile::TempDir::new().unwrap();
    let limits = directory.path().join("limits.yml");
    std::fs::write(
        &limits,
        "defaults: {ingest: {series_max: 2, series_per_metric_max: 1}}\n",
    )
    .unwrap();

    let server = Duramen::with(&["--limits-file", limits.to_str().unwrap()]).await;
    let now = now_ms();

    stored(
        &server,
        "two series",
        Sending::default()
            .sample("a", now, 1.0)
            .sample("b", now, 1.0),
        [2, 0, 0],
    )
    .await;

    let other_a = [("__name__", "a"), ("job", "other")];

    for at in [1, 2] {
        let sending = Sending::default()
            .sample("a", now + at, 2.0)
            .sample("new", now, 1.0)
            .sample("b", now + at, 2.0);

        let answer = server.send(&sending.request()).await;
        assert_eq!(
            (answer.status, written(&answer)),
            (400, Some([2, 0, 0])),
            "{}",
            answer.text()
        );

        assert_eq!(answer.header("retry-after"), None, "waiting does not help");
        assert!(
            answer.text().contains("series_max=`2`"),
            "{}",
            answer.text()
        );
    }

    let body = Body::default()
        .sample("a", now + 3, 3.0)
        .series(&other_a, &[(now, 1.0)])
        .sample("b", now + 3, 3.0);

    let answer = server.push(body.snappy()).await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (400, None),
        "{}",
        answer.text()
    );

    for name in ["a", "b"] {
        assert_eq!(
            server.value(name, now + 3).await.as_deref(),
            Some("3"),
            "{name}"
        );
    }

    assert_eq!(server.value("new", now + 3).await, None);
}

#[tokio::test]
async fn another_value_for_a_time_is_refused_and_counted_as_not_written() {
    let server = Duramen::local().await;
    let now = now_ms();

    stored(
        &server,
        "a value",
        Sending::default().sample("m", now, 1.0),
        [1, 0, 0],
    )
    .await;

    let again = Sending::default()
        .sample("m", now, 2.0)
        .sample("m", now + 1, 3.0);
    partly(
        &server,
        "another value",
        again,
        [1, 0, 0],
        &["another value is held"],
    )
    .await;

    let native = |count| {
        let fill = |_: &mut Symbols, series: &mut v2::TimeSeries| {
            series.histograms.push(histogram(now, count))
        };
        Sending::default().series(&[("__name__", "h")], fill)
    };

    stored(&server, "a histogram", native(1), [0, 1, 0]).await;
    partly(
        &server,
        "another histogram",
        native(2),
        [0, 0, 0],
        &["another value is held"],
    )
    .await;
}

// Requests of the receiver suite.

#[tokio::test]
async fn unsorted_labels_and_a_series_in_several_messages_are_taken() {
    let server = Duramen::local().await;
    let now = now_ms();

    let sending = Sending::default()
        .series(
            &[("zone", "a"), ("__name__", "m"), ("job", "x")],
            |_, series| series.samples.push(sample(now - 1, 1.0)),
        )
        .series(
            &[("__name__", "m"), ("job", "x"), ("zone", "a")],
            |_, series| series.samples.push(sample(now, 2.0)),
        );

    stored(&server, "unsorted", sending, [2, 0, 0]).await;
    assert_eq!(
        server
            .value("count_over_time(m{job=\"x\",zone=\"a\"}[1m])", now)
            .await
            .as_deref(),
        Some("2")
    );
}

#[tokio::test]
async fn the_created_timestamp_of_a_series_is_not_looked_at() {
    let server = Duramen::local().await;
    let now = now_ms();
    let sending = Sending::default().series(&[("__name__", "m")], |_, series| {
        series.samples.push(sample(now, 1.0));
        series.created_timestamp = now - 1000;
    });

    stored(&server, "created", sending, [1, 0, 0]).await;
}

#[tokio::test]
async fn names_and_values_of_any_text_are_taken() {
    let server = Duramen::local().await;
    let now = now_ms();

    let labels = [
        ("__name__", "a name.with dots"),
        ("🚀", "line\nbreak"),
        ("with space", "\"quoted\\\""),
    ];

    let sending =
        Sending::default().series(&labels, |_, series| series.samples.push(sample(now, 1.0)));
    stored(&server, "any text", sending, [1, 0, 0]).await;

    let selector = "{\"a name.with dots\",\"🚀\"=\"line\\nbreak\"}";
    assert_eq!(server.value(selector, now).await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_series_without_a_name_or_with_a_name_twice_is_refused() {
    let server = Duramen::local().await;
    let now = now_ms();
    let with = |labels: &[(&str, &str)]| {
        Sending::default().series(labels, |_, series| series.samples.push(sample(now, 1.0)))
    };

    for (what, labels) in [
        ("no name", &[("a", "b")][..]),
        ("no labels", &[]),
        ("an empty name", &[("__name__", "")]),
        (
            "a repeated label",
            &[("__name__", "m"), ("a", "1"), ("a", "2")],
        ),
        ("an empty label name", &[("__name__", "m"), ("", "1")]),
    ] {
        partly(&server, what, with(labels), [0; 3], &["=1"]).await;
    }
}

#[tokio::test]
async fn histograms_are_validated_and_every_valid_kind_is_taken() {
    let server = Duramen::local().await;
    let now = now_ms();
    let one = |histogram: v2::Histogram| {
        let fill = |_: &mut Symbols, series: &mut v2::TimeSeries| series.histograms.push(histogram);
        Sending::default().series(&[("__name__", "h")], fill)
    };

    let wrong_count = v2::Histogram {
        count: Some(v2::histogram::Count::CountInt(10)),
        ..histogram(now, 3)
    };

    partly(
        &server,
        "a wrong count",
        one(wrong_count),
        [0; 3],
        &["histogram_invalid=1"],
    )
    .await;

    let wrong_spans = v2::Histogram {
        positive_deltas: vec![1, 0, 1],
        ..histogram(now, 3)
    };

    partly(
        &server,
        "wrong spans",
        one(wrong_spans),
        [0; 3],
        &["histogram_invalid=1"],
    )
    .await;

    let custom_with_zero = v2::Histogram {
        schema: -53,
        zero_threshold: 0.0,
        zero_count: Some(v2::histogram::ZeroCount::ZeroCountInt(1)),
        count: Some(v2::histogram::Count::CountInt(4)),
        custom_values: vec![1.0],
        ..histogram(now, 3)
    };

    partly(
        &server,
        "a zero bucket beside custom ones",
        one(custom_with_zero),
        [0; 3],
        &["histogram_invalid=1"],
    )
    .await;

    let empty = v2::Histogram {
        timestamp: now,
        ..v2::Histogram::default()
    };

    let custom = v2::Histogram {
        schema: -53,
        zero_threshold: 0.0,
        custom_values: vec![1.0, 2.5],
        ..histogram(now + 1, 3)
    };

    let mut negative = histogram(now + 2, 3);
    std::mem::swap(&mut negative.positive_spans, &mut negative.negative_spans);
    std::mem::swap(&mut negative.positive_deltas, &mut negative.negative_deltas);

    let float = v2::Histogram {
        count: Some(v2::histogram::Count::CountFloat(2.5)),
        positive_deltas: vec![],
        positive_counts: vec![2.5],
        ..histogram(now + 3, 3)
    };

    let fine = v2::Histogram {
        schema: 20,
        ..histogram(now + 4, 3)
    };

    let stale = v2::Histogram {
        sum: f64::from_bits(0x7ff0_0000_0000_0002),
        timestamp: now + 5,
        ..v2::Histogram::default()
    };

    for (what, histogram) in [
        ("an empty histogram", empty),
        ("custom buckets", custom),
        ("negative buckets only", negative),
        ("float counts", float),
        ("a schema that is too fine", fine),
        ("a stale marker", stale),
    ] {
        stored(&server, what, one(histogram), [0, 1, 0]).await;
    }
}

#[tokio::test]
async fn a_series_of_metadata_alone_is_refused_and_one_of_exemplars_alone_is_counted() {
    let server = Duramen::local().await;
    let now = now_ms();

    let metadata = Sending::default().series(&[("__name__", "m")], |symbols, series| {
        series.metadata = Some(v2::Metadata {
            r#type: 2,
            help_ref: symbols.reference("Help."),
            unit_ref: 0,
        });
    });

    partly(&server, "metadata alone", metadata, [0; 3], &["no sample"]).await;

    let exemplars = Sending::default().series(&[("__name__", "m")], |symbols, series| {
        series.exemplars.push(exemplar(symbols, now, 1.0));
    });
    stored(&server, "an exemplar alone", exemplars, [0, 0, 1]).await;
}

#[tokio::test]
async fn samples_of_an_hour_ago_are_written_beside_new_ones() {
    let server = Duramen::local().await;
    let now = now_ms();
    let hour = 3_600_000;

    let sending = Sending::default().series(&[("__name__", "m")], |_, series| {
        series.samples.extend([
            sample(now - hour, 1.0),
            sample(now - hour + 1000, 2.0),
            sample(now, 3.0),
        ]);
    });

    stored(&server, "old and new", sending, [3, 0, 0]).await;
    stored(
        &server,
        "older still",
        Sending::default().sample("m", now - 2 * hour, 0.5),
        [1, 0, 0],
    )
    .await;
    assert_eq!(
        server.value("count_over_time(m[3h])", now).await.as_deref(),
        Some("4")
    );
}

#[tokio::test]
async fn exemplars_of_any_value_and_any_labels_are_counted() {
    let server = Duramen::local().await;
    let now = now_ms();

    let sending = Sending::default().series(&[("__name__", "m")], |symbols, series| {
        series.samples.push(sample(now, 1.0));

        for (offset, value) in [
            (0, f64::NAN),
            (1, f64::INFINITY),
            (2, f64::NEG_INFINITY),
            (3, -0.0),
        ] {
            series.exemplars.push(v2::Exemplar {
                labels_refs: vec![],
                value,
                timestamp: now + offset,
            });
        }

        let labels_refs = symbols.labels([("trace_id", "🚀 wörld"), ("span.id", "1")]);
        series.exemplars.push(v2::Exemplar {
            labels_refs,
            value: 1.0,
            timestamp: now + 4,
        });
    });

    stored(&server, "exemplars", sending, [1, 0, 5]).await;
}

#[tokio::test]
async fn an_exemplar_that_cannot_be_kept_is_said_to_be_lost_and_its_sample_is_kept() {
    let server = Duramen::local().await;
    let now = now_ms();

    let with = |labels_refs: Vec<u32>, sending: Sending| {
        let fill = |_: &mut Symbols, series: &mut v2::TimeSeries| {
            series.samples.push(sample(now, 1.0));
            series.exemplars.push(v2::Exemplar {
                labels_refs,
                value: 1.0,
                timestamp: now,
            });
        };

        sending.series(&[("__name__", "m")], fill)
    };

    let mut long = Sending::default();
    let labels_refs = long
        .symbols
        .labels([("trace_id", "x".repeat(200).as_str())]);

    partly(
        &server,
        "a long exemplar",
        with(labels_refs, long),
        [1, 0, 0],
        &["exemplar_label_chars_max=`128`"],
    )
    .await;
    partly(
        &server,
        "a far reference",
        with(vec![99, 0], Sending::default()),
        [1, 0, 0],
        &["no symbol"],
    )
    .await;
}

#[tokio::test]
async fn a_stale_marker_is_a_sample() {
    let server = Duramen::local().await;
    let now = now_ms();

    stored(
        &server,
        "a value",
        Sending::default().sample("m", now - 1000, 1.0),
        [1, 0, 0],
    )
    .await;

    let stale = Sending::default().sample("m", now, f64::from_bits(0x7ff0_0000_0000_0002));
    stored(&server, "a stale marker", stale, [1, 0, 0]).await;

    assert_eq!(server.value("m", now - 1).await.as_deref(), Some("1"));
    assert_eq!(server.value("m", now + 1).await, None);
}

#[tokio::test]
async fn remote_write_one_at_the_same_address_has_no_counts() {
    let server = Duramen::local().await;
    let series = v1::TimeSeries {
        labels: vec![v1::Label {
            name: "__name__".to_owned(),
            value: "m".to_owned(),
        }],
        samples: vec![v1::Sample {
            value: 1.0,
            timestamp: now_ms(),
            ttl_ms: 0,
        }],
        ..v1::TimeSeries::default()
    };

    let body = v1::WriteRequest {
        timeseries: vec![series],
        metadata: vec![],
    }
    .encode_to_vec();

    let answer = server.send(&write(snappy::compress(&body))).await;
    assert_eq!(
        (answer.status, written(&answer)),
        (204, None),
        "{}",
        answer.text()
    );

    let answer = server.send(&write(b"no snappy".to_vec())).await;
    assert_eq!(
        (answer.status, written(&answer)),
        (400, None),
        "{}",
        answer.text()
    );
}

// Requests that later senders may send.

#[tokio::test]
async fn unknown_fields_and_symbols_behind_the_series_are_taken() {
    let server = Duramen::local().await;
    let now = now_ms();
    let sending = Sending::default().sample("m", now, 1.0);
    let series = v2::Request {
        symbols: vec![],
        timeseries: sending.series,
    };

    let symbols = v2::Request {
        symbols: sending.symbols.0,
        timeseries: vec![],
    };

    // Field 900, a varint.
    let unknown = [0xa0, 0x38, 0x07];
    let body = [
        &series.encode_to_vec()[..],
        &unknown,
        &symbols.encode_to_vec(),
    ]
    .concat();

    let answer = server.send(&request(snappy::compress(&body))).await;
    assert_eq!(
        (answer.status, written(&answer)),
        (204, Some([1, 0, 0])),
        "{}",
        answer.text()
    );
}

// Our extension.

#[tokio::test]
async fn a_life_span_is_taken_in_both_versions_and_one_that_is_too_long_is_refused() {
    let server = Duramen::local().await;
    let now = now_ms();

    let with = |name: &str, ttl_ms| {
        Sending::default().series(&[("__name__", name)], |_, series| {
            series.samples.push(v2::Sample {
                ttl_ms,
                start_timestamp: now - 5000,
                ..sample(now, 1.0)
            });
        })
    };

    let day = 24 * 3_600_000;
    stored(&server, "a day", with("day", day), [1, 0, 0]).await;

    partly(
        &server,
        "longer than a day",
        with("longer", day + 1),
        [0; 3],
        &["ttl=1", "ttl_max_ms=`86400000`"],
    )
    .await;
    partly(
        &server,
        "negative",
        with("negative", -1),
        [0; 3],
        &["ttl=1"],
    )
    .await;

    let series = |ttl_ms| v1::TimeSeries {
        labels: vec![v1::Label {
            name: "__name__".to_owned(),
            value: "one".to_owned(),
        }],
        samples: vec![v1::Sample {
            value: 1.0,
            timestamp: now,
            ttl_ms,
        }],
        ..v1::TimeSeries::default()
    };

    for (ttl_ms, status) in [(60_000, 204), (day + 1, 400)] {
        let body = v1::WriteRequest {
            timeseries: vec![series(ttl_ms)],
            metadata: vec![],
        }
        .encode_to_vec();

        let answer = server.send(&write(snappy::compress(&body))).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
}
