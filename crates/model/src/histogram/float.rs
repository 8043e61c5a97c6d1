//! Histograms for calculations.

use super::bounds::upper_bound;
use super::{CUSTOM_BUCKETS_SCHEMA, Counts, Histogram, ResetHint, Span};

/// A histogram with float counts and a list of single buckets, so that histograms of different
/// layouts can be combined.
///
/// A bucket that is not listed is empty. Calculations may list empty buckets;
/// [`FloatHistogram::compact`] removes them.
#[derive(Clone, Debug)]
pub struct FloatHistogram {
    pub schema: i32,
    pub hint: ResetHint,
    pub count: f64,
    pub sum: f64,
    pub zero_threshold: f64,
    pub zero_count: f64,
    /// The positive buckets, ascending by index.
    pub positive: Vec<BucketCount>,
    /// The negative buckets, ascending by index: away from zero, so their values descend.
    pub negative: Vec<BucketCount>,
    /// The upper bounds of custom buckets, ascending, without `+Inf`; empty with any other schema.
    pub custom_values: Vec<f64>,
}

/// The number of observations in one bucket of the schema.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BucketCount {
    pub index: i32,
    pub count: f64,
}

impl FloatHistogram {
    /// A histogram without observations, of this schema and these custom bounds.
    pub const fn empty(schema: i32, custom_values: Vec<f64>) -> Self {
        Self {
            schema,
            hint: ResetHint::Unknown,
            count: 0.0,
            sum: 0.0,
            zero_threshold: 0.0,
            zero_count: 0.0,
            positive: Vec::new(),
            negative: Vec::new(),
            custom_values,
        }
    }

    /// Decodes the bytes of [`Histogram::to_bytes`]; `None` when they cannot be decoded.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Histogram::from_bytes(bytes).map(|histogram| Self::from(&histogram))
    }

    /// Encodes the histogram as a [`Histogram`] with the same counts.
    pub fn to_bytes(&self) -> Vec<u8> {
        Histogram::from(self).to_bytes()
    }

    pub const fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// Multiplies all counts and the sum. A negative factor makes the histogram a gauge.
    pub fn scale(&mut self, factor: f64) {
        self.change(|count| count * factor);
        if factor < 0.0 {
            self.hint = ResetHint::Gauge;
        }
    }

    /// Divides all counts and the sum. A negative divisor makes the histogram a gauge, and a
    /// divisor of zero removes the buckets.
    pub fn divide(&mut self, divisor: f64) {
        self.change(|count| count / divisor);
        if divisor == 0.0 {
            self.positive.clear();
            self.negative.clear();
        }

        if divisor < 0.0 {
            self.hint = ResetHint::Gauge;
        }
    }

    fn change(&mut self, new: impl Fn(f64) -> f64) {
        for bucket in self.positive.iter_mut().chain(&mut self.negative) {
            bucket.count = new(bucket.count);
        }

        self.zero_count = new(self.zero_count);
        self.count = new(self.count);
        self.sum = new(self.sum);
    }

    /// Removes empty buckets.
    pub fn compact(&mut self) {
        self.positive.retain(|bucket| bucket.count != 0.0);
        self.negative.retain(|bucket| bucket.count != 0.0);
    }

    /// Whether a count or the sum is infinite.
    pub fn overflows(&self) -> bool {
        let buckets = self
            .positive
            .iter()
            .chain(&self.negative)
            .map(|bucket| bucket.count);

        buckets
            .chain([self.count, self.sum, self.zero_count])
            .any(f64::is_infinite)
    }

    /// Merges buckets until the schema is `schema`. Custom buckets, and a schema that is coarser
    /// already, stay as they are.
    pub fn reduce_to(&mut self, schema: i32) {
        if self.uses_custom_buckets() || schema >= self.schema || schema == CUSTOM_BUCKETS_SCHEMA {
            return;
        }

        let shift = self.schema.saturating_sub(schema).clamp(0, 31);
        for side in [&mut self.positive, &mut self.negative] {
            remap(side, |index| coarser(index, shift));
        }

        self.schema = schema;
    }

    /// The upper bound of a positive bucket. A negative bucket mirrors it.
    pub(super) fn bound(&self, index: i32) -> f64 {
        upper_bound(index, self.schema, &self.custom_values)
    }
}

