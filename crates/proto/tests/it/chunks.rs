//! Chunks equal those of Prometheus, bit for bit, and decode to the samples that they were made of.
//!
//! `golden/chunks.txt`, made by `golden/chunks.go`, holds series of samples and the chunks that
//! `tsdb/chunkenc` of Prometheus 3.14 (module version v0.314.0) makes of them. The samples are
//! appended one by one, and a chunk is cut after 120. Floats are 16 hex digits; lists have commas
//! between the elements, and an empty list is `-`. The lines:
//!
//! ```text
//! series NAME
//! float TIME VALUE
//! integer TIME SCHEMA HINT SUM ZERO_THRESHOLD COUNT ZERO_COUNT POSITIVE NEGATIVE POSITIVE_SPANS NEGATIVE_SPANS CUSTOM_VALUES
//! floating as integer, with floats for counts
//! chunk ENCODING HEX
//! ```
//!
//! A chunk line follows the samples of the chunk. If one more sample was needed to end the chunk,
//! that sample comes before the line too, but belongs to the next chunk.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails fails its test"
)]

use duramen_model::{Counts, Histogram, ResetHint, STALE_NAN, Span, is_stale};
use duramen_proto::chunk::{Chunk, ChunkBuilder, Decoded, Encoding, SAMPLES_MAX, decode};
use proptest::prelude::*;

const GOLDEN: &str = include_str!("../golden/chunks.txt");

#[derive(Clone, Debug)]
enum Sample {
    Float(i64, f64),
    Histogram(i64, Histogram),
}

/// All chunks of a series.
fn chunks(samples: &[Sample]) -> Vec<Chunk> {
    let mut builder = ChunkBuilder::default();
    let mut chunks = Vec::new();

    for sample in samples {
        chunks.extend(match sample {
            Sample::Float(ts_ms, value) => builder.push_float(*ts_ms, *value),
            Sample::Histogram(ts_ms, histogram) => {
                builder.push_histogram(*ts_ms, histogram).unwrap()
            }
        });
    }

    chunks.extend(builder.finish());
    chunks
}

/// Decodes the chunks of a series, and checks their times and sizes.
fn read(chunks: &[Chunk]) -> Vec<Sample> {
    let mut samples = Vec::new();

    for chunk in chunks {
        let decoded: Vec<Sample> = match decode(chunk.encoding, &chunk.data).unwrap() {
            Decoded::Floats(floats) => floats
                .into_iter()
                .map(|(ts_ms, value)| Sample::Float(ts_ms, value))
                .collect(),
            Decoded::Histograms(all) => all
                .into_iter()
                .map(|(ts_ms, one)| Sample::Histogram(ts_ms, one))
                .collect(),
        };

        assert!((1..=usize::from(SAMPLES_MAX)).contains(&decoded.len()));
        assert_eq!(
            (time(&decoded[0]), time(&decoded[decoded.len() - 1])),
            (chunk.first_ms, chunk.last_ms)
        );

        samples.extend(decoded);
    }

    samples
}

const fn time(sample: &Sample) -> i64 {
    match sample {
        Sample::Float(ts_ms, _) | Sample::Histogram(ts_ms, _) => *ts_ms,
    }
}

/// The bits of a sample without its hint. For a stale marker, only the marker counts.
fn bits(sample: &Sample) -> (i64, Vec<u8>) {
    match sample {
        Sample::Float(ts_ms, value) => (*ts_ms, value.to_bits().to_le_bytes().to_vec()),
        Sample::Histogram(ts_ms, histogram) if histogram.is_stale() => (
            *ts_ms,
            format!("stale {}", matches!(histogram.counts, Counts::Float { .. })).into_bytes(),
        ),
        Sample::Histogram(ts_ms, histogram) => (
            *ts_ms,
            Histogram {
                hint: ResetHint::Unknown,
                ..histogram.clone()
            }
            .to_bytes(),
        ),
    }
}

#[track_caller]
fn assert_same(expected: &[Sample], found: &[Sample]) {
    let all = |samples: &[Sample]| samples.iter().map(bits).collect::<Vec<_>>();
    assert_eq!(all(expected), all(found));
}

