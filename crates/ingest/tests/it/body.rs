//! Bodies of remote write 1.0, without their snappy compression.

use duramen_testkit::prompb::Message;
use duramen_testkit::prompb::v1::{BucketSpan, histogram};
use duramen_testkit::prompb::v1::{
    Exemplar, Histogram, Label, MetricMetadata, Sample, TimeSeries, WriteRequest,
};

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Vec<Label> {
    pairs
        .iter()
        .map(|(name, value)| Label {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        })
        .collect()
}

pub(crate) fn series(name: &str) -> TimeSeries {
    TimeSeries {
        labels: labels(&[("__name__", name), ("job", "test")]),
        ..TimeSeries::default()
    }
}

pub(crate) fn sample(timestamp: i64, value: f64) -> Sample {
    Sample {
        timestamp,
        value,
        ttl_ms: 0,
    }
}

/// Returns a valid histogram of so many buckets with one observation in each.
pub(crate) fn histogram(timestamp: i64, buckets: u32) -> Histogram {
    let mut positive_deltas = vec![0; buckets as usize];
    positive_deltas[0] = 1;

    Histogram {
        sum: 1.5,
        schema: 3,
        zero_threshold: 1e-128,
        positive_spans: vec![BucketSpan {
            offset: 0,
            length: buckets,
        }],
        positive_deltas,
        timestamp,
        count: Some(histogram::Count::CountInt(u64::from(buckets))),
        zero_count: Some(histogram::ZeroCount::ZeroCountInt(0)),
        ..Histogram::default()
    }
}

pub(crate) fn exemplar(timestamp: i64, trace: &str) -> Exemplar {
    Exemplar {
        labels: labels(&[("trace_id", trace)]),
        value: 0.5,
        timestamp,
    }
}

pub(crate) fn family(name: &str, help: &str) -> MetricMetadata {
    MetricMetadata {
        r#type: 2,
        metric_family_name: name.to_owned(),
        help: help.to_owned(),
        unit: String::new(),
    }
}

pub(crate) fn of(series: impl IntoIterator<Item = TimeSeries>) -> Vec<u8> {
    WriteRequest {
        timeseries: series.into_iter().collect(),
        ..WriteRequest::default()
    }
    .encode_to_vec()
}

pub(crate) fn of_metadata(metadata: impl IntoIterator<Item = MetricMetadata>) -> Vec<u8> {
    WriteRequest {
        metadata: metadata.into_iter().collect(),
        ..WriteRequest::default()
    }
    .encode_to_vec()
}

/// One series with one sample.
pub(crate) fn one(name: &str, timestamp: i64, value: f64) -> Vec<u8> {
    of([TimeSeries {
        samples: vec![sample(timestamp, value)],
        ..series(name)
    }])
}
