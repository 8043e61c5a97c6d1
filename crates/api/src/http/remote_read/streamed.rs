//! The answer as a stream of frames.
//!
//! Memory is held in three places: a batch of series, the frame that is made of it, and the frame
//! that waits for the client. If the client goes away, the reading ends at the next frame. If the
//! client is slow, it is given up when the time of the query is over. A failure after the first
//! frame cuts the connection, so that no client takes a part for the whole.

use std::sync::Arc;

use axum::BoxError;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use duramen_metrics::Counter;
use duramen_model::labels::LabelsIter;
use duramen_model::{AsOf, TenantName};
use duramen_proto::chunk::ChunkBuilder;
use duramen_proto::remote_read::{ResponseType, SeriesFrames};
use duramen_query::{Error, Reader, Selection};
use duramen_runtime::Workers;
use duramen_source::Columns;
use futures::{Stream, StreamExt, stream};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::batch::{Sample, Series};
use crate::http::answer::failure::with_causes;
use crate::http::answer::text_failure::TextFailure;
use crate::http::roles::state::querier::QuerierState;

const CONTENT_TYPE: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";

/// Reads all queries one after the other. Answers when there is a first frame, a failure, or no
/// frame at all.
pub(super) async fn answer(
    state: &Arc<QuerierState>,
    tenant: TenantName,
    as_of: Option<AsOf>,
    selections: Vec<Option<Selection>>,
) -> Result<Response, TextFailure> {
    let (frames, mut ready) = mpsc::channel(1);
    let querier = Arc::clone(&state.querier);
    let samples = state.remote_read.samples(ResponseType::StreamedXorChunks);

    let sender = Sender {
        frames: frames.clone(),
        samples,
    };

    let reading = Workers::default().spawn(async move {
        let work = |reader| async move { send_all(&reader, &selections, sender).await };
        if let Err(error) = querier.read(&tenant, as_of, work).await {
            // If the client has gone, nobody needs the error.
            let _ = frames.send(Err(error)).await;
        }
    });

    let first = ready.recv().await.transpose()?;
    let body = Body::from_stream(stream::iter(first.map(Ok)).chain(rest(ready, reading)));

    Ok((
        [(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE))],
        body,
    )
        .into_response())
}

/// Returns the frames that follow. Dropping the stream ends the reading.
fn rest(
    ready: mpsc::Receiver<Result<Bytes, Error>>,
    reading: AbortOnDropHandle<()>,
) -> impl Stream<Item = Result<Bytes, BoxError>> {
    stream::try_unfold(
        (ready, Some(reading)),
        |(mut ready, mut reading)| async move {
            match ready.recv().await {
                Some(Ok(frame)) => Ok(Some((frame, (ready, reading)))),
                Some(Err(error)) => {
                    tracing::warn!(
                        error = with_causes(&error),
                        "a streamed remote read was cut off"
                    );

                    Err(BoxError::from(error))
                }
                // The channel is closed: the reading is done, or it panicked.
                None => {
                    if let Some(reading) = reading.take() {
                        reading.await?;
                    }

                    Ok(None)
                }
            }
        },
    )
}

/// Sends frames to the client.
struct Sender {
    frames: mpsc::Sender<Result<Bytes, Error>>,
    samples: Counter,
}

/// The client has gone.
struct Gone;

impl Sender {
    async fn send(&self, frame: Vec<u8>) -> Result<(), Gone> {
        self.frames.send(Ok(frame.into())).await.map_err(|_| Gone)
    }
}

/// The reason why sending ended early.
enum Ended {
    Gone,
    Failed(Error),
}

