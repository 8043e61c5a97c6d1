//! Every refusal names its series on one readable line, and counts exactly what was refused.

use duramen_ingest::WriteReport;
use duramen_proto::{Version, wire};
use duramen_testkit::prompb::Message;
use duramen_testkit::prompb::v1::{Histogram, TimeSeries};
use duramen_testkit::prompb::v2;

use crate::body::{exemplar, family, histogram, labels, of, of_metadata, sample, series};
use crate::system::{NOW_MS, System, tenant};

/// Returns a series of version 1.0 with one sample. Its labels need not be text.
fn raw(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut series = Vec::new();
    for (name, value) in pairs {
        let mut label = Vec::new();
        wire::put_bytes(&mut label, 1, name);
        wire::put_bytes(&mut label, 2, value);
        wire::put_bytes(&mut series, 1, &label);
    }

    wire::put_bytes(&mut series, 2, &sample(NOW_MS, 1.0).encode_to_vec());

    let mut body = Vec::new();
    wire::put_bytes(&mut body, 1, &series);
    body
}

/// Returns all texts about a write.
fn text(report: &WriteReport) -> String {
    [
        &report.rejected,
        &report.lost_exemplars,
        &report.lost_metadata,
    ]
    .into_iter()
    .filter(|rejections| !rejections.is_empty())
    .map(|rejections| format!("{rejections}\n"))
    .collect()
}

/// Asserts that a text is readable. Names are between backticks, so their number is even, and no
/// pair is inside another.
fn assert_readable(text: &str) {
    assert!(text.len() < 2_048, "{} bytes", text.len());

    for line in text.lines() {
        let quoted: Vec<&str> = line.split('`').collect();
        assert_eq!(quoted.len() % 2, 1, "{line}");

        for before in quoted.iter().step_by(2).take(quoted.len() / 2) {
            assert!(
                before.ends_with('='),
                "a backtick that opens no value: {line}"
            );
        }
    }
}

/// Labels as they are sent, and the text of the refusal.
type Case<'a> = (&'a [(&'a [u8], &'a [u8])], &'a str);

#[tokio::test]
async fn a_refusal_of_labels_names_the_series() {
    let system = System::start().await;
    system.limit(|limits| limits.labels_per_series_max = 5);

    let long_name = [b'n'; 1_100];
    let long_value = [b'v'; 3_000];

    let cases: [Case<'_>; 10] = [
        (
            &[(b"__name__", b"m1"), (b"a", &long_value)],
            "a label value is too long. label=`a`",
        ),
        (
            &[
                (b"__name__", b"m2"),
                (b"a", b"1"),
                (b"b", b"1"),
                (b"c", b"1"),
                (b"d", b"1"),
                (b"e", b"1"),
            ],
            "too many",
        ),
        (
            &[(b"__name__", b"m3"), (b"a", b"1"), (b"a", b"2")],
            "stands twice",
        ),
        (
            &[(b"__name__", b"m4"), (b"", b"v")],
            "a label name is empty. series=`m4{=\"v\"}`",
        ),
        (
            &[(b"__name__", b"m5"), (b"b", b"\xff")],
            "not UTF-8. label=`b`, value=`\\xff`, series=`m5{b=\"\\xff\"}`",
        ),
        (
            &[(b"__name__", b"m6"), (&long_name, b"v")],
            "a label name is too long",
        ),
        (
            &[
                (b"a", &long_value),
                (b"b", &long_value),
                (b"__name__", b"m7"),
                (b"b", b""),
            ],
            "a label value is too long",
        ),
        (&[(b"__name__", b"m8\xff")], "series=`m8\\xff`"),
        (
            &[
                (b"__name__", b"m9"),
                (b"tick`tock\n", b"a`b"),
                (b"tick`tock\n", b""),
            ],
            "label=`tick\\x60tock\\n`",
        ),
        (
            &[(b"job", b"m10")],
            "a series has no metric name (the label __name__). series=`{job=\"m10\"}`",
        ),
    ];

    for (at, (pairs, expected)) in cases.into_iter().enumerate() {
        let report = system.write(&raw(pairs)).await.unwrap();
        let text = text(&report);

        assert!(text.contains(expected), "{text}");
        assert!(text.contains(&format!("m{}", at + 1)), "{text}");
        assert!(text.contains("\nrejected 1 sample: "), "{text}");

        assert_readable(&text);
    }
}

