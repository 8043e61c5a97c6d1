//! Aggregations whose states merge: per batch below the exchange, and over all batches above it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, BinaryBuilder, FixedSizeListArray, Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use duramen_model::{LabelsBuilder, METRIC_NAME};
use duramen_syntax::PosRange;
use futures::{TryStreamExt, stream};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::annotation::Annotations;
use crate::exec::operator::{Operator, reservation};
use crate::grid::Grid;
use crate::kernels::aggregate::{Average, Count, Deviation, Group, Maximum, Minimum, State, Sum, Variance};
use crate::kernels::histogram_total::{HistogramTotal, Total};
use crate::label_set::{Projection, is_marked, marked, unmarked, value_of};
use crate::remark::Remark;
use crate::vector::{
    self, Cell, HistogramColumns, HistogramRow, Row, VectorBatch, VectorBuilder, cells_column, decoded, downcast,
};

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

    /// What becomes of histograms.
    const fn of_histograms(self) -> OfHistograms {
        match self {
            Self::Average => OfHistograms::Totalled(Total::Mean),
            Self::Sum => OfHistograms::Totalled(Total::Sum),
            Self::Count | Self::Group => OfHistograms::Counted,
            Self::Deviation | Self::Maximum | Self::Minimum | Self::Variance => OfHistograms::Ignored,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OfHistograms {
    /// As values are, whichever they are.
    Counted,
    Totalled(Total),
    Ignored,
}

/// What is left of the histograms of one group at one step.
#[derive(Debug)]
enum Held {
    Total(Box<HistogramTotal>),
    /// Some had custom buckets and others had not.
    Mixed,
}

/// The groups so far, in the order in which they came up.
#[derive(Debug)]
struct Groups<S> {
    steps: usize,
    ids: HashMap<Box<[u8]>, usize>,
    labels: Vec<Box<[u8]>>,
    /// Of each group, whether the name of any of its series is to go.
    marked: Vec<bool>,
    /// State of step `s` of group `g` at `g * steps + s`.
    states: Vec<S>,
    /// Of group and step, each as [`named`] writes it: they are totalled at the end only, in the order of the series.
    histograms: Vec<Vec<(usize, Vec<u8>)>>,
    histogram_bytes: usize,
}

/// Ends the metric name in front of a histogram: no name has this byte.
const NAME_END: u8 = 0xff;

/// A histogram behind the name of its metric.
fn named(name: &str, histogram: &[u8]) -> Vec<u8> {
    [name.as_bytes(), &[NAME_END], histogram].concat()
}

impl<S: State> Groups<S> {
    fn new(steps: usize) -> Self {
        Self {
            steps,
            ids: HashMap::new(),
            labels: Vec::new(),
            marked: Vec::new(),
            states: Vec::new(),
            histograms: Vec::new(),
            histogram_bytes: 0,
        }
    }

    /// The states of the group with these labels.
    fn group(&mut self, labels: &[u8]) -> &mut [S] {
        let id = self.id(labels);
        &mut self.states[id * self.steps..(id + 1) * self.steps]
    }

    fn id(&mut self, labels: &[u8]) -> usize {
        match self.ids.get(labels) {
            Some(&id) => id,
            None => {
                let id = self.labels.len();
                self.ids.insert(labels.into(), id);
                self.labels.push(labels.into());
                self.marked.push(false);
                self.states.resize(self.states.len() + self.steps, S::default());
                self.histograms.push(Vec::new());
                id
            }
        }
    }

    /// Notes whether the name of a series of the group is to go.
    fn mark(&mut self, labels: &[u8], series: &[u8]) {
        let id = self.id(labels);
        self.marked[id] |= is_marked(series);
    }

    /// The labels of each group, with the mark if it has one.
    fn labels(&self) -> impl Iterator<Item = Cow<'_, [u8]>> {
        let labels = self.labels.iter().zip(&self.marked);
        labels.map(|(labels, mark)| if *mark { marked(labels).into_vec().into() } else { Cow::from(&**labels) })
    }

    /// Adds the histograms of a row, which are counted as values or held for their total.
    fn add_histograms(&mut self, labels: &[u8], row: &Row<'_>, of: OfHistograms) {
        let id = self.id(labels);
        let name = value_of(row.labels, METRIC_NAME);
        for (step, histogram) in row.histograms.iter() {
            match of {
                OfHistograms::Counted => self.states[id * self.steps + step].add(1.0),
                OfHistograms::Totalled(_) => self.hold(id, step, named(name, histogram)),
                OfHistograms::Ignored => {}
            }
        }
    }

    fn hold(&mut self, id: usize, step: usize, histogram: Vec<u8>) {
        self.histogram_bytes += histogram.len() + size_of::<(usize, Vec<u8>)>();
        self.histograms[id].push((step, histogram));
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
        let fields: Vec<&[f64]> = batch.columns()[STATES..].iter().map(numbers).collect();
        let steps = self.steps;
        for (row, encoded) in labels.iter().flatten().enumerate() {
            let labels = unmarked(encoded);
            self.mark(labels, encoded);
            let id = self.id(labels);
            for (step, histogram) in HistogramRow::of(batch, HISTOGRAMS, row).iter() {
                self.hold(id, step, histogram.to_vec());
            }
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
        self.states.capacity() * size_of::<S>() + labels + self.histogram_bytes
    }

    fn into_states(self) -> RecordBatch {
        let mut labels = BinaryBuilder::new();
        self.labels().for_each(|group| labels.append_value(group));
        let mut histograms = HistogramColumns::default();
        for group in &self.histograms {
            group.iter().for_each(|(step, histogram)| histograms.push(*step, histogram));
            histograms.end_row();
        }
        let [steps, histograms] = histograms.finish();
        let mut columns: Vec<ArrayRef> = vec![Arc::new(labels.finish()), steps, histograms];
        for field in 0..S::FIELDS {
            columns.push(cells_column(self.states.iter().map(|state| state.field(field)).collect(), None, self.steps));
        }
        RecordBatch::try_new(state_schema(S::FIELDS, self.steps), columns).expect("the columns fit the schema")
    }

    fn into_vectors(self, grid: &Grid, of: OfHistograms, remark: &mut dyn FnMut(Remark<'_>)) -> Vec<RecordBatch> {
        let mut out = VectorBuilder::new(grid);
        for (id, labels) in self.labels().enumerate() {
            let float = |step: usize| self.states[id * self.steps + step].finish();
            let (OfHistograms::Totalled(total), [_, ..]) = (of, &self.histograms[id][..]) else {
                out.push(&labels, float);
                continue;
            };
            let mut totals = totals(total, &self.histograms[id], remark);
            out.push_cells(&labels, |step| match (float(step), totals.remove(&step)) {
                (float, None) => float.map(Cell::Float),
                (Some(_), Some(_)) => {
                    remark(Remark::MixedSamplesInAggregation);
                    None
                }
                (None, Some(Held::Total(total))) => Some(Cell::from(total.finish(remark))),
                (None, Some(Held::Mixed)) => None,
            });
        }
        out.finish()
    }
}

/// The totals of the histograms of one group by step.
fn totals(total: Total, histograms: &[(usize, Vec<u8>)], remark: &mut dyn FnMut(Remark<'_>)) -> HashMap<usize, Held> {
    let mut totals: HashMap<usize, Held> = HashMap::new();
    for (step, bytes) in histograms {
        let end = bytes.iter().position(|byte| *byte == NAME_END).expect("a name ends");
        let histogram = decoded(&bytes[end + 1..]);
        match totals.entry(*step) {
            Entry::Vacant(entry) => {
                entry.insert(Held::Total(Box::new(HistogramTotal::of(total, histogram))));
            }
            Entry::Occupied(mut entry) => {
                if let Held::Total(held) = entry.get_mut()
                    && held.add(histogram).is_err()
                {
                    remark(Remark::MixedSchemas(&String::from_utf8_lossy(&bytes[..end])));
                    entry.insert(Held::Mixed);
                }
            }
        }
    }
    totals
}

fn numbers(column: &ArrayRef) -> &[f64] {
    downcast::<Float64Array>(downcast::<FixedSizeListArray>(column).values()).values()
}

/// Where the histograms of a group stand among the columns of its state, and where the numbers.
const HISTOGRAMS: usize = 1;
const STATES: usize = 3;

/// `labels`: of a group. The steps and the histograms that are to be totalled, several of a step. Then one column per number of the state, with a cell per step.
fn state_schema(fields: usize, steps: usize) -> SchemaRef {
    let vectors = vector::schema(steps);
    let cells = vectors.field(1).data_type().clone();
    let histograms = [2, 3].map(|at| vectors.field(at).clone());
    let states = (0..fields).map(|field| Field::new(format!("state_{field}"), cells.clone(), false));
    Arc::new(Schema::new(
        std::iter::once(Field::new("labels", DataType::Binary, false))
            .chain(histograms)
            .chain(states)
            .collect::<Vec<_>>(),
    ))
}

/// One batch of vectors in, one batch of group states out, even if empty.
#[derive(Debug)]
pub(crate) struct PartialAggregate {
    pub(crate) aggregation: Aggregation,
    pub(crate) projection: Projection,
    pub(crate) grid: Grid,
    pub(crate) annotations: Annotations,
    /// Of the input, for remarks.
    pub(crate) pos: PosRange,
}

impl PartialAggregate {
    fn aggregate<S: State>(&self, batch: RecordBatch) -> RecordBatch {
        let mut groups = Groups::<S>::new(self.grid.steps);
        let mut labels = LabelsBuilder::default();
        let (of_histograms, mut ignored) = (self.aggregation.of_histograms(), false);
        for row in VectorBatch::new(batch, self.grid.steps).rows() {
            self.projection.apply(row.labels, &mut labels);
            groups.add(labels.encoded(), &row);
            groups.mark(labels.encoded(), row.labels);
            if row.has_histograms() {
                groups.add_histograms(labels.encoded(), &row, of_histograms);
                ignored |= of_histograms == OfHistograms::Ignored;
            }
        }
        if ignored {
            self.annotations.add(Remark::IgnoredInAggregation(self.aggregation.name()), self.pos);
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
    pub(crate) annotations: Annotations,
    /// Of the input, for remarks.
    pub(crate) pos: PosRange,
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
        let mut remark = |remark: Remark<'_>| self.annotations.add(remark, self.pos);
        let batches = groups.into_vectors(&self.grid, self.aggregation.of_histograms(), &mut remark);
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
