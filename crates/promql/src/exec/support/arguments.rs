//! The scalar arguments of operators that run in several partitions.

use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use tokio::sync::OnceCell;

use crate::exec::support::operator::reservation;
use crate::exec::support::whole_input::collect;

/// Read once, whichever partition comes first. A failure is every partition's: nothing is read
/// twice.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    read: OnceCell<Result<Scalars, Arc<DataFusionError>>>,
}

/// The cells of each argument.
type Scalars = Arc<Vec<Vec<f64>>>;

impl Arguments {
    /// The cells of each of `inputs`, which are scalars of `steps` steps.
    pub(crate) async fn read(
        &self,
        name: &'static str,
        inputs: &[Arc<dyn ExecutionPlan>],
        steps: usize,
        context: &Arc<TaskContext>,
    ) -> Result<Scalars> {
        let read = || async {
            let account = reservation(name, context);
            let mut arguments = Vec::new();

            for input in inputs {
                let vector =
                    collect(input.execute(0, Arc::clone(context))?, steps, &account).await?;
                arguments.push(vector.scalar());
            }

            Ok(Arc::new(arguments))
        };

        self.read
            .get_or_init(|| async { read().await.map_err(Arc::new) })
            .await
            .clone()
            .map_err(DataFusionError::Shared)
    }
}

/// The first two arguments at a step; NaN where there are fewer.
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
