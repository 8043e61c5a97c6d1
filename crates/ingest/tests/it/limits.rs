//! Each limit of a tenant is enforced, counted, and named with its value.

use std::collections::BTreeSet;
use std::time::Duration;

use duramen_ingest::{Config, RequestLimit};
use duramen_limits::IngestLimits;
use duramen_model::{ErrorKind, TenantName};
use duramen_proto::Version;
use duramen_testkit::prompb::Message;
use duramen_testkit::prompb::v1::{Exemplar, Sample, TimeSeries, WriteRequest};

use crate::body::{exemplar, family, histogram, labels, of, of_metadata, one, sample, series};
use crate::system::{NOW_MS, System, tenant};

/// How a limit is reached, and what is seen then.
struct Case {
    limit: &'static str,
    set: fn(&mut IngestLimits),
    /// The bodies, in order. The last one is too much.
    bodies: Vec<Vec<u8>>,
    /// A metric that counts the refusal as 1.
    counted: &'static str,
    /// The text of the refusal: the limit's name and value.
    text: &'static str,
}

fn labelled(pairs: &[(&str, &str)]) -> Vec<u8> {
    of([TimeSeries {
        labels: labels(pairs),
        samples: vec![sample(NOW_MS, 1.0)],
        ..TimeSeries::default()
    }])
}

