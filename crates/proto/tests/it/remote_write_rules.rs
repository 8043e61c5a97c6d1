//! The rules of the messages of remote write 2.0, and what is lost when one is broken.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails fails its test"
)]

use duramen_model::{Life, MetricType};
use duramen_proto::{Error, SeriesFault, Version, WriteRequest, wire};
use duramen_testkit::prompb::{Message, v2};

use crate::sent::{all_seen, decode_v2, limits};

const NAME: [&str; 3] = ["", "__name__", "m"];

fn sample() -> v2::Sample {
    v2::Sample {
        value: 1.0,
        timestamp: 5,
        ..v2::Sample::default()
    }
}

fn exemplar(labels_refs: Vec<u32>) -> v2::Exemplar {
    v2::Exemplar {
        labels_refs,
        value: 1.0,
        timestamp: 5,
    }
}

/// A series named [`NAME`] with one sample.
fn series() -> v2::TimeSeries {
    v2::TimeSeries {
        labels_refs: vec![1, 2],
        samples: vec![sample()],
        ..v2::TimeSeries::default()
    }
}

fn encoded(symbols: &[&str], timeseries: Vec<v2::TimeSeries>) -> Vec<u8> {
    v2::Request {
        symbols: symbols.iter().map(|&symbol| symbol.to_owned()).collect(),
        timeseries,
    }
    .encode_to_vec()
}

/// Decodes a bad series between two good ones. Checks that the good ones are kept, and that exactly
/// the expected parts of the bad one are lost.
fn check(
    bad: v2::TimeSeries,
    fault: SeriesFault,
    lost: (usize, usize, usize),
    text: &str,
    shown: &str,
) {
    let body = encoded(&NAME, vec![series(), bad, series()]);
    let request = decode_v2(&body).unwrap();

    assert_eq!(
        (
            request.ts_ms.len(),
            request.histograms.len(),
            request.exemplars.len()
        ),
        (2, 0, 0),
        "{fault}"
    );

    assert_eq!(
        request
            .series
            .iter()
            .map(|series| series.samples())
            .collect::<Vec<_>>(),
        [0..1, 1..2],
        "{fault}"
    );

    let [refused] = &request.refused[..] else {
        panic!("{:?}", request.refused)
    };
    assert_eq!(refused.fault, fault);

    assert_eq!(
        (refused.samples, refused.histograms, refused.exemplars),
        lost,
        "{fault}"
    );

    assert_eq!(refused.fault.to_string(), text);
    assert_eq!(request.show_refused(refused).to_string(), shown);
}

#[test]
fn a_series_that_breaks_a_rule_is_refused_with_all_that_it_has_and_the_rest_is_kept() {
    let histograms = || vec![v2::Histogram::default(), v2::Histogram::default()];
    check(
        v2::TimeSeries {
            labels_refs: vec![1, 2, 1],
            samples: vec![sample(), sample()],
            ..v2::TimeSeries::default()
        },
        SeriesFault::OddReferences { references: 3 },
        (2, 0, 0),
        "the references of a series are not pairs. references=`3`",
        "m",
    );

    check(
        v2::TimeSeries {
            labels_refs: vec![1, 3],
            exemplars: vec![exemplar(vec![])],
            ..series()
        },
        SeriesFault::NoSuchSymbol {
            reference: 3,
            symbols: 3,
        },
        (1, 0, 1),
        "a reference of a series names no symbol. reference=`3`, symbols=`3`",
        "?",
    );

    check(
        v2::TimeSeries {
            labels_refs: vec![u32::MAX, 0],
            samples: vec![],
            histograms: histograms(),
            ..series()
        },
        SeriesFault::NoSuchSymbol {
            reference: u32::MAX,
            symbols: 3,
        },
        (0, 2, 0),
        "a reference of a series names no symbol. reference=`4294967295`, symbols=`3`",
        "{?=\"\"}",
    );

    check(
        v2::TimeSeries {
            histograms: histograms(),
            exemplars: vec![exemplar(vec![]), exemplar(vec![9, 9])],
            ..series()
        },
        SeriesFault::Mixed,
        (1, 2, 2),
        "a series has samples and histograms; it may have one of them in a message",
        "m",
    );

    let metadata = Some(v2::Metadata {
        r#type: 1,
        help_ref: 2,
        unit_ref: 2,
    });

    check(
        v2::TimeSeries {
            samples: vec![],
            metadata,
            ..series()
        },
        SeriesFault::Nothing,
        (0, 0, 0),
        "a series has no sample, no histogram and no exemplar",
        "m",
    );
}

