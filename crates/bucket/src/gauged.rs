//! A store wrapper that counts requests and limits their number.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use duramen_runtime::Clock;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result, UploadPart,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::{Metrics, Op, Outcome};

/// Counts each request that reaches the store below, and limits how many run at the same time. A
/// permit is held until the body has been read to its end or is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Gauged {
    inner: Arc<dyn ObjectStore>,
    gauge: Gauge,
}

/// The counters and the limit, independent of any store.
#[derive(Clone, Debug)]
struct Gauge {
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    requests: Arc<Semaphore>,
}

impl Gauged {
    pub(crate) fn new(
        inner: Arc<dyn ObjectStore>,
        metrics: Metrics,
        clock: Arc<dyn Clock>,
        requests_max: usize,
    ) -> Self {
        let requests = Arc::new(Semaphore::new(requests_max.max(1)));
        Self {
            inner,
            gauge: Gauge {
                metrics,
                clock,
                requests,
            },
        }
    }
}

impl Gauge {
    async fn permit(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.requests)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }

    /// Waits for a permit, runs `request` and counts it.
    async fn run<T>(
        &self,
        op: Op,
        request: impl Future<Output = Result<T>>,
    ) -> Result<(T, OwnedSemaphorePermit)> {
        let permit = self.permit().await;
        let start = self.clock.monotonic();
        let result = request.await;

        self.metrics.count(
            op,
            outcome(&result),
            self.clock.monotonic().saturating_sub(start),
        );

        result.map(|value| (value, permit))
    }

    async fn run_to_end<T>(&self, op: Op, request: impl Future<Output = Result<T>>) -> Result<T> {
        self.run(op, request).await.map(|(value, _permit)| value)
    }

    /// Counts a listing once, when it ends or is dropped.
    fn stream<T: Send + 'static>(
        &self,
        op: Op,
        start: impl FnOnce() -> BoxStream<'static, Result<T>> + Send + 'static,
    ) -> BoxStream<'static, Result<T>> {
        let gauge = self.clone();
        let begin = async move {
            let permit = gauge.permit().await;
            let count = CountOnDrop {
                start: gauge.clock.monotonic(),
                outcome: Outcome::Ok,
                op,
                gauge,
            };

            start().scan((permit, count), |(_, count), item| {
                if let Err(error) = &item {
                    count.outcome = outcome_of(error);
                }

                futures::future::ready(Some(item))
            })
        };

        begin.into_stream().flatten().boxed()
    }
}

struct CountOnDrop {
    gauge: Gauge,
    op: Op,
    outcome: Outcome,
    start: std::time::Duration,
}

impl Drop for CountOnDrop {
    fn drop(&mut self) {
        let took = self.gauge.clock.monotonic().saturating_sub(self.start);
        self.gauge.metrics.count(self.op, self.outcome, took);
    }
}

fn outcome<T>(result: &Result<T>) -> Outcome {
    result.as_ref().map_or_else(outcome_of, |_| Outcome::Ok)
}

fn outcome_of(error: &object_store::Error) -> Outcome {
    match error {
        object_store::Error::NotFound { .. } => Outcome::NotFound,
        object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. } => {
            Outcome::AlreadyExists
        }
        _ => Outcome::Error,
    }
}

fn length(payload: &PutPayload) -> u64 {
    u64::try_from(payload.content_length()).unwrap_or(u64::MAX)
}

impl fmt::Display for Gauged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Gauged {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let op = if opts.mode == PutMode::Overwrite {
            Op::Put
        } else {
            Op::Create
        };

        self.gauge.metrics.add_bytes(op, length(&payload));
        self.gauge
            .run_to_end(op, self.inner.put_opts(location, payload, opts))
            .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self
            .gauge
            .run_to_end(Op::Upload, self.inner.put_multipart_opts(location, opts))
            .await?;

        Ok(Box::new(GaugedUpload {
            upload,
            gauge: self.gauge.clone(),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let op = if options.head { Op::Head } else { Op::Get };
        let (result, permit) = self
            .gauge
            .run(op, self.inner.get_opts(location, options))
            .await?;

        let metrics = self.gauge.metrics.clone();
        let body = result.payload;

        let counted = match body {
            GetResultPayload::Stream(body) => body.scan(permit, move |_, piece| {
                if let Ok(bytes) = &piece {
                    metrics.add_bytes(op, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                }

                futures::future::ready(Some(piece))
            }),
            // This variant exists only if object_store's own local store is compiled in, which our
            // crates do for staged blocks.
            _ => return Err(no_files()),
        };

        Ok(GetResult {
            payload: GetResultPayload::Stream(counted.boxed()),
            meta: result.meta,
            range: result.range,
            attributes: result.attributes,
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        crate::retrying::get_ranges(self, location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        // They are sent one by one, so that each is counted and has its own result.
        let this = self.clone();
        locations
            .map(move |location| {
                let this = this.clone();

                async move {
                    let location = location?;
                    let one = stream::iter([Ok(location.clone())]).boxed();
                    let mut answers = this.inner.delete_stream(one);
                    let delete = async { answers.next().await.unwrap_or(Ok(location)) };

                    this.gauge.run_to_end(Op::Delete, delete).await
                }
            })
            .buffered(8)
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let inner = Arc::clone(&self.inner);
        let prefix = prefix.cloned();
        self.gauge
            .stream(Op::List, move || inner.list(prefix.as_ref()))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let inner = Arc::clone(&self.inner);
        let prefix = prefix.cloned();
        let offset = offset.clone();

        self.gauge.stream(Op::List, move || {
            inner.list_with_offset(prefix.as_ref(), &offset)
        })
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.gauge
            .run_to_end(Op::List, self.inner.list_with_delimiter(prefix))
            .await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.gauge
            .run_to_end(Op::Copy, self.inner.copy_opts(from, to, options))
            .await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.gauge
            .run_to_end(Op::Copy, self.inner.rename_opts(from, to, options))
            .await
    }
}

/// Makes the error for an open file as a response. Our stores never return one, because reading it
/// would bypass the counters.
fn no_files() -> object_store::Error {
    object_store::Error::NotImplemented {
        operation: "get with a file".to_owned(),
        implementer: "duramen".to_owned(),
    }
}

#[derive(Debug)]
struct GaugedUpload {
    upload: Box<dyn MultipartUpload>,
    gauge: Gauge,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl MultipartUpload for GaugedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.gauge.metrics.add_bytes(Op::Part, length(&data));

        let part = self.upload.put_part(data);
        let gauge = self.gauge.clone();
        async move { gauge.run_to_end(Op::Part, part).await }.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.gauge
            .run_to_end(Op::Complete, self.upload.complete())
            .await
    }

    async fn abort(&mut self) -> Result<()> {
        self.gauge.run_to_end(Op::Delete, self.upload.abort()).await
    }
}
