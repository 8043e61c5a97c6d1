//! Contents of requests: encoded by prost in either version of remote write, and in the form in
//! which our decoder returns them.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use duramen_model::{Counts, Histogram, Life, ResetHint, Span};
use duramen_proto::{Error, SentExemplar, TypeAndUnitLabels, WriteLimits, WriteRequest};
use duramen_testkit::prompb::{Message, Symbols, v1, v2};
use proptest::prelude::*;

pub(crate) type Pairs = Vec<(String, String)>;

/// One series as a decoder returns it, with floats as bits.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) labels: Pairs,
    pub(crate) samples: Vec<(i64, u64, Life)>,
    pub(crate) histograms: Vec<(i64, Life, Histogram)>,
    pub(crate) exemplars: Vec<(i64, u64, Pairs)>,
}

/// A series to send.
#[derive(Clone, Debug)]
pub(crate) struct Sending {
    pub(crate) labels: Pairs,
    pub(crate) content: Content,
    pub(crate) exemplars: Vec<(Pairs, f64, i64)>,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Samples(Vec<v2::Sample>),
    Histograms(Vec<v2::Histogram>),
}

impl Sending {
    /// The series in remote write 1.0, which has no place for start times.
    pub(crate) fn v1(&self) -> v1::TimeSeries {
        let label = |(name, value): &(String, String)| v1::Label {
            name: name.clone(),
            value: value.clone(),
        };

        let labels = |pairs: &Pairs| pairs.iter().map(label).collect();
        let exemplars = self.exemplars.iter();

        let exemplars = exemplars.map(|(pairs, value, timestamp)| v1::Exemplar {
            labels: labels(pairs),
            value: *value,
            timestamp: *timestamp,
        });

        let mut series = v1::TimeSeries {
            labels: labels(&self.labels),
            exemplars: exemplars.collect(),
            ..v1::TimeSeries::default()
        };

        match &self.content {
            Content::Samples(samples) => {
                let sample = |s: &v2::Sample| v1::Sample {
                    value: s.value,
                    timestamp: s.timestamp,
                    ttl_ms: s.ttl_ms,
                };

                series.samples = samples.iter().map(sample).collect();
            }
            // The messages of both versions differ only in the start time.
            Content::Histograms(histograms) => {
                let same = |h: &v2::Histogram| {
                    v1::Histogram::decode(h.encode_to_vec().as_slice()).unwrap()
                };
                series.histograms = histograms.iter().map(same).collect();
            }
        }

        series
    }

    /// The series in remote write 2.0, with its text in `symbols`.
    pub(crate) fn v2(&self, symbols: &mut Symbols) -> v2::TimeSeries {
        let labels_refs = references(symbols, &self.labels);
        let mut series = v2::TimeSeries {
            labels_refs,
            ..v2::TimeSeries::default()
        };

        for (pairs, value, timestamp) in &self.exemplars {
            let labels_refs = references(symbols, pairs);
            series.exemplars.push(v2::Exemplar {
                labels_refs,
                value: *value,
                timestamp: *timestamp,
            });
        }

        match &self.content {
            Content::Samples(samples) => series.samples.clone_from(samples),
            Content::Histograms(histograms) => series.histograms.clone_from(histograms),
        }

        series
    }

    /// What a decoder of 2.0 should return.
    pub(crate) fn seen(&self) -> Seen {
        let mut samples = Vec::new();
        let mut histograms = Vec::new();

        match &self.content {
            Content::Samples(sent) => samples.extend(sent.iter().map(|s| {
                (
                    s.timestamp,
                    s.value.to_bits(),
                    Life {
                        start_ms: s.start_timestamp,
                        ttl_ms: s.ttl_ms,
                    },
                )
            })),
            Content::Histograms(sent) => histograms.extend(sent.iter().map(|h| {
                (
                    h.timestamp,
                    Life {
                        start_ms: h.start_timestamp,
                        ttl_ms: h.ttl_ms,
                    },
                    histogram(h),
                )
            })),
        }

        let exemplars = self
            .exemplars
            .iter()
            .map(|(pairs, value, ts_ms)| (*ts_ms, value.to_bits(), pairs.clone()));

        Seen {
            labels: self.labels.clone(),
            samples,
            histograms,
            exemplars: exemplars.collect(),
        }
    }

