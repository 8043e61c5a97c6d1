//! The groups of an aggregation: a state for each step, and the histograms to total.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BinaryBuilder, FixedSizeListArray, Float64Array, RecordBatch,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use duramen_model::METRIC_NAME;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::annotation::Annotation;
use crate::error::Error;
use crate::exec::support::cancellation::Cancellation;
use crate::grid::Grid;
use crate::kernels::aggregate::AggregateState;
use crate::kernels::histogram_total::{HistogramTotal, Total};
use crate::label_set::{is_marked, marked, unmarked, value_of};
use crate::vector::{
    self, Cell, HistogramColumns, HistogramRow, Row, VectorBuilder, cells_column, decoded, downcast,
};

/// What an aggregation does with histograms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OfHistograms {
    /// They are counted like floats, whatever their values.
    Counted,
    Totalled(Total),
    Ignored,
}

/// The total of the histograms of one group at one step.
#[derive(Debug)]
enum StepTotal {
    Total(Box<HistogramTotal>),
    /// Some had custom buckets and others did not.
    Mixed,
}

/// The groups so far, in the order in which they were first seen.
#[derive(Debug)]
pub(super) struct Groups<S> {
    steps: usize,
    ids: HashMap<Box<[u8]>, usize>,
    labels: Vec<Box<[u8]>>,
    /// The group that was asked for last. Neighbours often share one.
    latest: usize,
    /// By group: whether the name of any of its series is to be dropped.
    marked: Vec<bool>,
    /// The state of step `s` of group `g` is at `g * steps + s`.
    states: Vec<S>,
    /// The histograms by group, each with its step and encoded by [`named`]. They are totalled only
    /// at the end, in the order of the series.
    histograms: Vec<Vec<(usize, Vec<u8>)>>,
    histogram_bytes: usize,
}

/// Returns whether two label sets are equal. A comparison of no bytes at all is left out: on some
/// processors it takes a hundred nanoseconds, because an empty slice points to no memory.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && (a.is_empty() || a == b)
}

/// Ends the metric name in front of a histogram. No name contains this byte.
const NAME_END: u8 = 0xff;

/// Encodes a histogram after the name of its metric.
fn named(name: &str, histogram: &[u8]) -> Vec<u8> {
    [name.as_bytes(), &[NAME_END], histogram].concat()
}

impl<S: AggregateState> Groups<S> {
    pub(super) fn new(steps: usize) -> Self {
        Self {
            steps,
            ids: HashMap::new(),
            labels: Vec::new(),
            latest: 0,
            marked: Vec::new(),
            states: Vec::new(),
            histograms: Vec::new(),
            histogram_bytes: 0,
        }
    }

    /// Returns the states of the group with these labels.
    fn group(&mut self, labels: &[u8]) -> &mut [S] {
        let id = self.id(labels);
        &mut self.states[id * self.steps..(id + 1) * self.steps]
    }

    fn id(&mut self, labels: &[u8]) -> usize {
        let latest = self.labels.get(self.latest);
        if latest.is_some_and(|latest| is_same(latest, labels)) {
            return self.latest;
        }

        self.latest = match self.ids.get(labels) {
            Some(&id) => id,
            None => self.begin(labels),
        };

        self.latest
    }

    /// Adds a group.
    fn begin(&mut self, labels: &[u8]) -> usize {
        let id = self.labels.len();
        self.ids.insert(labels.into(), id);
        self.labels.push(labels.into());
        self.marked.push(false);
        self.states
            .resize(self.states.len() + self.steps, S::default());
        self.histograms.push(Vec::new());

        id
    }

    /// Marks the group if the name of `series` is to be dropped.
    pub(super) fn mark(&mut self, labels: &[u8], series: &[u8]) {
        let id = self.id(labels);
        self.marked[id] |= is_marked(series);
    }

