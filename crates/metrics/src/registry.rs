//! All metrics of a process, by name.

use std::fmt::Debug;

use crate::collected::{Collected, MetricFamily, MetricKind};

/// A metric, or a family of metrics, that can be registered under a name.
pub trait Metric: Debug + Send + Sync + 'static {
    const KIND: MetricKind;

    /// Returns the current values. A family returns one for each metric that was created so far.
    fn collect(&self) -> Vec<Collected>;
}

/// Metrics that are counted elsewhere and are read at each collection.
pub trait Collector: Debug + Send + Sync + 'static {
    fn collect(&self) -> Vec<MetricFamily>;
}

/// All metrics of a process, by name.
#[derive(Debug, Default)]
pub struct Registry {
    prefix: String,
    metrics: Vec<Registered>,
    collectors: Vec<Box<dyn Collector>>,
    within: Vec<Self>,
}

#[derive(Debug)]
struct Registered {
    name: String,
    help: String,
    kind: MetricKind,
    metric: Box<dyn Readable>,
}

/// A [`Metric`] as a trait object. Its constant `KIND` is kept beside it.
trait Readable: Debug + Send + Sync {
    fn read(&self) -> Vec<Collected>;
}

impl<M: Metric> Readable for M {
    fn read(&self) -> Vec<Collected> {
        self.collect()
    }
}

impl Registry {
    /// Registers `metric` as `name`. `help` is a sentence without its full stop.
    pub fn register<M: Metric>(&mut self, name: &str, help: &str, metric: M) {
        self.metrics.push(Registered {
            name: format!("{}{name}", self.prefix),
            help: format!("{help}."),
            kind: M::KIND,
            metric: Box::new(metric),
        });
    }

    pub fn register_collector(&mut self, collector: impl Collector) {
        self.collectors.push(Box::new(collector));
    }

    /// Adds a part to this registry and returns it. Its metrics are named `prefix_name`.
    pub fn with_prefix(&mut self, prefix: &str) -> &mut Self {
        self.within.push(Self {
            prefix: format!("{}{prefix}_", self.prefix),
            ..Self::default()
        });

        self.within.last_mut().expect("the part was just pushed")
    }

    /// Returns the current values of all metrics in the order in which they were registered, then
    /// those of the collectors, then those of the parts. Families without a metric are left out.
    pub fn collect(&self) -> Vec<MetricFamily> {
        let mut families = Vec::new();
        self.collect_into(&mut families);
        families.retain(|family| !family.metrics.is_empty());
        families
    }

    fn collect_into(&self, families: &mut Vec<MetricFamily>) {
        for registered in &self.metrics {
            families.push(MetricFamily::new(
                &registered.name,
                &registered.help,
                registered.kind,
                registered.metric.read(),
            ));
        }

        for collector in &self.collectors {
            families.extend(collector.collect());
        }

        for part in &self.within {
            part.collect_into(families);
        }
    }
}
