//! Detects whether a counter was reset between two histograms.

use super::reconcile::Layout;
use super::{BucketCount, FloatHistogram, ResetHint};

impl FloatHistogram {
    /// Whether the counter was reset between `previous` and `self`. The hint decides if it says so.
    /// Otherwise there was a reset if a count is lower than before, or if the layout changed in a
    /// way that only a reset explains: a finer schema, a narrower zero bucket, a zero bucket that
    /// cuts a bucket with observations, or custom buckets instead of exponential ones.
    pub fn is_reset_after(&self, previous: &Self) -> bool {
        match self.hint {
            ResetHint::Reset => return true,
            ResetHint::NotReset => return false,
            // The caller asked for resets, so a gauge is treated as a counter.
            ResetHint::Unknown | ResetHint::Gauge => {}
        }

        if self.count < previous.count {
            return true;
        }

        if self.uses_custom_buckets() != previous.uses_custom_buckets() {
            return true;
        }

        let finer = self.schema > previous.schema || self.zero_threshold < previous.zero_threshold;
        if finer || previous.widened_zero(self.zero_threshold).1 != self.zero_threshold {
            return true;
        }

        let Ok(layout) = Layout::common(self, previous) else {
            return true;
        };

        let mut now = self.clone();
        let mut before = previous.clone();

        layout.impose(&mut now);
        layout.impose(&mut before);
        now.zero_count < before.zero_count
            || falls(&before.positive, &now.positive)
            || falls(&before.negative, &now.negative)
    }
}

/// Whether a bucket with observations is missing now, or has fewer.
fn falls(before: &[BucketCount], now: &[BucketCount]) -> bool {
    let mut now = now.iter().peekable();
    before.iter().any(|bucket| {
        while now.next_if(|later| later.index < bucket.index).is_some() {}
        match now.peek().filter(|later| later.index == bucket.index) {
            Some(later) => later.count < bucket.count,
            None => bucket.count != 0.0,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::CUSTOM_BUCKETS_SCHEMA;
    use super::*;

    fn histogram(
        schema: i32,
        threshold: f64,
        zero: f64,
        positive: &[(i32, f64)],
    ) -> FloatHistogram {
        let positive: Vec<_> = positive
            .iter()
            .map(|&(index, count)| BucketCount { index, count })
            .collect();

        let count = zero + positive.iter().map(|bucket| bucket.count).sum::<f64>();
        let empty = FloatHistogram::empty(schema, Vec::new());

        FloatHistogram {
            zero_threshold: threshold,
            zero_count: zero,
            positive,
            count,
            ..empty
        }
    }

    #[test]
    #[expect(clippy::approx_constant, reason = "one in the last place beside it")]
    fn lower_counts_and_layouts_that_need_a_reset_are_one() {
        let previous = histogram(1, 0.001, 2.0, &[(1, 1.0), (3, 2.0), (9, 0.0)]);
        let check = |now: FloatHistogram, wanted| {
            assert_eq!(now.is_reset_after(&previous), wanted, "{now:?}")
        };

        check(previous.clone(), false);
        check(histogram(1, 0.001, 9.0, &[(1, 1.0), (3, 2.0)]), false);
        check(histogram(1, 0.001, 1.0, &[(1, 5.0), (3, 2.0)]), true);
        check(histogram(1, 0.001, 5.0, &[(1, 5.0), (3, 1.0)]), true);
        check(histogram(1, 0.001, 9.0, &[(1, 5.0), (4, 2.0)]), true);
        check(histogram(0, 0.001, 2.0, &[(1, 1.0), (2, 2.0)]), false);
        check(histogram(2, 0.001, 9.0, &[(1, 9.0)]), true);
        check(histogram(1, 0.0001, 9.0, &[(1, 9.0), (3, 9.0)]), true);

        // The first bucket ends at sqrt(2), and 1.2 lies within it.
        check(histogram(1, 1.2, 9.0, &[(3, 9.0)]), true);
        check(histogram(1, 1.414213562373095, 3.0, &[(3, 9.0)]), false);

        check(
            FloatHistogram {
                hint: ResetHint::Reset,
                ..previous.clone()
            },
            true,
        );

        check(
            FloatHistogram {
                hint: ResetHint::NotReset,
                ..histogram(1, 0.0, 0.0, &[])
            },
            false,
        );

        check(
            histogram(CUSTOM_BUCKETS_SCHEMA, 0.0, 0.0, &[(0, 99.0)]),
            true,
        );
    }

    #[test]
    fn different_custom_bounds_are_compared_at_those_that_both_have() {
        let custom = |bounds: &[f64], counts: &[(i32, f64)]| FloatHistogram {
            custom_values: bounds.to_vec(),
            ..histogram(CUSTOM_BUCKETS_SCHEMA, 0.0, 0.0, counts)
        };

        let previous = custom(&[1.0, 2.0], &[(0, 1.0), (1, 2.0), (2, 3.0)]);
        assert!(!custom(&[2.0, 4.0], &[(0, 3.0), (1, 1.0), (2, 2.0)]).is_reset_after(&previous));
        assert!(custom(&[2.0, 4.0], &[(0, 2.0), (1, 9.0), (2, 9.0)]).is_reset_after(&previous));
    }
}
