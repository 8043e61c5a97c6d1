//! Encodes a native histogram as a `prometheus.Histogram` message.

use duramen_model::{Counts, Histogram, ResetHint, Span};

use crate::wire::{put_bytes, put_fixed64, put_varint, put_varint_field};

/// Appends the fields of a histogram. Fields with default values are left out, except for the
/// counts, because their fields distinguish the two kinds.
pub(super) fn put_histogram(out: &mut Vec<u8>, ts_ms: i64, histogram: &Histogram) {
    match &histogram.counts {
        Counts::Integer { count, .. } => put_varint_field(out, 1, *count),
        Counts::Float { count, .. } => put_fixed64(out, 2, count.to_bits()),
    }

    put_double(out, 3, histogram.sum);
    if histogram.schema != 0 {
        put_varint_field(out, 4, zigzag(i64::from(histogram.schema)));
    }

    put_double(out, 5, histogram.zero_threshold);
    match &histogram.counts {
        Counts::Integer { zero_count, .. } => put_varint_field(out, 6, *zero_count),
        Counts::Float { zero_count, .. } => put_fixed64(out, 7, zero_count.to_bits()),
    }

    put_spans(out, 8, &histogram.negative_spans);
    match &histogram.counts {
        Counts::Integer { negative, .. } => put_packed(out, 9, &deltas(negative)),
        Counts::Float { negative, .. } => put_packed(out, 10, &doubles(negative)),
    }

    put_spans(out, 11, &histogram.positive_spans);
    match &histogram.counts {
        Counts::Integer { positive, .. } => put_packed(out, 12, &deltas(positive)),
        Counts::Float { positive, .. } => put_packed(out, 13, &doubles(positive)),
    }

    let hint = match histogram.hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    };

    if hint != 0 {
        put_varint_field(out, 14, hint);
    }

    if ts_ms != 0 {
        put_varint_field(out, 15, ts_ms.cast_unsigned());
    }

    put_packed(out, 16, &doubles(&histogram.custom_values));
}

pub(crate) fn put_double(out: &mut Vec<u8>, number: u32, value: f64) {
    if value.to_bits() != 0 {
        put_fixed64(out, number, value.to_bits());
    }
}

pub(crate) fn put_packed(out: &mut Vec<u8>, number: u32, packed: &[u8]) {
    if !packed.is_empty() {
        put_bytes(out, number, packed);
    }
}

pub(crate) fn put_spans(out: &mut Vec<u8>, number: u32, spans: &[Span]) {
    for span in spans {
        let mut part = Vec::with_capacity(12);
        if span.offset != 0 {
            put_varint_field(&mut part, 1, zigzag(i64::from(span.offset)));
        }

        if span.length != 0 {
            put_varint_field(&mut part, 2, u64::from(span.length));
        }

        put_bytes(out, number, &part);
    }
}

pub(crate) fn deltas(deltas: &[i64]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 * deltas.len());
    for delta in deltas {
        put_varint(&mut out, zigzag(*delta));
    }

    out
}

pub(crate) fn doubles(values: &[f64]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_bits().to_le_bytes())
        .collect()
}

pub(crate) const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}
