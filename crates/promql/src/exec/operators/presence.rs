//! A selector of which only the presence counts: most series are answered without their samples.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion_common::error::{DataFusionError, Result};
use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_plan::ExecutionPlan;
use duramen_model::{METRIC_NAME, Matcher, TimeRange};
use duramen_source::{
    Columns, Presence as Told, PresenceBatch, PresenceStream, SeriesRequest, Trace, presence,
};
use futures::{TryStreamExt, stream};
use hashbrown::HashSet;

use crate::error::Error;
use crate::exec::support::allowance::Allowance;
use crate::exec::support::execution::Execution;
use crate::exec::support::late_matchers::{LateMatchers, one_of};
use crate::exec::support::operator::Operator;
use crate::exec::support::step_counts::PlanPlace;
use crate::grid::Grid;
use crate::label_set::value_of;
use crate::plan::lookup::Lookup;
use crate::vector::{self, VectorBatch, VectorBuilder};

/// Returns the series of a selector with a cell at each step at which they are present, for an
/// aggregation that does not use the values: the cells have any value. If the aggregation keeps
/// only some labels, a series may come without the others.
///
/// The input is the selector itself. It is run only if the source has no traces, or for the series
/// whose traces do not decide a step.
#[derive(Debug, PartialEq)]
pub(crate) struct Presence {
    pub(crate) matchers: Arc<[Matcher]>,
    pub(crate) range: TimeRange,
    pub(crate) lookup: Lookup,
    pub(crate) grid: Grid,
    /// Only labels with these names are needed; `None`: all. Others may be there too.
    pub(crate) names: Option<Vec<String>>,
    /// The place at which its steps are counted.
    pub(crate) place: PlanPlace,
}

/// If the undecided series have more metric names, the input reads all series that match.
const NAMES_MAX: usize = 64;
/// What an undecided series takes beside its labels.
const UNDECIDED_BYTES: usize = 48;

/// The series that must be read.
#[derive(Default)]
struct Undecided {
    labels: HashSet<Box<[u8]>>,
    /// `None` if there are too many, or a series has no name.
    names: Option<HashSet<String>>,
    bytes: usize,
}

/// One run of the node.
struct Running {
    node: Arc<Presence>,
    inputs: Arc<[Arc<dyn ExecutionPlan>]>,
    context: Arc<TaskContext>,
    late: Arc<LateMatchers>,
    allowance: Allowance,
    series_max: usize,
    series: usize,
    undecided: Undecided,
    state: State,
}

enum State {
    Asking(Arc<dyn duramen_source::SeriesSource>, SeriesRequest),
    Traces(PresenceStream),
    /// The source has no traces: all series of the input.
    All(SendableRecordBatchStream),
    /// Only the undecided series of the input.
    Rest(SendableRecordBatchStream),
    Ended,
}

impl Undecided {
    fn insert(&mut self, labels: &[u8]) {
        let name = value_of(labels, METRIC_NAME);
        self.bytes += labels.len() + name.len() + UNDECIDED_BYTES;

        let mut names = match self.labels.is_empty() {
            true => Some(HashSet::new()),
            false => self.names.take(),
        };

        if let Some(names) = &mut names
            && !names.contains(name)
        {
            names.insert(name.to_owned());
        }

        self.names = names.filter(|names| names.len() <= NAMES_MAX && !names.contains(""));
        self.labels.insert(labels.into());
    }

    /// Returns matchers that all undecided series pass, and few others.
    fn matchers(&self) -> Vec<Matcher> {
        let Some(names) = &self.names else {
            return Vec::new();
        };

        let names = names.iter().map(String::as_str).collect();
        one_of(METRIC_NAME, &names).into_iter().collect()
    }
}

