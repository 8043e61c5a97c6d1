//! What a query answers.

use std::sync::Arc;

use datafusion_execution::memory_pool::MemoryReservation;
use duramen_model::{FloatHistogram, Labels};

use crate::stats::QueryStats;

/// A complete answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub value: Value,
    /// `PromQL warning: ..`, sorted, each once.
    pub warnings: Vec<String>,
    /// `PromQL info: ..`, sorted, each once.
    pub infos: Vec<String>,
    pub stats: QueryStats,
    /// Its memory, which stays with the query until the answer is dropped.
    pub memory: AnswerMemory,
}

/// What an answer holds of the memory of the query and of the process, until its last clone is
/// dropped. An answer that was made up holds none.
#[derive(Clone, Debug, Default)]
pub struct AnswerMemory(Option<Arc<MemoryReservation>>);

impl AnswerMemory {
    pub(crate) fn hold(&mut self, account: Arc<MemoryReservation>) {
        self.0 = Some(account);
    }
}

impl PartialEq for AnswerMemory {
    /// Answers are equal by what they say.
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
    /// No label set twice. In the order that the query asks for (`sort`, `topk`), else sorted by
    /// labels.
    Vector(Vec<InstantSeries>),
    /// Sorted by labels, no label set twice, no series without points.
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
    /// The float, when it is one.
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
    /// (time in ms, value), times ascending. A step without a value has no point.
    pub points: Vec<(i64, f64)>,
    /// (time in ms, histogram), times ascending, none of them in `points`.
    pub histograms: Vec<(i64, FloatHistogram)>,
}