#[tokio::test]
async fn a_refusal_of_samples_and_histograms_and_exemplars_names_the_series() {
    let system = System::start().await;
    system.limit(|limits| {
        limits.histogram_buckets_max = 8;
        limits.series_per_metric_max = Some(1);
    });

    system
        .store(&of([TimeSeries {
            samples: vec![sample(NOW_MS, 1.0)],
            ..series("full")
        }]))
        .await;

    let odd = |mut histogram: Histogram| {
        histogram.positive_deltas.pop();
        histogram
    };

    let unknown = Histogram {
        schema: 77,
        ..histogram(NOW_MS, 2)
    };

    let more = TimeSeries {
        labels: labels(&[("__name__", "full"), ("job", "other`s")]),
        ..TimeSeries::default()
    };

    let cases = [
        (
            TimeSeries {
                samples: vec![sample(i64::MAX, 1.0)],
                ..series("m1")
            },
            "m1{job=\"test\"}",
            "1 sample",
        ),
        (
            TimeSeries {
                samples: vec![sample(i64::MIN, 1.0)],
                ..series("m2")
            },
            "m2{job=\"test\"}",
            "1 sample",
        ),
        (
            TimeSeries {
                samples: vec![sample(NOW_MS, 2.0)],
                ..series("full")
            },
            "full{job=\"test\"}",
            "1 sample",
        ),
        (
            TimeSeries {
                histograms: vec![odd(histogram(NOW_MS, 3))],
                ..series("m3")
            },
            "m3{job=\"test\"}",
            "1 histogram",
        ),
        (
            TimeSeries {
                histograms: vec![unknown],
                ..series("m4")
            },
            "m4{job=\"test\"}",
            "1 histogram",
        ),
        (
            TimeSeries {
                histograms: vec![histogram(NOW_MS, 9)],
                ..series("m5")
            },
            "m5{job=\"test\"}",
            "1 histogram",
        ),
        (
            TimeSeries {
                exemplars: vec![exemplar(i64::MAX, "a")],
                ..series("m6")
            },
            "m6{job=\"test\"}",
            "1 exemplar",
        ),
        (
            TimeSeries {
                exemplars: vec![exemplar(NOW_MS, &"a".repeat(500))],
                ..series("m7")
            },
            "m7",
            "1 exemplar",
        ),
        (
            TimeSeries {
                samples: vec![sample(NOW_MS, 1.0)],
                ..more
            },
            "full{job=\"other\\x60s\"}",
            "1 sample",
        ),
    ];

    for (sent, name, lost) in cases {
        let report = system.write(&of([sent])).await.unwrap();
        let text = text(&report);

        assert!(text.contains(&format!("series=`{name}")), "{name}: {text}");
        assert!(
            text.contains(&format!("\nrejected {lost}: ")),
            "{name}: {text}"
        );

        assert_readable(&text);
    }
}

#[tokio::test]
async fn a_refusal_of_metadata_names_the_family() {
    let system = System::start().await;
    let report = system
        .write(&of_metadata([family("m`1\n", &"h".repeat(100_000))]))
        .await
        .unwrap();

    let text = text(&report);
    assert!(text.contains("family=`m\\x601\\n`"), "{text}");
    assert!(
        text.contains("rejected 1 metric family: metadata_too_long=1"),
        "{text}"
    );

    assert_readable(&text);
}

#[tokio::test]
async fn a_series_of_2_0_that_is_refused_is_named_and_counted_for_what_it_brought() {
    let system = System::start().await;
    let symbols: Vec<String> = ["", "__name__", "m", "job", "x"]
        .map(str::to_owned)
        .to_vec();

    let sample = || v2::Sample {
        value: 1.0,
        timestamp: NOW_MS,
        ..v2::Sample::default()
    };

    let series = |labels_refs: &[u32]| v2::TimeSeries {
        labels_refs: labels_refs.to_vec(),
        ..v2::TimeSeries::default()
    };

    let metadata = Some(v2::Metadata {
        r#type: 1,
        help_ref: 99,
        unit_ref: 0,
    });

    let named = "m{job=\"x\"}";
    let cases = [
        (series(&[1, 2, 3, 4]), named, "1 series without samples"),
        (
            v2::TimeSeries {
                samples: vec![sample()],
                ..series(&[1, 2, 3])
            },
            "m",
            "1 sample",
        ),
        (
            v2::TimeSeries {
                samples: vec![sample(), sample()],
                ..series(&[1, 2, 3, 77])
            },
            "m{job=\"?\"}",
            "2 samples",
        ),
        (
            v2::TimeSeries {
                metadata,
                samples: vec![sample()],
                ..series(&[1, 2, 3, 4])
            },
            named,
            "1 series without samples",
        ),
        (
            v2::TimeSeries {
                samples: vec![sample()],
                histograms: vec![v2::Histogram::default()],
                ..series(&[1, 2, 3, 4])
            },
            named,
            "1 sample and 1 histogram",
        ),
    ];

    for (sent, name, lost) in cases {
        let body = v2::Request {
            symbols: symbols.clone(),
            timeseries: vec![sent],
        }
        .encode_to_vec();

        let report = system
            .ingester
            .write(&tenant(), Version::Two, &body)
            .await
            .unwrap();

        let text = text(&report);
        assert!(text.contains(&format!("series=`{name}`")), "{text}");
        assert!(
            text.contains(&format!("\nrejected {lost}: malformed=")),
            "{text}"
        );

        assert_readable(&text);
    }
}
