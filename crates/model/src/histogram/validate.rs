//! Checks that a histogram is valid before it is kept.

use super::float::{BucketCount, coarser, places, remap, spans_of};
use super::{CUSTOM_BUCKETS_SCHEMA, Counts, Histogram, Span};

/// The exponential schemas that can be kept. Finer schemas up to [`SCHEMA_REDUCIBLE_MAX`] are
/// accepted after they were reduced.
pub const SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;

/// The finest schema that [`Histogram::reduce_to`] can bring into [`SCHEMAS`].
pub const SCHEMA_REDUCIBLE_MAX: i32 = 52;

/// Why a histogram is not valid.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHistogram {
    #[error("the schema is not known: it is -4 to 8, or -53 for custom buckets. schema=`{schema}`")]
    Schema { schema: i32 },
    #[error("the spans are for another number of buckets. spans=`{spans}`, buckets=`{buckets}`")]
    SpansMismatch { spans: u64, buckets: usize },
    #[error("a span overlaps the one before. offset=`{offset}`")]
    SpanOffset { offset: i32 },
    #[error("the buckets reach past all numbers")]
    SpanRange,
    #[error("a bucket has fewer than no observations. count=`{count}`")]
    NegativeBucket { count: f64 },
    #[error("there are fewer than no observations. count=`{count}`")]
    NegativeCount { count: f64 },
    #[error("the count is not that of the buckets. count=`{count}`, in_buckets=`{in_buckets}`")]
    CountMismatch { count: u64, in_buckets: u64 },
    #[error("the count is below that of the buckets. count=`{count}`, in_buckets=`{in_buckets}`")]
    CountTooSmall { count: u64, in_buckets: u64 },
    #[error("custom bounds ascend and are finite. bound=`{bound}`")]
    CustomBound { bound: f64 },
    #[error(
        "there are too few custom bounds for the buckets. bounds=`{bounds}`, buckets=`{buckets}`"
    )]
    CustomBoundsMissing { bounds: usize, buckets: u64 },
    #[error("a histogram of custom buckets has no zero bucket and no negative buckets")]
    CustomWithOthers,
    #[error("a histogram of exponential buckets has no custom bounds")]
    ExponentialWithBounds,
}

impl Histogram {
    /// Checks that the histogram is consistent. A stale marker without buckets is valid.
    ///
    /// # Errors
    /// The first fault that is found. Float counts are not compared with their sum, because
    /// rounding would refuse correct histograms.
    pub fn validate(&self) -> Result<(), InvalidHistogram> {
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            self.validate_custom()?;
        } else if SCHEMAS.contains(&self.schema) {
            if !self.custom_values.is_empty() {
                return Err(InvalidHistogram::ExponentialWithBounds);
            }
        } else {
            return Err(InvalidHistogram::Schema {
                schema: self.schema,
            });
        }

        let (positive, negative) = self.bucket_numbers();
        validate_spans(&self.positive_spans, positive)?;
        validate_spans(&self.negative_spans, negative)?;

