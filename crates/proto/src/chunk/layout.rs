//! The head of a chunk: what all its histograms have in common.
//!
//! ```text
//! layout    := zero-threshold schema:varbit spans spans [bounds]      the positive spans first; bounds with custom buckets
//! spans     := count:varbit (length:varbit offset:varbit)*
//! bounds    := count:varbit bound*
//! bound     := varbit, 1000 times the bound and 1, where that is whole and below 2^25 | 0 f64
//! zero-threshold := 0:8 | 243 and the exponent:8, for 2^-243..=2^10 | 255:8 f64
//! ```

use duramen_model::{CUSTOM_BUCKETS_SCHEMA, Counts, Histogram, Span};

use super::Misfit;
use super::bits::{BitReader, BitWriter};
use super::varbit::{put_int, put_uint, take_int, take_uint};

/// The largest bound, in thousandths, that is written as an integer.
const BOUND_MAX: f64 = 33_554_430.0;

/// The schema, bounds and spans of a chunk's histograms.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    schema: i32,
    zero_threshold: f64,
    positive: Vec<Span>,
    negative: Vec<Span>,
    custom_values: Vec<f64>,
}

impl Layout {
    /// The layout of a histogram. A stale marker has an empty layout, because its buckets mean
    /// nothing and are not kept.
    pub(super) fn of(histogram: &Histogram) -> Result<Self, Misfit> {
        if histogram.is_stale() {
            return Ok(Self::default());
        }

        if !counts_fit(histogram) {
            return Err(Misfit);
        }

        Ok(Self {
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            positive: histogram.positive_spans.clone(),
            negative: histogram.negative_spans.clone(),
            custom_values: histogram.custom_values.clone(),
        })
    }

    /// Whether a histogram has this layout, bit for bit.
    pub(super) fn is_of(&self, histogram: &Histogram) -> bool {
        self.schema == histogram.schema
            && self.zero_threshold.to_bits() == histogram.zero_threshold.to_bits()
            && self.positive == histogram.positive_spans
            && self.negative == histogram.negative_spans
            && bits(&self.custom_values).eq(bits(&histogram.custom_values))
            && counts_fit(histogram)
    }

    /// The number of buckets on the positive and on the negative side. `None` when a number
    /// overflows.
    pub(super) fn buckets(&self) -> Option<(usize, usize)> {
        Some((buckets(&self.positive)?, buckets(&self.negative)?))
    }

    pub(super) fn put(&self, out: &mut BitWriter) {
        put_zero_threshold(out, self.zero_threshold);
        put_int(out, i64::from(self.schema));

        for spans in [&self.positive, &self.negative] {
            put_uint(out, spans.len() as u64);
            for span in spans {
                put_uint(out, u64::from(span.length));
                put_int(out, i64::from(span.offset));
            }
        }

        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            put_uint(out, self.custom_values.len() as u64);
            for bound in &self.custom_values {
                put_bound(out, *bound);
            }
        }
    }

    /// Reads a layout. Returns `None` when the bits are not a layout.
    pub(super) fn take(input: &mut BitReader<'_>) -> Option<Self> {
        let zero_threshold = take_zero_threshold(input)?;
        let schema = i32::try_from(take_int(input)?).ok()?;
        let positive = take_spans(input)?;
        let negative = take_spans(input)?;

        let custom_values = if schema == CUSTOM_BUCKETS_SCHEMA {
            take_bounds(input)?
        } else {
            Vec::new()
        };

        Some(Self {
            schema,
            zero_threshold,
            positive,
            negative,
            custom_values,
        })
    }

    /// A histogram of this layout.
    pub(super) fn histogram(&self, sum: f64, counts: Counts) -> Histogram {
        Histogram {
            schema: self.schema,
            hint: duramen_model::ResetHint::Unknown,
            sum,
            zero_threshold: self.zero_threshold,
            counts,
            positive_spans: self.positive.clone(),
            negative_spans: self.negative.clone(),
            custom_values: self.custom_values.clone(),
        }
    }
}

fn bits(values: &[f64]) -> impl Iterator<Item = u64> {
    values.iter().map(|value| value.to_bits())
}

/// Whether the spans have as many buckets as there are counts.
fn counts_fit(histogram: &Histogram) -> bool {
    let (positive, negative) = match &histogram.counts {
        Counts::Integer {
            positive, negative, ..
        } => (positive.len(), negative.len()),
        Counts::Float {
            positive, negative, ..
        } => (positive.len(), negative.len()),
    };

    buckets(&histogram.positive_spans) == Some(positive)
        && buckets(&histogram.negative_spans) == Some(negative)
}

fn buckets(spans: &[Span]) -> Option<usize> {
    spans.iter().try_fold(0usize, |sum, span| {
        sum.checked_add(usize::try_from(span.length).ok()?)
    })
}

fn put_zero_threshold(out: &mut BitWriter, threshold: f64) {
    let exponent = threshold.to_bits() >> 52;
    let fraction = threshold.to_bits() & ((1 << 52) - 1);

    // 780 and 1033 are the exponent bits of 2^-243 and 2^10. A sign bit would make the number
    // larger.
    match exponent {
        _ if threshold == 0.0 => out.put_byte(0),
        780..=1033 if fraction == 0 => out.put(exponent - 779, 8),
        _ => {
            out.put_byte(255);
            out.put_f64(threshold);
        }
    }
}

fn take_zero_threshold(input: &mut BitReader<'_>) -> Option<f64> {
    match input.take(8)? {
        0 => Some(0.0),
        255 => input.f64(),
        exponent => Some(f64::from_bits((exponent + 779) << 52)),
    }
}

fn take_spans(input: &mut BitReader<'_>) -> Option<Vec<Span>> {
    let count = take_uint(input)?;
    let mut spans = Vec::new();

    for _ in 0..count {
        let length = u32::try_from(take_uint(input)?).ok()?;
        spans.push(Span {
            length,
            offset: i32::try_from(take_int(input)?).ok()?,
        });
    }

    Some(spans)
}

fn put_bound(out: &mut BitWriter, bound: f64) {
    let thousandths = (bound * 1000.0).round();
    let is_exact = (0.0..=BOUND_MAX).contains(&(bound * 1000.0)) && thousandths / 1000.0 == bound;

    if is_exact {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range was just checked"
        )]
        return put_uint(out, thousandths as u64 + 1);
    }

    out.put(0, 1);
    out.put_f64(bound);
}

fn take_bounds(input: &mut BitReader<'_>) -> Option<Vec<f64>> {
    let count = take_uint(input)?;
    let mut bounds = Vec::new();

    for _ in 0..count {
        bounds.push(match take_uint(input)? {
            0 => input.f64()?,
            shifted => (shifted - 1) as f64 / 1000.0,
        });
    }

    Some(bounds)
}
