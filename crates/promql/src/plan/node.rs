//! The typed logical plan.

use std::sync::Arc;

use duramen_model::{Labels, Matcher, TimeRange};
use duramen_syntax::PosRange;
use duramen_syntax::ast::{BinaryOp, VectorMatching};

use crate::grid::Grid;
use crate::label_set::Projection;
use crate::name_removal::{NameLabels, NameRemoval, RemovalTime};
use crate::plan::function::{
    Aggregation, CellChange, Direction, GroupedAggregation, HistogramFunction, HistogramPos,
    InfoSelection, LabelValue, ScalarFunction, SortKey,
};
use crate::plan::lookup::{HistogramParts, Lookup, StepFunction, StepPos};
use crate::plan::rollup::Rollup;
use duramen_syntax::on_growing_stack;

/// An expression with times, defaults and types resolved.
#[derive(Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) node: Node,
    /// The steps at which it is evaluated.
    pub(crate) grid: Grid,
    pub(crate) names: Names,
}

/// Which metric names the series of a vector may have. If all have the same name, series stay
/// distinct without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// No series has a name.
    None,
    /// All series have this name.
    One(String),
    Any,
}

/// The operations of a plan. In every vector, label sets are distinct.
#[derive(Debug, PartialEq)]
pub(crate) enum Node {
    Scalar {
        function: ScalarFunction,
        inputs: Vec<Plan>,
    },
    /// A selector, with the range function that is applied to it.
    Steps {
        series: Series,
        lookup: Lookup,
        function: StepFunction,
        arguments: Vec<Plan>,
        parts: HistogramParts,
        pos: StepPos,
        /// The rollups that are read in place of the samples.
        rollup: Option<Rollup>,
    },
    /// A selector of which only the presence counts. The values of its cells are of no use.
    Presence {
        selector: Box<Plan>,
        /// The labels that the aggregation keeps; `None` if they have no list.
        names: Option<Vec<String>>,
    },
    /// Repeats the only step of its input at every step.
    Repeat {
        input: Box<Plan>,
    },
    /// Merges series whose label sets have become equal.
    Merge {
        input: Box<Plan>,
    },
    /// Drops the names that are marked.
    RemoveNames {
        names: NameLabels,
        input: Box<Plan>,
    },
    Aggregate {
        aggregation: Aggregation,
        projection: Projection,
        input: Box<Plan>,
        pos: PosRange,
    },
    /// The second input is the parameter.
    Grouped {
        aggregation: GroupedAggregation,
        projection: Projection,
        inputs: Vec<Plan>,
        pos: PosRange,
        input_pos: PosRange,
    },
    /// The first input is the vector, the others are the scalars.
    Map {
        change: CellChange,
        inputs: Vec<Plan>,
        pos: PosRange,
    },
    Binary {
        op: BinaryOp,
        return_bool: bool,
        matching: VectorMatching,
        inputs: Vec<Plan>,
        pos: PosRange,
    },
    /// The first input has the buckets, the others are the scalars.
    Histogram {
        function: HistogramFunction,
        inputs: Vec<Plan>,
        /// The positions of the first argument, of the buckets, and of each quantile.
        pos: HistogramPos,
    },
    /// The second input tells when the info series were written. It is a selector that reads only
    /// the info series of the targets in the first input.
    Info {
        inputs: Vec<Plan>,
        selection: InfoSelection,
    },
    Absent {
        labels: Labels,
        input: Box<Plan>,
    },
    Sort {
        key: SortKey,
        direction: Direction,
        input: Box<Plan>,
        pos: PosRange,
    },
    Relabel {
        target: String,
        value: LabelValue,
        input: Box<Plan>,
    },
}

/// Where samples come from.
#[derive(Debug, PartialEq)]
pub(crate) enum Series {
    Scan {
        matchers: Arc<[Matcher]>,
        range: TimeRange,
    },
    /// The values of an expression on a grid of its own.
    Subquery(Box<Plan>),
}

/// Drops a plan without recursion, because a chain of operators may be very deep.
impl Drop for Plan {
    fn drop(&mut self) {
        let empty = Node::Scalar {
            function: ScalarFunction::Number(0.0),
            inputs: Vec::new(),
        };

        on_growing_stack(|| drop(std::mem::replace(&mut self.node, empty)));
    }
}

impl Plan {
    pub(crate) fn scalar(function: ScalarFunction, inputs: Vec<Self>, grid: Grid) -> Self {
        Self {
            node: Node::Scalar { function, inputs },
            grid,
            names: Names::None,
        }
    }

    /// Returns the plan for an operator on `self` that drops metric names. If series may become
    /// equal by that, the plan merges them.
    pub(crate) fn without_names(self, removal: NameRemoval) -> Self {
        if removal.time == RemovalTime::AtTheEnd {
            return self;
        }

        // Series with the same name may still differ in their types.
        if self.names != Names::Any && removal.labels == NameLabels::Name {
            let mut nameless = self;
            nameless.names = Names::None;
            return nameless;
        }

        let grid = self.grid;
        Self {
            node: Node::Merge {
                input: Box::new(self),
            },
            grid,
            names: Names::None,
        }
    }
}
