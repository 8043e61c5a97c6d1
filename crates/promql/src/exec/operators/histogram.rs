//! `histogram_quantile`, `histogram_quantiles` and `histogram_fraction`.

mod repairs;

use std::fmt;

use arrow::array::RecordBatch;
use duramen_model::number::go_general;
use duramen_model::quoted::quote;
use duramen_model::{FloatHistogram, LabelsBuilder, METRIC_NAME};
use hashbrown::HashMap;

use crate::annotation::{Annotation, of_metric};
use crate::error::Error;
use crate::exec::support::allowance::Allowance;
use crate::exec::support::merged::Merged;
use crate::exec::support::whole_input::WholeInputOperator;
use crate::grid::Grid;
use crate::kernels::histogram::{self, Bucket};
use crate::kernels::native;
use crate::label_set::{Projection, value_of, with_label};
use crate::name_removal::{NameRemoval, RemovalTime};
use crate::plan::function::{HistogramFunction, HistogramPos};
use crate::vector::{Row, Vector};
use repairs::Repairs;

/// The label that holds the upper bound of a bucket.
const BOUND: &str = "le";

/// Inputs: the histograms (the classic ones as buckets), and the arguments as scalars.
#[derive(Debug, PartialEq)]
pub(crate) struct Histogram {
    pub(crate) function: HistogramFunction,
    pub(crate) grid: Grid,
    pub(crate) pos: HistogramPos,
    pub(crate) names: NameRemoval,
}

/// The series of one histogram, or of several with the same labels.
#[derive(Default)]
struct Series<'a> {
    /// The classic buckets with their upper bounds.
    buckets: Vec<(f64, Row<'a>)>,
    native: Vec<Row<'a>>,
}

impl Histogram {
    fn evaluate(
        &self,
        inputs: &[Vector],
        allowance: &Allowance,
    ) -> Result<Vec<RecordBatch>, Error> {
        let arguments: Vec<Vec<f64>> = inputs[1..].iter().map(Vector::scalar).collect();
        if self.function != HistogramFunction::Fraction {
            for (quantiles, pos) in arguments.iter().zip(&self.pos.arguments) {
                allowance.annotations().check_quantiles(quantiles, *pos);
            }
        }

        let mut repairs = Repairs::default();
        let mut out = Merged::new(self.grid.steps, allowance);
        let all = self.series(&inputs[0], allowance)?;

        match &self.function {
            HistogramFunction::Quantiles(label) => {
                for quantiles in &arguments {
                    self.add_quantiles(&all, quantiles, Some(label), &mut repairs, &mut out)?;
                }
            }
            HistogramFunction::Quantile => {
                self.add_quantiles(&all, &arguments[0], None, &mut repairs, &mut out)?
            }
            HistogramFunction::Fraction => {
                let lower = &arguments[0];
                let upper = &arguments[1];

                self.add(
                    &all,
                    &mut out,
                    |step, histogram, annotate| match histogram {
                        Either::Native(histogram, name) => {
                            native::fraction(lower[step], upper[step], histogram, name, annotate)
                        }
                        Either::Classic(buckets, ..) => {
                            histogram::fraction(lower[step], upper[step], buckets)
                        }
                    },
                )?;
            }
        }

        repairs.for_each_total(|name, forced| {
            allowance.annotations().inform_of_forced(
                of_metric(FORCED, name),
                forced,
                self.pos.histograms,
            );
        });

        Ok(out.finish(&self.grid))
    }

    fn add_quantiles(
        &self,
        all: &[Series<'_>],
        quantiles: &[f64],
        label: Option<&str>,
        repairs: &mut Repairs,
        out: &mut Merged<'_>,
    ) -> Result<(), Error> {
        let mut value =
            |step: usize, histogram: Either<'_>, annotate: &mut dyn FnMut(Annotation<'_>)| {
                match histogram {
                    Either::Native(histogram, name) => {
                        native::quantile(quantiles[step], histogram, name, annotate)
                    }
                    Either::Classic(buckets, name, series) => {
                        let quantile = histogram::quantile(quantiles[step], buckets);
                        if let Some(repair) = quantile.repair {
                            repairs.add(name, series, (step, &self.grid), repair);
                        }

                        quantile.value
                    }
                }
            };

        let Some(label) = label else {
            return self.add(all, out, value);
        };

        // The label is the same at every step, unless the quantile changes.
        let mut done: Vec<u64> = Vec::new();

        for quantile in quantiles {
            if done.contains(&quantile.to_bits()) {
                continue;
            }

            done.push(quantile.to_bits());

            let text = open_metrics_text(*quantile);
            let mut labelled = Labelled {
                out: &mut *out,
                label: Some((label, &text)),
            };

            self.add_where(
                all,
                &mut labelled,
                |step| quantiles[step].to_bits() == quantile.to_bits(),
                &mut value,
            )?;
        }

        Ok(())
    }

    fn add(
        &self,
        all: &[Series<'_>],
        out: &mut Merged<'_>,
        value: impl FnMut(usize, Either<'_>, &mut dyn FnMut(Annotation<'_>)) -> f64,
    ) -> Result<(), Error> {
        self.add_where(all, &mut Labelled { out, label: None }, |_| true, value)
    }

