//! The leaf: reads series from a source.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion_common::error::{DataFusionError, Result};
use datafusion_common_runtime::SpawnedTask;
use datafusion_execution::SendableRecordBatchStream;
use datafusion_physical_plan::ExecutionPlan;
use duramen_model::{Matcher, TimeRange};
use duramen_source::{Columns, SeriesBatch, SeriesRequest, SeriesStream};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;

use crate::error::Error;
use crate::exec::support::execution::Execution;
use crate::exec::support::late_matchers::LateMatchers;
use crate::exec::support::operator::Operator;
use crate::exec::support::run::NodeId;
use crate::exec::support::sample_budget::SamplePermit;

/// How many batches may wait for a partition.
const QUEUE: usize = 1;

/// Reads one stream of series and distributes its batches: batch `i` goes to partition `i %
/// partitions`.
///
/// The samples of a batch count against the budget until the partition asks for its next batch.
#[derive(Debug, PartialEq)]
pub(crate) struct SeriesScan {
    pub(crate) matchers: Arc<[Matcher]>,
    pub(crate) range: TimeRange,
    pub(crate) columns: Columns,
    pub(crate) batch_series_max: usize,
    pub(crate) partitions: usize,
    /// The node that finds more matchers before the scan starts, as its [`LateMatchers`].
    pub(crate) late: Option<NodeId>,
}

/// The queues of the partitions in one run. Each partition takes its own once.
#[derive(Debug, Default)]
pub(crate) struct Dealing(Mutex<Option<Dealt>>);

#[derive(Debug)]
struct Dealt {
    task: Arc<SpawnedTask<()>>,
    queues: Vec<Option<mpsc::Receiver<Message>>>,
}

type Message = Result<Option<(SeriesBatch, SamplePermit)>>;

impl SeriesScan {
    fn request(&self, execution: &Execution<Dealing>) -> SeriesRequest {
        let late = self
            .late
            .map(|node| execution.run.shared::<LateMatchers>(node));

        let matchers = match late.as_deref().map(LateMatchers::get) {
            None | Some([]) => Arc::clone(&self.matchers),
            Some(late) => self.matchers.iter().chain(late).cloned().collect(),
        };

        SeriesRequest {
            matchers,
            range: self.range,
            columns: self.columns,
            batch_series_max: self.batch_series_max,
            reads: Arc::clone(&execution.meter.reads),
        }
    }

    /// Opens the whole stream, in order. The stream does not keep the run alive.
    fn open(
        &self,
        execution: &Execution<Dealing>,
    ) -> impl Stream<Item = Result<(SeriesBatch, SamplePermit)>> + Send + 'static {
        let request = self.request(execution);
        let source = Arc::clone(&execution.run.source);
        let budget = Arc::clone(&execution.run.budget);
        let limit = execution.run.series_max;

        let mut series = 0;
        let opened = async move { source.select(&request).await.map_err(source_error) };

        stream::once(opened)
            .map_ok(|stream: SeriesStream| stream.map_err(source_error))
            .try_flatten()
            .and_then(move |batch| {
                series += batch.len();

                let permit = match series > limit {
                    true => Err(Error::Series { limit }),
                    false => budget.take(&batch),
                };

                std::future::ready(
                    permit
                        .map(|permit| (batch, permit))
                        .map_err(DataFusionError::from),
                )
            })
    }

    /// Returns the queue of one partition. The first call starts the distribution.
    fn queue(
        &self,
        execution: &Execution<Dealing>,
    ) -> Result<(Arc<SpawnedTask<()>>, mpsc::Receiver<Message>)> {
        let Dealing(dealt) = &*execution.shared;
        let mut dealt = dealt.lock().unwrap_or_else(PoisonError::into_inner);

        let dealt = dealt.get_or_insert_with(|| {
            let (senders, queues): (Vec<_>, Vec<_>) =
                (0..self.partitions).map(|_| mpsc::channel(QUEUE)).unzip();

            let mut series = Box::pin(self.open(execution));
            let meter = Arc::clone(&execution.meter);
            let metered =
                stream::poll_fn(move |task| meter.work(|| series.as_mut().poll_next(task)));
            let task = Arc::new(SpawnedTask::spawn(deal(metered, senders)));

            Dealt {
                task,
                queues: queues.into_iter().map(Some).collect(),
            }
        });

        let queue = dealt
            .queues
            .get_mut(execution.partition)
            .and_then(Option::take);
        let queue = queue
            .ok_or_else(|| DataFusionError::Internal("a context runs a scan once".to_owned()))?;

        Ok((Arc::clone(&dealt.task), queue))
    }
}

