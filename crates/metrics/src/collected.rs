//! The values of all metrics, read at one time.

use std::fmt;

/// The type of the metrics of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

/// The metrics of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricFamily {
    /// Without the suffix of a series (`_total`, `_bucket` and so on).
    pub name: String,
    pub help: String,
    pub kind: MetricKind,
    pub metrics: Vec<Collected>,
}

/// One metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Collected {
    pub labels: Vec<(&'static str, String)>,
    pub value: CollectedValue,
}

#[derive(Clone, Debug, PartialEq)]
pub enum CollectedValue {
    Counter(u64),
    Gauge(Number),
    Histogram {
        sum: f64,
        count: u64,
        /// Upper bounds, ascending, each with the number of observations that are at or below it.
        buckets: Vec<(f64, u64)>,
    },
}

/// One series of a metric. A counter and a gauge are one series; a histogram is several.
#[derive(Clone, Debug, PartialEq)]
pub struct Series<'a> {
    pub name: String,
    /// The upper bound, if this series is a bucket of a histogram.
    pub le: Option<String>,
    /// The labels of the metric. The text format shows `le` before them.
    pub labels: &'a [(&'static str, String)],
    pub value: Number,
}

/// A value in the form in which it was counted. Whole numbers are printed without a fraction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Count(u64),
    Whole(i64),
    Float(f64),
}

impl MetricKind {
    /// Returns the name of the type in the text format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl MetricFamily {
    /// Creates a family. `name` and `help` are shown as they are.
    pub fn new(
        name: &str,
        help: &str,
        kind: MetricKind,
        metrics: impl IntoIterator<Item = Collected>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            help: help.to_owned(),
            kind,
            metrics: metrics.into_iter().collect(),
        }
    }

    /// Returns the series of all metrics, one metric after the other. A histogram gives its sum,
    /// its count and its buckets with ascending bounds, in this order.
    pub fn series(&self) -> Vec<Series<'_>> {
        let mut all = Vec::with_capacity(self.metrics.len());

        for Collected { labels, value } in &self.metrics {
            let mut push = |ending: &str, le, value| {
                all.push(Series {
                    name: format!("{}{ending}", self.name),
                    le,
                    labels,
                    value,
                });
            };

            match value {
                CollectedValue::Counter(count) => push("_total", None, Number::Count(*count)),
                CollectedValue::Gauge(value) => push("", None, *value),
                CollectedValue::Histogram {
                    sum,
                    count,
                    buckets,
                } => {
                    push("_sum", None, Number::Float(*sum));
                    push("_count", None, Number::Count(*count));

                    for (bound, below) in buckets {
                        let le = Number::Float(*bound).to_string();
                        push("_bucket", Some(le), Number::Count(*below));
                    }
                }
            }
        }

        all
    }
}

impl Collected {
    /// Creates a metric without labels.
    pub const fn alone(value: CollectedValue) -> Self {
        Self {
            labels: Vec::new(),
            value,
        }
    }

    /// Creates a metric with one label.
    pub fn with(name: &'static str, label: &str, value: CollectedValue) -> Self {
        Self {
            labels: vec![(name, label.to_owned())],
            value,
        }
    }
}

impl Number {
    pub const fn as_f64(self) -> f64 {
        match self {
            Self::Count(count) => count as f64,
            Self::Whole(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}

/// Writes the number as the text format does. A float has the fewest digits that read back as the
/// same value.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Whole(value) => write!(f, "{value}"),
            Self::Float(f64::INFINITY) => f.write_str("+Inf"),
            Self::Float(f64::NEG_INFINITY) => f.write_str("-Inf"),
            Self::Float(value) => write!(f, "{value:?}"),
        }
    }
}
