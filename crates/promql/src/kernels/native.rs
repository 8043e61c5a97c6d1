//! Quantiles, fractions and means of native histograms.

use duramen_model::FloatHistogram;
use duramen_model::histogram::{Bucket, BucketBounds};

use crate::annotation::Annotation;
use duramen_model::Compensated;

/// How observations are assumed to be spread over a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Linear,
    /// Evenly over the logarithms.
    Exponential,
}

impl Scale {
    /// Returns the scale of a bucket of an exponential schema. A bucket that contains zero is
    /// linear.
    pub(crate) fn of(lower: f64, upper: f64) -> Self {
        if lower <= 0.0 && upper >= 0.0 {
            Self::Linear
        } else {
            Self::Exponential
        }
    }

    fn for_bucket(histogram: &FloatHistogram, bucket: &Bucket) -> Self {
        if histogram.uses_custom_buckets() {
            Self::Linear
        } else {
            Self::of(bucket.lower, bucket.upper)
        }
    }

    /// Returns the share of a bucket's observations that are below a value inside it.
    pub(crate) fn share(self, bucket: &Bucket, value: f64) -> f64 {
        let Bucket { lower, upper, .. } = *bucket;
        if self == Self::Linear {
            return (value - lower) / (upper - lower);
        }

        let [log_lower, log_upper, log_value] =
            [lower, upper, value].map(|value| value.abs().log2());
        match value > 0.0 {
            true => (log_value - log_lower) / (log_upper - log_lower),
            false => 1.0 - (log_value - log_upper) / (log_lower - log_upper),
        }
    }

    /// Returns the value below which a share of a bucket's observations lies.
    fn value(self, bucket: &Bucket, share: f64) -> f64 {
        let Bucket { lower, upper, .. } = *bucket;
        if self == Self::Linear {
            return lower + (upper - lower) * share;
        }

        let log_lower = lower.abs().log2();
        let log_upper = upper.abs().log2();
        match lower > 0.0 {
            true => (log_lower + (log_upper - log_lower) * share).exp2(),
            false => -(log_upper + (log_lower - log_upper) * (1.0 - share)).exp2(),
        }
    }

    /// Returns the mean of observations between two values of the same sign.
    pub(crate) fn middle(self, from: f64, to: f64) -> f64 {
        match self {
            Self::Linear => f64::midpoint(from, to),
            Self::Exponential => (from * to).sqrt().copysign(from),
        }
    }
}

/// On which side of zero the observations of the zero bucket are assumed to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ZeroBias {
    None,
    /// All buckets are positive.
    Positive,
    Negative,
}

impl ZeroBias {
    pub(crate) fn of(histogram: &FloatHistogram) -> Self {
        Self::with(histogram.positive.is_empty(), histogram.negative.is_empty())
    }

    /// Ignores buckets that are listed but empty.
    pub(crate) fn of_filled(histogram: &FloatHistogram) -> Self {
        let [positive, negative] = [&histogram.positive, &histogram.negative];
        Self::with(
            positive.iter().all(|bucket| bucket.count == 0.0),
            negative.iter().all(|bucket| bucket.count == 0.0),
        )
    }

    const fn with(no_positive: bool, no_negative: bool) -> Self {
        match (no_positive, no_negative) {
            (false, true) => Self::Positive,
            (true, false) => Self::Negative,
            _ => Self::None,
        }
    }

    /// Narrows a bucket that contains zero.
    pub(crate) fn apply(self, bucket: &mut Bucket) {
        if bucket.lower > 0.0 || bucket.upper < 0.0 {
            return;
        }

        match self {
            Self::Positive => bucket.lower = 0.0,
            Self::Negative => bucket.upper = 0.0,
            Self::None => {}
        }
    }
}