    /// Returns the labels of each group, with the mark if it has one.
    fn labels(&self) -> impl Iterator<Item = Cow<'_, [u8]>> {
        let labels = self.labels.iter().zip(&self.marked);
        labels.map(|(labels, mark)| {
            if *mark {
                marked(labels).into_vec().into()
            } else {
                Cow::from(&**labels)
            }
        })
    }

    /// Adds the histograms of a row. They are either counted like floats, or kept for their total.
    pub(super) fn add_histograms(&mut self, labels: &[u8], row: &Row<'_>, of: OfHistograms) {
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

    pub(super) fn add(&mut self, labels: &[u8], row: &Row<'_>) {
        let states = self.group(labels);

        if let Some(values) = row.whole() {
            states
                .iter_mut()
                .zip(values)
                .for_each(|(state, &value)| state.add(value));

            return;
        }

        for (step, state) in states.iter_mut().enumerate() {
            if let Some(value) = row.get(step) {
                state.add(value);
            }
        }
    }

    /// Merges a batch of [`state_schema`].
    pub(super) fn merge(&mut self, batch: &RecordBatch) {
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

    pub(super) fn bytes(&self) -> usize {
        let labels: usize = self.labels.iter().map(|labels| 2 * labels.len() + 64).sum();
        self.states.capacity() * size_of::<S>() + labels + self.histogram_bytes
    }

    pub(super) fn into_states(self) -> RecordBatch {
        let mut labels = BinaryBuilder::new();
        self.labels().for_each(|group| labels.append_value(group));

        let mut histograms = HistogramColumns::default();
        for group in &self.histograms {
            group
                .iter()
                .for_each(|(step, histogram)| histograms.push(*step, histogram));
            histograms.end_row();
        }

        let [steps, histograms] = histograms.finish();
        let mut columns: Vec<ArrayRef> = vec![Arc::new(labels.finish()), steps, histograms];

        for field in 0..S::FIELDS {
            columns.push(cells_column(
                self.states.iter().map(|state| state.field(field)).collect(),
                None,
                self.steps,
            ));
        }

        RecordBatch::try_new(state_schema(S::FIELDS, self.steps), columns)
            .expect("the columns fit the schema")
    }

    pub(super) fn into_vectors(
        self,
        grid: &Grid,
        of: OfHistograms,
        cancellation: &Cancellation,
        annotate: &mut dyn FnMut(Annotation<'_>),
    ) -> Result<Vec<RecordBatch>, Error> {
        let mut out = VectorBuilder::new(grid);

        for (id, labels) in self.labels().enumerate() {
            cancellation.check()?;

            let float = |step: usize| self.states[id * self.steps + step].finish();
            let (OfHistograms::Totalled(total), [_, ..]) = (of, &self.histograms[id][..]) else {
                out.push(&labels, float);
                continue;
            };

            let mut totals = totals(total, &self.histograms[id], cancellation, annotate)?;
            out.push_cells(&labels, |step| match (float(step), totals.remove(&step)) {
                (float, None) => float.map(Cell::Float),
                (Some(_), Some(_)) => {
                    annotate(Annotation::MixedSamplesInAggregation);
                    None
                }
                (None, Some(StepTotal::Total(total))) => Some(Cell::from(total.finish(annotate))),
                (None, Some(StepTotal::Mixed)) => None,
            });
        }

        Ok(out.finish())
    }
}

/// Returns the totals of the histograms of one group by step.
fn totals(
    total: Total,
    histograms: &[(usize, Vec<u8>)],
    cancellation: &Cancellation,
    annotate: &mut dyn FnMut(Annotation<'_>),
) -> Result<HashMap<usize, StepTotal>, Error> {
    let mut totals: HashMap<usize, StepTotal> = HashMap::new();

    for (step, bytes) in histograms {
        cancellation.check()?;

        let end = bytes
            .iter()
            .position(|byte| *byte == NAME_END)
            .expect("a name ends");

        let histogram = decoded(&bytes[end + 1..]);

        match totals.entry(*step) {
            Entry::Vacant(entry) => {
                entry.insert(StepTotal::Total(Box::new(HistogramTotal::of(
                    total, histogram,
                ))));
            }
            Entry::Occupied(mut entry) => {
                if let StepTotal::Total(so_far) = entry.get_mut()
                    && so_far.add(histogram).is_err()
                {
                    annotate(Annotation::MixedSchemas(&String::from_utf8_lossy(
                        &bytes[..end],
                    )));
                    entry.insert(StepTotal::Mixed);
                }
            }
        }
    }

    Ok(totals)
}

fn numbers(column: &ArrayRef) -> &[f64] {
    downcast::<Float64Array>(downcast::<FixedSizeListArray>(column).values()).values()
}

/// The first column of the histograms of a group among the columns of its state, and the first
/// column of the numbers.
const HISTOGRAMS: usize = 1;
const STATES: usize = 3;

/// Returns the schema of group states. `labels`: the labels of the group. Then the steps and the
/// histograms to total, which may be several for a step. Then one column per number of the state,
/// with a cell per step.
pub(super) fn state_schema(fields: usize, steps: usize) -> SchemaRef {
    let vectors = vector::schema(steps);
    let cells = vectors.field(1).data_type().clone();
    let histograms = [2, 3].map(|at| vectors.field(at).clone());
    let states =
        (0..fields).map(|field| Field::new(format!("state_{field}"), cells.clone(), false));

    Arc::new(Schema::new(
        std::iter::once(Field::new("labels", DataType::Binary, false))
            .chain(histograms)
            .chain(states)
            .collect::<Vec<_>>(),
    ))
}
