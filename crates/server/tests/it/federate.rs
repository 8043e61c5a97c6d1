//! Federation: samples for a Prometheus that scrapes them.

#![expect(
    clippy::unwrap_used,
    reason = "an answer that cannot be read fails its test"
)]

use std::time::Duration;

use duramen_model::STALE_NAN;
use duramen_proto::snappy;
use duramen_testkit::prompb::Message;
use duramen_testkit::prompb::client::{self, MetricFamily, MetricType};
use duramen_testkit::prompb::v1::{self, histogram};

use crate::harness::duramen::{Duramen, seconds};
use crate::harness::http::Request;
use crate::harness::prometheus::Prometheus;
use crate::harness::samples::{Body, matrix};
use crate::harness::wait::{now_ms, until};

/// Writes some series, and returns the time of their newest samples.
async fn write_some(server: &Duramen) -> i64 {
    let at = now_ms() - 10_000;
    let body = Body::default()
        .series(
            &[("__name__", "fed_b"), ("instance", "i:1"), ("job", "x")],
            &[(at - 5000, 1.0), (at, 8_263_504.25)],
        )
        .series(
            &[
                ("__name__", "fed_a"),
                ("job", "x"),
                ("path", "C:\\a \"b\"\nc"),
            ],
            &[(at, 2.0)],
        )
        .series(
            &[("__name__", "fed_gone"), ("job", "x")],
            &[(at - 5000, 1.0), (at, STALE_NAN)],
        )
        .series(
            &[("__name__", "fed_old"), ("job", "x")],
            &[(at - 600_000, 1.0)],
        )
        .series(&[("__name__", "other"), ("job", "x")], &[(at, 3.0)]);

    server.write(body.snappy()).await;
    at
}

#[tokio::test]
async fn the_newest_samples_stand_by_name_with_their_times() {
    let server = Duramen::local().await;
    let at = write_some(&server).await;
    let params = [("match[]", "{__name__=~\"fed_.*\"}"), ("match[]", "fed_a")];
    let expected = format!(
        "# TYPE fed_a untyped\nfed_a{{job=\"x\",path=\"C:\\\\a \\\"b\\\"\\nc\",instance=\"\"}} 2 {at}\n\
         # TYPE fed_b untyped\nfed_b{{instance=\"i:1\",job=\"x\"}} 8.26350425e+06 {at}\n"
    );

    for flushed in [false, true] {
        if flushed {
            server.flush().await;
        }

        let answer = server.get("/federate", &params).await;
        assert_eq!(
            (answer.status, answer.text()),
            (200, expected.clone()),
            "flushed: {flushed}"
        );

        let media = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
        assert_eq!(answer.header("content-type"), Some(media));
    }
}

#[tokio::test]
async fn selectors_are_read_as_prometheus_reads_them() {
    let server = Duramen::local().await;
    write_some(&server).await;

    for (selector, lines) in [
        ("{}", 0),
        ("nothing", 0),
        ("{job=~\".*\"}", 6),
        ("{path!=\"\"}", 2),
    ] {
        let answer = server.get("/federate", &[("match[]", selector)]).await;
        assert_eq!(
            (answer.status, answer.text().lines().count()),
            (200, lines),
            "{selector}: {}",
            answer.text()
        );
    }

    assert_eq!(server.get("/federate", &[]).await.text(), "");

    for selector in ["up[5m]", "rate(up[1m])", "{"] {
        let answer = server.get("/federate", &[("match[]", selector)]).await;
        assert_eq!(
            (answer.status, answer.header("x-content-type-options")),
            (400, Some("nosniff")),
            "{selector}"
        );

        assert!(
            answer.text().contains("parse error"),
            "{selector}: {}",
            answer.text()
        );
    }

    assert_eq!(
        server
            .send(&Request::post("/federate", &[("match[]", "up")]))
            .await
            .status,
        405
    );
}

#[tokio::test]
async fn a_prometheus_that_scrapes_it_holds_the_same() {
    let server = Duramen::local().await;
    let target = server.address;

    let configuration = |_| {
        format!(
            "scrape_configs: [{{job_name: federate, scrape_interval: 1s, scrape_timeout: 1s, honor_labels: true, metrics_path: /federate, \
             params: {{\"match[]\": ['{{__name__=~\"fed_.*\"}}']}}, static_configs: [{{targets: [\"{target}\"]}}]}}]\n"
        )
    };

    let Some(prometheus) = Prometheus::configured(configuration, &[]).await else {
        return;
    };
    let at = write_some(&server).await;
    let params = [
        ("query", "{__name__=~\"fed_[ab]\"}[1m]"),
        ("time", &*seconds(at + 1)),
    ];

    let theirs = until("two series", Duration::from_secs(60), async || {
        let found = matrix(&prometheus.query("/api/v1/query", &params).await);
        (found.len() == 2).then_some(found)
    })
    .await;

    let mut ours = matrix(&server.get("/api/v1/query", &params).await.data());

    // A scrape gets only the newest sample of a series.
    for points in ours.values_mut() {
        points.drain(..points.len() - 1);
    }

    assert_eq!(theirs, ours);
}

/// An `Accept` header that prefers protocol buffers, as a Prometheus sends it that scrapes native
/// histograms.
const ACCEPT: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
    text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

