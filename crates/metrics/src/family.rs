//! Families: one metric for each set of labels.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{MappedRwLockReadGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::collected::{Collected, MetricKind};
use crate::labels::LabelSet;
use crate::registry::Metric;

/// Metrics of one name. A metric is created when its labels are first used, and is never removed.
#[derive(Clone, Debug)]
pub struct Family<L, M> {
    metrics: Arc<RwLock<HashMap<L, M>>>,
    make: fn() -> M,
}

impl<L, M: Default> Default for Family<L, M> {
    fn default() -> Self {
        Self::new(M::default)
    }
}

impl<L, M> Family<L, M> {
    /// Creates a family. `make` creates each of its metrics.
    pub fn new(make: fn() -> M) -> Self {
        Self {
            metrics: Arc::default(),
            make,
        }
    }
}

impl<L: LabelSet, M> Family<L, M> {
    /// Returns the metric of these labels and creates it if it is missing. While the guard lives,
    /// no metric with new labels can be created.
    pub fn get_or_create(&self, labels: &L) -> MappedRwLockReadGuard<'_, M> {
        if let Some(metric) = self.get(labels) {
            return metric;
        }

        let mut metrics = self.metrics.write();
        metrics.entry(labels.clone()).or_insert_with(self.make);

        let metrics = RwLockWriteGuard::downgrade(metrics);
        RwLockReadGuard::map(metrics, |metrics| {
            metrics.get(labels).expect("the metric was just inserted")
        })
    }

    /// Returns the metric of these labels, if it exists.
    pub fn get(&self, labels: &L) -> Option<MappedRwLockReadGuard<'_, M>> {
        RwLockReadGuard::try_map(self.metrics.read(), |metrics| metrics.get(labels)).ok()
    }
}

impl<L: LabelSet, M: Metric> Metric for Family<L, M> {
    const KIND: MetricKind = M::KIND;

    fn collect(&self) -> Vec<Collected> {
        let mut all = Vec::new();

        for (labels, metric) in &*self.metrics.read() {
            all.extend(metric.collect().into_iter().map(|collected| Collected {
                labels: labels.labels(),
                ..collected
            }));
        }

        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Counter, Histogram};

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct CodeLabel {
        code: u16,
    }

    crate::label_set!(CodeLabel: code);

    #[test]
    fn each_set_of_labels_has_a_metric_of_its_own() {
        let family = Family::<CodeLabel, Counter>::default();
        family.get_or_create(&CodeLabel { code: 1 }).inc();
        family.get_or_create(&CodeLabel { code: 2 }).inc_by(5);
        family.get_or_create(&CodeLabel { code: 1 }).inc();

        let count = |code| family.get(&CodeLabel { code }).map(|counter| counter.get());
        assert_eq!([count(1), count(2), count(3)], [Some(2), Some(5), None]);
    }

    #[test]
    fn a_family_that_nothing_was_counted_in_has_no_metric() {
        let family = Family::<CodeLabel, Histogram>::new(|| Histogram::new([1.0]));
        assert!(family.collect().is_empty());

        family.get_or_create(&CodeLabel { code: 1 }).observe(0.5);
        assert_eq!(family.collect()[0].labels, [("code", "1".to_owned())]);
    }
}