    /// Whether there is nothing to store.
    pub(crate) fn is_empty(&self) -> bool {
        let nothing = match &self.content {
            Content::Samples(samples) => samples.is_empty(),
            Content::Histograms(histograms) => histograms.is_empty(),
        };

        nothing && self.exemplars.is_empty()
    }
}

impl Seen {
    /// The series without start times, which 1.0 does not have.
    pub(crate) fn without_starts(mut self) -> Self {
        self.samples
            .iter_mut()
            .for_each(|(_, _, life)| life.start_ms = 0);
        self.histograms
            .iter_mut()
            .for_each(|(_, life, _)| life.start_ms = 0);
        self
    }
}

fn references(symbols: &mut Symbols, pairs: &Pairs) -> Vec<u32> {
    symbols.labels(
        pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    )
}

pub(crate) fn request_v1(sending: &[Sending]) -> v1::WriteRequest {
    v1::WriteRequest {
        timeseries: sending.iter().map(Sending::v1).collect(),
        metadata: Vec::new(),
    }
}

/// A request with `before` as its first symbols, which changes the numbers of all others.
pub(crate) fn request_v2(sending: &[Sending], before: &[String]) -> v2::Request {
    let mut symbols = Symbols::default();
    symbols.0.extend_from_slice(before);

    let timeseries = sending
        .iter()
        .map(|series| series.v2(&mut symbols))
        .collect();

    v2::Request {
        symbols: symbols.0,
        timeseries,
    }
}

fn text(pairs: Vec<(&[u8], &[u8])>) -> Pairs {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    pairs
        .into_iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

/// All series of a decoded request.
pub(crate) fn all_seen(request: &WriteRequest<'_>) -> Vec<Seen> {
    let life = |at: usize| request.lives.get(at).copied().unwrap_or_default();
    assert!(request.lives.is_empty() || request.lives.len() == request.ts_ms.len());

    let sample = |at: usize| (request.ts_ms[at], request.values[at].to_bits(), life(at));
    let exemplar = |e: &SentExemplar<'_>| {
        (
            e.ts_ms,
            e.value.to_bits(),
            text(request.exemplar_labels(e).unwrap()),
        )
    };

    let series = request.series.iter().enumerate();
    let seen = series.map(|(at, series)| Seen {
        labels: text(request.labels(at).unwrap()),
        samples: series.samples().map(sample).collect(),
        histograms: request.histograms[series.histograms()]
            .iter()
            .map(|h| (h.ts_ms, h.life, h.decode().unwrap()))
            .collect(),
        exemplars: request.exemplars[series.exemplars()]
            .iter()
            .map(exemplar)
            .collect(),
    });

    seen.collect()
}

/// Decodes a body of 2.0, with labels as sent.
pub(crate) fn decode_v2(body: &[u8]) -> Result<WriteRequest<'_>, Error> {
    WriteRequest::decode_v2(body, &limits(body), TypeAndUnitLabels::AsSent)
}

pub(crate) fn limits(body: &[u8]) -> WriteLimits {
    WriteLimits::of_body(body.len())
}

/// The histogram of a message that prost has decoded.
pub(crate) fn histogram(sent: &v2::Histogram) -> Histogram {
    let spans = |spans: &[v2::BucketSpan]| -> Vec<Span> {
        spans
            .iter()
            .map(|span| Span {
                offset: span.offset,
                length: span.length,
            })
            .collect()
    };

    let counts = if let Some(v2::histogram::Count::CountFloat(count)) = sent.count {
        let zero_count =
            if let Some(v2::histogram::ZeroCount::ZeroCountFloat(zero)) = sent.zero_count {
                zero
            } else {
                0.0
            };

        let positive = sent.positive_counts.clone();
        let negative = sent.negative_counts.clone();

        Counts::Float {
            count,
            zero_count,
            positive,
            negative,
        }
    } else {
        let count = if let Some(v2::histogram::Count::CountInt(count)) = sent.count {
            count
        } else {
            0
        };

        let zero_count = if let Some(v2::histogram::ZeroCount::ZeroCountInt(zero)) = sent.zero_count
        {
            zero
        } else {
            0
        };

        let positive = sent.positive_deltas.clone();
        let negative = sent.negative_deltas.clone();

        Counts::Integer {
            count,
            zero_count,
            positive,
            negative,
        }
    };

    let hint = match sent.reset_hint() {
        v2::histogram::ResetHint::Unspecified => ResetHint::Unknown,
        v2::histogram::ResetHint::Yes => ResetHint::Reset,
        v2::histogram::ResetHint::No => ResetHint::NotReset,
        v2::histogram::ResetHint::Gauge => ResetHint::Gauge,
    };

    Histogram {
        schema: sent.schema,
        hint,
        sum: sent.sum,
        zero_threshold: sent.zero_threshold,
        counts,
        positive_spans: spans(&sent.positive_spans),
        negative_spans: spans(&sent.negative_spans),
        custom_values: sent.custom_values.clone(),
    }
}

