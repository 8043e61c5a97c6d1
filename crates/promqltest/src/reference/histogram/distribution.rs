//! Estimates statistics of the observations from the buckets.

use super::{Bucket, Histogram};

impl Histogram {
    /// Estimates the variance as if all observations of a bucket were in its middle.
    pub(in crate::reference) fn variance(&self) -> f64 {
        let average = self.sum / self.count;
        let part = |bucket: &Bucket| {
            let middle = match bucket {
                _ if self.is_custom() => (bucket.upper + bucket.lower) / 2.0,
                _ if bucket.lower <= 0.0 && bucket.upper >= 0.0 => 0.0,
                _ if bucket.upper < 0.0 => -(bucket.upper * bucket.lower).sqrt(),
                _ => (bucket.upper * bucket.lower).sqrt(),
            };

            bucket.count * (middle - average).powi(2)
        };

        self.buckets().iter().map(part).sum::<f64>() / self.count
    }

    /// Estimates the value below which a share `q` of the observations is, searching from the
    /// nearer end. Observations of NaN make the sum NaN. They are in the count but in no bucket,
    /// and rank above all others.
    pub(in crate::reference) fn quantile(&self, q: f64) -> f64 {
        if q < 0.0 {
            return f64::NEG_INFINITY;
        }

        if q > 1.0 {
            return f64::INFINITY;
        }

        if self.count == 0.0 || q.is_nan() {
            return f64::NAN;
        }

        let from_below = self.sum.is_nan() || q < 0.5;
        let mut buckets = self.buckets();
        if !from_below {
            buckets.reverse();
        }

        let rank = if from_below {
            q * self.count
        } else {
            (1.0 - q) * self.count
        };

        let mut seen = 0.0;
        let mut found = Bucket {
            lower: 0.0,
            upper: 0.0,
            count: 0.0,
        };

        for bucket in buckets {
            seen += bucket.count;
            found = bucket;

            if seen >= rank {
                break;
            }
        }

        let found = self.one_sided(found);
        if self.is_custom() && found.lower == f64::NEG_INFINITY && found.upper <= 0.0 {
            return found.upper;
        }

        if self.is_custom() && found.lower != f64::NEG_INFINITY && found.upper == f64::INFINITY {
            return found.lower;
        }

        let lower = if self.is_custom() && found.lower == f64::NEG_INFINITY {
            0.0
        } else {
            found.lower
        };

        let found = Bucket { lower, ..found };
        let seen = seen.min(self.count);
        if seen < rank {
            return if self.sum.is_nan() {
                f64::NAN
            } else {
                found.upper
            };
        }

        let inside = if from_below {
            rank - (seen - found.count)
        } else {
            seen - rank
        };

        found.value_at(inside / found.count, self.is_custom())
    }

    /// Estimates the share of observations between two values.
    pub(in crate::reference) fn fraction(&self, lower: f64, upper: f64) -> f64 {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return f64::NAN;
        }

        if lower >= upper {
            return 0.0;
        }

        let in_buckets: f64 = self.buckets().iter().map(|bucket| bucket.count).sum();
        let most = if self.sum.is_nan() {
            in_buckets
        } else {
            self.count
        };

        (self.below(upper).min(most) - self.below(lower).min(most)) / self.count
    }

    /// Estimates how many observations are below `value`. Infinity if no bucket reaches that far.
    fn below(&self, value: f64) -> f64 {
        let mut below = 0.0;

        for bucket in self.buckets() {
            let is_zero = !self.is_custom() && bucket.lower <= 0.0 && bucket.upper >= 0.0;
            let bucket = match bucket.lower {
                _ if is_zero => self.halved(bucket),
                f64::NEG_INFINITY if self.is_custom() && bucket.upper > 0.0 => Bucket {
                    lower: 0.0,
                    ..bucket
                },
                _ => bucket,
            };

            if bucket.lower >= value {
                return below;
            }

            if bucket.upper > value {
                let linear = self.is_custom() || is_zero;
                return match bucket.lower {
                    f64::NEG_INFINITY if linear => bucket.count,
                    _ => below + bucket.count * bucket.share_below(value, linear),
                };
            }

            below += bucket.count;
        }

        f64::INFINITY
    }

    /// If all observations have one sign, the zero bucket begins or ends at zero.
    fn one_sided(&self, bucket: Bucket) -> Bucket {
        if self.is_custom() || bucket.lower >= 0.0 || bucket.upper <= 0.0 {
            bucket
        } else {
            self.halved(bucket)
        }
    }

    pub(super) fn halved(&self, bucket: Bucket) -> Bucket {
        match (self.negative.is_empty(), self.positive.is_empty()) {
            (true, false) => Bucket {
                lower: 0.0,
                ..bucket
            },
            (false, true) => Bucket {
                upper: 0.0,
                ..bucket
            },
            _ => bucket,
        }
    }
}

impl Bucket {
    /// Returns the value below which a share of the bucket is. Interpolates linearly, or between
    /// the logarithms for exponential buckets.
    fn value_at(self, share: f64, linear: bool) -> f64 {
        let Self { lower, upper, .. } = self;
        if linear || lower <= 0.0 && upper >= 0.0 {
            return lower + (upper - lower) * share;
        }

        let log_lower = lower.abs().log2();
        let log_upper = upper.abs().log2();

        if lower > 0.0 {
            (log_lower + (log_upper - log_lower) * share).exp2()
        } else {
            -(log_upper + (log_lower - log_upper) * (1.0 - share)).exp2()
        }
    }

    /// Returns the share of the bucket that is below `value`, which must be inside of it.
    pub(super) fn share_below(self, value: f64, linear: bool) -> f64 {
        if linear {
            return (value - self.lower) / (self.upper - self.lower);
        }

        let lower = self.lower.abs().log2();
        let upper = self.upper.abs().log2();
        let value_log = value.abs().log2();

        if value > 0.0 {
            (value_log - lower) / (upper - lower)
        } else {
            1.0 - (value_log - upper) / (lower - upper)
        }
    }
}
