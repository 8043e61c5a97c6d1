//! The scalar arguments of operators that run in several partitions.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion_common::error::{DataFusionError, Result};
use datafusion_execution::SendableRecordBatchStream;
use futures::{TryStreamExt, stream};
use tokio::sync::OnceCell;

use crate::exec::support::execution::Execution;

/// The arguments are read once in a run, by the partition that comes first. If that fails, all
/// partitions get the error, and nothing is read twice.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    read: OnceCell<Result<Scalars, Arc<DataFusionError>>>,
}

/// The cells of each argument.
type Scalars = Arc<Vec<Vec<f64>>>;

impl Execution<Arguments> {
    /// Returns the cells of all inputs but the first. These inputs are scalars of `steps` steps.
    async fn arguments(&self, steps: usize) -> Result<Scalars> {
        let read = || async {
            let allowance = self.allowance();
            let mut arguments = Vec::new();

            for at in 1..self.inputs.len() {
                let vector = self.collect(at, steps, &allowance).await?;
                arguments.push(vector.scalar());
            }

            Ok(Arc::new(arguments))
        };

        self.shared
            .read
            .get_or_init(|| async { read().await.map_err(Arc::new) })
            .await
            .clone()
            .map_err(DataFusionError::Shared)
    }

    /// Returns an output of batches of the first input. `start` starts that input when the
    /// arguments are read, and `map` makes each batch. It returns `None` where a batch goes on.
    pub(crate) fn mapped_with_arguments(
        self,
        steps: usize,
        start: impl FnOnce(&Self) -> Result<SendableRecordBatchStream> + Send + 'static,
        mut map: impl FnMut(RecordBatch, &[Vec<f64>]) -> Result<Option<RecordBatch>> + Send + 'static,
    ) -> SendableRecordBatchStream {
        let execution = Arc::new(self);
        let working = Arc::clone(&execution);

        let output = async move {
            let arguments = working.arguments(steps).await?;
            let batches = start(&working)?;

            let mapped = move |batch| std::future::ready(map(batch, &arguments));
            Ok::<_, DataFusionError>(batches.try_filter_map(mapped))
        };

        execution.stream(stream::once(output).try_flatten())
    }
}

/// Returns the first two arguments at a step. A missing argument is NaN.
pub(crate) fn at_step(arguments: &[Vec<f64>], step: usize) -> [f64; 2] {
    let at = |index: usize| {
        arguments
            .get(index)
            .and_then(|cells| cells.get(step))
            .copied()
            .unwrap_or(f64::NAN)
    };

    [at(0), at(1)]
}