#[test]
fn an_exemplar_that_breaks_a_rule_is_refused_alone() {
    let exemplars = vec![
        exemplar(vec![1]),
        exemplar(vec![1, 2]),
        exemplar(vec![1, 7]),
    ];

    let body = encoded(
        &NAME,
        vec![v2::TimeSeries {
            exemplars,
            ..series()
        }],
    );

    let request = decode_v2(&body).unwrap();
    let faults: Vec<SeriesFault> = request
        .refused
        .iter()
        .map(|refused| refused.fault)
        .collect();

    let odd = SeriesFault::OddExemplarReferences { references: 1 };
    assert_eq!(
        faults,
        [
            odd,
            SeriesFault::NoSuchExemplarSymbol {
                reference: 7,
                symbols: 3
            }
        ]
    );

    assert!(request.refused.iter().all(|refused| (
        refused.samples,
        refused.histograms,
        refused.exemplars
    ) == (0, 0, 1)));

    assert_eq!(request.show_refused(&request.refused[0]).to_string(), "m");
    assert_eq!(
        (
            request.ts_ms.len(),
            request.exemplars.len(),
            request.series[0].exemplars()
        ),
        (1, 1, 0..1)
    );
}

#[test]
fn a_series_of_exemplars_alone_is_a_series() {
    let exemplars = vec![exemplar(vec![])];
    let body = encoded(
        &NAME,
        vec![v2::TimeSeries {
            samples: vec![],
            exemplars,
            ..series()
        }],
    );

    let request = decode_v2(&body).unwrap();
    assert_eq!(
        (
            request.series.len(),
            request.exemplars.len(),
            request.refused.len()
        ),
        (1, 1, 0)
    );
}

#[test]
fn the_first_symbol_is_the_empty_one() {
    let body = encoded(&["__name__", "m"], vec![]);
    assert_eq!(
        decode_v2(&body).unwrap_err(),
        Error::FirstSymbol { bytes: 8 }
    );

    assert!(decode_v2(&[]).unwrap().series.is_empty());
}

#[test]
fn a_message_of_the_other_version_is_found_out() {
    let mut body = Vec::new();
    wire::put_bytes(&mut body, 1, b"");

    let found = Error::OtherVersion {
        number: 1,
        found: Version::One,
        declared: "io.prometheus.write.v2.Request",
    };

    assert_eq!(decode_v2(&body).unwrap_err(), found);
}

#[test]
fn the_created_timestamp_of_older_senders_is_not_looked_at() {
    let body = encoded(
        &NAME,
        vec![v2::TimeSeries {
            created_timestamp: 17,
            ..series()
        }],
    );

    let request = decode_v2(&body).unwrap();
    assert_eq!(
        (
            request.series.len(),
            request.lives.len(),
            request.refused.len()
        ),
        (1, 0, 0)
    );
}

