//! What was read of all metrics at one time.

use std::fmt;

/// What kind of metrics a family has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

/// The metrics of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricFamily {
    /// Without the endings of single series.
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
        /// Upper bounds, and how many observations are not above each.
        buckets: Vec<(f64, u64)>,
    },
}

/// One series of a metric: a counter and a gauge are one, a histogram is several.
#[derive(Clone, Debug, PartialEq)]
pub struct Series<'a> {
    pub name: String,
    /// The bound of a bucket.
    pub le: Option<String>,
    /// The labels of the metric. In a bucket, `le` stands before them.
    pub labels: &'a [(&'static str, String)],
    pub value: Number,
}

/// A value as it was counted: whole numbers are printed as such.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Count(u64),
    Whole(i64),
    Float(f64),
}

impl MetricKind {
    /// As in the text format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl MetricFamily {
    /// A family with the metrics of a collector.
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

    /// The series of all its metrics, one metric after the other. Of a histogram: the sum, the
    /// count, and the buckets as their bounds ascend.
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
    /// A metric without labels.
    pub const fn alone(value: CollectedValue) -> Self {
        Self {
            labels: Vec::new(),
            value,
        }
    }

    /// A metric with one label.
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

/// As in the text format. A float has the fewest digits that read back as the same.
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
