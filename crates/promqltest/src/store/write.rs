//! Encodes samples as a body of remote write 2.0.

use duramen_model::{Counts, Histogram, ResetHint, Span};

use crate::load::{LoadedSample, LoadedSeries, LoadedValue};
use duramen_testkit::prompb::v2::{BucketSpan, Request, Sample, TimeSeries, histogram};
use duramen_testkit::prompb::{Message, Symbols, v2};

/// Encodes the samples of each series whose index passes `chosen`. A series with both floats and
/// histograms is sent twice, because a message of one series has only one of them.
pub(super) fn body(series: &[LoadedSeries], chosen: impl Fn(usize) -> bool) -> Vec<u8> {
    let mut symbols = Symbols::default();
    let mut timeseries = Vec::new();

    for series in series {
        let labels_refs = symbols.labels(series.labels.iter());

        let mut floats = TimeSeries {
            labels_refs,
            ..TimeSeries::default()
        };
        let mut histograms = floats.clone();

        for (_, sample) in series
            .samples
            .iter()
            .enumerate()
            .filter(|(at, _)| chosen(*at))
        {
            let LoadedSample {
                ts_ms: timestamp,
                life,
                value,
            } = sample;

            let timestamp = *timestamp;
            let start_timestamp = life.start_ms;
            let ttl_ms = life.ttl_ms;

            match value {
                LoadedValue::Float(value) => {
                    floats.samples.push(Sample {
                        value: *value,
                        timestamp,
                        start_timestamp,
                        ttl_ms,
                    });
                }
                LoadedValue::Histogram(histogram) => {
                    let message = v2::Histogram {
                        timestamp,
                        start_timestamp,
                        ttl_ms,
                        ..message(histogram)
                    };

                    histograms.histograms.push(message);
                }
            }
        }

        let sent = [floats, histograms].into_iter();
        timeseries
            .extend(sent.filter(|sent| !sent.samples.is_empty() || !sent.histograms.is_empty()));
    }

    Request {
        timeseries,
        symbols: symbols.0,
    }
    .encode_to_vec()
}

fn message(histogram: &Histogram) -> v2::Histogram {
    let hint = match histogram.hint {
        ResetHint::Unknown => histogram::ResetHint::Unspecified,
        ResetHint::Reset => histogram::ResetHint::Yes,
        ResetHint::NotReset => histogram::ResetHint::No,
        ResetHint::Gauge => histogram::ResetHint::Gauge,
    };

    let common = v2::Histogram {
        sum: histogram.sum,
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold,
        positive_spans: spans(&histogram.positive_spans),
        negative_spans: spans(&histogram.negative_spans),
        custom_values: histogram.custom_values.clone(),
        reset_hint: hint.into(),
        ..v2::Histogram::default()
    };

    match &histogram.counts {
        Counts::Integer {
            count,
            zero_count,
            positive,
            negative,
        } => v2::Histogram {
            count: Some(histogram::Count::CountInt(*count)),
            zero_count: Some(histogram::ZeroCount::ZeroCountInt(*zero_count)),
            positive_deltas: positive.clone(),
            negative_deltas: negative.clone(),
            ..common
        },
        Counts::Float {
            count,
            zero_count,
            positive,
            negative,
        } => v2::Histogram {
            count: Some(histogram::Count::CountFloat(*count)),
            zero_count: Some(histogram::ZeroCount::ZeroCountFloat(*zero_count)),
            positive_counts: positive.clone(),
            negative_counts: negative.clone(),
            ..common
        },
    }
}

fn spans(spans: &[Span]) -> Vec<BucketSpan> {
    spans
        .iter()
        .map(|span| BucketSpan {
            offset: span.offset,
            length: span.length,
        })
        .collect()
}
