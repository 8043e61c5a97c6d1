//! Selector and function in one, over rollups.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion_common::error::{DataFusionError, Result};
use datafusion_execution::SendableRecordBatchStream;
use duramen_model::{Matcher, TimeRange, duration};
use duramen_source::rollup::RowParts;
use duramen_source::rollup::batch::RollupBatch;
use duramen_source::rollup::row::RollupRow;
use duramen_source::{
    Columns, RollupStream, SeriesBatch, SeriesRequest, SeriesSource, SeriesStream, WantedRollups,
};
use futures::{TryStreamExt, stream};
use hashbrown::HashSet;

use crate::error::Error;
use crate::exec::operators::step_eval::StepEval;
use crate::exec::support::allowance::Allowance;
use crate::exec::support::execution::Execution;
use crate::exec::support::operator::Operator;
use crate::exec::support::sample_budget::SampleBudget;
use crate::kernels::rollup::{self, Rolled, RollupWindow, newest, over_window};
use crate::kernels::seconds;
use crate::plan::lookup::StepFunction;
use crate::plan::rollup::Rollup;
use crate::vector::{self, VectorBuilder};

/// Turns rows of rollups into cells, as [`StepEval`] does with samples. The samples are read of
/// those series alone whose rows do not tell the value at a step.
#[derive(Debug, PartialEq)]
pub(crate) struct RollupEval {
    pub(crate) matchers: Arc<[Matcher]>,
    pub(crate) range: TimeRange,
    pub(crate) rollup: Rollup,
    /// What evaluates samples.
    pub(crate) samples: StepEval,
}

/// What an undecided series takes beside its labels.
const UNDECIDED_BYTES: usize = 48;

/// One run of the node.
struct Running {
    node: Arc<RollupEval>,
    source: Arc<dyn SeriesSource>,
    request: SeriesRequest,
    allowance: Allowance,
    budget: Arc<SampleBudget>,
    series_max: usize,
    series: usize,
    /// The series whose samples are read.
    undecided: HashSet<Box<[u8]>>,
    undecided_bytes: usize,
    /// The cells of a batch of samples that goes on.
    begun: Option<VectorBuilder>,
    state: State,
}

enum State {
    Asking,
    Rows(RollupStream),
    Samples(SeriesStream),
    Ended,
}

/// What the rows of a series tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// What the choice of rollups has promised.
    Exactly,
    /// Windows hold whole buckets where they should not, since the samples are gone.
    Roughly,
    /// A step needs samples.
    Undecided,
}

/// What the rows of a series tell of one step.
struct AtStep {
    value: Option<f64>,
    /// How many rows the window has.
    rows: usize,
    is_rough: bool,
}

