//! Encodes samples for a scraper of protocol buffers: `io.prometheus.client.MetricFamily` messages,
//! each preceded by its length.

use duramen_model::{Counts, Histogram, ResetHint};

use crate::remote_read::histogram::{deltas, doubles, put_double, put_packed, put_spans, zigzag};
use crate::wire::{put_bytes, put_fixed64, put_varint, put_varint_field};

/// The type of the metrics of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyType {
    /// Floats of unknown type.
    Untyped,
    Histogram,
    GaugeHistogram,
}

impl FamilyType {
    pub fn of(histogram: &Histogram) -> Self {
        if histogram.hint == ResetHint::Gauge {
            Self::GaugeHistogram
        } else {
            Self::Histogram
        }
    }

    const fn number(self) -> u64 {
        match self {
            Self::Untyped => 3,
            Self::Histogram => 4,
            Self::GaugeHistogram => 5,
        }
    }
}

/// The value of one metric.
#[derive(Clone, Copy, Debug)]
pub enum MetricValue<'a> {
    Float(f64),
    /// A histogram with exponential buckets. The message has no place for custom bounds.
    Histogram(&'a Histogram),
}

/// Encodes the metrics of one name and type.
#[derive(Debug)]
pub struct FamilyEncoder {
    message: Vec<u8>,
}

impl FamilyEncoder {
    pub fn new(name: &str, of: FamilyType) -> Self {
        let mut message = Vec::new();
        put_bytes(&mut message, 1, name.as_bytes());
        put_varint_field(&mut message, 3, of.number());

        Self { message }
    }

    /// Adds a metric. The labels are written in the given order; their names must be escaped
    /// already.
    pub fn push<'a>(
        &mut self,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        ts_ms: i64,
        value: MetricValue<'_>,
    ) {
        let mut metric = Vec::new();
        let mut part = Vec::new();

        for (name, value) in labels {
            part.clear();
            put_bytes(&mut part, 1, name.as_bytes());
            put_bytes(&mut part, 2, value.as_bytes());
            put_bytes(&mut metric, 1, &part);
        }

        part.clear();

        match value {
            MetricValue::Float(value) => {
                put_fixed64(&mut part, 1, value.to_bits());
                put_bytes(&mut metric, 5, &part);
            }
            MetricValue::Histogram(histogram) => {
                put_histogram(&mut part, histogram);
                put_bytes(&mut metric, 7, &part);
            }
        }

        put_varint_field(&mut metric, 6, ts_ms.cast_unsigned());
        put_bytes(&mut self.message, 4, &metric);
    }

    /// Appends the length of the family and the family itself.
    pub fn finish(self, out: &mut Vec<u8>) {
        put_varint(out, self.message.len() as u64);
        out.extend_from_slice(&self.message);
    }
}

fn put_histogram(out: &mut Vec<u8>, histogram: &Histogram) {
    match &histogram.counts {
        Counts::Integer { count, .. } => put_varint_field(out, 1, *count),
        Counts::Float { count, .. } => put_fixed64(out, 4, count.to_bits()),
    }

    put_double(out, 2, histogram.sum);
    put_varint_field(out, 5, zigzag(i64::from(histogram.schema)));
    put_fixed64(out, 6, histogram.zero_threshold.to_bits());

    match &histogram.counts {
        Counts::Integer { zero_count, .. } => put_varint_field(out, 7, *zero_count),
        Counts::Float { zero_count, .. } => put_fixed64(out, 8, zero_count.to_bits()),
    }

    put_spans(out, 9, &histogram.negative_spans);
    match &histogram.counts {
        Counts::Integer { negative, .. } => put_packed(out, 10, &deltas(negative)),
        Counts::Float { negative, .. } => put_packed(out, 11, &doubles(negative)),
    }

    put_spans(out, 12, &histogram.positive_spans);
    if histogram.positive_spans.is_empty() && histogram.negative_spans.is_empty() {
        // A span without buckets. Without any span, a scraper would take the histogram for a
        // classic one.
        put_bytes(out, 12, &[]);
    }

    match &histogram.counts {
        Counts::Integer { positive, .. } => put_packed(out, 13, &deltas(positive)),
        Counts::Float { positive, .. } => put_packed(out, 14, &doubles(positive)),
    }
}
