//! Quantiles of classic histograms.

/// Counts that differ by less than this share of their sum differ only by rounding.
const TOLERANCE: f64 = 1e-12;

/// A bucket: how many observations were at most `upper`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    pub(crate) upper: f64,
    pub(crate) count: f64,
}

/// A quantile, and how the counts had to be raised to ascend.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BucketQuantile {
    pub(crate) value: f64,
    pub(crate) repair: Option<Repair>,
}

/// Counts that were raised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Repair {
    /// The upper bounds of the first and of the last bucket whose count was raised.
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
    /// The largest amount by which a count was raised.
    pub(crate) most: f64,
}

impl Repair {
    /// Returns both repairs as one.
    pub(crate) fn and(&self, other: &Self) -> Self {
        Self {
            lowest: self.lowest.min(other.lowest),
            highest: self.highest.max(other.highest),
            most: self.most.max(other.most),
        }
    }
}

/// Returns the `q` quantile over `buckets`. They may be in any order, and are sorted and repaired
/// in place.
pub(crate) fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> BucketQuantile {
    let plain = |value| BucketQuantile {
        value,
        repair: None,
    };

    if q.is_nan() {
        return plain(f64::NAN);
    }

    if q < 0.0 {
        return plain(f64::NEG_INFINITY);
    }

    if q > 1.0 {
        return plain(f64::INFINITY);
    }

    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    if buckets
        .last()
        .is_none_or(|last| last.upper != f64::INFINITY)
    {
        return plain(f64::NAN);
    }
    coalesce(buckets);

    let repair = make_monotonic(buckets);
    BucketQuantile {
        value: interpolate(q, buckets),
        repair,
    }
}

/// Returns the share of observations between two bounds, interpolated within finite buckets. Sorts
/// `buckets`.
pub(crate) fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    coalesce(buckets);

    let Some(last) = buckets.last().filter(|last| last.upper == f64::INFINITY) else {
        return f64::NAN;
    };
    let count = last.count;

    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }

    if lower >= upper {
        return 0.0;
    }

    (rank_of(upper, buckets).min(count) - rank_of(lower, buckets).min(count)) / count
}

/// Returns how many observations are below `value`. A bucket without a lower bound counts as a
/// whole, and one without an upper bound does not count.
fn rank_of(value: f64, buckets: &[Bucket]) -> f64 {
    let mut rank = 0.0;
    let mut start = f64::NEG_INFINITY;

    for (at, bucket) in buckets.iter().enumerate() {
        if at == 0 && bucket.upper > 0.0 {
            start = 0.0;
        }

        if start >= value {
            return rank;
        }

        if bucket.upper > value {
            if start == f64::NEG_INFINITY {
                return bucket.count;
            }

            return rank + (bucket.count - rank) * (value - start) / (bucket.upper - start);
        }

        (rank, start) = (bucket.count, bucket.upper);
    }

    f64::INFINITY
}

/// Returns the quantile of repaired buckets. The last bucket has no upper bound.
fn interpolate(q: f64, buckets: &[Bucket]) -> f64 {
    let [finite @ .., last] = buckets else {
        return f64::NAN;
    };
    let Some(highest) = finite.last() else {
        return f64::NAN;
    };

    if last.count == 0.0 {
        return f64::NAN;
    }

    let mut rank = q * last.count;
    let Some(at) = finite.iter().position(|bucket| bucket.count >= rank) else {
        return highest.upper;
    };
    let Bucket { upper, mut count } = finite[at];

    if at == 0 && upper <= 0.0 {
        return upper;
    }

    let mut lower = 0.0;
    if at > 0 {
        lower = finite[at - 1].upper;
        count -= finite[at - 1].count;
        rank -= finite[at - 1].count;
    }

    lower + (upper - lower) * (rank / count)
}

/// Adds up buckets with equal bounds.
fn coalesce(buckets: &mut Vec<Bucket>) {
    buckets.dedup_by(|next, bucket| {
        let same = next.upper == bucket.upper;
        if same {
            bucket.count += next.count;
        }

        same
    });
}