impl Running {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            match &mut self.state {
                State::Asking => {
                    let wanted = WantedRollups {
                        resolution_ms: self.node.rollup.resolution_ms,
                        parts: parts(self.node.samples.function),
                    };
                    let rollups = self.source.rollups().ok_or_else(no_rollups)?;
                    let rows = rollups.rows(&self.request, wanted).await;
                    self.state = State::Rows(rows.map_err(source_error)?);
                }
                State::Rows(rows) => match rows.try_next().await.map_err(source_error)? {
                    Some(batch) => return self.evaluate(&batch).map(Some),
                    None if self.undecided.is_empty() => self.state = State::Ended,
                    None => {
                        let samples = self.source.select(&self.request).await;
                        self.state = State::Samples(samples.map_err(source_error)?);
                    }
                },
                State::Samples(samples) => match samples.try_next().await.map_err(source_error)? {
                    Some(batch) => {
                        if let Some(batch) = self.read(&batch)? {
                            return Ok(Some(batch));
                        }
                    }
                    None => self.state = State::Ended,
                },
                State::Ended => return Ok(None),
            }
        }
    }

    /// Evaluates the rows of a batch, and notes the series whose samples are needed.
    fn evaluate(&mut self, batch: &RollupBatch) -> Result<RecordBatch> {
        self.series += batch.len();
        if self.series > self.series_max {
            let limit = self.series_max;
            return Err(Error::Series { limit }.into());
        }

        let node = Arc::clone(&self.node);
        let steps = node.samples.grid.steps;
        let mut out = VectorBuilder::single(steps, batch.len());
        let mut cells = vec![None; steps];
        let mut seen = vec![0u64; steps];
        let mut annotated = None;
        let mut is_rough = false;
        let mut nameless = node.samples.names.nameless();

        self.allowance.hold(batch.bytes() + self.undecided_bytes)?;

        for series in 0..batch.len() {
            self.allowance.check()?;

            let encoded = batch.labels_at(series);
            let rows = batch.rows_at(series);

            match self.tell(rows, &mut cells, &mut seen) {
                Told::Exactly => {}
                Told::Roughly => is_rough = true,
                Told::Undecided => {
                    self.undecided_bytes += encoded.len() + UNDECIDED_BYTES;
                    self.undecided.insert(encoded.into());
                    continue;
                }
            }

            let name = match node.samples.function.keeps_name() {
                true => encoded,
                false => nameless.remove_from(encoded),
            };
            let any = out.push(name, |step| cells[step]);

            if any && node.samples.reads_counter() {
                let annotations = self.allowance.annotations();
                node.samples.annotate(encoded, annotations, &mut annotated);
            }
        }

        self.allowance
            .hold(out.bytes() + batch.bytes() + self.undecided_bytes)?;

        if is_rough {
            self.inform();
        }

        let samples = &node.samples;
        let counts = self.allowance.counts();
        counts.add(&samples.place, &samples.grid, &seen, &[]);

        Ok(out.finish_single())
    }

    /// Puts the value at each step into `cells`, as far as the rows tell it.
    fn tell(&self, rows: &[RollupRow], cells: &mut [Option<f64>], seen: &mut [u64]) -> Told {
        let samples = &self.node.samples;
        let mut told = Told::Exactly;
        // Windows ascend with the steps, so what is before one is before the next.
        let mut rest = rows;

        for step in 0..samples.grid.steps {
            let time_ms = samples.grid.at(step);
            let start_ms = samples.lookup.start_ms(time_ms);
            let behind = rest.iter().position(|row| row.end_ms > start_ms);
            rest = &rest[behind.unwrap_or(rest.len())..];

            let Some(at_step) = self.at(time_ms, rest, told == Told::Roughly) else {
                return Told::Undecided;
            };

            if at_step.is_rough {
                told = Told::Roughly;
            }

            cells[step] = at_step.value;
            seen[step] += at_step.rows as u64;
        }

        told
    }

    /// Returns what the rows tell of one step; `None` if samples must. Where the samples are gone,
    /// whole buckets are all there is: then, and if `is_rough`, windows hold these.
    fn at(&self, time_ms: i64, rest: &[RollupRow], is_rough: bool) -> Option<AtStep> {
        let RollupEval {
            rollup, samples, ..
        } = &*self.node;

        let window = RollupWindow {
            start_ms: samples.lookup.start_ms(time_ms),
            end_ms: samples.lookup.end_ms(time_ms),
            range_ms: samples.lookup.range_ms,
            resolution_ms: rollup.resolution_ms,
            is_approximate: rollup.is_approximate || is_rough,
        };
        let rows = window.rows(rest);

        if let Rolled::Value(value) = value(samples.function, rows, &window) {
            let rows = rows.len();
            return Some(AtStep {
                value,
                rows,
                is_rough,
            });
        }

        let has_histograms = rows.iter().any(|row| row.histograms > 0);

        match window.is_approximate || !rollup.is_alone || has_histograms {
            true => None,
            false => self.at(time_ms, rest, true),
        }
    }

    fn inform(&self) {
        let RollupEval {
            rollup, samples, ..
        } = &*self.node;
        let resolution = duration::format_ms(rollup.resolution_ms);

        self.allowance.annotations().inform(
            format_args!(
                "rollups of {resolution} are read in place of samples, and windows hold whole \
                 buckets: each end may be off by the samples of one"
            ),
            samples.pos.samples,
        );
    }

    /// Evaluates the samples of the undecided series of a batch.
    fn read(&mut self, batch: &SeriesBatch) -> Result<Option<RecordBatch>> {
        let rows: Vec<usize> = (0..batch.len())
            .filter(|row| self.undecided.contains(batch.labels_at(*row)))
            .collect();

        if rows.is_empty() && !batch.goes_on() && self.begun.is_none() {
            return Ok(None);
        }

        let kept = batch.at_rows(&rows);
        let _held = self.budget.take(&kept)?;
        let samples = &self.node.samples;
        samples.evaluate(
            kept.into_record_batch(),
            &mut self.begun,
            &[],
            &self.allowance,
        )
    }
}

