//! The warnings and infos about samples that come with an answer, in the words of Prometheus.
//!
//! An operator makes an [`Annotation`] and gives it to the [`collector::Annotations`] of its query,
//! with its position in the text. Annotations of classic histograms are summed up first
//! ([`forced`]).

pub(crate) mod collector;
pub(crate) mod forced;

use std::fmt;

use duramen_model::quoted::quote;

use duramen_syntax::ast::BinaryOp;

/// An annotation on an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Annotation<'a> {
    /// A window of a metric has floats and histograms.
    MixedSamples(&'a str),
    MixedSamplesInAggregation,
    /// Histograms of a metric have exponential and custom buckets.
    MixedSchemas(&'a str),
    MixedClassicAndNative(&'a str),
    NotACounter(&'a str),
    NotAGauge(&'a str),
    HintsCollide(Operation),
    BoundsReconciled(Operation),
    IgnoredInAggregation(&'a str),
    IgnoredInRange(&'a str),
    IncompatibleLayout(BinaryOp),
    IncompatibleTypes {
        op: BinaryOp,
        left: Kind,
        right: Kind,
    },
    NanQuantile(&'a str),
    SkewedQuantile(&'a str),
    NanFraction(&'a str),
    StartTimesOverlap(&'a str),
}

/// What was done with histograms, as annotations name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Addition,
    Subtraction,
    Aggregation,
}

/// What a sample is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Float,
    Histogram,
}

impl Annotation<'_> {
    /// Returns whether the answer may differ from what was asked for.
    pub(crate) const fn is_warning(&self) -> bool {
        match self {
            Self::MixedSamples(_)
            | Self::MixedSamplesInAggregation
            | Self::MixedSchemas(_)
            | Self::MixedClassicAndNative(_)
            | Self::NotACounter(_)
            | Self::NotAGauge(_)
            | Self::HintsCollide(_)
            | Self::IncompatibleLayout(_)
            | Self::StartTimesOverlap(_) => true,
            Self::BoundsReconciled(_)
            | Self::IgnoredInAggregation(_)
            | Self::IgnoredInRange(_)
            | Self::IncompatibleTypes { .. }
            | Self::NanQuantile(_)
            | Self::SkewedQuantile(_)
            | Self::NanFraction(_) => false,
        }
    }
}

impl fmt::Display for Annotation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MixedSamples(name) => {
                write!(f, "encountered a mix of histograms and floats for metric name {}", quote(name))
            }
            Self::MixedSamplesInAggregation => {
                f.write_str("encountered a mix of histograms and floats for aggregation")
            }
            Self::MixedSchemas(name) => write!(
                f,
                "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {}",
                quote(name)
            ),
            Self::MixedClassicAndNative(name) => {
                f.write_str(&of_metric("vector contains a mix of classic and native histograms", name))
            }
            Self::NotACounter(name) => write!(f, "this native histogram metric is not a counter: {}", quote(name)),
            Self::NotAGauge(name) => write!(f, "this native histogram metric is not a gauge: {}", quote(name)),
            Self::HintsCollide(operation) => write!(f, "conflicting counter resets during histogram {operation}"),
            Self::BoundsReconciled(operation) => {
                write!(f, "mismatched custom buckets were reconciled during {operation}")
            }
            Self::IgnoredInAggregation(aggregation) => write!(f, "ignored histogram in {aggregation} aggregation"),
            Self::IgnoredInRange(name) => write!(
                f,
                "ignored histograms in a range containing both floats and histograms for metric name {}",
                quote(name)
            ),
            Self::IncompatibleLayout(op) => {
                write!(f, "incompatible bucket layout encountered for binary operator {}", op.as_str())
            }
            Self::IncompatibleTypes { op, left, right } => {
                let op = op.as_str();
                write!(f, "incompatible sample types encountered for binary operator {op:?}: {left} {op} {right}")
            }
            Self::NanQuantile(name) => {
                f.write_str(&of_metric("input to histogram_quantile has NaN observations, result is NaN", name))
            }
            Self::SkewedQuantile(name) => f.write_str(&of_metric(
                "input to histogram_quantile has NaN observations, result is skewed higher",
                name,
            )),
            Self::NanFraction(name) => f.write_str(&of_metric(
                "input to histogram_fraction has NaN observations, which are excluded from all fractions",
                name,
            )),
            Self::StartTimesOverlap(name) => {
                write!(
                    f,
                    "sample has start time that overlaps with previous sample timestamp for metric {}",
                    quote(name)
                )
            }
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float => "float",
            Self::Histogram => "histogram",
        })
    }
}

/// Returns `text` about a metric. The name of the metric may be gone.
pub(crate) fn of_metric(text: &str, name: &str) -> String {
    if name.is_empty() {
        text.to_owned()
    } else {
        format!("{text} for metric name {}", quote(name))
    }
}