        match &self.counts {
            Counts::Integer {
                count,
                zero_count,
                positive,
                negative,
            } => {
                let in_sides = add_up(positive)?.checked_add(add_up(negative)?);
                let in_buckets = in_sides
                    .and_then(|sum| sum.checked_add(*zero_count))
                    .unwrap_or(u64::MAX);
                let count = *count;
                let nan = self.sum.is_nan();

                match in_buckets.cmp(&count) {
                    std::cmp::Ordering::Greater if nan => {
                        Err(InvalidHistogram::CountTooSmall { count, in_buckets })
                    }
                    // An observation of NaN is counted but falls into no bucket.
                    std::cmp::Ordering::Less if nan => Ok(()),
                    std::cmp::Ordering::Equal => Ok(()),
                    _ => Err(InvalidHistogram::CountMismatch { count, in_buckets }),
                }
            }
            Counts::Float {
                count,
                zero_count,
                positive,
                negative,
            } => {
                let buckets = positive.iter().chain(negative).chain([zero_count]);
                if let Some(&count) = buckets.clone().find(|count| **count < 0.0) {
                    return Err(InvalidHistogram::NegativeBucket { count });
                }

                if *count < 0.0 {
                    Err(InvalidHistogram::NegativeCount { count: *count })
                } else {
                    Ok(())
                }
            }
        }
    }

    fn validate_custom(&self) -> Result<(), InvalidHistogram> {
        let mut before = f64::NEG_INFINITY;
        for (at, &bound) in self.custom_values.iter().enumerate() {
            if bound.is_nan() || bound == f64::INFINITY || at > 0 && bound <= before {
                return Err(InvalidHistogram::CustomBound { bound });
            }

            before = bound;
        }

        if let Some(span) = self.positive_spans.first().filter(|span| span.offset < 0) {
            return Err(InvalidHistogram::SpanOffset {
                offset: span.offset,
            });
        }

        let reach = |span: &Span| u64::from(span.offset.unsigned_abs()) + u64::from(span.length);
        let buckets = self
            .positive_spans
            .iter()
            .map(reach)
            .fold(0, u64::saturating_add);

        if buckets > self.custom_values.len() as u64 + 1 {
            return Err(InvalidHistogram::CustomBoundsMissing {
                bounds: self.custom_values.len(),
                buckets,
            });
        }

        let no_zero = match &self.counts {
            Counts::Integer { zero_count, .. } => *zero_count == 0,
            Counts::Float { zero_count, .. } => *zero_count == 0.0,
        };

        let (_, negative) = self.bucket_numbers();
        if !no_zero || self.zero_threshold != 0.0 || negative > 0 || !self.negative_spans.is_empty()
        {
            return Err(InvalidHistogram::CustomWithOthers);
        }

        Ok(())
    }

    fn bucket_numbers(&self) -> (usize, usize) {
        match &self.counts {
            Counts::Integer {
                positive, negative, ..
            } => (positive.len(), negative.len()),
            Counts::Float {
                positive, negative, ..
            } => (positive.len(), negative.len()),
        }
    }

    /// Merges buckets until the schema is `schema`; integers stay integers. Custom buckets, and a
    /// schema that is coarser already, stay as they are.
    ///
    /// # Errors
    /// When the schema is not known, and when spans and buckets do not fit together.
    pub fn reduce_to(&mut self, schema: i32) -> Result<(), InvalidHistogram> {
        if self.schema == CUSTOM_BUCKETS_SCHEMA || self.schema <= schema {
            return Ok(());
        }

        if self.schema > SCHEMA_REDUCIBLE_MAX || !SCHEMAS.contains(&schema) {
            return Err(InvalidHistogram::Schema {
                schema: self.schema,
            });
        }

        let (positive, negative) = self.bucket_numbers();
        validate_spans(&self.positive_spans, positive)?;
        validate_spans(&self.negative_spans, negative)?;

        let shift = (self.schema - schema).min(31);

        match &mut self.counts {
            Counts::Integer {
                positive, negative, ..
            } => {
                reduce_deltas(&mut self.positive_spans, positive, shift);
                reduce_deltas(&mut self.negative_spans, negative, shift);
            }
            Counts::Float {
                positive, negative, ..
            } => {
                reduce_floats(&mut self.positive_spans, positive, shift);
                reduce_floats(&mut self.negative_spans, negative, shift);
            }
        }

        self.schema = schema;
        Ok(())
    }
}

fn validate_spans(spans: &[Span], buckets: usize) -> Result<(), InvalidHistogram> {
    if let Some(span) = spans.iter().skip(1).find(|span| span.offset < 0) {
        return Err(InvalidHistogram::SpanOffset {
            offset: span.offset,
        });
    }

    let in_spans: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    if in_spans != buckets as u64 {
        return Err(InvalidHistogram::SpansMismatch {
            spans: in_spans,
            buckets,
        });
    }

    let end = spans
        .iter()
        .map(|span| i64::from(span.offset) + i64::from(span.length))
        .fold(0, i64::saturating_add);

    // The index of a bucket has 32 bits.
    if end > i64::from(i32::MAX) {
        Err(InvalidHistogram::SpanRange)
    } else {
        Ok(())
    }
}

/// The sum of buckets that are given as differences.
fn add_up(deltas: &[i64]) -> Result<u64, InvalidHistogram> {
    let mut count = 0i64;
    let mut sum = 0u64;

    for delta in deltas {
        count = count.saturating_add(*delta);

        let Ok(unsigned) = u64::try_from(count) else {
            return Err(InvalidHistogram::NegativeBucket {
                count: count as f64,
            });
        };

        sum = sum.saturating_add(unsigned);
    }

    Ok(sum)
}