#[test]
fn references_and_buckets_are_read_packed_and_one_by_one() {
    let mut request = encoded(&NAME, vec![]);
    let mut series = Vec::new();
    let mut histogram = Vec::new();

    wire::put_varint_field(&mut series, 1, 1);
    for (number, zigzag) in [(12, 2), (12, 1), (9, 4)] {
        wire::put_varint_field(&mut histogram, number, zigzag);
    }

    wire::put_bytes(&mut histogram, 12, &[6]);
    for number in [13, 10, 16] {
        wire::put_fixed64(&mut histogram, number, 1f64.to_bits());
    }

    wire::put_bytes(&mut series, 3, &histogram);

    // The labels continue after the histogram, and half of them are packed.
    wire::put_bytes(&mut series, 1, &[2, 1]);
    wire::put_varint_field(&mut series, 1, 0);
    wire::put_bytes(&mut request, 5, &series);

    let by_prost = v2::Request::decode(request.as_slice()).unwrap();
    assert_eq!(by_prost.timeseries[0].labels_refs, [1, 2, 1, 0]);

    let decoded = decode_v2(&request).unwrap();
    let [seen] = &all_seen(&decoded)[..] else {
        panic!()
    };
    let pairs = [("__name__", "m"), ("__name__", "")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));

    assert_eq!(seen.labels, pairs);
    assert_eq!(
        seen.histograms,
        [(
            0,
            Life::NONE,
            crate::sent::histogram(&by_prost.timeseries[0].histograms[0])
        )]
    );
}

#[test]
fn no_sample_pays_for_lives_that_no_sample_has() {
    let with = v2::Sample {
        start_timestamp: 3,
        ttl_ms: 60_000,
        ..sample()
    };

    let middle = v2::TimeSeries {
        samples: vec![sample(), with],
        ..series()
    };

    let body = encoded(&NAME, vec![series(), middle, series()]);
    let request = decode_v2(&body).unwrap();
    let life = Life {
        start_ms: 3,
        ttl_ms: 60_000,
    };

    assert_eq!(request.lives, [Life::NONE, Life::NONE, life, Life::NONE]);

    let body = encoded(&NAME, vec![series(), series()]);
    assert_eq!(decode_v2(&body).unwrap().lives, []);
}

#[test]
fn metadata_of_a_series_is_that_of_its_family() {
    let cases = [
        ("requests_total", 1, "requests_total"),
        ("latency_bucket", 3, "latency"),
        ("latency_count", 3, "latency"),
        ("latency_sum", 3, "latency"),
        ("size_bucket", 4, "size"),
        ("quantiles_sum", 5, "quantiles"),
        ("quantiles_count", 5, "quantiles"),
        ("quantiles_bucket", 5, "quantiles_bucket"),
        ("quantiles", 5, "quantiles"),
        ("a_count", 2, "a_count"),
        ("_sum", 3, "_sum"),
    ];

    for (name, kind, family) in cases {
        let metadata = Some(v2::Metadata {
            r#type: kind,
            help_ref: 3,
            unit_ref: 0,
        });

        let body = encoded(
            &["", "__name__", name, "Help."],
            vec![v2::TimeSeries {
                metadata,
                ..series()
            }],
        );

        let request = decode_v2(&body).unwrap();
        let [sent] = &request.metadata[..] else {
            panic!("{name}")
        };

        assert_eq!(std::str::from_utf8(sent.family).unwrap(), family);
        assert_eq!(
            (sent.kind, sent.help, sent.unit),
            (
                MetricType::numbered(kind.unsigned_abs().into()),
                &b"Help."[..],
                &b""[..]
            )
        );
    }
}

#[test]
fn a_native_histogram_is_named_as_its_family() {
    let metadata = Some(v2::Metadata {
        r#type: 3,
        help_ref: 0,
        unit_ref: 0,
    });

    let native = v2::TimeSeries {
        samples: vec![],
        histograms: vec![v2::Histogram::default()],
        metadata,
        ..series()
    };

    let body = encoded(&["", "__name__", "retry_count"], vec![native]);
    let request = decode_v2(&body).unwrap();

    assert_eq!(request.metadata[0].family, b"retry_count");
}

#[test]
fn metadata_that_says_nothing_or_the_same_again_is_left_out() {
    let with = |kind, help_ref, unit_ref| v2::TimeSeries {
        metadata: Some(v2::Metadata {
            r#type: kind,
            help_ref,
            unit_ref,
        }),
        ..series()
    };

    let body = encoded(
        &NAME,
        vec![
            with(0, 0, 0),
            with(1, 0, 0),
            with(1, 0, 0),
            with(1, 2, 0),
            with(0, 0, 2),
            with(1, 9, 0),
        ],
    );

    let request = decode_v2(&body).unwrap();
    assert_eq!((request.metadata.len(), request.ts_ms.len()), (3, 6));

    let [refused] = &request.refused[..] else {
        panic!()
    };
    assert_eq!(
        refused.fault,
        SeriesFault::NoSuchMetadataSymbol {
            reference: 9,
            symbols: 3
        }
    );

    assert_eq!(
        (refused.samples, refused.histograms, refused.exemplars),
        (0, 0, 0)
    );
}