mod golden {
    use super::*;

    struct Series {
        name: String,
        samples: Vec<Sample>,
        chunks: Vec<(Encoding, Vec<u8>)>,
    }

    fn list<T>(text: &str, one: impl Fn(&str) -> T) -> Vec<T> {
        if text == "-" {
            Vec::new()
        } else {
            text.split(',').map(one).collect()
        }
    }

    fn float(text: &str) -> f64 {
        f64::from_bits(u64::from_str_radix(text, 16).unwrap())
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    }

    fn spans(text: &str) -> Vec<Span> {
        list(text, |span| {
            let (offset, length) = span.split_once(':').unwrap();
            Span {
                offset: offset.parse().unwrap(),
                length: length.parse().unwrap(),
            }
        })
    }

    fn histogram(words: &[&str]) -> Histogram {
        let [
            kind,
            _,
            schema,
            hint,
            sum,
            zero_threshold,
            count,
            zero_count,
            positive,
            negative,
            spans_up,
            spans_down,
            custom,
        ] = words
        else {
            panic!("{words:?}")
        };

        let counts = if *kind == "integer" {
            let deltas = |text: &str| list(text, |one| one.parse().unwrap());
            let count = count.parse().unwrap();
            let zero_count = zero_count.parse().unwrap();

            Counts::Integer {
                count,
                zero_count,
                positive: deltas(positive),
                negative: deltas(negative),
            }
        } else {
            let counts = |text: &str| list(text, float);
            let count = float(count);
            let zero_count = float(zero_count);

            Counts::Float {
                count,
                zero_count,
                positive: counts(positive),
                negative: counts(negative),
            }
        };

        Histogram {
            schema: schema.parse().unwrap(),
            hint: match *hint {
                "unknown" => ResetHint::Unknown,
                "reset" => ResetHint::Reset,
                "not_reset" => ResetHint::NotReset,
                "gauge" => ResetHint::Gauge,
                other => panic!("{other}"),
            },
            sum: float(sum),
            zero_threshold: float(zero_threshold),
            counts,
            positive_spans: spans(spans_up),
            negative_spans: spans(spans_down),
            custom_values: list(custom, float),
        }
    }

    fn series() -> Vec<Series> {
        let mut all: Vec<Series> = Vec::new();

        for line in GOLDEN.lines() {
            let words: Vec<&str> = line.split(' ').collect();

            match words.as_slice() {
                ["series", name] => {
                    all.push(Series {
                        name: (*name).to_owned(),
                        samples: Vec::new(),
                        chunks: Vec::new(),
                    });
                }
                ["float", ts_ms, value] => {
                    all.last_mut()
                        .unwrap()
                        .samples
                        .push(Sample::Float(ts_ms.parse().unwrap(), float(value)));
                }
                ["integer" | "floating", ts_ms, ..] => {
                    let sample = Sample::Histogram(ts_ms.parse().unwrap(), histogram(&words));
                    all.last_mut().unwrap().samples.push(sample);
                }
                ["chunk", encoding, data] => {
                    let encoding = Encoding::of(encoding.parse().unwrap()).unwrap();
                    all.last_mut().unwrap().chunks.push((encoding, hex(data)));
                }
                other => panic!("{other:?}"),
            }
        }

        all
    }

    #[test]
    fn chunks_have_the_bits_that_prometheus_writes() {
        let all = series();
        assert!(all.len() > 25, "{}", all.len());

        for one in all {
            let found: Vec<_> = chunks(&one.samples)
                .into_iter()
                .map(|chunk| (chunk.encoding, chunk.data))
                .collect();

            assert_eq!(found, one.chunks, "{}", one.name);
        }
    }

    #[test]
    fn chunks_of_prometheus_are_read() {
        for one in series() {
            let decoded: Vec<Sample> = one
                .chunks
                .iter()
                .flat_map(|(encoding, data)| match decode(*encoding, data).unwrap() {
                    Decoded::Floats(all) => all
                        .into_iter()
                        .map(|(ts, v)| Sample::Float(ts, v))
                        .collect::<Vec<_>>(),
                    Decoded::Histograms(all) => all
                        .into_iter()
                        .map(|(ts, h)| Sample::Histogram(ts, h))
                        .collect(),
                })
                .collect();

            assert_same(&one.samples, &decoded);
        }
    }
}