    /// Adds the value of each histogram at the steps that are `wanted`. If there are a classic and
    /// a native histogram at the same step, there is no value.
    fn add_where(
        &self,
        all: &[Series<'_>],
        out: &mut Labelled<'_, '_>,
        wanted: impl Fn(usize) -> bool,
        mut value: impl FnMut(usize, Either<'_>, &mut dyn FnMut(Annotation<'_>)) -> f64,
    ) -> Result<(), Error> {
        let unbounded = Projection::drop(&[BOUND.to_owned()]);
        let mut nameless = self.names.nameless();
        let mut labels = LabelsBuilder::default();
        let annotations = out.out.allowance.annotations();
        let mut annotate =
            |annotation: Annotation<'_>| annotations.add(annotation, self.pos.histograms);
        let mut buckets = Vec::new();

        for (at, series) in all.iter().enumerate() {
            let classic = |step: usize| {
                series
                    .buckets
                    .iter()
                    .any(|(_, row)| row.get(step).is_some())
            };

            for row in &series.native {
                let name = self.annotated_name(row.labels);
                out.add(nameless.remove_from(row.labels), |step| {
                    let histogram = row.histogram(step).filter(|_| wanted(step))?;
                    if classic(step) {
                        annotations
                            .add(Annotation::MixedClassicAndNative(name), self.pos.histograms);
                        return None;
                    }

                    Some(value(step, Either::Native(&histogram, name), &mut annotate))
                })?;
            }

            let Some((_, first)) = series.buckets.first() else {
                continue;
            };
            unbounded.apply(first.labels, &mut labels);

            out.add(nameless.remove_from(labels.encoded()), |step| {
                buckets.clear();

                let present = series
                    .buckets
                    .iter()
                    .filter_map(|(upper, row)| Some((*upper, row.get(step)?)));

                buckets.extend(present.map(|(upper, count)| Bucket { upper, count }));

                let native = series.native.iter().any(|row| row.has_histogram(step));
                if buckets.is_empty() || native || !wanted(step) {
                    return None;
                }

                let name = self.annotated_name(first.labels);
                Some(value(
                    step,
                    Either::Classic(&mut buckets, name, at),
                    &mut annotate,
                ))
            })?;
        }

        Ok(())
    }

    /// Groups the series that differ only in their bound. Floats without a bound do not belong to a
    /// histogram.
    fn series<'a>(
        &self,
        input: &'a Vector,
        allowance: &Allowance,
    ) -> Result<Vec<Series<'a>>, Error> {
        let together = Projection::drop(&[BOUND.to_owned()]);
        let mut ids: HashMap<Box<[u8]>, usize> = HashMap::new();
        let mut all: Vec<Series<'a>> = Vec::new();
        let mut labels = LabelsBuilder::default();

        for row in input.rows() {
            allowance.check()?;

            let has_floats = (0..self.grid.steps).any(|step| row.get(step).is_some());
            let bound = value_of(row.labels, BOUND);
            let upper = parse_bound(bound);

            if has_floats && upper.is_none() {
                let name = self.annotated_name(row.labels);
                let text = format!(
                    "bucket label {BOUND:?} is missing or has a malformed value of {}",
                    quote(bound)
                );

                allowance
                    .annotations()
                    .warn(of_metric(&text, name), self.pos.histograms);
            }

            together.apply(row.labels, &mut labels);

            let id = *ids.entry_ref(labels.encoded()).or_insert_with(|| {
                all.push(Series::default());
                all.len() - 1
            });

            all[id]
                .buckets
                .extend(upper.filter(|_| has_floats).map(|upper| (upper, row)));
            all[id].native.extend(row.has_histograms().then_some(row));
        }

        Ok(all)
    }

    /// Returns the name of the metric for annotations. It is empty if names are dropped at once.
    fn annotated_name<'a>(&self, labels: &'a [u8]) -> &'a str {
        match self.names.time {
            RemovalTime::AtOnce => "",
            RemovalTime::AtTheEnd => value_of(labels, METRIC_NAME),
        }
    }
}

const FORCED: &str = "input to histogram_quantile needed to be fixed for monotonicity (see \
                      https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";

/// A histogram at a step, with the name of its metric.
enum Either<'a> {
    Native(&'a FloatHistogram, &'a str),
    /// The number is the place of the series among all.
    Classic(&'a mut Vec<Bucket>, &'a str, usize),
}

/// An output that adds one label to its series.
struct Labelled<'a, 'b> {
    out: &'a mut Merged<'b>,
    label: Option<(&'a str, &'a str)>,
}

impl Labelled<'_, '_> {
    fn add(&mut self, labels: &[u8], cell: impl FnMut(usize) -> Option<f64>) -> Result<(), Error> {
        match self.label {
            Some((name, value)) => self.out.add(&with_label(labels, name, value), cell),
            None => self.out.add(labels, cell),
        }
    }
}

/// Prints a number as a label value in OpenMetrics: with a point or an exponent.
fn open_metrics_text(value: f64) -> String {
    let text = go_general(value);
    match value.is_finite() && !text.contains(['.', 'e']) {
        true => format!("{text}.0"),
        false => text,
    }
}

/// Parses a bound as Go does (`1`, `+Inf`), except for hexadecimal numbers like `0x1p-2`. Returns
/// `None` for NaN.
fn parse_bound(text: &str) -> Option<f64> {
    text.parse::<f64>()
        .ok()
        .filter(|bound| !bound.is_nan() && !text.contains(' '))
}

impl WholeInputOperator for Histogram {
    const NAME: &'static str = "HistogramExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "function={:?}, bound={BOUND}", self.function)
    }

    fn grid(&self) -> &Grid {
        &self.grid
    }

    fn compute(&self, inputs: &[Vector], allowance: &Allowance) -> Result<Vec<RecordBatch>, Error> {
        self.evaluate(inputs, allowance)
    }
}