fn cases() -> Vec<Case> {
    let ttl = Sample {
        ttl_ms: 5_001,
        ..sample(NOW_MS, 1.0)
    };

    let long_exemplar = Exemplar {
        labels: labels(&[("trace_id", "four")]),
        value: 1.0,
        timestamp: NOW_MS,
    };

    vec![
        Case {
            limit: "samples_per_second",
            set: |limits| (limits.samples_per_second, limits.samples_burst) = (Some(0.5), 1),
            bodies: vec![one("m", NOW_MS, 1.0), one("m", NOW_MS + 1, 1.0)],
            counted: "duramen_ingest_limited_requests_total{tenant=\"anonymous\",limit=\"samples_per_second\"}",
            text: "samples_per_second=`0.5`",
        },
        Case {
            limit: "samples_burst",
            set: |limits| (limits.samples_per_second, limits.samples_burst) = (Some(1e9), 1),
            bodies: vec![of([TimeSeries {
                samples: vec![sample(NOW_MS, 1.0)],
                exemplars: vec![exemplar(NOW_MS, "a")],
                ..series("m")
            }])],
            counted: "duramen_ingest_limited_requests_total{tenant=\"anonymous\",limit=\"samples_burst\"}",
            text: "samples_burst=`1`",
        },
        Case {
            limit: "series_max",
            set: |limits| limits.series_max = 1,
            bodies: vec![one("a", NOW_MS, 1.0), one("b", NOW_MS, 1.0)],
            counted: "duramen_ingest_rejected_samples_total{tenant=\"anonymous\",reason=\"series_limit\"}",
            text: "series_max=`1`",
        },
        Case {
            limit: "series_per_metric_max",
            set: |limits| limits.series_per_metric_max = Some(1),
            bodies: vec![
                one("other", NOW_MS, 1.0),
                labelled(&[("__name__", "m"), ("n", "1")]),
                labelled(&[("__name__", "m"), ("n", "2")]),
            ],
            counted: "duramen_ingest_rejected_samples_total{tenant=\"anonymous\",reason=\"series_per_metric_limit\"}",
            text: "series_per_metric_max=`1`",
        },
        Case {
            limit: "series_bytes_max",
            set: |limits| limits.series_bytes_max = Some(3000),
            bodies: vec![
                one("a", NOW_MS, 1.0),
                labelled(&[("__name__", "b"), ("job", &"long".repeat(500))]),
            ],
            counted: "duramen_ingest_rejected_samples_total{tenant=\"anonymous\",reason=\"series_bytes_limit\"}",
            text: "series_bytes_max=`3000`",
        },
        Case {
            limit: "labels_per_series_max",
            set: |limits| limits.labels_per_series_max = 1,
            bodies: vec![one("m", NOW_MS, 1.0)],
            counted: "duramen_ingest_rejected_samples_total{tenant=\"anonymous\",reason=\"too_many_labels\"}",
            text: "labels_per_series_max=`1`",
        },
        Case {
            limit: "label_name_bytes_max",
            set: |limits| limits.label_name_bytes_max = 8,
            bodies: vec![labelled(&[("__name__", "m"), ("aaaaaaaaa", "v")])],
            counted: "duramen_ingest_rejected_samples_total{tenant=\"anonymous\",reason=\"label_name_too_long\"}",
            text: "label_name_bytes_max=`8`",
        },
        Case {
            limit: "label_value_bytes_max",
            set: |limits| limits.label_value_bytes_max = 4,
            bodies: vec![one("fives", NOW_MS, 1.0)],
            counted: "duramen_ingest_rejected_samples_total{tenant=\"anonymous\",reason=\"label_value_too_long\"}",
            text: "label_value_bytes_max=`4`",
        },
        Case {
            limit: "label_value_bytes_max",
            set: |limits| limits.label_value_bytes_max = 1 << 20,
            bodies: vec![
                labelled(&[("__name__", "m"), ("long", &"v".repeat(8193))]),
                one(&"m".repeat(8193), NOW_MS, 1.0),
            ],
            counted: "duramen_ingest_rejected_samples_total{tenant=\"anonymous\",reason=\"label_value_too_long\"}",
            text: "label_value_bytes_max=`8192`",
        },
        Case {
            limit: "future_max",
            set: |limits| limits.future_max = Duration::from_secs(5),
            bodies: vec![one("m", NOW_MS + 5_000, 1.0), one("m", NOW_MS + 5_001, 1.0)],
            counted: "duramen_ingest_rejected_samples_total{tenant=\"anonymous\",reason=\"far_future\"}",
            text: "future_max_ms=`5000`",
        },
        Case {
            limit: "age_max",
            set: |limits| limits.age_max = Some(Duration::from_secs(5)),
            bodies: vec![one("m", NOW_MS - 5_000, 1.0), one("m", NOW_MS - 5_001, 1.0)],
            counted: "duramen_ingest_rejected_samples_total{tenant=\"anonymous\",reason=\"too_old\"}",
            text: "age_max_ms=`5000`",
        },
        Case {
            limit: "ttl_max",
            set: |limits| limits.ttl_max = Duration::from_secs(5),
            bodies: vec![of([TimeSeries {
                samples: vec![ttl],
                ..series("m")
            }])],
            counted: "duramen_ingest_rejected_samples_total{tenant=\"anonymous\",reason=\"ttl\"}",
            text: "ttl_max_ms=`5000`",
        },
        Case {
            limit: "histogram_buckets_max",
            set: |limits| limits.histogram_buckets_max = 2,
            bodies: [2, 3]
                .map(|n| {
                    of([TimeSeries {
                        histograms: vec![histogram(NOW_MS, n)],
                        ..series("m")
                    }])
                })
                .to_vec(),
            counted: "duramen_ingest_rejected_samples_total{tenant=\"anonymous\",reason=\"histogram_buckets\"}",
            text: "histogram_buckets_max=`2`",
        },
        Case {
            limit: "exemplar_label_chars_max",
            set: |limits| limits.exemplar_label_chars_max = 11,
            bodies: vec![of([TimeSeries {
                exemplars: vec![long_exemplar],
                ..series("m")
            }])],
            counted: "duramen_ingest_rejected_samples_total{tenant=\"anonymous\",reason=\"exemplar_too_long\"}",
            text: "exemplar_label_chars_max=`11`",
        },
        Case {
            limit: "metadata_families_max",
            set: |limits| limits.metadata_families_max = 1,
            bodies: vec![
                of_metadata([family("a", "")]),
                of_metadata([family("a", "A."), family("b", "")]),
            ],
            counted: "duramen_ingest_rejected_samples_total{tenant=\"anonymous\",reason=\"metadata_limit\"}",
            text: "metadata_families_max=`1`",
        },
        Case {
            limit: "metadata_bytes_max",
            set: |limits| limits.metadata_bytes_max = 9,
            bodies: vec![
                of_metadata([family("12345", "6789")]),
                of_metadata([family("12345", "67890")]),
            ],
            counted: "duramen_ingest_rejected_samples_total{tenant=\"anonymous\",reason=\"metadata_too_long\"}",
            text: "metadata_bytes_max=`9`",
        },
    ]
}

/// Limits with which the ingester refuses nothing, each with the test for it.
const ELSEWHERE: [&str; 3] = [
    // The edge: `a_body_over_its_limit_is_refused_before_and_after_decoding`.
    "body_bytes_max",
    "decoded_body_bytes_max",
    // Nothing is refused: `exemplars_take_memory_and_give_it_back`.
    "exemplars_max",
];