fn histogram(count: u64, hint: ResetHint) -> Histogram {
    let counts = Counts::Integer {
        count,
        zero_count: 0,
        positive: vec![count.cast_signed(), 0],
        negative: Vec::new(),
    };

    Histogram {
        schema: 0,
        hint,
        sum: 1.0,
        zero_threshold: 0.0,
        counts,
        positive_spans: vec![Span {
            offset: 0,
            length: 2,
        }],
        negative_spans: Vec::new(),
        custom_values: Vec::new(),
    }
}

/// The number of histograms in each chunk, and its reset byte.
fn shapes(histograms: &[Histogram]) -> Vec<(u16, u8)> {
    let samples: Vec<_> = (0..)
        .zip(histograms)
        .map(|(ts_ms, one)| Sample::Histogram(ts_ms, one.clone()))
        .collect();

    chunks(&samples)
        .iter()
        .map(|chunk| {
            (
                u16::from_be_bytes([chunk.data[0], chunk.data[1]]),
                chunk.data[2],
            )
        })
        .collect()
}

const UNKNOWN: u8 = 0x00;
const NOT_RESET: u8 = 0x40;
const RESET: u8 = 0x80;
const GAUGE: u8 = 0xc0;

#[test]
fn a_counter_that_goes_down_begins_a_chunk_that_says_so() {
    let counted = |count| histogram(count, ResetHint::Unknown);
    assert_eq!(
        shapes(&[counted(5), counted(6), counted(2), counted(3)]),
        [(2, UNKNOWN), (2, RESET)]
    );
}

#[test]
fn a_bucket_that_goes_down_begins_a_chunk_though_the_count_does_not() {
    let of = |first: i64, second: i64| {
        let counts = Counts::Integer {
            count: 9,
            zero_count: 0,
            positive: vec![first, second],
            negative: Vec::new(),
        };

        Histogram {
            counts,
            ..histogram(9, ResetHint::Unknown)
        }
    };

    assert_eq!(shapes(&[of(5, -1), of(6, -3)]), [(1, UNKNOWN), (1, RESET)]);
    assert_eq!(shapes(&[of(5, -1), of(6, -2)]), [(2, UNKNOWN)]);
}

#[test]
fn a_full_chunk_is_followed_by_one_without_a_reset() {
    let all: Vec<_> = (0..121)
        .map(|count| histogram(count, ResetHint::Unknown))
        .collect();
    assert_eq!(shapes(&all), [(120, UNKNOWN), (1, NOT_RESET)]);
}

#[test]
fn a_reset_that_the_sender_names_is_kept() {
    let all = [
        histogram(1, ResetHint::Reset),
        histogram(2, ResetHint::NotReset),
        histogram(3, ResetHint::Reset),
    ];

    assert_eq!(shapes(&all), [(2, RESET), (1, RESET)]);
}

#[test]
fn gauges_go_up_and_down_in_one_chunk_and_stand_apart_from_counters() {
    let all = [
        histogram(9, ResetHint::Gauge),
        histogram(3, ResetHint::Gauge),
        histogram(4, ResetHint::Unknown),
        histogram(5, ResetHint::Gauge),
    ];

    assert_eq!(shapes(&all), [(2, GAUGE), (1, UNKNOWN), (1, GAUGE)]);
}

#[test]
fn nothing_but_stale_markers_follows_a_stale_marker_in_a_chunk() {
    for hint in [ResetHint::Unknown, ResetHint::Gauge] {
        let alive = histogram(2, hint);
        let stale = Histogram {
            sum: STALE_NAN,
            ..histogram(0, hint)
        };

        let lengths: Vec<_> = shapes(&[alive.clone(), stale.clone(), stale, alive])
            .iter()
            .map(|(n, _)| *n)
            .collect();

        assert_eq!(lengths, [3, 1], "{hint:?}");
    }
}

