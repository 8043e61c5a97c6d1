//! The value of an expression at one time.

use std::collections::BTreeSet;

use super::histogram::Histogram;
use super::labels::{LabelSet, unnamed};

#[derive(Clone, Debug)]
pub enum Value {
    Scalar(f64),
    /// No label set occurs twice. The order matters only for expressions that sort.
    Vector(Vector),
}

pub type Vector = Vec<Element>;

/// One series of a vector.
#[derive(Clone, Debug)]
pub struct Element {
    pub labels: LabelSet,
    /// Whether the metric name is removed from the answer.
    pub nameless: bool,
    pub sample: Sample,
}

impl Element {
    pub(super) fn new(labels: LabelSet, sample: impl Into<Sample>) -> Self {
        Self {
            labels,
            nameless: false,
            sample: sample.into(),
        }
    }
}

#[derive(Clone, Debug)]
pub enum Sample {
    Float(f64),
    Histogram(Box<Histogram>),
}

impl Sample {
    pub fn float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Histogram(_) => None,
        }
    }

    pub(super) fn histogram(&self) -> Option<&Histogram> {
        match self {
            Self::Float(_) => None,
            Self::Histogram(histogram) => Some(histogram),
        }
    }

    /// Whether this is a stale marker: the series ended here.
    pub(super) fn is_stale(&self) -> bool {
        match self {
            Self::Float(value) => duramen_model::is_stale(*value),
            Self::Histogram(histogram) => duramen_model::is_stale(histogram.sum),
        }
    }
}

impl From<f64> for Sample {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<Histogram> for Sample {
    fn from(histogram: Histogram) -> Self {
        Self::Histogram(Box::new(histogram))
    }
}

/// The reason why there is no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The query fails: two results have the same labels, a matching is ambiguous, or a parameter
    /// is invalid.
    #[error("{0}")]
    Fails(&'static str),
    /// The language allows several values.
    #[error("any of several: {0}")]
    Open(&'static str),
    /// This evaluator does not support it.
    #[error("not known here: {0}")]
    Beyond(String),
}

impl Value {
    /// Returns the value as the answer has it. Names that are marked for removal are removed.
    pub(super) fn finished(self) -> Result<Self, Fault> {
        let Self::Vector(vector) = self else {
            return Ok(self);
        };
        let finished = vector.into_iter().map(|element| match element.nameless {
            true => Element {
                labels: unnamed(element.labels),
                nameless: false,
                ..element
            },
            false => element,
        });

        Ok(Self::Vector(distinct(finished.collect())?))
    }
}

/// Returns the vector, or an error if two elements have the same labels.
pub(super) fn distinct(vector: Vector) -> Result<Vector, Fault> {
    let sets: BTreeSet<&LabelSet> = vector.iter().map(|element| &element.labels).collect();
    if sets.len() < vector.len() {
        return Err(Fault::Fails(
            "vector cannot contain metrics with the same labelset",
        ));
    }

    Ok(vector)
}
