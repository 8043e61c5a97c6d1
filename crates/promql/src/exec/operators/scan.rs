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
use duramen_source::{Columns, SeriesBatch, SeriesRequest, UndecodedBatch, UndecodedStream};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;

use crate::error::Error;
use crate::exec::support::execution::Execution;
use crate::exec::support::late_matchers::LateMatchers;
use crate::exec::support::operator::Operator;
use crate::exec::support::run::NodeId;
use crate::exec::support::sample_budget::{SampleBudget, SamplePermit};

/// How many batches may wait for a partition.
const QUEUE: usize = 1;

/// Reads one stream of series and distributes its batches: batch `i` goes to partition `i %
/// partitions`. The partition decodes it and passes on its pieces one by one, so partitions decode
/// at the same time, and samples stay in the cache of the core that uses them.
///
/// The samples of a piece count against the budget until the partition asks for the next piece.
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

type Message = Result<Option<UndecodedBatch>>;

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
    ) -> impl Stream<Item = Result<UndecodedBatch>> + Send + 'static {
        let request = self.request(execution);
        let source = Arc::clone(&execution.run.source);
        let limit = execution.run.series_max;

        let mut series = 0;
        let opened = async move {
            let stream = source.select_undecoded(&request).await;
            stream.map_err(source_error)
        };

        stream::once(opened)
            .map_ok(|stream: UndecodedStream| stream.map_err(source_error))
            .try_flatten()
            .and_then(move |batch| {
                series += batch.series();

                std::future::ready(match series > limit {
                    true => Err(Error::Series { limit }.into()),
                    false => Ok(batch),
                })
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
    stream: impl Stream<Item = Result<UndecodedBatch>> + Send,
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
) -> impl Stream<Item = Result<UndecodedBatch>> + Send {
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

/// Where the decoding of a stream of batches is.
struct Decoding<S> {
    batches: S,
    /// The batch that is decoded.
    current: Option<UndecodedBatch>,
    /// The share of the piece that was passed on last.
    held: Option<SamplePermit>,
    budget: Arc<SampleBudget>,
}

impl<S: Stream<Item = Result<UndecodedBatch>> + Unpin> Decoding<S> {
    /// Returns the next piece. The share of the previous one is given back first.
    async fn next_piece(&mut self) -> Result<Option<SeriesBatch>> {
        self.held = None;

        loop {
            let piece = self.current.as_mut().and_then(UndecodedBatch::next_piece);

            if let Some(piece) = piece {
                let piece = piece.map_err(source_error)?;
                self.held = Some(self.budget.take(&piece)?);
                return Ok(Some(piece));
            }

            self.current = self.batches.try_next().await?;
            if self.current.is_none() {
                return Ok(None);
            }
        }
    }
}

/// Decodes batches piece by piece.
fn decoded(
    batches: impl Stream<Item = Result<UndecodedBatch>> + Send + 'static,
    budget: Arc<SampleBudget>,
) -> impl Stream<Item = Result<RecordBatch>> + Send + 'static {
    let decoding = Decoding {
        batches: Box::pin(batches),
        current: None,
        held: None,
        budget,
    };

    stream::try_unfold(decoding, |mut decoding| async move {
        let piece = decoding.next_piece().await?;
        Ok(piece.map(|piece| (piece.into_record_batch(), decoding)))
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
        let budget = Arc::clone(&execution.run.budget);

        if self.partitions == 1 {
            return Ok(execution.stream(decoded(self.open(&execution), budget)));
        }

        let (task, queue) = self.queue(&execution)?;
        Ok(execution.stream(decoded(drain(task, queue), budget)))
    }
}