#[test]
fn another_layout_begins_a_chunk() {
    let wider = Histogram {
        positive_spans: vec![Span {
            offset: 1,
            length: 2,
        }],
        ..histogram(2, ResetHint::Unknown)
    };

    assert_eq!(
        shapes(&[histogram(1, ResetHint::Unknown), wider]),
        [(1, UNKNOWN), (1, UNKNOWN)]
    );
}

#[test]
fn floats_and_histograms_of_one_series_stand_in_chunks_of_their_own() {
    let samples = [
        Sample::Float(1, 1.0),
        Sample::Histogram(2, histogram(1, ResetHint::Unknown)),
        Sample::Float(3, STALE_NAN),
        Sample::Float(4, 2.0),
    ];

    let chunks = chunks(&samples);
    let spans: Vec<_> = chunks
        .iter()
        .map(|chunk| (chunk.encoding, chunk.first_ms, chunk.last_ms))
        .collect();

    assert_eq!(
        spans,
        [
            (Encoding::Xor, 1, 1),
            (Encoding::Histogram, 2, 2),
            (Encoding::Xor, 3, 4)
        ]
    );

    assert_same(&samples, &read(&chunks));
}

#[test]
fn a_histogram_whose_spans_do_not_fit_its_counts_is_refused() {
    let broken = Histogram {
        positive_spans: vec![Span {
            offset: 0,
            length: 3,
        }],
        ..histogram(1, ResetHint::Unknown)
    };

    assert!(ChunkBuilder::default().push_histogram(0, &broken).is_err());

    let mut builder = ChunkBuilder::default();
    builder
        .push_histogram(0, &histogram(1, ResetHint::Unknown))
        .unwrap();

    assert!(builder.push_histogram(1, &broken).is_err());
}

pub(crate) fn any_float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        (0..100i32).prop_map(f64::from),
        Just(STALE_NAN),
        Just(-0.0),
        (any::<i32>(), 0..20i32).prop_map(|(n, e)| f64::from(n) * 10f64.powi(-e)),
    ]
}

/// Ascending times with small and large steps.
fn times(count: usize) -> impl Strategy<Value = Vec<i64>> {
    let step = prop_oneof![Just(15_000i64), 1..10i64, 14_990..15_010i64, 1..1i64 << 40];
    (-1i64 << 42..1i64 << 42, prop::collection::vec(step, count)).prop_map(|(first, steps)| {
        steps
            .into_iter()
            .scan(first, |ts_ms, step| {
                *ts_ms += step;
                Some(*ts_ms)
            })
            .collect()
    })
}

/// Histograms of few layouts, so that neighbours often have the same.
pub(crate) fn any_histogram() -> impl Strategy<Value = Histogram> {
    let layouts: Vec<(Vec<Span>, Vec<Span>)> = vec![
        (vec![], vec![]),
        (
            vec![
                Span {
                    offset: -3,
                    length: 2,
                },
                Span {
                    offset: 4,
                    length: 1,
                },
            ],
            vec![Span {
                offset: 0,
                length: 1,
            }],
        ),
        (
            vec![
                Span {
                    offset: i32::MIN,
                    length: 0,
                },
                Span {
                    offset: i32::MAX,
                    length: 4,
                },
            ],
            vec![],
        ),
    ];

    let layout = prop::sample::select(layouts);
    let hint = prop::sample::select(vec![
        ResetHint::Unknown,
        ResetHint::Reset,
        ResetHint::NotReset,
        ResetHint::Gauge,
    ]);

    let threshold = prop_oneof![
        Just(0.0),
        Just(2f64.powi(-128)),
        Just(1024.0),
        any::<u64>().prop_map(f64::from_bits)
    ];

    let custom = prop_oneof![
        Just(vec![]),
        prop::collection::vec(
            prop_oneof![
                any_float(),
                (0..50_000i32).prop_map(|n| f64::from(n) / 1000.0)
            ],
            1..5
        )
    ];

    (layout, hint, threshold, custom, any_float(), any::<bool>()).prop_flat_map(
        |((positive_spans, negative_spans), hint, zero_threshold, custom_values, sum, integer)| {
            let count =
                |spans: &[Span]| spans.iter().map(|span| span.length as usize).sum::<usize>();
            let up = count(&positive_spans);
            let down = count(&negative_spans);

            let counts = if integer {
                let buckets =
                    |count| prop::collection::vec(prop_oneof![any::<i64>(), -5..5i64], count);
                (
                    0..9u64,
                    prop_oneof![any::<u64>(), 0..9u64],
                    buckets(up),
                    buckets(down),
                )
                    .prop_map(|(count, zero_count, positive, negative)| Counts::Integer {
                        count,
                        zero_count,
                        positive,
                        negative,
                    })
                    .boxed()
            } else {
                let buckets = |count| prop::collection::vec(any_float(), count);
                (any_float(), any_float(), buckets(up), buckets(down))
                    .prop_map(|(count, zero_count, positive, negative)| Counts::Float {
                        count,
                        zero_count,
                        positive,
                        negative,
                    })
                    .boxed()
            };

            counts.prop_map(move |counts| Histogram {
                schema: if custom_values.is_empty() {
                    3
                } else {
                    duramen_model::CUSTOM_BUCKETS_SCHEMA
                },
                hint,
                sum,
                zero_threshold,
                counts,
                positive_spans: positive_spans.clone(),
                negative_spans: negative_spans.clone(),
                custom_values: custom_values.clone(),
            })
        },
    )
}