fn source_error(error: duramen_source::Error) -> DataFusionError {
    Error::Source(error).into()
}

/// Sends batch `i` to queue `i % queues`, and the end to all queues. Stops at the first error, and
/// when all receivers are gone.
async fn deal(
    stream: impl Stream<Item = Result<(SeriesBatch, SamplePermit)>> + Send,
    queues: Vec<mpsc::Sender<Message>>,
) {
    let mut stream = std::pin::pin!(stream);
    let mut next = 0;

    while let Some(batch) = stream.next().await {
        let failed = batch.is_err();
        if queues[next % queues.len()]
            .send(batch.map(Some))
            .await
            .is_err()
            || failed
        {
            return;
        }
        next += 1;
    }

    for queue in &queues {
        // A partition that is no longer read does not need the end.
        let _ = queue.send(Ok(None)).await;
    }
}

/// Returns the batches of a queue. A queue that closes without its end is an error, because the
/// sender was lost.
fn drain(
    task: Arc<SpawnedTask<()>>,
    queue: mpsc::Receiver<Message>,
) -> impl Stream<Item = Result<(SeriesBatch, SamplePermit)>> + Send {
    stream::try_unfold((task, queue), |(task, mut queue)| async move {
        match queue.recv().await {
            Some(Ok(Some(batch))) => Ok(Some((batch, (task, queue)))),
            Some(Ok(None)) => Ok(None),
            Some(Err(error)) => Err(error),
            None => Err(DataFusionError::Internal(
                "a scan ended before its end".to_owned(),
            )),
        }
    })
}

/// Passes batches on. The permit of each is held until the next batch is asked for.
fn release_behind(
    stream: impl Stream<Item = Result<(SeriesBatch, SamplePermit)>> + Send + 'static,
) -> impl Stream<Item = Result<RecordBatch>> + Send + 'static {
    let state = (Box::pin(stream), None::<SamplePermit>);
    stream::try_unfold(state, |(mut stream, held)| async move {
        drop(held);
        Ok(stream
            .try_next()
            .await?
            .map(|(batch, permit)| (batch.into_record_batch(), (stream, Some(permit)))))
    })
}

impl Operator for SeriesScan {
    const NAME: &'static str = "SeriesScanExec";

    const READS: bool = true;

    type Shared = Dealing;

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let matchers: Vec<_> = self.matchers.iter().map(ToString::to_string).collect();

        write!(
            f,
            "matchers={{{}}}, range=[{}, {})",
            matchers.join(","),
            self.range.start_ms(),
            self.range.end_ms()
        )?;

        write!(
            f,
            ", batch_series={}, partitions={}",
            self.batch_series_max, self.partitions
        )
    }

    fn schema(&self) -> SchemaRef {
        SeriesBatch::schema()
    }

    fn partitions(&self, _: &[Arc<dyn ExecutionPlan>]) -> usize {
        self.partitions
    }

    fn execute(
        self: Arc<Self>,
        execution: Execution<Dealing>,
    ) -> Result<SendableRecordBatchStream> {
        if self.partitions == 1 {
            return Ok(execution.stream(release_behind(self.open(&execution))));
        }

        let (task, queue) = self.queue(&execution)?;
        Ok(execution.stream(release_behind(drain(task, queue))))
    }
}