impl From<Gone> for Ended {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<duramen_source::Error> for Ended {
    fn from(error: duramen_source::Error) -> Self {
        Self::Failed(error.into())
    }
}

async fn send_all(
    reader: &Reader,
    selections: &[Option<Selection>],
    sender: Sender,
) -> Result<(), Error> {
    for (query, selection) in selections.iter().enumerate() {
        let Some(selection) = selection else { continue };

        // A stream cannot have a series without samples. So samples are sent even if only series
        // are asked for.
        let selection = Selection {
            columns: Columns::Samples,
            ..selection.clone()
        };

        let sent = if reader.is_in_answer_order(&selection).await? {
            send_in_order(reader, query, &selection, &sender).await
        } else {
            send_sorted(reader, query, &selection, &sender).await
        };

        match sent {
            Ok(()) => {}
            Err(Ended::Gone) => return Ok(()),
            Err(Ended::Failed(error)) => return Err(error),
        }
    }

    Ok(())
}

/// Sends each series when it is read. The series are known to come in order: the check used the
/// same moment.
async fn send_in_order(
    reader: &Reader,
    query: usize,
    selection: &Selection,
    sender: &Sender,
) -> Result<(), Ended> {
    let mut batches = reader.select(selection).await?;

    while let Some(batch) = batches.next().await {
        let batch = batch?;

        for series in Series::all(&batch, selection.range) {
            let mut frames = Frames::of(query, series, series.samples());
            while let Some(frame) = frames.next()? {
                sender.send(frame).await?;
            }

            sender.samples.inc_by(frames.samples);
        }
    }

    Ok(())
}

/// Holds the frames of all series until the last series is read, because any of them may sort
/// first.
async fn send_sorted(
    reader: &Reader,
    query: usize,
    selection: &Selection,
    sender: &Sender,
) -> Result<(), Ended> {
    let mut held: Vec<(Vec<u8>, Vec<Vec<u8>>)> = Vec::new();
    let mut held_bytes = 0;
    let mut reserved = reader.reservation();
    let mut batches = reader.select(selection).await?;

    while let Some(batch) = batches.next().await {
        let batch = batch?;

        for series in Series::all(&batch, selection.range) {
            let mut frames = Frames::of(query, series, series.samples());
            let mut all = Vec::new();

            while let Some(frame) = frames.next()? {
                held_bytes += frame.len() + series.labels().len();
                reserved.grow_to(held_bytes).map_err(Error::from)?;
                all.push(frame);
            }

            sender.samples.inc_by(frames.samples);
            held.push((series.labels().to_vec(), all));
        }

        // Batches that are in memory are ready at once. Yielding lets the time-out and other tasks
        // run.
        tokio::task::yield_now().await;
    }

    held.sort_by(|(a, _), (b, _)| LabelsIter::over(a).cmp(LabelsIter::over(b)));
    for frame in held.into_iter().flat_map(|(_, frames)| frames) {
        sender.send(frame).await?;
    }

    Ok(())
}

/// Makes the frames of one series, one after the other.
struct Frames<'a, S> {
    series: Series<'a>,
    left: S,
    builder: ChunkBuilder,
    /// `None` after the last frame.
    frames: Option<SeriesFrames>,
    samples: u64,
}

impl<'a, S: Iterator<Item = Sample<'a>>> Frames<'a, S> {
    fn of(query: usize, series: Series<'a>, samples: S) -> Self {
        let frames = Some(SeriesFrames::begin(query, series.labels()));
        Self {
            series,
            left: samples,
            builder: ChunkBuilder::default(),
            frames,
            samples: 0,
        }
    }

    fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let Some(frames) = &mut self.frames else {
            return Ok(None);
        };

        for sample in &mut self.left {
            self.samples += 1;

            let ended = match sample {
                Sample::Float(ts_ms, value) => self.builder.push_float(ts_ms, value),
                Sample::Histogram(held) => {
                    let histogram = self.series.histogram(held)?;
                    let pushed = self.builder.push_histogram(held.ts_ms, &histogram);
                    pushed.map_err(|_| self.series.misfit(held.ts_ms))?
                }
            };

            if let Some(frame) = ended.and_then(|chunk| frames.push(&chunk)) {
                return Ok(Some(frame));
            }
        }

        let full = self.builder.finish().and_then(|chunk| frames.push(&chunk));
        let rest = self.frames.take().and_then(SeriesFrames::finish);
        Ok(full.or(rest))
    }
}