/// Returns a series with one histogram: of integers in two spans, at `at`, with `change` applied.
fn histogram(name: &str, at: i64, change: impl FnOnce(&mut v1::Histogram)) -> v1::TimeSeries {
    let span = |offset| v1::BucketSpan { offset, length: 1 };
    let mut histogram = v1::Histogram {
        sum: 4.5,
        schema: 3,
        zero_threshold: 0.001,
        positive_spans: vec![span(-2), span(1)],
        positive_deltas: vec![2, -1],
        negative_spans: vec![span(0)],
        negative_deltas: vec![2],
        timestamp: at,
        count: Some(histogram::Count::CountInt(6)),
        zero_count: Some(histogram::ZeroCount::ZeroCountInt(1)),
        ..v1::Histogram::default()
    };

    change(&mut histogram);

    let labels = [("__name__", name), ("job", "x")];
    let labels = labels
        .map(|(name, value)| v1::Label {
            name: name.to_owned(),
            value: value.to_owned(),
        })
        .to_vec();

    v1::TimeSeries {
        labels,
        histograms: vec![histogram],
        ..v1::TimeSeries::default()
    }
}

/// Returns all families of an answer. Each stands after its length.
fn families(mut body: &[u8]) -> Vec<MetricFamily> {
    let mut families = Vec::new();
    while !body.is_empty() {
        families.push(MetricFamily::decode_length_delimited(&mut body).unwrap());
    }

    families
}

#[tokio::test]
async fn a_scraper_that_asks_for_protocol_buffers_gets_native_histograms_with_all_their_buckets() {
    let server = Duramen::local().await;
    let at = write_some(&server).await;

    let empty = |held: &mut v1::Histogram| {
        let at = held.timestamp;
        *held = v1::Histogram {
            timestamp: at,
            ..v1::Histogram::default()
        };

        held.count = Some(histogram::Count::CountInt(0));
    };

    let floats = |held: &mut v1::Histogram| {
        held.reset_hint = histogram::ResetHint::Gauge.into();
        held.count = Some(histogram::Count::CountFloat(6.5));
        held.zero_count = Some(histogram::ZeroCount::ZeroCountFloat(1.5));
        (held.positive_deltas, held.negative_deltas) = (vec![], vec![]);
        (held.positive_counts, held.negative_counts) = (vec![2.0, 1.0], vec![2.0]);
    };

    let custom = |held: &mut v1::Histogram| {
        (held.schema, held.zero_threshold, held.zero_count) = (-53, 0.0, None);
        (held.negative_spans, held.negative_deltas) = (vec![], vec![]);

        (held.positive_spans, held.positive_deltas) = (
            vec![v1::BucketSpan {
                offset: 0,
                length: 1,
            }],
            vec![6],
        );

        held.custom_values = vec![0.5];
    };

    let timeseries = vec![
        histogram("fed_h", at, |_| {}),
        histogram("fed_h_custom", at, custom),
        histogram("fed_h_empty", at, empty),
        histogram("fed_h_gauge", at, floats),
        histogram("fed_h_gone", at, |held| held.sum = STALE_NAN),
    ];

    let request = v1::WriteRequest {
        timeseries,
        ..v1::WriteRequest::default()
    };

    server
        .write(snappy::compress(&request.encode_to_vec()))
        .await;

    let label = |name: &str, value: &str| client::LabelPair {
        name: name.to_owned(),
        value: value.to_owned(),
    };

    let family = |name: &str, of: MetricType, labels, metric: client::Metric| MetricFamily {
        name: name.to_owned(),
        r#type: of.into(),
        metric: vec![client::Metric {
            label: labels,
            timestamp_ms: at,
            ..metric
        }],
        ..MetricFamily::default()
    };

    let untyped = |value| client::Metric {
        untyped: Some(client::Untyped { value }),
        ..client::Metric::default()
    };

    let native = |histogram| client::Metric {
        histogram: Some(histogram),
        ..client::Metric::default()
    };

    let span = |offset, length| client::BucketSpan { offset, length };
    let integers = client::Histogram {
        sample_count: 6,
        sample_sum: 4.5,
        schema: 3,
        zero_threshold: 0.001,
        zero_count: 1,
        positive_span: vec![span(-2, 1), span(1, 1)],
        positive_delta: vec![2, -1],
        negative_span: vec![span(0, 1)],
        negative_delta: vec![2],
        ..client::Histogram::default()
    };

    let gauge = client::Histogram {
        sample_count: 0,
        sample_count_float: 6.5,
        zero_count: 0,
        zero_count_float: 1.5,
        positive_delta: vec![],
        positive_count: vec![2.0, 1.0],
        negative_delta: vec![],
        negative_count: vec![2.0],
        ..integers.clone()
    };

    let nothing = client::Histogram {
        positive_span: vec![span(0, 0)],
        ..client::Histogram::default()
    };

    let of_job = || vec![label("job", "x"), label("instance", "")];
    let path = vec![
        label("job", "x"),
        label("path", "C:\\a \"b\"\nc"),
        label("instance", ""),
    ];

    let expected = [
        family("fed_a", MetricType::Untyped, path, untyped(2.0)),
        family(
            "fed_b",
            MetricType::Untyped,
            vec![label("instance", "i:1"), label("job", "x")],
            untyped(8_263_504.25),
        ),
        family("fed_h", MetricType::Histogram, of_job(), native(integers)),
        family(
            "fed_h_empty",
            MetricType::Histogram,
            of_job(),
            native(nothing),
        ),
        family(
            "fed_h_gauge",
            MetricType::GaugeHistogram,
            of_job(),
            native(gauge),
        ),
    ];

    for flushed in [false, true] {
        if flushed {
            server.flush().await;
        }

        let selected = [("match[]", "{__name__=~\"fed_.*\"}")];
        let answer = server
            .send(&Request::get("/federate", &selected).header("Accept", ACCEPT))
            .await;

        assert_eq!(answer.status, 200, "{}", answer.text());

        let media = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=underscores";
        assert_eq!(answer.header("content-type"), Some(media));
        assert_eq!(families(&answer.body), expected, "flushed: {flushed}");

        let text = server.get("/federate", &selected).await.text();
        assert!(text.contains("fed_a{") && !text.contains("fed_h"), "{text}");
    }
}
