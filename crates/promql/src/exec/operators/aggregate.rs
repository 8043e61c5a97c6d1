//! Aggregations with states that can be merged: per batch below the exchange, and over all batches
//! above it.

mod groups;

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion_common::error::Result;
use datafusion_execution::SendableRecordBatchStream;
use datafusion_physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use duramen_model::LabelsBuilder;
use duramen_syntax::PosRange;
use futures::TryStreamExt;
use groups::{Groups, OfHistograms, state_schema};

use crate::annotation::Annotation;
use crate::exec::support::allowance::Allowance;
use crate::exec::support::execution::Execution;
use crate::exec::support::operator::Operator;
use crate::grid::Grid;
use crate::kernels::aggregate::{
    AggregateState, Average, Count, Deviation, Group, Maximum, Minimum, Sum, Variance,
};
use crate::kernels::histogram_total::Total;
use crate::label_set::Projection;
use crate::plan::function::Aggregation;
use crate::vector::{self, VectorBatch};

/// Runs `$body` with `$state` as the type of the aggregation's state. A state has the name of its
/// aggregation.
macro_rules! with_state {
    ($aggregation:expr, $state:ident => $body:expr) => {
        with_state!(
            $aggregation, $state => $body;
            Average Count Deviation Group Maximum Minimum Sum Variance
        )
    };
    ($aggregation:expr, $state:ident => $body:expr; $($kind:ident)*) => {
        match $aggregation {
            $(Aggregation::$kind => {
                type $state = $kind;
                $body
            })*
        }
    };
}

impl Aggregation {
    const fn name(self) -> &'static str {
        match self {
            Self::Average => "avg",
            Self::Count => "count",
            Self::Deviation => "stddev",
            Self::Group => "group",
            Self::Maximum => "max",
            Self::Minimum => "min",
            Self::Sum => "sum",
            Self::Variance => "stdvar",
        }
    }

    /// Returns what this aggregation does with histograms.
    const fn of_histograms(self) -> OfHistograms {
        match self {
            Self::Average => OfHistograms::Totalled(Total::Mean),
            Self::Sum => OfHistograms::Totalled(Total::Sum),
            Self::Count | Self::Group => OfHistograms::Counted,
            Self::Deviation | Self::Maximum | Self::Minimum | Self::Variance => {
                OfHistograms::Ignored
            }
        }
    }
}

/// Turns each batch of vectors into one batch of group states, even if it is empty.
#[derive(Debug, PartialEq)]
pub(crate) struct PartialAggregate {
    pub(crate) aggregation: Aggregation,
    pub(crate) projection: Projection,
    pub(crate) grid: Grid,
    /// The position of the input, for annotations.
    pub(crate) pos: PosRange,
}

impl PartialAggregate {
    fn aggregate<S: AggregateState>(
        &self,
        batch: RecordBatch,
        allowance: &Allowance,
    ) -> Result<RecordBatch> {
        let mut groups = Groups::<S>::new(self.grid.steps);
        let mut labels = LabelsBuilder::default();
        let of_histograms = self.aggregation.of_histograms();
        let mut ignored = false;

        for row in VectorBatch::new(batch, self.grid.steps).rows() {
            allowance.check()?;
            self.projection.apply(row.labels, &mut labels);
            groups.add(labels.encoded(), &row);
            groups.mark(labels.encoded(), row.labels);

            if row.has_histograms() {
                groups.add_histograms(labels.encoded(), &row, of_histograms);
                allowance.hold(groups.bytes())?;
                ignored |= of_histograms == OfHistograms::Ignored;
            }
        }

        if ignored {
            allowance.annotations().add(
                Annotation::IgnoredInAggregation(self.aggregation.name()),
                self.pos,
            );
        }

        allowance.hold(0)?;
        Ok(groups.into_states())
    }
}

fn describe(
    f: &mut fmt::Formatter<'_>,
    mode: &str,
    aggregation: Aggregation,
    projection: &Projection,
) -> fmt::Result {
    write!(
        f,
        "mode={mode}, aggregation={aggregation:?}, labels={projection:?}"
    )
}

impl Operator for PartialAggregate {
    const NAME: &'static str = "PartialAggregateExec";

    type Shared = ();

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(f, "partial", self.aggregation, &self.projection)
    }

    fn schema(&self) -> SchemaRef {
        with_state!(self.aggregation, S => state_schema(S::FIELDS, self.grid.steps))
    }

    fn partitions(&self, inputs: &[Arc<dyn ExecutionPlan>]) -> usize {
        inputs[0].output_partitioning().partition_count()
    }

    fn execute(self: Arc<Self>, execution: Execution<()>) -> Result<SendableRecordBatchStream> {
        let allowance = execution.allowance();

        execution.mapped(
            move |batch| with_state!(self.aggregation, S => self.aggregate::<S>(batch, &allowance)),
        )
    }
}

/// Turns group states into vectors. States are merged in the order of the batches.
#[derive(Debug, PartialEq)]
pub(crate) struct FinalAggregate {
    pub(crate) aggregation: Aggregation,
    pub(crate) projection: Projection,
    pub(crate) grid: Grid,
    /// The position of the input, for annotations.
    pub(crate) pos: PosRange,
}

impl FinalAggregate {
    async fn aggregate<S: AggregateState>(
        &self,
        mut input: SendableRecordBatchStream,
        allowance: &Allowance,
    ) -> Result<Vec<RecordBatch>> {
        let mut groups = Groups::<S>::new(self.grid.steps);
        while let Some(batch) = input.try_next().await? {
            // Memory is reserved before the merge. In the worst case, every group of the batch is
            // new.
            allowance.hold(groups.bytes() + batch.get_array_memory_size())?;
            groups.merge(&batch);
        }

        allowance.hold(2 * groups.bytes())?;

        let annotations = allowance.annotations();
        let mut annotate = |annotation: Annotation<'_>| annotations.add(annotation, self.pos);
        Ok(groups.into_vectors(
            &self.grid,
            self.aggregation.of_histograms(),
            &allowance.cancellation,
            &mut annotate,
        )?)
    }
}

impl Operator for FinalAggregate {
    const NAME: &'static str = "FinalAggregateExec";

    type Shared = ();

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(f, "final", self.aggregation, &self.projection)
    }

    fn schema(&self) -> SchemaRef {
        vector::schema(self.grid.steps)
    }

    fn execute(self: Arc<Self>, execution: Execution<()>) -> Result<SendableRecordBatchStream> {
        let input = execution.input(0)?;

        Ok(execution.whole(move |_, allowance| async move {
            with_state!(self.aggregation, S => self.aggregate::<S>(input, &allowance).await)
        }))
    }
}