/// A chunk's head drops the sign of a negative zero in two places.
fn without_signs(mut histogram: Histogram) -> Histogram {
    for value in std::iter::once(&mut histogram.zero_threshold).chain(&mut histogram.custom_values)
    {
        if *value == 0.0 {
            *value = 0.0;
        }
    }

    histogram
}

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let one = prop_oneof![
        3 => any_float().prop_map(|value| Sample::Float(0, value)),
        2 => any_histogram().prop_map(|histogram| Sample::Histogram(0, without_signs(histogram))),
    ];

    (prop::collection::vec(one, 1..60), times(60)).prop_map(|(samples, times)| {
        let at = |(sample, ts_ms)| match sample {
            Sample::Float(_, value) => Sample::Float(ts_ms, value),
            Sample::Histogram(_, histogram) => Sample::Histogram(ts_ms, histogram),
        };

        samples.into_iter().zip(times).map(at).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn samples_of_any_kind_come_back(samples in samples()) {
        assert_same(&samples, &read(&chunks(&samples)));
    }

    #[test]
    fn floats_come_back(values in prop::collection::vec(any_float(), 1..400), times in times(400)) {
        let samples: Vec<_> = times.into_iter().zip(values).map(|(ts_ms, value)| Sample::Float(ts_ms, value)).collect();
        let chunks = chunks(&samples);

        prop_assert_eq!(chunks.len(), samples.len().div_ceil(120));

        assert_same(&samples, &read(&chunks));
    }

    /// No counter goes down within a chunk, so a reader may assume that there is no reset in it.
    #[test]
    fn no_counter_goes_down_within_a_chunk(histograms in prop::collection::vec(any_histogram(), 1..40)) {
        let samples: Vec<_> = (0..).zip(histograms).map(|(ts_ms, one)| Sample::Histogram(ts_ms, one)).collect();

        for chunk in chunks(&samples) {
            let Some(Decoded::Histograms(decoded)) = decode(chunk.encoding, &chunk.data) else { panic!("{chunk:?}") };

            for two in decoded.windows(2) {
                if two[1].1.hint != ResetHint::NotReset {
                    continue;
                }

                let counts = |at: usize| match two[at].1.counts {
                    Counts::Integer { count, zero_count, .. } => (count as f64, zero_count as f64),
                    Counts::Float { count, zero_count, .. } => (count, zero_count),
                };

                let (count, zero) = counts(0);
                let (next_count, next_zero) = counts(1);
                prop_assert!(!(is_stale(two[0].1.sum) || count > next_count || zero > next_zero), "{two:?}");
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), encoding in 1..4u64, samples in 0..300u16) {
        let mut bytes = bytes;
        if let Some(count) = bytes.first_chunk_mut() {
            *count = samples.to_be_bytes();
        }

        let _ = decode(Encoding::of(encoding).unwrap(), &bytes);
    }
}