/// The index of a bucket in a schema that is coarser by `shift`.
pub(super) fn coarser(index: i32, shift: i32) -> i32 {
    let coarse = ((i64::from(index) - 1) >> shift) + 1;
    i32::try_from(coarse).unwrap_or(i32::MIN)
}

/// Gives buckets new indices and adds up buckets that get the same index. `place` must keep the
/// order of the indices.
pub(super) fn remap(buckets: &mut Vec<BucketCount>, place: impl Fn(i32) -> i32) {
    buckets
        .iter_mut()
        .for_each(|bucket| bucket.index = place(bucket.index));
    buckets.dedup_by(|next, first| {
        let same = next.index == first.index;
        if same {
            first.count += next.count;
        }

        same
    });
}

impl From<&Histogram> for FloatHistogram {
    /// Inconsistent spans and counts are cut to their common length.
    fn from(histogram: &Histogram) -> Self {
        let positive_spans = &histogram.positive_spans;
        let negative_spans = &histogram.negative_spans;

        let (count, zero_count, positive, negative) = match &histogram.counts {
            Counts::Integer {
                count,
                zero_count,
                positive,
                negative,
            } => (
                *count as f64,
                *zero_count as f64,
                listed(positive_spans, absolute(positive)),
                listed(negative_spans, absolute(negative)),
            ),
            Counts::Float {
                count,
                zero_count,
                positive,
                negative,
            } => (
                *count,
                *zero_count,
                listed(positive_spans, positive.iter().copied()),
                listed(negative_spans, negative.iter().copied()),
            ),
        };

        Self {
            schema: histogram.schema,
            hint: histogram.hint,
            count,
            sum: histogram.sum,
            zero_threshold: histogram.zero_threshold,
            zero_count,
            positive,
            negative,
            custom_values: histogram.custom_values.clone(),
        }
    }
}

fn absolute(deltas: &[i64]) -> impl Iterator<Item = f64> {
    deltas.iter().scan(0i64, |count, delta| {
        *count = count.wrapping_add(*delta);
        Some(*count as f64)
    })
}

fn listed(spans: &[Span], counts: impl Iterator<Item = f64>) -> Vec<BucketCount> {
    let mut buckets: Vec<BucketCount> = Vec::with_capacity(counts.size_hint().0);

    for (index, count) in places(spans).zip(counts) {
        let ascends = buckets
            .last()
            .is_none_or(|last| i64::from(last.index) < index);
        let (true, Ok(index)) = (ascends, i32::try_from(index)) else {
            break;
        };

        buckets.push(BucketCount { index, count });
    }

    buckets
}

/// The bucket indices of the spans. One span can have 2^32 buckets, so zip the iterator with
/// something shorter.
pub(super) fn places(spans: &[Span]) -> impl Iterator<Item = i64> {
    let start = |next: &mut i64, span: &Span| {
        let first = next.saturating_add(i64::from(span.offset));
        *next = first.saturating_add(i64::from(span.length));
        Some(first..*next)
    };

    spans.iter().scan(0, start).flatten()
}

impl From<&FloatHistogram> for Histogram {
    fn from(histogram: &FloatHistogram) -> Self {
        let (positive_spans, positive) = spanned(&histogram.positive);
        let (negative_spans, negative) = spanned(&histogram.negative);
        let count = histogram.count;
        let zero_count = histogram.zero_count;

        Self {
            schema: histogram.schema,
            hint: histogram.hint,
            sum: histogram.sum,
            zero_threshold: histogram.zero_threshold,
            counts: Counts::Float {
                count,
                zero_count,
                positive,
                negative,
            },
            positive_spans,
            negative_spans,
            custom_values: histogram.custom_values.clone(),
        }
    }
}

fn spanned(buckets: &[BucketCount]) -> (Vec<Span>, Vec<f64>) {
    (
        spans_of(buckets.iter().map(|bucket| bucket.index)),
        buckets.iter().map(|bucket| bucket.count).collect(),
    )
}

