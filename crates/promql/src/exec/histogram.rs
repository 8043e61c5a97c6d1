//! `histogram_quantile` and `histogram_fraction` over classic buckets.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use duramen_model::{LabelsBuilder, METRIC_NAME};
use duramen_syntax::PosRange;
use hashbrown::HashMap;

use crate::annotation::Annotations;
use crate::error::Error;
use crate::exec::merge::Merged;
use crate::exec::operator::{Operator, whole_inputs};
use crate::grid::Grid;
use crate::kernels::histogram::{self, Bucket};
use crate::label_set::{Projection, value_of};
use crate::vector::{self, Row, Vector};

/// The label that holds the upper bound of a bucket.
const BOUND: &str = "le";

/// Inputs: the buckets, and the arguments as scalars.
#[derive(Debug)]
pub(crate) struct Histogram {
    pub(crate) function: HistogramFunction,
    pub(crate) grid: Grid,
    pub(crate) annotations: Annotations,
    /// Of the quantile, for remarks.
    pub(crate) quantile_pos: PosRange,
    /// Of the buckets, for remarks.
    pub(crate) buckets_pos: PosRange,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HistogramFunction {
    /// Of the quantile.
    Quantile,
    /// Of the lower and the upper bound.
    Fraction,
}

/// The bucket series of one histogram.
struct Buckets<'a> {
    buckets: Vec<(f64, Row<'a>)>,
}

impl Histogram {
    fn evaluate(&self, inputs: &[Vector], account: &MemoryReservation) -> Result<Vec<RecordBatch>, Error> {
        let arguments: Vec<Vec<f64>> = inputs[1..].iter().map(Vector::scalar).collect();
        if self.function == HistogramFunction::Quantile {
            check_quantiles(&self.annotations, &arguments[0], self.quantile_pos);
        }
        let mut out = Merged::new(self.grid.steps, account);
        let unnamed = Projection::drop(&[BOUND.to_owned(), METRIC_NAME.to_owned()]);
        let mut labels = LabelsBuilder::default();
        let mut buckets = Vec::new();
        for histogram in self.histograms(&inputs[0]) {
            let first = histogram.buckets[0].1.labels;
            unnamed.apply(first, &mut labels);
            out.add(labels.encoded(), |step| {
                buckets.clear();
                let present = histogram.buckets.iter().filter_map(|(upper, row)| Some((*upper, row.get(step)?)));
                buckets.extend(present.map(|(upper, count)| Bucket { upper, count }));
                if buckets.is_empty() {
                    return None;
                }
                if self.function == HistogramFunction::Fraction {
                    return Some(histogram::fraction(arguments[0][step], arguments[1][step], &mut buckets));
                }
                let quantile = histogram::quantile(arguments[0][step], &mut buckets);
                if quantile.forced {
                    self.remark_forced(value_of(first, METRIC_NAME));
                }
                Some(quantile.value)
            })?;
        }
        Ok(out.finish(&self.grid))
    }

    /// Buckets that differ in nothing but their bound belong together; series without a bound are none.
    fn histograms<'a>(&self, input: &'a Vector) -> Vec<Buckets<'a>> {
        let together = Projection::drop(&[BOUND.to_owned()]);
        let mut ids: HashMap<Box<[u8]>, usize> = HashMap::new();
        let mut histograms: Vec<Buckets<'a>> = Vec::new();
        let mut labels = LabelsBuilder::default();
        for row in input.rows() {
            let bound = value_of(row.labels, BOUND);
            let Some(upper) = parse_bound(bound) else {
                let name = value_of(row.labels, METRIC_NAME);
                let text = format!("bucket label {BOUND:?} is missing or has a malformed value of {bound:?}");
                self.annotations.warn(with_metric(&text, name), self.buckets_pos);
                continue;
            };
            together.apply(row.labels, &mut labels);
            let id = *ids.entry_ref(labels.encoded()).or_insert_with(|| {
                histograms.push(Buckets { buckets: Vec::new() });
                histograms.len() - 1
            });
            histograms[id].buckets.push((upper, row));
        }
        histograms
    }

    fn remark_forced(&self, name: &str) {
        let text = "input to histogram_quantile needed to be fixed for monotonicity (see \
                    https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
        self.annotations.inform(with_metric(text, name), self.buckets_pos);
    }
}

fn with_metric(text: &str, name: &str) -> String {
    if name.is_empty() { text.to_owned() } else { format!("{text} for metric name {name:?}") }
}

/// Warns of quantiles outside of [0, 1].
pub(crate) fn check_quantiles(annotations: &Annotations, quantiles: &[f64], pos: PosRange) {
    for &q in quantiles.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
        let text = if q.is_nan() { "NaN".to_owned() } else { go_number(q) };
        annotations.warn(format_args!("quantile value should be between 0 and 1, got {text}"), pos);
    }
}

/// A number as Go's `%g` prints it, for numbers of a size that people write.
fn go_number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    value.to_string()
}

/// A bound as Go reads numbers: `1`, `+Inf`, `0x1p-2` is not needed by anyone.
fn parse_bound(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|_| !text.contains(' '))
}

impl Operator for Histogram {
    const NAME: &'static str = "HistogramExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "function={:?}, bound={BOUND}", self.function)
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
        let operator = Arc::clone(self);
        let compute = move |vectors: Vec<Vector>, account: &MemoryReservation| operator.evaluate(&vectors, account);
        whole_inputs(Self::NAME, self.schema(), self.grid.steps, inputs, context, compute)
    }
}
