//! Selector and range function in one: turns samples into cells.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion_common::error::{DataFusionError, Result};
use datafusion_execution::SendableRecordBatchStream;
use datafusion_physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use duramen_model::number::go_general;
use duramen_model::quoted::quote;
use duramen_model::{METRIC_NAME, METRIC_TYPE};
use duramen_source::SeriesBatch;

use crate::annotation::Annotation;
use crate::annotation::collector::Annotations;
use crate::error::Error;
use crate::exec::series::float_series::{FloatSeries, SampleBuffer, Steps, reached};
use crate::exec::series::mixed_series::{MixedSeries, Newest, latest, newest};
use crate::exec::series::samples_seen::SamplesSeen;
use crate::exec::support::allowance::Allowance;
use crate::exec::support::arguments::{Arguments, at_step};
use crate::exec::support::execution::Execution;
use crate::exec::support::operator::Operator;
use crate::exec::support::step_counts::PlanPlace;
use crate::grid::Grid;
use crate::kernels::Window;
use crate::kernels::extended;
use crate::kernels::integral::Strategy;
use crate::kernels::range::RangeFunction;
use crate::kernels::rate::Rates;
use crate::kernels::seconds;
use crate::label_set::value_of;
use crate::name_removal::{NameLabels, NameRemoval};
use crate::plan::lookup::{HistogramParts, Lookup, Starts, StepFunction, StepPos};
use crate::vector::{self, Cell, Sample, VectorBuilder};

/// Where the samples come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Source,
    /// A subquery. The selectors inside of it read the samples.
    Subquery,
}

/// Turns each batch of series into one batch of cells, even if it is empty. Series without any cell
/// are dropped. A batch may come in pieces.
///
/// The first input is the series. The others are the scalar arguments of the function.
#[derive(Debug, PartialEq)]
pub(crate) struct StepEval {
    pub(crate) grid: Grid,
    pub(crate) lookup: Lookup,
    pub(crate) function: StepFunction,
    /// The positions of the function's arguments, for annotations.
    pub(crate) pos: StepPos,
    pub(crate) starts: Starts,
    pub(crate) parts: HistogramParts,
    pub(crate) names: NameRemoval,
    /// The place at which its steps are counted.
    pub(crate) place: PlanPlace,
    pub(crate) origin: Origin,
}

/// What the series of one batch are evaluated with.
#[derive(Clone, Copy)]
struct BatchTools<'a> {
    arguments: &'a [Vec<f64>],
    samples_seen: &'a SamplesSeen,
    annotations: &'a Annotations,
}

impl StepEval {
    /// Evaluates a piece of a batch. `begun` has the cells of the pieces before, and receives those
    /// of this piece if the batch goes on. Returns the cells of all pieces behind the last.
    pub(crate) fn evaluate(
        &self,
        batch: RecordBatch,
        begun: &mut Option<VectorBuilder>,
        arguments: &[Vec<f64>],
        allowance: &Allowance,
    ) -> Result<Option<RecordBatch>> {
        let batch = SeriesBatch::from_record_batch(batch)
            .ok_or_else(|| DataFusionError::Internal("a selector reads series".to_owned()))?;
        // The cells of the pieces before are copied when more are added. The output of the call
        // before is with the receiver, who has reserved it.
        let more = VectorBuilder::single_bytes(self.grid.steps, batch.len());
        let before = begun.as_ref().map_or(0, VectorBuilder::bytes);
        allowance.hold(more + 3 * before)?;

        let mut out = begun
            .take()
            .unwrap_or_else(|| VectorBuilder::single(self.grid.steps, batch.len()));
        let mut nameless = self.names.nameless();
        let mut buffer = SampleBuffer::default();
        let samples_seen = SamplesSeen::new(self.grid.steps, allowance.cancellation.clone());
        let annotations = allowance.annotations();
        let tools = BatchTools {
            arguments,
            samples_seen: &samples_seen,
            annotations,
        };

        let mut annotated = None;
        let all_labels = batch.labels();
        let offsets = batch.offsets();
        let all_ts = batch.ts();
        let all_values = batch.values();

        for row in 0..batch.len() {
            samples_seen.check()?;

            let encoded = all_labels.value(row);
            let name = if self.function.keeps_name() {
                encoded
            } else {
                nameless.remove_from(encoded)
            };

            let any_float = if self.needs_more_than_floats(&batch, row) {
                let pushed = self.push_mixed(&batch, row, name, tools, &mut out);
                allowance.hold(out.bytes())?;
                pushed.ok_or_else(|| {
                    DataFusionError::Internal("a source returned an invalid histogram".to_owned())
                })?
            } else {
                let span = place(offsets[row])..place(offsets[row + 1]);
                let series = FloatSeries {
                    ts: &all_ts[span.clone()],
                    values: &all_values[span],
                };

                self.push_floats((&mut buffer, series), name, tools, &mut out)
            };

            if any_float && self.reads_counter() {
                self.annotate(encoded, annotations, &mut annotated);
            }
        }

        samples_seen.check()?;
        self.check_factors(arguments, &samples_seen.counts())?;

        allowance.hold(out.bytes())?;

        let read = match self.origin {
            Origin::Source if allowance.counts().first_reads => self.first_reads(&batch),
            Origin::Source | Origin::Subquery => Vec::new(),
        };

        allowance
            .counts()
            .add(&self.place, &self.grid, &samples_seen.counts(), &read);

        if batch.goes_on() {
            *begun = Some(out);
            return Ok(None);
        }

        Ok(Some(out.finish_single()))
    }

