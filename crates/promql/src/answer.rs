//! The answer of a query.

use std::sync::Arc;

use datafusion_execution::memory_pool::MemoryReservation;
use duramen_model::{FloatHistogram, Labels};

use crate::stats::QueryStats;

/// A complete answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub value: Value,
    /// Texts of the form `PromQL warning: ..`, sorted and distinct.
    pub warnings: Vec<String>,
    /// Texts of the form `PromQL info: ..`, sorted and distinct.
    pub infos: Vec<String>,
    pub stats: QueryStats,
    /// The resolutions of the rollups that were read in place of samples, ascending.
    pub resolutions_ms: Vec<i64>,
    /// The memory of the answer. It stays reserved until the answer is dropped.
    pub memory: AnswerMemory,
}

/// What an answer has reserved of the memory of the query and of the process, until its last clone
/// is dropped. An answer that did not come from a query has reserved nothing.
#[derive(Clone, Debug, Default)]
pub struct AnswerMemory(Option<Arc<MemoryReservation>>);

impl AnswerMemory {
    pub(crate) fn hold(&mut self, account: Arc<MemoryReservation>) {
        self.0 = Some(account);
    }
}

impl PartialEq for AnswerMemory {
    /// Answers are equal if their contents are equal.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Scalar {
        ts_ms: i64,
        value: f64,
    },
    String {
        ts_ms: i64,
        value: String,
    },
    /// Label sets are distinct. They are in the order that the query asks for (`sort`, `topk`),
    /// else sorted by labels.
    Vector(Vec<InstantSeries>),
    /// Sorted by labels. Label sets are distinct, and each series has points.
    Matrix(Vec<RangeSeries>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct InstantSeries {
    pub labels: Labels,
    pub ts_ms: i64,
    pub value: SampleValue,
}

/// A float or a native histogram.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleValue {
    Float(f64),
    Histogram(Box<FloatHistogram>),
}

impl SampleValue {
    /// Returns the float, or `None` for a histogram.
    pub const fn float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Histogram(_) => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct RangeSeries {
    pub labels: Labels,
    /// Pairs of time in ms and value, in ascending order of time. A step without a value has no
    /// point.
    pub points: Vec<(i64, f64)>,
    /// Pairs of time in ms and histogram, in ascending order of time. No time is also in `points`.
    pub histograms: Vec<(i64, FloatHistogram)>,
}