fn reduce_deltas(spans: &mut Vec<Span>, deltas: &mut Vec<i64>, shift: i32) {
    let absolute = deltas.iter().scan(0i64, |count, delta| {
        *count = count.wrapping_add(*delta);
        Some(*count)
    });

    let mut reduced: Vec<(i32, i64)> = Vec::new();
    for (place, count) in coarse_places(spans, shift).zip(absolute) {
        match reduced.last_mut() {
            Some((held, sum)) if *held == place => *sum = sum.wrapping_add(count),
            _ => reduced.push((place, count)),
        }
    }

    *spans = spans_of(reduced.iter().map(|(place, _)| *place));

    let mut before = 0i64;
    let next = reduced
        .iter()
        .map(|&(_, count)| count.wrapping_sub(std::mem::replace(&mut before, count)));
    *deltas = next.collect();
}

fn reduce_floats(spans: &mut Vec<Span>, counts: &mut Vec<f64>, shift: i32) {
    let pairs = coarse_places(spans, shift).zip(counts.iter());
    let mut buckets: Vec<_> = pairs
        .map(|(index, &count)| BucketCount { index, count })
        .collect();
    remap(&mut buckets, |index| index);
    *spans = spans_of(buckets.iter().map(|bucket| bucket.index));
    *counts = buckets.iter().map(|bucket| bucket.count).collect();
}

fn coarse_places(spans: &[Span], shift: i32) -> impl Iterator<Item = i32> {
    places(spans).map(move |place| coarser(i32::try_from(place).unwrap_or(i32::MIN), shift))
}

#[cfg(test)]
mod tests {
    use super::super::ResetHint;
    use super::*;

