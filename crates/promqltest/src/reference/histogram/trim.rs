//! Cuts a histogram at a value.

use std::collections::BTreeMap;

use super::{Bucket, Histogram};

/// The part that is kept.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::reference) enum Stays {
    Below,
    Above,
}

/// The kept part of a bucket: its count and its middle.
struct Part {
    count: f64,
    middle: f64,
}

impl Histogram {
    /// Keeps the part below or above `at`. If that is everything, the histogram is unchanged.
    /// Otherwise the sum is estimated as if all observations of a bucket were in its middle.
    pub(in crate::reference) fn trimmed(&self, at: f64, stays: Stays) -> Self {
        let mut out = self.clone();
        let mut count = 0.0;
        let mut sum = 0.0;
        let mut keep = |part: Part| {
            count += part.count;
            sum += part.middle * part.count;
            part.count
        };

        let side = |side: &BTreeMap<i32, f64>,
                    bucket: &dyn Fn(i32, f64) -> Bucket,
                    keep: &mut dyn FnMut(Part) -> f64| {
            let kept = |(index, count): (&i32, &f64)| {
                (*index, keep(self.part(bucket(*index, *count), at, stays)))
            };

            side.iter().map(kept).collect::<BTreeMap<i32, f64>>()
        };

        out.positive = side(
            &self.positive,
            &|index, count| self.positive_bucket(index, count),
            &mut keep,
        );
        out.negative = side(
            &self.negative,
            &|index, count| self.negative_bucket(index, count),
            &mut keep,
        );

        if self.zero_count > 0.0 {
            out.zero_count = keep(zero_part(self.halved(self.zero_bucket()), at, stays));
        }

        let all_stays = out.positive == self.positive
            && out.negative == self.negative
            && out.zero_count == self.zero_count;

        if all_stays {
            self.clone()
        } else {
            Self { count, sum, ..out }.compact()
        }
    }

    fn part(&self, bucket: Bucket, at: f64, stays: Stays) -> Part {
        let Bucket {
            lower,
            upper,
            count,
        } = bucket;

        let (whole, nothing) = match stays {
            Stays::Below => (upper <= at, lower >= at),
            Stays::Above => (lower >= at, upper <= at),
        };

        if whole {
            return Part {
                count,
                middle: self.middle(lower, upper),
            };
        }

        if nothing || at.is_nan() {
            return Part {
                count: 0.0,
                middle: 0.0,
            };
        }

        if lower.is_infinite() || upper.is_infinite() {
            return endless_part(bucket, at, stays);
        }

        let below = count * bucket.share_below(at, self.is_custom());

        match stays {
            Stays::Below => Part {
                count: below,
                middle: self.middle(lower, at),
            },
            Stays::Above => Part {
                count: count - below,
                middle: self.middle(at, upper),
            },
        }
    }

    fn middle(&self, lower: f64, upper: f64) -> f64 {
        match (lower.is_infinite(), upper.is_infinite()) {
            (true, true) => 0.0,
            (true, false) if upper > 0.0 => upper / 2.0,
            (true, false) => upper,
            (false, true) => lower,
            _ if self.is_custom() => (lower + upper) / 2.0,
            _ if lower < 0.0 || upper < 0.0 => -(lower * upper).abs().sqrt(),
            _ => (lower * upper).abs().sqrt(),
        }
    }
}

/// Cuts a bucket that has an infinite bound and contains `at`. If the bucket ends above zero, it is
/// treated as if it began at zero. Otherwise it is kept or dropped whole.
fn endless_part(
    Bucket {
        lower,
        upper,
        count,
    }: Bucket,
    at: f64,
    stays: Stays,
) -> Part {
    let ends_above_zero = lower == f64::NEG_INFINITY && upper > 0.0 && upper.is_finite();

    match stays {
        Stays::Below if ends_above_zero && at > 0.0 => Part {
            count: count * at / upper,
            middle: at / 2.0,
        },
        Stays::Below if lower == f64::NEG_INFINITY && upper <= 0.0 => Part { count, middle: at },
        Stays::Above if ends_above_zero && at >= 0.0 => Part {
            count: count * (1.0 - at / upper),
            middle: (at + upper) / 2.0,
        },
        Stays::Above if lower != f64::NEG_INFINITY => Part { count, middle: at },
        _ => Part {
            count: 0.0,
            middle: 0.0,
        },
    }
}

fn zero_part(
    Bucket {
        lower,
        upper,
        count,
    }: Bucket,
    at: f64,
    stays: Stays,
) -> Part {
    let (from, to) = match stays {
        Stays::Below if at <= lower => {
            return Part {
                count: 0.0,
                middle: 0.0,
            };
        }
        Stays::Above if at > lower && at >= upper => {
            return Part {
                count: 0.0,
                middle: 0.0,
            };
        }
        Stays::Below if at >= upper => {
            return Part {
                count,
                middle: (lower + upper) / 2.0,
            };
        }
        Stays::Above if at <= lower => {
            return Part {
                count,
                middle: (lower + upper) / 2.0,
            };
        }
        Stays::Below => (lower, at),
        Stays::Above => (at, upper),
    };

    Part {
        count: count * ((to - from) / (upper - lower)),
        middle: (from + to) / 2.0,
    }
}
