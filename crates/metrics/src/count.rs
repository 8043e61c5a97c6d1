//! Single numbers: counters only rise, gauges go up and down.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::collected::{Collected, CollectedValue, MetricKind, Number};
use crate::registry::Metric;

/// A count of events. Clones share it. The text format adds `_total` to its name.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

/// A whole number that goes up and down. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

/// A [`Gauge`] whose number need not be whole.
#[derive(Clone, Debug, Default)]
pub struct FloatGauge(Arc<AtomicU64>);

impl Counter {
    pub fn inc(&self) {
        self.inc_by(1);
    }

    pub fn inc_by(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Gauge {
    pub fn inc(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub fn dec(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// Sets the gauge and returns its value before.
    pub fn set(&self, value: i64) -> i64 {
        self.0.swap(value, Ordering::Relaxed)
    }

    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl FloatGauge {
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

impl Metric for Counter {
    const KIND: MetricKind = MetricKind::Counter;

    fn collect(&self) -> Vec<Collected> {
        vec![Collected::alone(CollectedValue::Counter(self.get()))]
    }
}

impl Metric for Gauge {
    const KIND: MetricKind = MetricKind::Gauge;

    fn collect(&self) -> Vec<Collected> {
        vec![Collected::alone(CollectedValue::Gauge(Number::Whole(
            self.get(),
        )))]
    }
}

impl Metric for FloatGauge {
    const KIND: MetricKind = MetricKind::Gauge;

    fn collect(&self) -> Vec<Collected> {
        let value = Number::Float(self.get());
        vec![Collected::alone(CollectedValue::Gauge(value))]
    }
}
