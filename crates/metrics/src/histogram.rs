//! Histograms: how observations are spread over buckets.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::collected::{Collected, CollectedValue, MetricKind};
use crate::registry::Metric;

/// Counts observations in buckets: each in the first bucket whose bound is not below it. Clones
/// share the counts.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Mutex<Spread>>);

#[derive(Debug)]
struct Spread {
    sum: f64,
    count: u64,
    /// Upper bounds, ascending and the last one infinite, each with the observations of this bucket
    /// alone.
    buckets: Vec<(f64, u64)>,
}

impl Histogram {
    /// Creates a histogram. `bounds` must ascend; an infinite bound is added.
    pub fn new(bounds: impl IntoIterator<Item = f64>) -> Self {
        let buckets = bounds
            .into_iter()
            .chain([f64::INFINITY])
            .map(|bound| (bound, 0))
            .collect();

        Self(Arc::new(Mutex::new(Spread {
            sum: 0.0,
            count: 0,
            buckets,
        })))
    }

    pub fn observe(&self, value: f64) {
        let mut spread = self.0.lock();
        spread.sum += value;
        spread.count += 1;

        let bucket = spread.buckets.iter_mut().find(|(bound, _)| *bound >= value);
        if let Some((_, count)) = bucket {
            *count += 1;
        }
    }
}

impl Metric for Histogram {
    const KIND: MetricKind = MetricKind::Histogram;

    fn collect(&self) -> Vec<Collected> {
        let spread = self.0.lock();
        let mut below = 0;

        let cumulative = spread.buckets.iter().map(|(bound, count)| {
            below += count;
            (*bound, below)
        });
        let buckets = cumulative.collect();

        vec![Collected::alone(CollectedValue::Histogram {
            sum: spread.sum,
            count: spread.count,
            buckets,
        })]
    }
}
