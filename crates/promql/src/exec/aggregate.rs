//! Aggregations whose states merge: per batch below the exchange, and over all batches above it.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, BinaryBuilder, FixedSizeListArray, Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use duramen_model::LabelsBuilder;
use futures::{TryStreamExt, stream};
use hashbrown::HashMap;

use crate::exec::operator::{Operator, reservation};
use crate::grid::Grid;
use crate::kernels::aggregate::{Average, Count, Deviation, Group, Maximum, Minimum, State, Sum, Variance};
use crate::label_set::Projection;
use crate::vector::{self, Row, VectorBatch, VectorBuilder, cells_column, downcast};

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

/// Runs `$body` with `$state` standing for the state of an aggregation.
macro_rules! with_state {
    ($aggregation:expr, $state:ident => $body:expr) => {
        match $aggregation {
            Aggregation::Average => {
                type $state = Average;
                $body
            }
            Aggregation::Count => {
                type $state = Count;
                $body
            }
            Aggregation::Deviation => {
                type $state = Deviation;
                $body
            }
            Aggregation::Group => {
                type $state = Group;
                $body
            }
            Aggregation::Maximum => {
                type $state = Maximum;
                $body
            }
            Aggregation::Minimum => {
                type $state = Minimum;
                $body
            }
            Aggregation::Sum => {
                type $state = Sum;
                $body
            }
            Aggregation::Variance => {
                type $state = Variance;
                $body
            }
        }
    };
}

/// The groups so far, in the order in which they came up.
#[derive(Debug)]
struct Groups<S> {
    steps: usize,
    ids: HashMap<Box<[u8]>, usize>,
    labels: Vec<Box<[u8]>>,
    /// State of step `s` of group `g` at `g * steps + s`.
    states: Vec<S>,
}

impl<S: State> Groups<S> {
    fn new(steps: usize) -> Self {
        Self { steps, ids: HashMap::new(), labels: Vec::new(), states: Vec::new() }
    }

    /// The states of the group with these labels.
    fn group(&mut self, labels: &[u8]) -> &mut [S] {
        let id = match self.ids.get(labels) {
            Some(&id) => id,
            None => {
                let id = self.labels.len();
                self.ids.insert(labels.into(), id);
                self.labels.push(labels.into());
                self.states.resize(self.states.len() + self.steps, S::default());
                id
            }
        };
        &mut self.states[id * self.steps..(id + 1) * self.steps]
    }

    fn add(&mut self, labels: &[u8], row: &Row<'_>) {
        let states = self.group(labels);
        if let Some(values) = row.whole() {
            states.iter_mut().zip(values).for_each(|(state, &value)| state.add(value));
            return;
        }
        for (step, state) in states.iter_mut().enumerate() {
            if let Some(value) = row.get(step) {
                state.add(value);
            }
        }
    }

    /// Takes up a batch of [`state_schema`].
    fn merge(&mut self, batch: &RecordBatch) {
        let labels: &BinaryArray = downcast(batch.column(0));
        let fields: Vec<&[f64]> = batch.columns()[1..].iter().map(numbers).collect();
        let steps = self.steps;
        for (row, labels) in labels.iter().flatten().enumerate() {
            for (step, state) in self.group(labels).iter_mut().enumerate() {
                let mut other = S::default();
                for (field, numbers) in fields.iter().enumerate() {
                    other.set_field(field, numbers[row * steps + step]);
                }
                state.merge(&other);
            }
        }
    }

    fn bytes(&self) -> usize {
        let labels: usize = self.labels.iter().map(|labels| 2 * labels.len() + 64).sum();
        self.states.capacity() * size_of::<S>() + labels
    }

    fn into_states(self) -> RecordBatch {
        let mut labels = BinaryBuilder::new();
        self.labels.iter().for_each(|group| labels.append_value(group));
        let mut columns: Vec<ArrayRef> = vec![Arc::new(labels.finish())];
        for field in 0..S::FIELDS {
            columns.push(cells_column(self.states.iter().map(|state| state.field(field)).collect(), None, self.steps));
        }
        RecordBatch::try_new(state_schema(S::FIELDS, self.steps), columns).expect("the columns fit the schema")
    }

    fn into_vectors(self, grid: &Grid) -> Vec<RecordBatch> {
        let mut out = VectorBuilder::new(grid);
        for (id, labels) in self.labels.iter().enumerate() {
            out.push(labels, |step| self.states[id * self.steps + step].finish());
        }
        out.finish()
    }
}