/// Floats of any bits.
fn bits() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits)
}

fn pairs() -> impl Strategy<Value = Pairs> {
    // There are few different texts, so that equal ones are likely.
    prop::collection::vec(("[a-c_]{0,3}", "[x-z]{0,3}|.{0,9}"), 0..5)
}

/// A number that is mostly zero.
fn mostly_zero() -> impl Strategy<Value = i64> {
    prop_oneof![4 => Just(0), 1 => any::<i64>()]
}

fn sample() -> impl Strategy<Value = v2::Sample> {
    (bits(), any::<i64>(), mostly_zero(), mostly_zero()).prop_map(
        |(value, timestamp, start_timestamp, ttl_ms)| v2::Sample {
            value,
            timestamp,
            start_timestamp,
            ttl_ms,
        },
    )
}

fn spans() -> impl Strategy<Value = Vec<v2::BucketSpan>> {
    let span =
        (any::<i32>(), any::<u32>()).prop_map(|(offset, length)| v2::BucketSpan { offset, length });
    prop::collection::vec(span, 0..3)
}

pub(crate) fn sent_histogram() -> impl Strategy<Value = v2::Histogram> {
    let count = prop_oneof![
        Just(None),
        any::<u64>().prop_map(|count| Some(v2::histogram::Count::CountInt(count))),
        bits().prop_map(|count| Some(v2::histogram::Count::CountFloat(count))),
    ];

    let zero_count = prop_oneof![
        Just(None),
        any::<u64>().prop_map(|count| Some(v2::histogram::ZeroCount::ZeroCountInt(count))),
        bits().prop_map(|count| Some(v2::histogram::ZeroCount::ZeroCountFloat(count))),
    ];

    let deltas = || prop::collection::vec(any::<i64>(), 0..4);
    let counts = || prop::collection::vec(bits(), 0..4);
    let numbers = (bits(), any::<i32>(), bits(), 0..4i32);

    let lists = (
        spans(),
        deltas(),
        counts(),
        spans(),
        deltas(),
        counts(),
        counts(),
    );

    (
        count,
        zero_count,
        numbers,
        lists,
        any::<i64>(),
        mostly_zero(),
        mostly_zero(),
    )
        .prop_map(
            |(count, zero_count, numbers, lists, timestamp, start_timestamp, ttl_ms)| {
                let (sum, schema, zero_threshold, reset_hint) = numbers;
                let (
                    negative_spans,
                    negative_deltas,
                    negative_counts,
                    positive_spans,
                    positive_deltas,
                    positive_counts,
                    custom_values,
                ) = lists;

                v2::Histogram {
                    sum,
                    schema,
                    zero_threshold,
                    negative_spans,
                    negative_deltas,
                    negative_counts,
                    positive_spans,
                    positive_deltas,
                    positive_counts,
                    reset_hint,
                    timestamp,
                    custom_values,
                    start_timestamp,
                    ttl_ms,
                    count,
                    zero_count,
                }
            },
        )
}

fn sending() -> impl Strategy<Value = Sending> {
    let content = prop_oneof![
        prop::collection::vec(sample(), 0..4).prop_map(Content::Samples),
        prop::collection::vec(sent_histogram(), 0..3).prop_map(Content::Histograms),
    ];

    let exemplars = prop::collection::vec((pairs(), bits(), any::<i64>()), 0..3);
    (pairs(), content, exemplars).prop_map(|(labels, content, exemplars)| Sending {
        labels,
        content,
        exemplars,
    })
}

pub(crate) fn sendings() -> impl Strategy<Value = Vec<Sending>> {
    prop::collection::vec(sending(), 0..5)
}
