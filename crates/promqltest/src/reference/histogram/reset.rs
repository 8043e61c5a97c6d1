//! Detects counter resets of histograms, and compares histograms exactly.

use std::collections::BTreeMap;

use duramen_model::ResetHint;

use super::arithmetic::common_bounds;
use super::{Histogram, Layout};

impl Histogram {
    /// Whether the counter was reset between `before` and this one: the hint says so, or a count
    /// fell.
    pub(in crate::reference) fn began_anew_after(&self, before: &Self) -> bool {
        match self.hint {
            ResetHint::Reset => return true,
            ResetHint::NotReset => return false,
            ResetHint::Unknown | ResetHint::Gauge => {}
        }

        if self.count < before.count {
            return true;
        }

        match (&self.layout, &before.layout) {
            (Layout::Custom { bounds: now }, Layout::Custom { bounds: then }) if now == then => {
                fell(&before.positive, &self.positive)
            }
            (Layout::Custom { bounds: now }, Layout::Custom { bounds: then }) => {
                let common = common_bounds(now, then);
                fell(
                    &before.at_bounds(&common).positive,
                    &self.at_bounds(&common).positive,
                )
            }
            (Layout::Exponential { schema: now }, Layout::Exponential { schema: then }) => {
                now > then || self.zero_threshold < before.zero_threshold || self.fell_below(before)
            }
            _ => true,
        }
    }

    /// Whether any bucket fell. `before` must have at least as fine a schema and at most as wide a
    /// zero bucket.
    fn fell_below(&self, before: &Self) -> bool {
        let widened = before.clone().with_zero_bucket(self.zero_threshold);
        if widened.zero_threshold != self.zero_threshold || self.zero_count < widened.zero_count {
            return true;
        }

        let coarse = before.at_schema(self.schema());
        let outside = |side: &BTreeMap<i32, f64>| {
            let outside = side
                .iter()
                .filter(|(index, _)| self.bound(**index) > self.zero_threshold);
            outside.map(|(index, count)| (*index, *count)).collect()
        };

        fell(&outside(&coarse.positive), &outside(&self.positive))
            || fell(&outside(&coarse.negative), &outside(&self.negative))
    }

    /// Whether both are equal, bit for bit. The hint is ignored.
    pub(in crate::reference) fn same(&self, other: &Self) -> bool {
        let numbers = |h: &Self| [h.count, h.sum, h.zero_threshold, h.zero_count].map(f64::to_bits);
        let side = |side: &BTreeMap<i32, f64>| -> Vec<(i32, u64)> {
            side.iter()
                .map(|(index, count)| (*index, count.to_bits()))
                .collect()
        };

        self.layout == other.layout
            && numbers(self) == numbers(other)
            && side(&self.positive) == side(&other.positive)
            && side(&self.negative) == side(&other.negative)
    }
}

/// Whether any bucket has a lower count than before.
fn fell(before: &BTreeMap<i32, f64>, now: &BTreeMap<i32, f64>) -> bool {
    before.iter().any(|(index, then)| match now.get(index) {
        Some(now) => now < then,
        None => *then != 0.0,
    })
}
