//! The byte form of a histogram.
//!
//! ```text
//! histogram := flags:u8 schema:zigzag sum:f64 zero_threshold:f64 counts spans spans [count f64*]
//! flags     := bit 0 float counts, bits 1-2 reset hint, bit 3 custom values follow at the end
//! spans     := count (offset:zigzag length:varint)*
//! counts    := integer: count:varint zero_count:varint deltas deltas      deltas := count zigzag*
//!              float:   count:f64 zero_count:f64 absolutes absolutes      absolutes := count f64*
//! ```
//!
//! Where two spans or bucket lists follow each other, the first is of the positive side. `varint`
//! is LEB128, `zigzag` a varint of a signed number, `f64` its bits, little endian. Every number has
//! exactly one encoding, so equal histograms have equal bytes.

#![deny(clippy::indexing_slicing)]

use super::{Counts, Histogram, ResetHint, Span};

impl Histogram {
    /// Encodes the histogram. The log, the head, batches and the readers of blocks pass these bytes
    /// on. Two histograms are equal exactly when their bytes are equal.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Decodes a histogram; `None` when the bytes cannot be decoded. It never panics and never
    /// allocates more than the bytes can fill. It does not validate the contents.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        decode(bytes)
    }
}

impl PartialEq for Histogram {
    fn eq(&self, other: &Self) -> bool {
        self.to_bytes() == other.to_bytes()
    }
}
impl Eq for Histogram {}

const FLOAT: u8 = 1;
const CUSTOM: u8 = 8;

fn encode(histogram: &Histogram) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    let custom = !histogram.custom_values.is_empty();
    let float = matches!(histogram.counts, Counts::Float { .. });

    out.push(u8::from(float) | hint_bits(histogram.hint) << 1 | if custom { CUSTOM } else { 0 });
    put_signed(&mut out, i64::from(histogram.schema));
    put_f64(&mut out, histogram.sum);
    put_f64(&mut out, histogram.zero_threshold);

    match &histogram.counts {
        Counts::Integer {
            count,
            zero_count,
            positive,
            negative,
        } => {
            put_varint(&mut out, *count);
            put_varint(&mut out, *zero_count);
            put_all(&mut out, positive, |out, delta| put_signed(out, *delta));
            put_all(&mut out, negative, |out, delta| put_signed(out, *delta));
        }
        Counts::Float {
            count,
            zero_count,
            positive,
            negative,
        } => {
            put_f64(&mut out, *count);
            put_f64(&mut out, *zero_count);
            put_all(&mut out, positive, |out, count| put_f64(out, *count));
            put_all(&mut out, negative, |out, count| put_f64(out, *count));
        }
    }

    for spans in [&histogram.positive_spans, &histogram.negative_spans] {
        put_all(&mut out, spans, |out, span| {
            put_signed(out, i64::from(span.offset));
            put_varint(out, u64::from(span.length));
        });
    }

    if custom {
        put_all(&mut out, &histogram.custom_values, |out, value| {
            put_f64(out, *value)
        });
    }

    out
}

fn decode(bytes: &[u8]) -> Option<Histogram> {
    let mut input = Input { bytes };
    let flags = input.byte()?;

    if flags > 0x0f {
        return None;
    }

    let hint = hint_of(flags >> 1 & 3);
    let schema = i32::try_from(input.signed()?).ok()?;
    let sum = input.f64()?;
    let zero_threshold = input.f64()?;

    let counts = if flags & FLOAT == 0 {
        integer_counts(&mut input)?
    } else {
        float_counts(&mut input)?
    };

    let positive_spans = input.all(2, Input::span)?;
    let negative_spans = input.all(2, Input::span)?;

    let custom_values = if flags & CUSTOM == 0 {
        Vec::new()
    } else {
        input.all(8, Input::f64)?
    };

    let histogram = Histogram {
        schema,
        hint,
        sum,
        zero_threshold,
        counts,
        positive_spans,
        negative_spans,
        custom_values,
    };

    input.bytes.is_empty().then_some(histogram)
}

fn integer_counts(input: &mut Input<'_>) -> Option<Counts> {
    let count = input.varint()?;
    let zero_count = input.varint()?;
    let positive = input.all(1, Input::signed)?;
    let negative = input.all(1, Input::signed)?;

    Some(Counts::Integer {
        count,
        zero_count,
        positive,
        negative,
    })
}

fn float_counts(input: &mut Input<'_>) -> Option<Counts> {
    let count = input.f64()?;
    let zero_count = input.f64()?;
    let positive = input.all(8, Input::f64)?;
    let negative = input.all(8, Input::f64)?;

    Some(Counts::Float {
        count,
        zero_count,
        positive,
        negative,
    })
}

