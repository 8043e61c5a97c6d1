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
use duramen_syntax::deep;

/// An expression with everything settled that the text leaves open: times, defaults, types.
#[derive(Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) node: Node,
    /// Where it is evaluated.
    pub(crate) grid: Grid,
    pub(crate) names: Names,
}

/// Which metric names the series of a vector may have. Series of one name stay distinct without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// No series has a name.
    None,
    /// All have this one.
    One(String),
    Any,
}

/// Every vector has each label set once.
#[derive(Debug, PartialEq)]
pub(crate) enum Node {
    Scalar {
        function: ScalarFunction,
        inputs: Vec<Plan>,
    },
    /// A selector, with the range function over it.
    Steps {
        series: Series,
        lookup: Lookup,
        function: StepFunction,
        arguments: Vec<Plan>,
        parts: HistogramParts,
        pos: StepPos,
    },
    /// Its input has one step.
    Repeat {
        input: Box<Plan>,
    },
    /// Makes label sets distinct again.
    Merge {
        input: Box<Plan>,
    },
    /// Takes the names away that are marked to go.
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
    /// The parameter is the second input.
    Grouped {
        aggregation: GroupedAggregation,
        projection: Projection,
        inputs: Vec<Plan>,
        pos: PosRange,
        input_pos: PosRange,
    },
    /// The scalars stand behind the vector.
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
    /// The scalars stand behind the buckets.
    Histogram {
        function: HistogramFunction,
        inputs: Vec<Plan>,
        /// Of the first argument, of the buckets, and of each quantile.
        pos: HistogramPos,
    },
    /// The second input tells when the info series were written: it is a selector, which reads
    /// those of the targets of the first input alone.
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

/// A chain of operators is as high as it is long.
impl Drop for Plan {
    fn drop(&mut self) {
        let empty = Node::Scalar {
            function: ScalarFunction::Number(0.0),
            inputs: Vec::new(),
        };

        deep(|| drop(std::mem::replace(&mut self.node, empty)));
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

    /// The plan that stands on `self`, whose operator takes the metric names away: with a merge
    /// when series may then be alike.
    pub(crate) fn without_names(self, removal: NameRemoval) -> Self {
        if removal.time == RemovalTime::AtTheEnd {
            return self;
        }

        // Series of one name may differ in their types.
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