#[test]
fn every_limit_has_its_case() {
    let shown = format!("{:?}", IngestLimits::default());
    let inside = shown.strip_prefix("IngestLimits { ").unwrap();

    let fields: BTreeSet<&str> = inside
        .split(", ")
        .filter_map(|field| Some(field.split_once(": ")?.0))
        .filter(|name| !name.contains('('))
        .collect();

    let cases = cases();
    let covered: BTreeSet<&str> = cases
        .iter()
        .map(|case| case.limit)
        .chain(ELSEWHERE)
        .collect();

    assert_eq!(covered, fields);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_limit_is_held_counted_and_named_with_its_value() {
    for case in cases() {
        let system = System::start().await;

        // Creates the tenant.
        system.store(&of_metadata([])).await;
        system.limit(case.set);

        let (last, before) = case.bodies.split_last().unwrap();
        for body in before {
            system.store(body).await;
        }

        assert_eq!(system.metric(case.counted), 0.0, "{}", case.limit);

        let text = match system.write(last).await {
            Ok(report) => format!(
                "{}\n{}\n{}",
                report.rejected, report.lost_exemplars, report.lost_metadata
            ),
            Err(error) => error.to_string(),
        };

        assert!(text.contains(case.text), "{}: {text}", case.limit);
        assert_eq!(system.metric(case.counted), 1.0, "{}", case.limit);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_rate_asks_a_sender_to_wait() {
    for case in cases() {
        let system = System::start().await;
        system.limit(case.set);

        let (last, before) = case.bodies.split_last().unwrap();
        for body in before {
            system.store(body).await;
        }

        let Err(error) = system.write(last).await else {
            continue;
        };
        let expected = if case.limit == "samples_per_second" {
            ErrorKind::Limited
        } else {
            ErrorKind::TooMuch
        };

        assert_eq!(error.kind(), expected, "{}", case.limit);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_series_that_is_refused_known_series_go_on() {
    for case in cases() {
        let system = System::start().await;
        system.store(&one("known", NOW_MS, 1.0)).await;

        // Two series reach the limit: the known one, and the first one of the case.
        system.limit(case.set);

        let (last, before) = case.bodies.split_last().unwrap();
        for body in before {
            let _ = system.write(body).await;
        }

        let mut request = WriteRequest::decode(&last[..]).unwrap();
        request.timeseries.push(TimeSeries {
            samples: vec![sample(NOW_MS + 1, 2.0)],
            ..series("known")
        });

        let is_of_requests = case.limit.starts_with("samples_");
        assert_eq!(
            system.write(&request.encode_to_vec()).await.is_err(),
            is_of_requests,
            "{}",
            case.limit
        );

        let stored = if is_of_requests { 1 } else { 2 };
        assert_eq!(
            system.held("known").await.floats.len(),
            stored,
            "{}",
            case.limit
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_too_many_is_refused_for_good_and_the_others_go_on() {
    let system = System::with(Config {
        tenants_max: 1,
        ..Config::default()
    })
    .await;
    system.store(&one("m", NOW_MS, 1.0)).await;

    let other = TenantName::parse("other").unwrap();
    let error = system
        .ingester
        .write(&other, Version::One, &one("m", NOW_MS, 1.0))
        .await
        .unwrap_err();

    assert_eq!(
        (error.kind(), error.retry_after()),
        (ErrorKind::TooMuch, None)
    );

    assert!(error.to_string().contains("tenants_max=`1`"), "{error}");

    system.store(&one("m", NOW_MS + 1, 1.0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_as_long_as_told_passes() {
    let system = System::start().await;
    system.limit(|limits| (limits.samples_per_second, limits.samples_burst) = (Some(0.5), 1));
    system.store(&one("m", NOW_MS, 1.0)).await;

    let error = system.write(&one("m", NOW_MS + 1, 1.0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limited);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));

    system.clock.advance(Duration::from_secs(2));
    system.store(&one("m", NOW_MS + 1, 1.0)).await;

    // More than the burst can never pass, so the sender is told to give up.
    let two = of([TimeSeries {
        samples: vec![sample(NOW_MS, 1.0), sample(NOW_MS + 2, 1.0)],
        ..series("m")
    }]);

    let error = system.write(&two).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry_after()),
        (ErrorKind::TooMuch, None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_limit_applies_to_the_next_request() {
    let system = System::start().await;
    system.limit(|limits| limits.series_max = 1);
    system.store(&one("a", NOW_MS, 1.0)).await;

    assert!(
        !system
            .write(&one("b", NOW_MS, 1.0))
            .await
            .unwrap()
            .rejected
            .is_empty()
    );

    system.limit(|limits| limits.series_max = 2);
    system.store(&one("b", NOW_MS, 1.0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_edge_refuses_is_counted_for_tenants_that_exist() {
    let system = System::start().await;
    let metric =
        "duramen_ingest_limited_requests_total{tenant=\"anonymous\",limit=\"body_bytes_max\"}";
    system
        .ingester
        .intake()
        .note_limited(&tenant(), RequestLimit::BodyBytes);

    assert_eq!(system.metric(metric), 0.0);

    system.store(&one("a", NOW_MS, 1.0)).await;
    system
        .ingester
        .intake()
        .note_limited(&tenant(), RequestLimit::BodyBytes);

    assert_eq!(system.metric(metric), 1.0);
}