    /// Returns how many samples of the source each step is the first to reach. The last step
    /// includes samples that no step reaches.
    fn first_reads(&self, batch: &SeriesBatch) -> Vec<u64> {
        let mut read = vec![0; self.grid.steps];
        if read.is_empty() {
            // The window of a subquery may hold none of its steps.
            return read;
        }

        let reach_ms = |step: usize| match step + 1 < self.grid.steps {
            true => self.lookup.read_end_ms(self.grid.at(step)),
            false => i64::MAX,
        };

        for row in 0..batch.len() {
            let mut count = |ts: &[i64]| {
                let Some(&first_ms) = ts.first() else { return };
                let first_step = self
                    .grid
                    .partition_point(|time_ms| self.lookup.read_end_ms(time_ms) < first_ms);
                let mut step = first_step.min(self.grid.steps - 1);
                let mut counted = 0;

                while counted < ts.len() {
                    let behind = reached(ts, counted, reach_ms(step));
                    read[step] += (behind - counted) as u64;
                    (step, counted) = (step + 1, behind);
                }
            };

            count(batch.samples_at(row).0);

            if batch.histograms_at(row).len() > 0 {
                count(
                    &batch
                        .histograms_at(row)
                        .map(|held| held.ts_ms)
                        .collect::<Vec<_>>(),
                );
            }
        }

        read
    }

    fn needs_more_than_floats(&self, batch: &SeriesBatch, row: usize) -> bool {
        let started = || {
            batch
                .starts_at(row)
                .is_some_and(|starts| starts.iter().any(|start| *start != 0))
        };

        let is_latest = !matches!(
            self.function,
            StepFunction::Range(_) | StepFunction::Smoothed
        );

        batch.histograms_at(row).len() > 0
            || is_latest && batch.ttls_at(row).is_some()
            || self.function == StepFunction::LatestStart
            || self.starts == Starts::Known && !is_latest && started()
    }

    /// Adds a series of floats. Returns whether it has any cell.
    fn push_floats(
        &self,
        (buffer, series): (&mut SampleBuffer, FloatSeries<'_>),
        name: &[u8],
        tools: BatchTools<'_>,
        out: &mut VectorBuilder,
    ) -> bool {
        let BatchTools {
            arguments,
            samples_seen,
            annotations,
        } = tools;

        let steps = Steps {
            grid: self.grid,
            lookup: self.lookup,
            samples_seen,
        };

        let within = steps.reaching(series.ts);
        let series = series.read_by(steps);

        match self.function {
            StepFunction::Latest => {
                out.push_within(name, within, series.latest(steps, |at| series.values[at]))
            }
            StepFunction::LatestTime | StepFunction::NamedTime => out.push_within(
                name,
                within,
                series.latest(steps, |at| seconds(series.ts[at])),
            ),
            StepFunction::LatestStart => false,
            StepFunction::Smoothed => {
                let smoothed = |window: &Window<'_>, _| extended::smoothed_value(window);
                out.push_within(
                    name,
                    within,
                    buffer
                        .without_stale(series)
                        .over_windows(steps, true, smoothed),
                )
            }
            StepFunction::Range(function) => {
                let (series, falls) = if self.reads_counter() {
                    buffer.counter(series)
                } else {
                    (buffer.without_stale(series), true)
                };

                match (function, self.lookup.ends) {
                    // Dashboards use this combination most, so it has its own loop.
                    (RangeFunction::Rate, None) => {
                        let mut rates = Rates::over(self.lookup.range_ms);
                        let evaluate = move |window: &Window<'_>, step| rates.of(window, step);
                        out.push_within(name, within, series.over_windows(steps, falls, evaluate))
                    }
                    (_, Some((ends, _))) => {
                        let evaluate =
                            |window: &Window<'_>, _| function.evaluate_with_ends(window, ends);
                        out.push_within(name, within, series.over_windows(steps, falls, evaluate))
                    }
                    (_, None) => {
                        let evaluate = |window: &Window<'_>, step| {
                            let value = function.evaluate(window, at_step(arguments, step))?;
                            self.check_argument(function, arguments, step, annotations);
                            Some(value)
                        };

                        out.push_within(name, within, series.over_windows(steps, falls, evaluate))
                    }
                }
            }
        }
    }