/// The parts of rows that a function uses.
const fn parts(function: StepFunction) -> RowParts {
    match function {
        StepFunction::Range(function) => rollup::parts(function),
        _ => RowParts {
            ends: true,
            stale: true,
            ..RowParts::NONE
        },
    }
}

/// Returns the value of a function over the rows that meet the window.
fn value(function: StepFunction, rows: &[RollupRow], window: &RollupWindow) -> Rolled {
    let newest = |read: fn((i64, f64)) -> f64| match newest(rows, window) {
        Ok(sample) => Rolled::Value(sample.map(read)),
        Err(()) => Rolled::Unknown,
    };

    match function {
        StepFunction::Latest => newest(|(_, value)| value),
        StepFunction::LatestTime | StepFunction::NamedTime => newest(|(ts_ms, _)| seconds(ts_ms)),
        StepFunction::Range(function) => over_window(function, rows, window),
        StepFunction::LatestStart | StepFunction::Smoothed => Rolled::Unknown,
    }
}

fn no_rollups() -> DataFusionError {
    Error::execution("the source has no rollups any more".to_owned()).into()
}

fn source_error(error: duramen_source::Error) -> DataFusionError {
    Error::Source(error).into()
}

impl Operator for RollupEval {
    const NAME: &'static str = "RollupEvalExec";

    const READS: bool = true;

    type Shared = ();

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let matchers: Vec<_> = self.matchers.iter().map(ToString::to_string).collect();
        let Rollup {
            resolution_ms,
            is_approximate,
            is_alone,
        } = self.rollup;

        write!(
            f,
            "matchers={{{}}}, range=[{}, {}), resolution={}, exact={}, samples_gone={is_alone}, ",
            matchers.join(","),
            self.range.start_ms(),
            self.range.end_ms(),
            duration::format_ms(resolution_ms),
            !is_approximate,
        )?;

        self.samples.describe(f)
    }

    fn schema(&self) -> SchemaRef {
        vector::schema(self.samples.grid.steps)
    }

    fn execute(self: Arc<Self>, execution: Execution<()>) -> Result<SendableRecordBatchStream> {
        let request = SeriesRequest {
            matchers: Arc::clone(&self.matchers),
            range: self.range,
            columns: Columns::Samples,
            batch_series_max: self.samples.grid.batch_series_max(),
            reads: Arc::clone(&execution.meter.reads),
        };

        let running = Running {
            source: Arc::clone(&execution.run.source),
            request,
            allowance: execution.allowance(),
            budget: Arc::clone(&execution.run.budget),
            series_max: execution.run.series_max,
            series: 0,
            undecided: HashSet::new(),
            undecided_bytes: 0,
            begun: None,
            state: State::Asking,
            node: self,
        };

        if running.node.rollup.is_approximate {
            running.inform();
        }

        let batches = stream::try_unfold(running, |mut running| async move {
            Ok(running.next().await?.map(|batch| (batch, running)))
        });

        Ok(execution.stream(batches))
    }
}