const fn hint_bits(hint: ResetHint) -> u8 {
    match hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    }
}

const fn hint_of(bits: u8) -> ResetHint {
    match bits {
        0 => ResetHint::Unknown,
        1 => ResetHint::Reset,
        2 => ResetHint::NotReset,
        _ => ResetHint::Gauge,
    }
}

fn put_all<T>(out: &mut Vec<u8>, all: &[T], put: impl Fn(&mut Vec<u8>, &T)) {
    put_varint(out, all.len() as u64);
    for one in all {
        put(out, one);
    }
}

fn put_f64(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, (value << 1 ^ value >> 63).cast_unsigned());
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }

    out.push((value & 0x7f) as u8);
}

/// The bytes that are still to be read.
struct Input<'a> {
    bytes: &'a [u8],
}

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(first)
    }

    fn f64(&mut self) -> Option<f64> {
        let (bits, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(f64::from_bits(u64::from_le_bytes(*bits)))
    }

    /// Reads a varint. Longer forms than the shortest are refused, because each number must have
    /// one encoding.
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;

        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if (shift == 63 && byte > 1) || (shift > 0 && byte == 0) {
                return None;
            }

            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }

        None
    }

    fn signed(&mut self) -> Option<i64> {
        let zigzag = self.varint()?;
        Some((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }

    fn span(&mut self) -> Option<Span> {
        let offset = i32::try_from(self.signed()?).ok()?;
        Some(Span {
            offset,
            length: u32::try_from(self.varint()?).ok()?,
        })
    }

    /// Reads a count and that many elements, each of at least `bytes_min` bytes.
    fn all<T>(
        &mut self,
        bytes_min: usize,
        take: impl Fn(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = usize::try_from(self.varint()?).ok()?;
        if count > self.bytes.len() / bytes_min {
            return None;
        }

        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            all.push(take(self)?);
        }

        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spans() -> impl Strategy<Value = Vec<Span>> {
        prop::collection::vec(
            (any::<i32>(), any::<u32>()).prop_map(|(offset, length)| Span { offset, length }),
            0..4,
        )
    }

    fn bits() -> impl Strategy<Value = f64> {
        any::<u64>().prop_map(f64::from_bits)
    }

    fn counts() -> impl Strategy<Value = Counts> {
        let ints = || prop::collection::vec(any::<i64>(), 0..9);
        let floats = || prop::collection::vec(bits(), 0..9);

        prop_oneof![
            (any::<u64>(), any::<u64>(), ints(), ints()).prop_map(
                |(count, zero_count, positive, negative)| {
                    Counts::Integer {
                        count,
                        zero_count,
                        positive,
                        negative,
                    }
                }
            ),
            (bits(), bits(), floats(), floats()).prop_map(
                |(count, zero_count, positive, negative)| {
                    Counts::Float {
                        count,
                        zero_count,
                        positive,
                        negative,
                    }
                }
            ),
        ]
    }

    fn histogram() -> impl Strategy<Value = Histogram> {
        let hint = (0u8..4).prop_map(hint_of);
        let custom = prop::collection::vec(bits(), 0..4);

        (
            any::<i32>(),
            hint,
            bits(),
            bits(),
            counts(),
            spans(),
            spans(),
            custom,
        )
            .prop_map(
                |(
                    schema,
                    hint,
                    sum,
                    zero_threshold,
                    counts,
                    positive_spans,
                    negative_spans,
                    custom_values,
                )| Histogram {
                    schema,
                    hint,
                    sum,
                    zero_threshold,
                    counts,
                    positive_spans,
                    negative_spans,
                    custom_values,
                },
            )
    }

    proptest! {
        #[test]
        fn every_bit_comes_back(histogram in histogram()) {
            let bytes = histogram.to_bytes();
            let read = Histogram::from_bytes(&bytes).unwrap();

            prop_assert_eq!(&read, &histogram);
            prop_assert_eq!(format!("{read:?}"), format!("{histogram:?}"));
        }

        #[test]
        fn any_bytes_are_the_byte_form_of_what_they_decode_to(bytes in prop::collection::vec(0u8..20, 0..60)) {
            if let Some(histogram) = Histogram::from_bytes(&bytes) {
                prop_assert_eq!(histogram.to_bytes(), bytes);
            }
        }

        #[test]
        fn cut_bytes_are_refused(histogram in histogram(), cut in any::<prop::sample::Index>()) {
            let bytes = histogram.to_bytes();
            prop_assert!(Histogram::from_bytes(bytes.split_at(cut.index(bytes.len())).0).is_none());
        }
    }
}
