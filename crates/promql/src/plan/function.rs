//! What the nodes of a plan compute: the functions of the language, with what is fixed about them.

use duramen_model::{GoRegex, Matcher};
use duramen_syntax::PosRange;
use duramen_syntax::ast::BinaryOp;

use crate::kernels::arithmetic;
use crate::kernels::cell::CellFunction;

/// An aggregation whose states merge.
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

/// An aggregation that needs all values of a group at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GroupedAggregation {
    Top,
    Bottom,
    /// As many as asked for, whichever come first.
    Limit,
    /// A share of the series, chosen by their hashes; the rest of them when it is negative.
    LimitRatio,
    Quantile,
    /// The label that gets the value.
    CountValues(String),
}

/// What is computed for each cell by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum CellChange {
    Negate,
    Function(CellFunction),
    /// An operator with a scalar at one side.
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
    /// Whether the result says nothing of the metric any more.
    pub(crate) fn drops_name(self) -> bool {
        match self {
            Self::WithScalar {
                op, return_bool, ..
            } => arithmetic::drops_name(op, return_bool),
            Self::Negate | Self::Function(_) => true,
        }
    }
}

/// What makes a scalar of nothing, or of other scalars.
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
    /// `scalar(v)`: the value of the only series at the step, NaN when there is not exactly one.
    OfVector,
}

/// A function of the buckets of histograms, and of scalars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HistogramFunction {
    /// Of the quantile.
    Quantile,
    /// Of each of the quantiles, with that one in this label.
    Quantiles(String),
    /// Of the lower and the upper bound.
    Fraction,
}

/// Places in the query, for annotations.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HistogramPos {
    pub(crate) histograms: PosRange,
    /// Of each scalar.
    pub(crate) arguments: Vec<PosRange>,
}

/// Which series `info` takes labels from, and which labels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InfoSelection {
    /// Of the names of info series. A series whose name all of them match is an info series itself
    /// and stays as it is.
    pub(crate) names: Vec<Matcher>,
    /// Of the labels that are taken; without any, all are.
    pub(crate) labels: Vec<Matcher>,
}

/// What `label_replace` and `label_join` write into a label.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LabelValue {
    /// The template with the groups of a match of the whole source; nothing changes without a
    /// match.
    Replace {
        source: String,
        pattern: GoRegex,
        template: String,
    },
    /// The sources with the separator between them.
    Join {
        sources: Vec<String>,
        separator: String,
    },
}

/// Which end of the order comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Ascending,
    Descending,
}

/// What `sort` and its kin order by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SortKey {
    /// NaN comes last in both directions.
    Value,
    /// The values of these labels, then all labels.
    Labels(Vec<String>),
}