    fn integers() -> Histogram {
        Histogram {
            schema: 3,
            hint: ResetHint::Unknown,
            sum: 4.5,
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

    fn custom() -> Histogram {
        Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            zero_threshold: 0.0,
            counts: Counts::Float {
                count: 3.0,
                zero_count: 0.0,
                positive: vec![1.0, 2.0],
                negative: vec![],
            },
            positive_spans: vec![Span {
                offset: 1,
                length: 2,
            }],
            negative_spans: Vec::new(),
            custom_values: vec![1.0, 2.0],
            ..integers()
        }
    }

    fn check(base: Histogram, change: impl Fn(&mut Histogram), wanted: Result<(), &str>) {
        let mut histogram = base;
        change(&mut histogram);

        let got = histogram.validate().map_err(|error| error.to_string());
        assert!(
            match (&got, wanted) {
                (Ok(()), Ok(())) => true,
                (Err(got), Err(wanted)) => got.contains(wanted),
                _ => false,
            },
            "{got:?} {wanted:?}"
        );
    }

    #[test]
    fn counts_are_those_of_the_buckets() {
        let count = |histogram: &mut Histogram, new: u64| {
            let Counts::Integer { count, .. } = &mut histogram.counts else {
                unreachable!()
            };
            *count = new;
        };

        check(integers(), |_| (), Ok(()));
        check(
            integers(),
            |h| count(h, 13),
            Err("is not that of the buckets. count=`13`, in_buckets=`12`"),
        );

        check(integers(), |h| count(h, 11), Err("is not that"));

        let with_nan = |h: &mut Histogram, new| {
            h.sum = f64::NAN;
            count(h, new);
        };

        check(integers(), |h| with_nan(h, 13), Ok(()));
        check(
            integers(),
            |h| with_nan(h, 11),
            Err("is below that of the buckets"),
        );
    }

    #[test]
    fn no_bucket_has_fewer_than_no_observations() {
        let positive = |h: &mut Histogram, new: &[i64]| {
            let Counts::Integer { positive, .. } = &mut h.counts else {
                unreachable!()
            };
            *positive = new.to_vec();
        };

        check(
            integers(),
            |h| positive(h, &[1, -2, 5]),
            Err("fewer than no observations. count=`-1`"),
        );

        check(
            integers(),
            |h| positive(h, &[i64::MAX, i64::MAX, 1]),
            Err("is not that"),
        );

        let float = |zero_count, count| Counts::Float {
            count,
            zero_count,
            positive: vec![1.0; 2],
            negative: vec![],
        };

        check(
            custom(),
            |h| h.counts = float(0.0, -1.0),
            Err("there are fewer than no observations"),
        );

        check(custom(), |h| h.counts = float(0.0, f64::NAN), Ok(()));
    }

    #[test]
    fn spans_fit_their_buckets() {
        check(
            integers(),
            |h| h.positive_spans[1].length = 3,
            Err("spans=`4`, buckets=`3`"),
        );

        check(
            integers(),
            |h| h.positive_spans[1].length = u32::MAX,
            Err("another number"),
        );

        check(
            integers(),
            |h| h.positive_spans[1].offset = -1,
            Err("overlaps the one before"),
        );

        check(
            integers(),
            |h| h.negative_spans[0].offset = i32::MAX,
            Err("past all numbers"),
        );
    }

    #[test]
    fn schemas_are_known_and_bounds_belong_to_custom_buckets() {
        for schema in [-5, 9, 53, i32::MIN] {
            check(
                integers(),
                |h| h.schema = schema,
                Err("the schema is not known"),
            );
        }

        check(
            integers(),
            |h| h.custom_values = vec![1.0],
            Err("has no custom bounds"),
        );

        check(custom(), |_| (), Ok(()));
        check(
            custom(),
            |h| h.custom_values = vec![1.0, 1.0],
            Err("custom bounds ascend"),
        );

        check(
            custom(),
            |h| h.custom_values = vec![1.0, f64::INFINITY],
            Err("and are finite"),
        );

        check(
            custom(),
            |h| h.custom_values = vec![f64::NAN, 1.0],
            Err("bound=`NaN`"),
        );

        check(
            custom(),
            |h| h.custom_values = vec![1.0],
            Err("too few custom bounds"),
        );

        check(custom(), |h| h.zero_threshold = 1.0, Err("no zero bucket"));
        check(
            custom(),
            |h| h.negative_spans.push(Span::default()),
            Err("no negative buckets"),
        );
    }

    #[test]
    fn a_stale_marker_is_valid() {
        let none = Counts::Integer {
            count: 0,
            zero_count: 0,
            positive: Vec::new(),
            negative: Vec::new(),
        };

        let empty = (Vec::new(), Vec::new());
        let (positive_spans, negative_spans) = empty;

        check(
            Histogram {
                sum: crate::STALE_NAN,
                counts: none,
                positive_spans,
                negative_spans,
                ..integers()
            },
            |_| (),
            Ok(()),
        );
    }

    #[test]
    fn a_reduced_histogram_has_the_same_observations_in_fewer_buckets() {
        let mut histogram = integers();
        histogram.schema = 9;

        histogram.positive_spans = vec![
            Span {
                offset: 1,
                length: 2,
            },
            Span {
                offset: 4,
                length: 1,
            },
        ];

        histogram.reduce_to(8).unwrap();
        assert_eq!((histogram.schema, histogram.validate()), (8, Ok(())));

        assert_eq!(
            histogram.positive_spans,
            [
                Span {
                    offset: 1,
                    length: 1
                },
                Span {
                    offset: 2,
                    length: 1
                }
            ]
        );

        let Counts::Integer { positive, .. } = &histogram.counts else {
            unreachable!()
        };
        assert_eq!(positive, &[4, -2]);

        let mut float = Histogram::from(&super::super::FloatHistogram::from(&integers()));
        float.reduce_to(-1).unwrap();

        assert_eq!((float.schema, float.validate()), (-1, Ok(())));

        let Counts::Float { positive, .. } = &float.counts else {
            unreachable!()
        };
        assert_eq!(positive, &[1.0, 5.0]);
    }

    #[test]
    fn what_does_not_fit_together_is_not_reduced() {
        let mut histogram = integers();
        histogram.schema = 53;

        assert!(histogram.reduce_to(8).is_err());

        let mut histogram = integers();
        histogram.positive_spans[1].length = u32::MAX;

        assert!(histogram.reduce_to(0).is_err());

        let mut histogram = custom();
        assert_eq!(
            (histogram.reduce_to(0), histogram.schema),
            (Ok(()), CUSTOM_BUCKETS_SCHEMA)
        );
    }
}
