//! Encodes the answer as samples: `prometheus.ReadResponse`.

use duramen_model::Histogram;

use super::histogram::put_histogram;
use super::labels::{put_labels, varint_bytes};
use crate::wire::{put_bytes, put_fixed64, put_varint, put_varint_field};

/// Builds a response query by query. Its memory is the size of the encoded body, before snappy.
#[derive(Debug, Default)]
pub struct ReadResponseEncoder {
    body: Vec<u8>,
}

impl ReadResponseEncoder {
    /// Adds the answer to one query. Each element of `series` comes from a [`TimeSeriesEncoder`].
    /// An empty iterator is an empty answer.
    pub fn push_result<'s>(&mut self, series: impl Iterator<Item = &'s [u8]> + Clone) {
        let length: usize = series
            .clone()
            .map(|one| 1 + varint_bytes(one.len() as u64) + one.len())
            .sum();

        put_varint(&mut self.body, 1 << 3 | 2);
        put_varint(&mut self.body, length as u64);
        self.body.reserve(length);

        for one in series {
            put_bytes(&mut self.body, 1, one);
        }
    }

    pub fn finish(self) -> Vec<u8> {
        self.body
    }
}

/// Appends the message of one series, `prometheus.TimeSeries`, to a buffer.
#[derive(Debug)]
pub struct TimeSeriesEncoder<'a> {
    out: &'a mut Vec<u8>,
    part: Vec<u8>,
}

impl<'a> TimeSeriesEncoder<'a> {
    /// Begins a series. The labels are in their encoded form.
    pub fn begin(out: &'a mut Vec<u8>, encoded_labels: &[u8]) -> Self {
        put_labels(out, encoded_labels);
        Self {
            out,
            part: Vec::new(),
        }
    }

    /// Adds a float. A value or time of zero is the default of its field, and is left out.
    pub fn push_float(&mut self, ts_ms: i64, value: f64) {
        self.part.clear();
        if value.to_bits() != 0 {
            put_fixed64(&mut self.part, 1, value.to_bits());
        }

        if ts_ms != 0 {
            put_varint_field(&mut self.part, 2, ts_ms.cast_unsigned());
        }

        put_bytes(self.out, 2, &self.part);
    }

    pub fn push_histogram(&mut self, ts_ms: i64, histogram: &Histogram) {
        self.part.clear();
        put_histogram(&mut self.part, ts_ms, histogram);
        put_bytes(self.out, 4, &self.part);
    }
}
