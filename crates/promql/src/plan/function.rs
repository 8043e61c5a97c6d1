//! What the nodes of a plan compute: the functions of PromQL with their constant arguments.

use duramen_model::{GoRegex, Matcher};
use duramen_syntax::PosRange;
use duramen_syntax::ast::BinaryOp;

use crate::kernels::arithmetic;
use crate::kernels::cell::CellFunction;

/// An aggregation whose partial states can be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aggregation {
    Average,
    Count,
    Deviation,
    Group,
    Maximum,
    Minimum,
    Sum,
    Variance,
}

/// An aggregation that needs all values of a group at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GroupedAggregation {
    Top,
    Bottom,
    /// The first so many series, in no particular order.
    Limit,
    /// A share of the series, chosen by their hashes. If the ratio is negative, the complement of
    /// that share.
    LimitRatio,
    Quantile,
    /// The label that receives the value.
    CountValues(String),
}

/// What is computed for each cell separately.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum CellChange {
    Negate,
    Function(CellFunction),
    /// An operator with a scalar on one side.
    WithScalar {
        op: BinaryOp,
        return_bool: bool,
        scalar: Side,
    },
}

/// A side of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

impl CellChange {
    /// Returns whether the result no longer belongs to the metric.
    pub(crate) fn drops_name(self) -> bool {
        match self {
            Self::WithScalar {
                op, return_bool, ..
            } => arithmetic::drops_name(op, return_bool),
            Self::Negate | Self::Function(_) => true,
        }
    }
}

/// Computes a scalar without inputs, or from other scalars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ScalarFunction {
    Number(f64),
    /// The time of the step, in seconds.
    Time,
    Negate,
    Binary(BinaryOp),
    /// The smaller of two.
    MinOf,
    /// The larger of two.
    MaxOf,
    /// `scalar(v)`: the value of the only series at the step. NaN if there is not exactly one
    /// series.
    OfVector,
}

/// A function of the buckets of histograms, and of scalars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HistogramFunction {
    /// The scalar is the quantile.
    Quantile,
    /// The scalars are the quantiles. The label receives the quantile of each result.
    Quantiles(String),
    /// The scalars are the lower and the upper bound.
    Fraction,
}

/// Positions in the query, for annotations.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HistogramPos {
    pub(crate) histograms: PosRange,
    /// The position of each scalar.
    pub(crate) arguments: Vec<PosRange>,
}

/// Which series `info` takes labels from, and which labels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InfoSelection {
    /// Matchers of the names of info series. A series whose name satisfies all of them is an info
    /// series itself and stays unchanged.
    pub(crate) names: Vec<Matcher>,
    /// Matchers of the labels to take. If there are none, all labels are taken.
    pub(crate) labels: Vec<Matcher>,
}

/// What `label_replace` and `label_join` write into a label.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LabelValue {
    /// The template, with the groups of a match of the whole source. Without a match, the label
    /// stays unchanged.
    Replace {
        source: String,
        pattern: GoRegex,
        template: String,
    },
    /// The sources, joined with the separator.
    Join {
        sources: Vec<String>,
        separator: String,
    },
}

/// The direction of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Ascending,
    Descending,
}

/// What `sort` and similar functions order by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SortKey {
    /// NaN comes last in both directions.
    Value,
    /// The values of these labels, then all labels.
    Labels(Vec<String>),
}