/// The smallest list of spans that covers these indices. The indices must ascend.
pub(super) fn spans_of(places: impl Iterator<Item = i32>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();

    // The index behind the last span.
    let mut next = 0i32;

    for index in places {
        match spans.last_mut() {
            Some(span) if index == next => span.length += 1,
            _ => spans.push(Span {
                offset: index.wrapping_sub(next),
                length: 1,
            }),
        }

        next = index.wrapping_add(1);
    }

    spans
}

impl PartialEq for FloatHistogram {
    /// Compares the layout and all bits, but not the hints.
    fn eq(&self, other: &Self) -> bool {
        let bits = |h: &Self| [h.count, h.sum, h.zero_count].map(f64::to_bits);
        let same_buckets = |a: &[BucketCount], b: &[BucketCount]| {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|(a, b)| a.index == b.index && a.count.to_bits() == b.count.to_bits())
        };

        self.schema == other.schema
            && self.zero_threshold == other.zero_threshold
            && bits(self) == bits(other)
            && self.custom_values == other.custom_values
            && same_buckets(&self.positive, &other.positive)
            && same_buckets(&self.negative, &other.negative)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integers() -> Histogram {
        Histogram {
            schema: 1,
            hint: ResetHint::NotReset,
            sum: 9.5,
            zero_threshold: 0.001,
            counts: Counts::Integer {
                count: 12,
                zero_count: 2,
                positive: vec![1, 2, -1],
                negative: vec![4],
            },
            positive_spans: vec![
                Span {
                    offset: -2,
                    length: 1,
                },
                Span {
                    offset: 3,
                    length: 2,
                },
            ],
            negative_spans: vec![Span {
                offset: 5,
                length: 1,
            }],
            custom_values: Vec::new(),
        }
    }

    fn buckets(counts: &[(i32, f64)]) -> Vec<BucketCount> {
        counts
            .iter()
            .map(|&(index, count)| BucketCount { index, count })
            .collect()
    }

    #[test]
    fn deltas_and_spans_become_buckets_with_places_and_back() {
        let float = FloatHistogram::from(&integers());
        assert_eq!(float.positive, buckets(&[(-2, 1.0), (2, 3.0), (3, 2.0)]));
        assert_eq!(float.negative, buckets(&[(5, 4.0)]));
        assert_eq!(
            (float.count, float.zero_count, float.sum, float.hint),
            (12.0, 2.0, 9.5, ResetHint::NotReset)
        );

        let back = Histogram::from(&float);
        assert_eq!(back.positive_spans, integers().positive_spans);
        assert_eq!(
            FloatHistogram::from_bytes(&float.to_bytes()).unwrap(),
            float
        );
    }

    #[test]
    fn contents_that_do_not_fit_together_are_taken_as_far_as_they_do() {
        let mut odd = integers();
        odd.positive_spans = vec![
            Span {
                offset: 7,
                length: 1,
            },
            Span {
                offset: -3,
                length: u32::MAX,
            },
        ];

        odd.negative_spans = vec![Span {
            offset: i32::MAX,
            length: 3,
        }];

        let Counts::Integer { negative, .. } = &mut odd.counts else {
            unreachable!()
        };
        *negative = vec![1, i64::MAX, i64::MAX];

        let float = FloatHistogram::from(&odd);
        assert_eq!((float.positive.len(), float.negative.len()), (1, 1));
    }

    #[test]
    fn a_coarser_schema_holds_the_same_observations() {
        let mut float = FloatHistogram::from(&integers());
        float.positive = buckets(&[(-1, 1.0), (0, 2.0), (1, 4.0), (2, 8.0), (3, 16.0)]);
        float.reduce_to(0);

        assert_eq!(
            (float.schema, &float.positive),
            (0, &buckets(&[(0, 3.0), (1, 12.0), (2, 16.0)]))
        );

        float.reduce_to(3);
        assert_eq!(float.schema, 0);
    }

    #[test]
    fn division_by_zero_leaves_no_buckets_and_a_negative_factor_a_gauge() {
        let mut float = FloatHistogram::from(&integers());
        float.scale(-2.0);

        assert_eq!(
            (float.count, float.negative[0].count, float.hint),
            (-24.0, -8.0, ResetHint::Gauge)
        );

        float.divide(0.0);
        assert!(float.count == f64::NEG_INFINITY && float.positive.is_empty() && float.overflows());
    }
}
