//! Reads a vector over a grid as series of samples.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion_common::error::Result;
use datafusion_execution::SendableRecordBatchStream;
use duramen_model::{Life, ResetHint};
use duramen_source::{HistogramRef, SeriesBatch, SeriesBatchBuilder};

use crate::exec::support::allowance::Allowance;
use crate::exec::support::execution::Execution;
use crate::exec::support::operator::Operator;
use crate::grid::Grid;
use crate::vector::{VectorBatch, decoded};

/// Stands between the expression of a subquery, which has its own grid, and the range function over
/// it.
#[derive(Debug, PartialEq)]
pub(crate) struct Subquery {
    /// The grid of the input.
    pub(crate) grid: Grid,
    pub(crate) reader: SubqueryReader,
}

/// The reader of the samples of a subquery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubqueryReader {
    /// A range function. Reset hints are dropped: they refer to samples that it does not see.
    Function,
    /// The client, if the subquery is the whole query.
    Client,
}

impl Subquery {
    fn samples(&self, batch: RecordBatch, allowance: &Allowance) -> Result<RecordBatch> {
        let mut out = SeriesBatchBuilder::default();
        let mut histogram_bytes = 0;

        for row in VectorBatch::new(batch, self.grid.steps).rows() {
            allowance.check()?;
            out.samples_mut(|ts, values| {
                for (step, value) in
                    (0..self.grid.steps).filter_map(|step| Some((step, row.get(step)?)))
                {
                    ts.push(self.grid.at(step));
                    values.push(value);
                }
            });

            for (step, bytes) in row.histograms.iter() {
                histogram_bytes += bytes.len();

                let bytes = match self.reader {
                    SubqueryReader::Function => &without_hint(bytes)[..],
                    SubqueryReader::Client => bytes,
                };

                out.push_histogram(HistogramRef {
                    ts_ms: self.grid.at(step),
                    life: Life::NONE,
                    bytes,
                });
            }

            out.end_series(row.labels);
            allowance.hold(histogram_bytes)?;
        }

        allowance.hold(0)?;
        Ok(out.finish().into_record_batch())
    }
}

/// Returns the histogram without its reset hint. The hint refers to the previous sample in the
/// store, which the steps of the subquery may have left out.
fn without_hint(bytes: &[u8]) -> Vec<u8> {
    let mut histogram = decoded(bytes);
    if histogram.hint != ResetHint::Gauge {
        histogram.hint = ResetHint::Unknown;
    }

    histogram.to_bytes()
}

impl Operator for Subquery {
    const NAME: &'static str = "SubqueryExec";

    type Shared = ();

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Grid {
            start_ms,
            step_ms,
            steps,
        } = self.grid;

        write!(f, "start={start_ms}, step={step_ms}ms, steps={steps}")
    }

    fn schema(&self) -> SchemaRef {
        SeriesBatch::schema()
    }

    fn execute(self: Arc<Self>, execution: Execution<()>) -> Result<SendableRecordBatchStream> {
        let allowance = execution.allowance();
        execution.mapped(move |batch| self.samples(batch, &allowance))
    }
}