    /// Adds a series of any samples. Returns whether it has any float, or `None` if a histogram's
    /// bytes cannot be decoded.
    fn push_mixed(
        &self,
        batch: &SeriesBatch,
        row: usize,
        name: &[u8],
        tools: BatchTools<'_>,
        out: &mut VectorBuilder,
    ) -> Option<bool> {
        let BatchTools {
            arguments,
            samples_seen,
            annotations,
        } = tools;

        let mut any_float = false;

        match self.function {
            StepFunction::Latest
            | StepFunction::LatestTime
            | StepFunction::NamedTime
            | StepFunction::LatestStart => {
                let samples = newest(batch, row, self.parts)?;
                let read = |sample: &Newest<'_>, cell| match self.function {
                    // A histogram stays a histogram, because it is not an info sample. The operator
                    // that uses the time reports that.
                    StepFunction::NamedTime if !matches!(cell, Cell::Float(_)) => Some(cell),
                    StepFunction::LatestTime | StepFunction::NamedTime => {
                        Some(Cell::Float(seconds(sample.ts_ms)))
                    }
                    StepFunction::LatestStart => Some(Cell::Float(seconds(sample.start_ms))),
                    _ => Some(cell),
                };

                let mut cells = latest(&samples, self.grid, self.lookup, read);
                out.push_cells(name, |step| {
                    let cell = cells(step);
                    samples_seen.add(step, usize::from(cell.is_some()));
                    cell
                });
            }
            StepFunction::Smoothed | StepFunction::Range(_) => {
                let series = MixedSeries::of(batch, row, self.starts, self.parts)?;
                let metric = value_of(batch.labels_at(row), METRIC_NAME);
                let ends = self.lookup.ends.map(|(ends, _)| ends);
                let mut annotate =
                    |annotation: Annotation<'_>| annotations.add(annotation, self.pos.samples);

                let cells = series.over_windows(metric, self.grid, self.lookup, |window, step| {
                    samples_seen.add(step, window.floats.ts.len() + window.histograms.len());
                    if samples_seen.is_cancelled() {
                        return None;
                    }

                    let sample = match self.function {
                        StepFunction::Range(function) => {
                            let sample = window.evaluate(
                                function,
                                at_step(arguments, step),
                                ends,
                                &mut annotate,
                            )?;

                            self.check_argument(function, arguments, step, annotations);
                            sample
                        }
                        _ => window.smoothed_value(&mut annotate)?,
                    };

                    any_float |= matches!(sample, Sample::Float(_));
                    Some(Cell::from(sample))
                });

                out.push_cells(name, cells);
            }
        }

