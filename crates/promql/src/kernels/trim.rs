//! `</` and `>/`: the observations of a histogram below or above a value.

use std::cmp::Ordering;

use duramen_model::FloatHistogram;
use duramen_model::histogram::Bucket;

use crate::kernels::native::{Scale, ZeroBias};

/// Which observations are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kept {
    Below(f64),
    Above(f64),
}

/// The part of a bucket that is kept: the number of observations, and their mean.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    count: f64,
    mean: f64,
}

/// Returns the histogram of the observations that are kept. They are assumed to be spread over a
/// bucket as for quantiles, and the new sum is computed from the middles of the buckets. If nothing
/// is removed, the sum is unchanged.
pub(crate) fn trim(mut histogram: FloatHistogram, kept: Kept) -> FloatHistogram {
    let (Kept::Below(value) | Kept::Above(value)) = kept;
    if value.is_nan() {
        return without_order(histogram);
    }

    let bias = ZeroBias::of_filled(&histogram);
    let custom = histogram.uses_custom_buckets();
    let mut count = 0.0;
    let mut sum = 0.0;
    let mut whole = true;
    let mut parts = Vec::with_capacity(histogram.positive.len() + histogram.negative.len() + 1);

    for mut bucket in histogram.buckets() {
        let part = if custom {
            custom_part(&bucket, kept)
        } else {
            bias.apply(&mut bucket);
            exponential_part(&bucket, kept)
        };

        if bucket.count != 0.0 {
            whole &= part.count == bucket.count;
            count += part.count;

            sum += if part.count == 0.0 {
                0.0
            } else {
                part.count * part.mean
            };
        }

        parts.push(part.count);
    }

    if whole {
        return histogram;
    }

    let mut parts = parts.into_iter();
    let mut next = || parts.next().unwrap_or(0.0);

    histogram
        .negative
        .iter_mut()
        .rev()
        .for_each(|bucket| bucket.count = next());

    if histogram.zero_count > 0.0 {
        histogram.zero_count = next();
    }

    histogram
        .positive
        .iter_mut()
        .for_each(|bucket| bucket.count = next());

    (histogram.count, histogram.sum) = (count, sum);
    histogram.compact();
    histogram
}

/// Returns the histogram for a bound of NaN, to which nothing compares: no buckets, and NaN as
/// counts if the zero bucket had observations.
fn without_order(mut histogram: FloatHistogram) -> FloatHistogram {
    let zero = if histogram.zero_count > 0.0 {
        f64::NAN
    } else {
        0.0
    };

    histogram.compact();
    if zero.is_nan() || !histogram.positive.is_empty() || !histogram.negative.is_empty() {
        (histogram.count, histogram.sum, histogram.zero_count) = (zero, zero, zero);
        histogram.positive.clear();
        histogram.negative.clear();
    }

    histogram
}

const NOTHING: Part = Part {
    count: 0.0,
    mean: 0.0,
};

fn exponential_part(bucket: &Bucket, kept: Kept) -> Part {
    let Bucket {
        lower,
        upper,
        count,
        ..
    } = *bucket;

    let scale = Scale::of(lower, upper);

    // This includes a zero bucket without width.
    if matches!(kept, Kept::Below(value) if value <= lower) {
        return NOTHING;
    }

    let (from, to) = match kept {
        Kept::Below(value) => (lower, value.min(upper)),
        Kept::Above(value) => (value.max(lower), upper),
    };

    if from == lower && to == upper {
        return Part {
            count,
            mean: scale.middle(lower, upper),
        };
    }

    if from.partial_cmp(&to) != Some(Ordering::Less) {
        return NOTHING;
    }

    let share = scale.share(bucket, to) - scale.share(bucket, from);
    Part {
        count: count * share,
        mean: scale.middle(from, to),
    }
}

/// Returns the part of a custom bucket. The first and the last bucket reach to infinity, so they
/// are kept or dropped as a whole. But a first bucket with a bound above zero is assumed to begin
/// at zero.
fn custom_part(bucket: &Bucket, kept: Kept) -> Part {
    let Bucket {
        mut lower,
        upper,
        count,
        ..
    } = *bucket;

    let infinite = match kept {
        Kept::Below(value) => value == f64::INFINITY,
        Kept::Above(value) => value == f64::NEG_INFINITY,
    };

    if infinite {
        return Part { count, mean: 0.0 };
    }

    if lower == f64::NEG_INFINITY && upper == f64::INFINITY {
        return NOTHING;
    }

    if upper == f64::INFINITY {
        return match kept {
            Kept::Above(value) if value < f64::INFINITY => Part {
                count,
                mean: value.max(lower),
            },
            _ => NOTHING,
        };
    }

    if lower == f64::NEG_INFINITY && upper <= 0.0 {
        return match kept {
            Kept::Below(value) if value > f64::NEG_INFINITY => Part {
                count,
                mean: value.min(upper),
            },
            _ => NOTHING,
        };
    }

    if lower == f64::NEG_INFINITY {
        // The bucket is assumed to begin at zero, but for a bound below zero it is dropped, as in
        // Prometheus.
        if matches!(kept, Kept::Above(value) if value < 0.0) {
            return NOTHING;
        }

        lower = 0.0;
    }

    let (from, to) = match kept {
        Kept::Below(value) => (lower, value.min(upper)),
        Kept::Above(value) => (value.max(lower), upper),
    };

    if from.partial_cmp(&to) != Some(Ordering::Less) {
        return NOTHING;
    }

    let share = if from == lower && to == upper {
        1.0
    } else {
        (to - from) / (upper - lower)
    };

    Part {
        count: count * share,
        mean: f64::midpoint(from, to),
    }
}

#[cfg(test)]
mod tests {
    use duramen_model::histogram::BucketCount;

    use super::*;

    fn histogram(zero: f64, positive: &[f64]) -> FloatHistogram {
        let mut histogram = FloatHistogram::empty(0, Vec::new());
        (histogram.zero_threshold, histogram.zero_count) = (0.5, zero);
        histogram.positive = (1..)
            .zip(positive)
            .map(|(index, &count)| BucketCount { index, count })
            .collect();

        (histogram.count, histogram.sum) = (zero + positive.iter().sum::<f64>(), 99.0);
        histogram
    }

    #[test]
    fn what_is_cut_is_interpolated_and_summed_anew() {
        let all = histogram(2.0, &[4.0, 8.0]);
        assert_eq!(trim(all.clone(), Kept::Below(4.0)).sum, 99.0);

        let below = trim(all.clone(), Kept::Below(std::f64::consts::SQRT_2));
        assert!((below.count - 4.0).abs() < 1e-12, "{below:?}");
        assert_eq!((below.zero_count, below.positive.len()), (2.0, 1));

        let above = trim(all, Kept::Above(0.25));
        assert_eq!((above.zero_count, above.count), (1.0, 13.0));
    }
}