/// Returns the `q` quantile.
pub(crate) fn quantile(
    q: f64,
    histogram: &FloatHistogram,
    name: &str,
    annotate: &mut dyn FnMut(Annotation<'_>),
) -> f64 {
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }

    if q > 1.0 {
        return f64::INFINITY;
    }

    if histogram.count == 0.0 || q.is_nan() {
        return f64::NAN;
    }

    // NaN is counted but is in no bucket. Ranks are right only when counted from below then.
    let upwards = histogram.sum.is_nan() || q < 0.5;
    let mut rank = histogram.count * if upwards { q } else { 1.0 - q };
    let buckets = histogram.buckets();

    let (mut bucket, count) = if upwards {
        nth(buckets, rank)
    } else {
        nth(buckets.rev(), rank)
    };

    if histogram.uses_custom_buckets() {
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return bucket.upper;
            }

            bucket.lower = 0.0;
        } else if bucket.upper == f64::INFINITY {
            return bucket.lower;
        }
    } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
        ZeroBias::of(histogram).apply(&mut bucket);
    }

    let count = count.min(histogram.count);

    if count < rank {
        if histogram.sum.is_nan() {
            annotate(Annotation::NanQuantile(name));
            return f64::NAN;
        }

        return bucket.upper;
    }

    rank = if upwards {
        rank - (count - bucket.count)
    } else {
        count - rank
    };

    if has_nan_observations(histogram) {
        annotate(Annotation::SkewedQuantile(name));
    }

    Scale::for_bucket(histogram, &bucket).value(&bucket, rank / bucket.count)
}

/// Returns the bucket in which `rank` observations are reached, and the number of observations up
/// to its end. If there are fewer, returns the last bucket.
fn nth(buckets: impl Iterator<Item = Bucket>, rank: f64) -> (Bucket, f64) {
    let mut count = 0.0;
    let mut last = Bucket {
        lower: 0.0,
        upper: 0.0,
        count: 0.0,
        bounds: BucketBounds::ClosedBoth,
    };

    for bucket in buckets {
        last = bucket;
        if bucket.count == 0.0 {
            continue;
        }

        count += bucket.count;
        if count >= rank {
            break;
        }
    }

    (last, count)
}

/// Returns whether some observations are in no bucket and the sum shows that they are NaN.
fn has_nan_observations(histogram: &FloatHistogram) -> bool {
    histogram.sum.is_nan()
        && histogram.buckets().map(|bucket| bucket.count).sum::<f64>() < histogram.count
}

/// Returns the share of the observations between two values.
pub(crate) fn fraction(
    lower: f64,
    upper: f64,
    histogram: &FloatHistogram,
    name: &str,
    annotate: &mut dyn FnMut(Annotation<'_>),
) -> f64 {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }

    if lower >= upper {
        return 0.0;
    }

    if has_nan_observations(histogram) {
        annotate(Annotation::NanFraction(name));
    }

    let lower = rank_of(lower, histogram);
    let upper = rank_of(upper, histogram);
    (upper - lower) / histogram.count
}

/// Returns how many observations are below a value.
fn rank_of(value: f64, histogram: &FloatHistogram) -> f64 {
    let bias = ZeroBias::of(histogram);
    let mut rank: f64 = 0.0;

    for mut bucket in histogram.buckets() {
        if !histogram.uses_custom_buckets() {
            bias.apply(&mut bucket);
        } else if bucket.lower == f64::NEG_INFINITY && bucket.upper > 0.0 {
            // Custom buckets have no zero bucket. The first bucket begins at zero, as in a classic
            // histogram.
            bucket.lower = 0.0;
        }

        if bucket.lower >= value {
            return rank.min(histogram.count);
        }

        if bucket.upper > value {
            if bucket.lower == f64::NEG_INFINITY {
                return (rank + bucket.count).min(histogram.count);
            }

            if bucket.upper == f64::INFINITY && histogram.uses_custom_buckets() {
                return rank.min(histogram.count);
            }

            let share = Scale::for_bucket(histogram, &bucket).share(&bucket, value);
            return (rank + bucket.count * share).min(histogram.count);
        }

        rank += bucket.count;
    }

    // NaN observations are in no bucket and are not below any value.
    if histogram.sum.is_nan() {
        rank.min(histogram.count)
    } else {
        histogram.count
    }
}

/// Returns the population variance. Each observation is assumed to be at the middle of its bucket.
pub(crate) fn variance(histogram: &FloatHistogram) -> f64 {
    let mean = histogram.sum / histogram.count;
    let mut squares = Compensated::default();

    for bucket in histogram.buckets().filter(|bucket| bucket.count != 0.0) {
        let middle = if histogram.uses_custom_buckets() {
            (bucket.upper + bucket.lower) / 2.0
        } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
            0.0
        } else {
            (bucket.upper * bucket.lower).sqrt().copysign(bucket.upper)
        };

        let delta = middle - mean;
        squares.add(bucket.count * delta * delta);
    }

    (squares.sum + squares.rest) / histogram.count
}
