//! The native histograms of a request. Both versions have the same message.

use duramen_model::{Counts, Histogram, Life, ResetHint, Span};

use super::version::{TTL_FIELD, Version};
use crate::Error;
use crate::wire::{Fields, Value, signed, signed32, truncated};

/// A histogram of a request. Its message is known to be well formed, but the contents are not
/// validated.
#[derive(Clone, Copy, Debug)]
pub struct SentHistogram<'a> {
    pub ts_ms: i64,
    pub life: Life,
    /// The length of the longest list (buckets, spans or custom bounds), both sides together.
    /// Decoding takes the memory of at most three lists of this length, so compare it with a limit
    /// first.
    pub buckets: usize,
    contents: Contents<'a>,
}

/// The contents of a histogram.
#[derive(Clone, Copy, Debug)]
enum Contents<'a> {
    /// The bytes of a message.
    Message(&'a [u8]),
    Built(&'a Histogram),
}

/// One element of a histogram message.
enum Part {
    CountInt(u64),
    CountFloat(f64),
    Sum(f64),
    Schema(i32),
    ZeroThreshold(f64),
    ZeroInt(u64),
    ZeroFloat(f64),
    Span(Side, Span),
    Delta(Side, i64),
    Count(Side, f64),
    Hint(u64),
    Timestamp(i64),
    Custom(f64),
    Start(i64),
    Ttl(i64),
}

#[derive(Clone, Copy)]
enum Side {
    Negative,
    Positive,
}

impl<'a> SentHistogram<'a> {
    pub(crate) fn read(message: &'a [u8], version: Version) -> Result<Self, Error> {
        let mut ts_ms = 0;
        let mut life = Life::NONE;
        let mut counts = 0;
        let mut deltas = 0;
        let mut spans = 0;
        let mut custom = 0;

        visit(message, |part| match part {
            Part::Timestamp(at) => ts_ms = at,
            Part::Start(start_ms) if version == Version::Two => life.start_ms = start_ms,
            Part::Ttl(ttl_ms) => life.ttl_ms = ttl_ms,
            Part::Span(..) => spans += 1,
            Part::Delta(..) => deltas += 1,
            Part::Count(..) => counts += 1,
            Part::Custom(_) => custom += 1,
            _ => {}
        })?;

        Ok(Self {
            ts_ms,
            life,
            buckets: counts.max(deltas).max(spans).max(custom),
            contents: Contents::Message(message),
        })
    }

    /// A histogram that is decoded already.
    pub(super) fn built(ts_ms: i64, life: Life, histogram: &'a Histogram) -> Self {
        let buckets = match &histogram.counts {
            Counts::Integer {
                positive, negative, ..
            } => positive.len() + negative.len(),
            Counts::Float {
                positive, negative, ..
            } => positive.len() + negative.len(),
        };

        let spans = histogram.positive_spans.len() + histogram.negative_spans.len();

        Self {
            ts_ms,
            life,
            buckets: buckets.max(spans).max(histogram.custom_values.len()),
            contents: Contents::Built(histogram),
        }
    }

    /// Decodes the histogram. It has float counts if its total count is a float. The lists of the
    /// other kind are ignored.
    pub fn decode(&self) -> Result<Histogram, Error> {
        let message = match self.contents {
            Contents::Message(message) => message,
            Contents::Built(histogram) => return Ok(histogram.clone()),
        };

        let mut sent = Lists::default();
        visit(message, |part| sent.take(part))?;
        Ok(sent.finish())
    }
}

/// A histogram while it is decoded, with the lists of both kinds.
#[derive(Default)]
struct Lists {
    count: Number,
    zero: Number,
    sum: f64,
    schema: i32,
    zero_threshold: f64,
    hint: ResetHint,
    spans: [Vec<Span>; 2],
    deltas: [Vec<i64>; 2],
    counts: [Vec<f64>; 2],
    custom_values: Vec<f64>,
}

enum Number {
    Int(u64),
    Float(f64),
}

impl Default for Number {
    fn default() -> Self {
        Self::Int(0)
    }
}

impl Lists {
    fn take(&mut self, part: Part) {
        match part {
            Part::CountInt(count) => self.count = Number::Int(count),
            Part::CountFloat(count) => self.count = Number::Float(count),
            Part::ZeroInt(count) => self.zero = Number::Int(count),
            Part::ZeroFloat(count) => self.zero = Number::Float(count),
            Part::Sum(sum) => self.sum = sum,
            Part::Schema(schema) => self.schema = schema,
            Part::ZeroThreshold(threshold) => self.zero_threshold = threshold,
            Part::Hint(number) => self.hint = hint(number),
            Part::Span(side, span) => self.spans[side as usize].push(span),
            Part::Delta(side, delta) => self.deltas[side as usize].push(delta),
            Part::Count(side, count) => self.counts[side as usize].push(count),
            Part::Custom(bound) => self.custom_values.push(bound),
            Part::Timestamp(_) | Part::Start(_) | Part::Ttl(_) => {}
        }
    }

    fn finish(self) -> Histogram {
        let [negative_spans, positive_spans] = self.spans;
        let counts = match self.count {
            Number::Int(count) => {
                let zero_count = if let Number::Int(zero) = self.zero {
                    zero
                } else {
                    0
                };

                let [negative, positive] = self.deltas;
                Counts::Integer {
                    count,
                    zero_count,
                    positive,
                    negative,
                }
            }
            Number::Float(count) => {
                let zero_count = if let Number::Float(zero) = self.zero {
                    zero
                } else {
                    0.0
                };

                let [negative, positive] = self.counts;
                Counts::Float {
                    count,
                    zero_count,
                    positive,
                    negative,
                }
            }
        };

        let sum = self.sum;
        let zero_threshold = self.zero_threshold;
        let custom_values = self.custom_values;

        Histogram {
            schema: self.schema,
            hint: self.hint,
            sum,
            zero_threshold,
            counts,
            positive_spans,
            negative_spans,
            custom_values,
        }
    }
}

/// The hint for a number on the wire. Other numbers mean `Unknown`.
const fn hint(number: u64) -> ResetHint {
    match number {
        1 => ResetHint::Reset,
        2 => ResetHint::NotReset,
        3 => ResetHint::Gauge,
        _ => ResetHint::Unknown,
    }
}

/// Calls `take` with each part of a message in the order sent. If a single field occurs more than
/// once, the last one counts.
fn visit(message: &[u8], mut take: impl FnMut(Part)) -> Result<(), Error> {
    let mut fields = Fields::new("Histogram", message);

    while let Some((number, value)) = fields.next_field()? {
        match (number, value) {
            (1, Value::Varint(v)) => take(Part::CountInt(v)),
            (2, Value::Fixed64(bits)) => take(Part::CountFloat(f64::from_bits(bits))),
            (3, Value::Fixed64(bits)) => take(Part::Sum(f64::from_bits(bits))),
            (4, Value::Varint(v)) => take(Part::Schema(signed32(v))),
            (5, Value::Fixed64(bits)) => take(Part::ZeroThreshold(f64::from_bits(bits))),
            (6, Value::Varint(v)) => take(Part::ZeroInt(v)),
            (7, Value::Fixed64(bits)) => take(Part::ZeroFloat(f64::from_bits(bits))),
            (8, Value::Bytes(span)) => take(Part::Span(Side::Negative, read_span(span)?)),
            (9, value) => each_varint(&fields, value, |v| {
                take(Part::Delta(Side::Negative, signed(v)))
            })?,
            (10, value) => each_f64(&fields, value, |v| take(Part::Count(Side::Negative, v)))?,
            (11, Value::Bytes(span)) => take(Part::Span(Side::Positive, read_span(span)?)),
            (12, value) => each_varint(&fields, value, |v| {
                take(Part::Delta(Side::Positive, signed(v)))
            })?,
            (13, value) => each_f64(&fields, value, |v| take(Part::Count(Side::Positive, v)))?,
            (14, Value::Varint(v)) => take(Part::Hint(v)),
            (15, Value::Varint(v)) => take(Part::Timestamp(v.cast_signed())),
            (16, value) => each_f64(&fields, value, |v| take(Part::Custom(v)))?,
            (17, Value::Varint(v)) => take(Part::Start(v.cast_signed())),
            (TTL_FIELD, Value::Varint(v)) => take(Part::Ttl(v.cast_signed())),
            (1..=8 | 11 | 14 | 15 | TTL_FIELD, _) => {
                return Err(fields.refused("a field has the wrong wire type"));
            }
            _ => {}
        }
    }

    Ok(())
}

fn read_span(message: &[u8]) -> Result<Span, Error> {
    let mut span = Span::default();
    let mut fields = Fields::new("BucketSpan", message);

    while let Some((number, value)) = fields.next_field()? {
        match (number, value) {
            (1, Value::Varint(v)) => span.offset = signed32(v),
            (2, Value::Varint(v)) => span.length = truncated(v),
            (1 | 2, _) => return Err(fields.refused("a field has the wrong wire type")),
            _ => {}
        }
    }

    Ok(span)
}

/// Calls `take` with each number of a repeated varint field, packed or not.
fn each_varint(
    fields: &Fields<'_>,
    value: Value<'_>,
    mut take: impl FnMut(u64),
) -> Result<(), Error> {
    match value {
        Value::Varint(one) => take(one),
        Value::Bytes(packed) => {
            let mut packed = Fields::new("Histogram", packed);
            while let Some(one) = packed.next_packed()? {
                take(one);
            }
        }
        _ => return Err(fields.refused("a field has the wrong wire type")),
    }

    Ok(())
}

/// Like [`each_varint`], for doubles.
fn each_f64(fields: &Fields<'_>, value: Value<'_>, mut take: impl FnMut(f64)) -> Result<(), Error> {
    match value {
        Value::Fixed64(one) => take(f64::from_bits(one)),
        Value::Bytes(packed) => {
            let mut packed = Fields::new("Histogram", packed);
            while let Some(one) = packed.next_packed_fixed64()? {
                take(f64::from_bits(one));
            }
        }
        _ => return Err(fields.refused("a field has the wrong wire type")),
    }

    Ok(())
}
