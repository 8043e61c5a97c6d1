//! The exchange: joins several partitions into one, in the order of their batches.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion_common::error::{DataFusionError, Result};
use datafusion_common_runtime::SpawnedTask;
use datafusion_execution::SendableRecordBatchStream;
use futures::{StreamExt, stream};
use tokio::sync::mpsc;

use crate::exec::support::execution::Execution;
use crate::exec::support::operator::Operator;

/// How many batches a partition may be ahead of the reader.
const AHEAD: usize = 2;

/// Runs every input partition in its own task and reads batch `i` from partition `i % partitions`.
/// So the order, and with it the bits of every sum above, does not depend on the number of
/// partitions. If the output is dropped, the tasks end.
#[derive(Debug, PartialEq)]
pub(crate) struct OrderedGather {
    pub(crate) schema: SchemaRef,
}

type Message = Result<Option<RecordBatch>>;

struct Lane {
    queue: mpsc::Receiver<Message>,
    _task: SpawnedTask<()>,
}

impl Lane {
    fn start(mut input: SendableRecordBatchStream) -> Self {
        let (sender, queue) = mpsc::channel(AHEAD);
        let task = SpawnedTask::spawn(async move {
            while let Some(batch) = input.next().await {
                let failed = batch.is_err();
                if sender.send(batch.map(Some)).await.is_err() || failed {
                    return;
                }
            }

            // If the receiver is gone, it does not need the end.
            let _ = sender.send(Ok(None)).await;
        });

        Self { queue, _task: task }
    }
}

impl Operator for OrderedGather {
    const NAME: &'static str = "OrderedGatherExec";

    type Shared = ();

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("order=batch")
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn execute(self: Arc<Self>, execution: Execution<()>) -> Result<SendableRecordBatchStream> {
        let mut streams = execution.partitions(0)?;
        if streams.len() == 1 {
            return Ok(streams.remove(0));
        }

        let lanes: Vec<_> = streams.into_iter().map(Lane::start).collect();

        let stream = stream::try_unfold(
            (lanes, 0),
            |(mut lanes, next): (Vec<Lane>, usize)| async move {
                let lane = next % lanes.len();

                match lanes[lane].queue.recv().await {
                    Some(Ok(Some(batch))) => Ok(Some((batch, (lanes, next + 1)))),
                    Some(Ok(None)) => Ok(None),
                    Some(Err(error)) => Err(error),
                    None => Err(DataFusionError::Internal(
                        "a partition ended before its end".to_owned(),
                    )),
                }
            },
        );

        Ok(execution.stream(stream))
    }
}