fn numbers(column: &ArrayRef) -> &[f64] {
    downcast::<Float64Array>(downcast::<FixedSizeListArray>(column).values()).values()
}

/// `labels`: of a group. Then one column per number of the state, with a cell per step.
fn state_schema(fields: usize, steps: usize) -> SchemaRef {
    let cells = vector::schema(steps).field(1).data_type().clone();
    let states = (0..fields).map(|field| Field::new(format!("state_{field}"), cells.clone(), false));
    Arc::new(Schema::new(
        std::iter::once(Field::new("labels", DataType::Binary, false)).chain(states).collect::<Vec<_>>(),
    ))
}

/// One batch of vectors in, one batch of group states out, even if empty.
#[derive(Debug)]
pub(crate) struct PartialAggregate {
    pub(crate) aggregation: Aggregation,
    pub(crate) projection: Projection,
    pub(crate) grid: Grid,
}

impl PartialAggregate {
    fn aggregate<S: State>(&self, batch: RecordBatch) -> RecordBatch {
        let mut groups = Groups::<S>::new(self.grid.steps);
        let mut labels = LabelsBuilder::default();
        for row in VectorBatch::new(batch, self.grid.steps).rows() {
            self.projection.apply(row.labels, &mut labels);
            groups.add(labels.encoded(), &row);
        }
        groups.into_states()
    }
}

fn describe(f: &mut fmt::Formatter<'_>, mode: &str, aggregation: Aggregation, projection: &Projection) -> fmt::Result {
    write!(f, "mode={mode}, aggregation={aggregation:?}, labels={projection:?}")
}

impl Operator for PartialAggregate {
    const NAME: &'static str = "PartialAggregateExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(f, "partial", self.aggregation, &self.projection)
    }

    fn schema(&self) -> SchemaRef {
        with_state!(self.aggregation, S => state_schema(S::FIELDS, self.grid.steps))
    }

    fn partitions(&self, inputs: &[Arc<dyn ExecutionPlan>]) -> usize {
        inputs[0].output_partitioning().partition_count()
    }

    fn execute(
        self: &Arc<Self>,
        inputs: &[Arc<dyn ExecutionPlan>],
        partition: usize,
        context: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let operator = Arc::clone(self);
        let stream = inputs[0]
            .execute(partition, Arc::clone(context))?
            .map_ok(move |batch| with_state!(operator.aggregation, S => operator.aggregate::<S>(batch)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }
}

/// Group states in, vectors out. States merge in the order of the batches.
#[derive(Debug)]
pub(crate) struct FinalAggregate {
    pub(crate) aggregation: Aggregation,
    pub(crate) projection: Projection,
    pub(crate) grid: Grid,
}

impl FinalAggregate {
    async fn aggregate<S: State>(
        &self,
        mut input: SendableRecordBatchStream,
        account: &MemoryReservation,
    ) -> Result<Vec<RecordBatch>> {
        let mut groups = Groups::<S>::new(self.grid.steps);
        while let Some(batch) = input.try_next().await? {
            // Ahead of the merge: at worst every group of the batch is new.
            account.try_resize(groups.bytes() + batch.get_array_memory_size())?;
            groups.merge(&batch);
        }
        account.try_resize(2 * groups.bytes())?;
        let batches = groups.into_vectors(&self.grid);
        account.try_resize(batches.iter().map(RecordBatch::get_array_memory_size).sum())?;
        Ok(batches)
    }
}

impl Operator for FinalAggregate {
    const NAME: &'static str = "FinalAggregateExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(f, "final", self.aggregation, &self.projection)
    }

    fn schema(&self) -> SchemaRef {
        vector::schema(self.grid.steps)
    }

    fn execute(
        self: &Arc<Self>,
        inputs: &[Arc<dyn ExecutionPlan>],
        _: usize,
        context: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = inputs[0].execute(0, Arc::clone(context))?;
        let (operator, account) = (Arc::clone(self), reservation(Self::NAME, context));
        let output = async move {
            let batches = with_state!(operator.aggregation, S => operator.aggregate::<S>(input, &account).await)?;
            Ok::<_, DataFusionError>(stream::iter(batches.into_iter().map(move |batch| {
                let _held = &account;
                Ok(batch)
            })))
        };
        let stream = stream::once(output).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }
}