#[test]
fn millions_of_empty_messages_are_refused_before_they_take_memory() {
    let symbol = |number: u32, inner: &[u8]| {
        let mut body = encoded(&NAME, vec![]);
        let mut message = Vec::new();
        wire::put_bytes(&mut message, number, inner);

        for _ in 0..1 << 20 {
            body.extend_from_slice(&message);
        }

        body
    };

    let one_series = |number: u32| {
        let mut body = encoded(&NAME, vec![]);
        let mut series = Vec::new();

        for _ in 0..1 << 20 {
            wire::put_bytes(&mut series, number, &[]);
        }

        wire::put_bytes(&mut body, 5, &series);
        body
    };

    let bodies = [
        symbol(4, b""),
        symbol(5, b""),
        symbol(5, &[0x22, 0]),
        one_series(2),
        one_series(3),
        one_series(4),
    ];

    for (case, body) in bodies.iter().enumerate() {
        let limits = limits(body);
        let decoded = decode_v2(body);
        let max = limits.memory_bytes_max;

        assert!(max <= 8 * body.len() + (64 << 10));

        // Samples of two bytes in the body and sixteen in memory are just allowed.
        if case != 3 {
            assert_eq!(
                decoded.unwrap_err(),
                Error::TooMuchMemory { max },
                "case {case}"
            );
        }
    }
}

/// A field that no message of remote write has.
fn unknown() -> Vec<u8> {
    let mut field = Vec::new();
    wire::put_bytes(&mut field, 77, b"what is this");
    field
}

#[test]
fn a_message_of_2_0_that_is_called_1_0_is_refused() {
    let body = encoded(&NAME, vec![series()]);
    let error = WriteRequest::decode_v1(&body, &limits(&body)).unwrap_err();

    assert_eq!(
        error,
        Error::OtherVersion {
            number: 4,
            found: Version::Two,
            declared: "prometheus.WriteRequest"
        }
    );

    assert_eq!(
        error.to_string(),
        "field 4 is of remote write 2.0, and the content type says that the message is `prometheus.WriteRequest`, which is 1.0"
    );

    // A request without symbols is allowed.
    let body = encoded(&[], vec![v2::TimeSeries::default()]);
    assert!(matches!(
        WriteRequest::decode_v1(&body, &limits(&body)),
        Err(Error::OtherVersion { number: 5, .. })
    ));
}

#[test]
fn a_message_of_unknown_fields_alone_is_refused_and_an_empty_one_is_not() {
    let mut series = Vec::new();
    wire::put_bytes(&mut series, 1, &unknown());

    for body in [unknown(), [unknown(), unknown()].concat(), series] {
        let error = WriteRequest::decode_v1(&body, &limits(&body)).unwrap_err();
        assert!(
            matches!(error, Error::NothingKnown { number: 77, .. }),
            "{error}"
        );
    }

    assert_eq!(
        decode_v2(&unknown()).unwrap_err(),
        Error::NothingKnown {
            message: "Request",
            number: 77
        }
    );

    let symbols = [encoded(&NAME, vec![]), unknown()].concat();
    for body in [Vec::new(), symbols] {
        assert_eq!(decode_v2(&body).unwrap().series.len(), 0);
    }

    // Mimir sends its source field, even if there is nothing else.
    let source = vec![2 << 3, 1];

    for body in [Vec::new(), source, b"\x0a\x00".to_vec()] {
        assert_eq!(
            WriteRequest::decode_v1(&body, &limits(&body))
                .unwrap()
                .series
                .len(),
            0
        );
    }
}