impl Running {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            match &mut self.state {
                State::Asking(source, request) => {
                    let from_ms = self.node.lookup.end_ms(self.node.grid.start_ms);
                    let traces = source.presence(request, from_ms).await;

                    self.state = match traces.map_err(source_error)? {
                        Some(traces) => State::Traces(traces),
                        None => State::All(self.input(Vec::new())?),
                    };
                }
                State::Traces(traces) => match traces.try_next().await.map_err(source_error)? {
                    Some(batch) => return self.decide(&batch).map(Some),
                    None if self.undecided.labels.is_empty() => self.state = State::Ended,
                    None => self.state = State::Rest(self.input(self.undecided.matchers())?),
                },
                State::All(input) => {
                    let batch = input.try_next().await?;
                    if let Some(batch) = &batch {
                        let vector = VectorBatch::new(batch.clone(), self.node.grid.steps);
                        self.count(&vector);
                    }

                    return Ok(batch);
                }
                State::Rest(input) => match input.try_next().await? {
                    Some(batch) => return Ok(Some(self.rest(batch))),
                    None => self.state = State::Ended,
                },
                State::Ended => return Ok(None),
            }
        }
    }

    /// Starts the input.
    fn input(&self, late: Vec<Matcher>) -> Result<SendableRecordBatchStream> {
        self.late.set(late);
        self.inputs[0].execute(0, Arc::clone(&self.context))
    }

    /// Returns the series of a batch that are decided, and notes the others.
    fn decide(&mut self, batch: &PresenceBatch) -> Result<RecordBatch> {
        self.series += batch.len();
        if self.series > self.series_max {
            let limit = self.series_max;
            return Err(Error::Series { limit }.into());
        }

        let steps = self.node.grid.steps;
        let mut told = vec![false; batch.len() * steps];
        let mut kept = Vec::with_capacity(batch.len());

        for (row, told) in told.chunks_exact_mut(steps).enumerate() {
            self.allowance.check()?;

            if !self.decide_series(batch.traces_at(row), told) {
                self.undecided.insert(batch.labels_at(row));
            } else if told.contains(&true) {
                kept.push(row);
            }
        }

        let out = self.told(batch, &kept, &told);
        self.allowance
            .hold(out.get_array_memory_size() + self.undecided.bytes)?;

        Ok(out)
    }

    /// Puts into `told` at which steps a series is present. Returns false if its traces do not
    /// decide a step.
    fn decide_series(&self, traces: &[Trace], told: &mut [bool]) -> bool {
        let Presence { grid, lookup, .. } = &*self.node;

        told.iter_mut().enumerate().all(|(step, told)| {
            let time_ms = grid.at(step);
            let start_ms = lookup.start_ms(time_ms);
            let end_ms = lookup.end_ms(time_ms);
            let is = presence::presence(traces, start_ms, end_ms);

            *told = is == Told::Present;
            is != Told::Unknown
        })
    }

    /// Returns the series of the rows `kept`, with a cell at each step at which they are present,
    /// and counts the cells.
    fn told(&self, batch: &PresenceBatch, kept: &[usize], told: &[bool]) -> RecordBatch {
        let steps = self.node.grid.steps;
        let mut seen = vec![0; steps];
        let rows = kept
            .iter()
            .map(|&row| &told[row * steps..(row + 1) * steps]);

        for told in rows.clone() {
            let cells = seen.iter_mut().zip(told);
            cells.for_each(|(seen, told)| *seen += u64::from(*told));
        }

        self.add(&seen);

        let labels = match &self.node.names {
            Some(names) => batch.labels_with(names),
            None => batch.labels().clone(),
        };

        // Most batches are kept whole, and then their labels are not copied.
        if kept.len() == batch.len() {
            return vector::ones(labels, told, steps);
        }

        let mut out = VectorBuilder::single(steps, kept.len());
        for (&row, told) in kept.iter().zip(rows) {
            out.push(labels.value(row), |step| told[step].then_some(1.0));
        }

        out.finish_single()
    }

    /// Returns the rows of the input that were undecided.
    fn rest(&self, batch: RecordBatch) -> RecordBatch {
        let steps = self.node.grid.steps;
        let batch = VectorBatch::new(batch, steps);
        let mut out = VectorBuilder::single(steps, batch.len());

        for row in batch.rows() {
            if self.undecided.labels.contains(row.labels) {
                out.push_row(&row);
            }
        }

        let rest = out.finish_single();
        self.count(&VectorBatch::new(rest.clone(), steps));
        rest
    }

    /// Counts the samples in cells that the input has made.
    fn count(&self, batch: &VectorBatch) {
        let mut seen = vec![0; self.node.grid.steps];

        for row in batch.rows() {
            for (step, seen) in seen.iter_mut().enumerate() {
                *seen += u64::from(row.is_present(step));
            }
        }

        self.add(&seen);
    }

    fn add(&self, seen: &[u64]) {
        let Presence { place, grid, .. } = &*self.node;
        self.allowance.counts().add(place, grid, seen, &[]);
    }
}

fn source_error(error: duramen_source::Error) -> DataFusionError {
    Error::Source(error).into()
}

impl Operator for Presence {
    const NAME: &'static str = "PresenceExec";

    const READS: bool = true;

    /// The matchers that are common to the undecided series.
    type Shared = LateMatchers;

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let matchers: Vec<_> = self.matchers.iter().map(ToString::to_string).collect();
        let range = self.range;

        write!(
            f,
            "matchers={{{}}}, range=[{}, {}), steps={}",
            matchers.join(","),
            range.start_ms(),
            range.end_ms(),
            self.grid.steps
        )
    }

    fn schema(&self) -> SchemaRef {
        vector::schema(self.grid.steps)
    }

    fn execute(
        self: Arc<Self>,
        execution: Execution<LateMatchers>,
    ) -> Result<SendableRecordBatchStream> {
        let request = SeriesRequest {
            matchers: Arc::clone(&self.matchers),
            range: self.range,
            columns: Columns::Samples,
            batch_series_max: self.grid.batch_series_max(),
            reads: Arc::clone(&execution.meter.reads),
        };

        let running = Running {
            inputs: Arc::clone(&execution.inputs),
            context: Arc::clone(&execution.context),
            late: Arc::clone(&execution.shared),
            allowance: execution.allowance(),
            series_max: execution.run.series_max,
            series: 0,
            undecided: Undecided::default(),
            state: State::Asking(Arc::clone(&execution.run.source), request),
            node: self,
        };

        let batches = stream::try_unfold(running, |mut running| async move {
            Ok(running.next().await?.map(|batch| (batch, running)))
        });

        Ok(execution.stream(batches))
    }
}