/// Raises counts that are below the previous one. Differences by rounding are levelled and not
/// reported.
fn make_monotonic(buckets: &mut [Bucket]) -> Option<Repair> {
    let (first, rest) = buckets.split_first_mut()?;
    let mut before = first.count;
    let mut repair: Option<Repair> = None;

    for bucket in rest {
        if bucket.count == before {
            continue;
        }

        let near = almost_equal(before, bucket.count);

        if near || bucket.count < before {
            if !near {
                let raised = Repair {
                    lowest: bucket.upper,
                    highest: bucket.upper,
                    most: before - bucket.count,
                };

                repair = Some(repair.map_or(raised, |repair| repair.and(&raised)));
            }

            bucket.count = before;
            continue;
        }

        before = bucket.count;
    }

    repair
}

fn almost_equal(a: f64, b: f64) -> bool {
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }

    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();

    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }

    difference / sum.min(f64::MAX) < TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    const INF: f64 = f64::INFINITY;

    fn check(q: f64, buckets: &[(f64, f64)], wanted: f64, forced: bool) {
        let mut buckets = buckets
            .iter()
            .map(|&(upper, count)| Bucket { upper, count })
            .collect();

        let got = quantile(q, &mut buckets);
        assert!(
            got.value == wanted || got.value.is_nan() && wanted.is_nan(),
            "{q} {buckets:?}: {got:?}"
        );

        assert_eq!(got.repair.is_some(), forced, "{q} {buckets:?}");
    }

    #[test]
    fn quantiles_interpolate_within_a_bucket() {
        check(0.5, &[(INF, 4.0), (1.0, 2.0), (2.0, 4.0)], 1.0, false);
        check(0.75, &[(1.0, 2.0), (2.0, 4.0), (INF, 4.0)], 1.5, false);
        check(0.5, &[(-1.0, 4.0), (INF, 4.0)], -1.0, false);
        check(0.99, &[(1.0, 2.0), (2.0, 4.0), (INF, 400.0)], 2.0, false);
        check(0.5, &[(1.0, 1.0), (1.0, 1.0), (INF, 2.0)], 0.5, false);
    }

    #[test]
    fn what_is_no_histogram_has_no_quantile() {
        check(0.5, &[(1.0, 2.0), (2.0, 4.0)], f64::NAN, false);
        check(0.5, &[(INF, 4.0)], f64::NAN, false);
        check(0.5, &[(1.0, 0.0), (INF, 0.0)], f64::NAN, false);
        check(-1.0, &[], f64::NEG_INFINITY, false);
        check(1.1, &[], INF, false);
    }

    #[test]
    fn fractions_interpolate_within_finite_buckets() {
        let share = |lower, upper, buckets: &[(f64, f64)]| {
            fraction(
                lower,
                upper,
                &mut buckets
                    .iter()
                    .map(|&(upper, count)| Bucket { upper, count })
                    .collect(),
            )
        };

        let buckets = [(1.0, 1.0), (2.0, 3.0), (INF, 10.0)];
        assert_eq!(share(0.0, 1.5, &buckets), 0.2);
        assert_eq!(share(-INF, INF, &buckets), 1.0);
        assert_eq!(share(2.0, 5.0, &buckets), 0.0);
        assert_eq!(share(2.0, 1.0, &buckets), 0.0);
        assert_eq!(
            share(-9.0, -2.0, &[(-3.0, 5.0), (-2.0, 6.0), (INF, 10.0)]),
            0.1
        );

        assert!(share(0.0, 1.0, &buckets[..2]).is_nan());
    }

    #[test]
    fn counts_that_fall_are_raised_and_rounding_is_levelled_silently() {
        check(1.0, &[(1.0, 10.0), (2.0, 5.0), (INF, 10.0)], 1.0, true);
        check(
            1.0,
            &[(1.0, 10.0), (2.0, 10.0 - 1e-14), (INF, 10.0)],
            1.0,
            false,
        );
    }
}