        Some(any_float)
    }

    /// Warns of an invalid argument if a value was computed with it.
    #[inline]
    fn check_argument(
        &self,
        function: RangeFunction,
        arguments: &[Vec<f64>],
        step: usize,
        annotations: &Annotations,
    ) {
        match (function, arguments) {
            (RangeFunction::Quantile, [quantiles]) => {
                annotations.check_quantiles(&quantiles[step..=step], self.pos.argument);
            }
            (RangeFunction::Integral, [strategies]) if Strategy::of(strategies[step]).is_none() => {
                let got = go_general(strategies[step]);
                let text =
                    format_args!("strategy should be 0, 1, or 2 (default), using 2, got {got}");
                annotations.warn(text, self.pos.argument);
            }
            _ => {}
        }
    }

    /// Checks the smoothing factors of steps that look at any sample.
    fn check_factors(&self, arguments: &[Vec<f64>], samples_seen: &[u64]) -> Result<(), Error> {
        let (StepFunction::Range(RangeFunction::DoubleSmoothing), [smoothing, trend]) =
            (self.function, arguments)
        else {
            return Ok(());
        };

        for (step, _) in samples_seen
            .iter()
            .enumerate()
            .filter(|(_, samples)| **samples > 0)
        {
            check_factor("smoothing", smoothing[step])?;
            check_factor("trend", trend[step])?;
        }

        Ok(())
    }

    pub(crate) fn reads_counter(&self) -> bool {
        matches!(self.function, StepFunction::Range(function) if function.wants_counter())
    }

    /// Adds an annotation if a series with values was read as a counter and its name or type is not
    /// that of a counter. Series of the same name are next to each other: `last` has name and type
    /// of the previous series.
    pub(crate) fn annotate<'a>(
        &self,
        encoded: &'a [u8],
        annotations: &Annotations,
        last: &mut Option<[&'a str; 2]>,
    ) {
        let name = value_of(encoded, METRIC_NAME);
        let typed = self.names.labels == NameLabels::NameTypeAndUnit;

        let metric_type = if typed {
            value_of(encoded, METRIC_TYPE)
        } else {
            ""
        };

        if last.replace([name, metric_type]) == Some([name, metric_type]) || name.is_empty() {
            return;
        }

        let text = "metric might not be a counter,";

        if typed && !["counter", "histogram"].contains(&metric_type) {
            let wanted = r#"__type__ label is not set to "counter" or "histogram""#;
            annotations.inform(
                format_args!(
                    "{text} {wanted}, got {}: {}",
                    quote(metric_type),
                    quote(name)
                ),
                self.pos.samples,
            );
        }

        if !typed
            && !["_total", "_sum", "_count", "_bucket"]
                .iter()
                .any(|suffix| name.ends_with(suffix))
        {
            let wanted = "name does not end in _total/_sum/_count/_bucket";
            annotations.inform(
                format_args!("{text} {wanted}: {}", quote(name)),
                self.pos.samples,
            );
        }
    }
}

/// Checks a factor of double exponential smoothing, which must be between 0 and 1.
fn check_factor(name: &str, factor: f64) -> Result<(), Error> {
    if factor <= 0.0 || factor >= 1.0 {
        let got = if factor.is_finite() {
            format!("{factor:.6}")
        } else {
            go_general(factor)
        };

        let text = format!(
            "invalid {name} factor. Expected: 0 < {}f < 1, got: {got}",
            &name[..1]
        );

        return Err(Error::execution(text));
    }

    Ok(())
}

fn place(offset: i32) -> usize {
    usize::try_from(offset).expect("list offsets are not negative")
}

impl Operator for StepEval {
    const NAME: &'static str = "StepEvalExec";

    type Shared = Arguments;

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "function={:?}, range={}ms",
            self.function, self.lookup.range_ms
        )?;

        if self.lookup.offset_ms != 0 {
            write!(f, ", offset={}ms", self.lookup.offset_ms)?;
        }

        if let Some(at_ms) = self.lookup.at_ms {
            write!(f, ", at={at_ms}")?;
        }

        if let Some((ends, _)) = self.lookup.ends {
            write!(f, ", ends={ends:?}")?;
        }

        write!(f, ", steps={}", self.grid.steps)
    }

    fn schema(&self) -> SchemaRef {
        vector::schema(self.grid.steps)
    }

    fn partitions(&self, inputs: &[Arc<dyn ExecutionPlan>]) -> usize {
        inputs[0].output_partitioning().partition_count()
    }

    fn execute(
        self: Arc<Self>,
        execution: Execution<Arguments>,
    ) -> Result<SendableRecordBatchStream> {
        let series = execution.input(0)?;
        let allowance = execution.allowance();
        let steps = self.grid.steps;
        let mut begun = None;

        Ok(execution.mapped_with_arguments(
            steps,
            |_| Ok(series),
            move |batch, arguments| self.evaluate(batch, &mut begun, arguments, &allowance),
        ))
    }
}
