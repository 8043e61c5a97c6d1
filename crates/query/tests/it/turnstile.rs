//! Runs one step at a time: tasks stop at turnstiles, and a seeded driver decides which one goes
//! on.
//!
//! All tasks run on one thread. The driver lets one task through only when every task that has not
//! ended is at a turnstile. So the order of all steps depends only on the seed, whatever threads
//! are behind a task's other waits.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::ops::Range;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use bytes::Bytes;
use duramen_model::{FamilyMetadata, TenantId};
use duramen_source::{
    Error, HeadSnapshot, Heads, Part, SeriesExemplars, SeriesRequest, SeriesSource, SeriesStream,
};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::oneshot;

tokio::task_local! {
    /// The number of the driven task. Other tasks are not stopped.
    static TASK: usize;
}

/// Stops the driven tasks at each step. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Turnstile {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Vec<(usize, oneshot::Sender<()>)>>,
}

impl fmt::Debug for Turnstile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turnstile")
    }
}

impl Turnstile {
    /// Inside of a driven task, waits to be let through.
    pub(crate) async fn pass(&self) {
        let Ok(task) = TASK.try_with(|task| *task) else {
            return;
        };
        let (go, gone) = oneshot::channel();
        self.shared.waiting.lock().push((task, go));

        let _ = gone.await;
    }

    /// Runs all `tasks` to their end and returns the number of ordered steps.
    #[expect(clippy::future_not_send, reason = "the tasks are driven on one thread")]
    pub(crate) async fn drive(
        &self,
        seed: u64,
        tasks: Vec<futures::future::LocalBoxFuture<'_, ()>>,
    ) -> usize {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut running: BTreeMap<usize, _> = tasks
            .into_iter()
            .enumerate()
            .map(|(task, future)| (task, Box::pin(TASK.scope(task, future))))
            .collect();

        let mut steps = 0;
        poll_fn(|context| {
            loop {
                running.retain(|_, future| future.as_mut().poll(context).is_pending());
                if running.is_empty() {
                    return Poll::Ready(steps);
                }

                let mut waiting = self.shared.waiting.lock();
                let stands = |task: &usize| waiting.iter().any(|(standing, _)| standing == task);

                if !running.keys().all(stands) {
                    // Some task waits for a thread, which will wake this one.
                    return Poll::Pending;
                }

                // The driver draws a task and not one of its waits, because the order of a task's
                // waits may depend on random names.
                let drawn = *running
                    .keys()
                    .nth(rng.random_range(0..running.len()))
                    .expect("it is not empty");

                let at = waiting
                    .iter()
                    .position(|(standing, _)| *standing == drawn)
                    .expect("all stand");

                let _ = waiting.remove(at).1.send(());
                steps += 1;
            }
        })
        .await
    }
}

/// Heads with a turnstile at each snapshot and read.
#[derive(Debug)]
pub(crate) struct GatedHeads<H> {
    pub(crate) heads: H,
    pub(crate) turnstile: Turnstile,
}

#[async_trait]
impl<H: Heads> Heads for GatedHeads<H> {
    async fn snapshots(&self, tenant: TenantId) -> Result<Vec<HeadSnapshot>, Error> {
        self.turnstile.pass().await;

        let mut snapshots = self.heads.snapshots(tenant).await?;

        for snapshot in &mut snapshots {
            for Part { source, .. } in &mut snapshot.parts {
                *source = Arc::new(GatedSource {
                    source: Arc::clone(source),
                    turnstile: self.turnstile.clone(),
                });
            }
        }

        self.turnstile.pass().await;
        Ok(snapshots)
    }
}

/// A source with a turnstile before its answer and before each batch.
#[derive(Debug)]
struct GatedSource {
    source: Arc<dyn SeriesSource>,
    turnstile: Turnstile,
}

#[async_trait]
impl SeriesSource for GatedSource {
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, Error> {
        self.turnstile.pass().await;

        let turnstile = self.turnstile.clone();
        let batches = self.source.select(request).await?;

        Ok(Box::pin(batches.then(move |batch| {
            let turnstile = turnstile.clone();
            async move {
                turnstile.pass().await;
                batch
            }
        })))
    }

    async fn exemplars(&self, request: &SeriesRequest) -> Result<Vec<SeriesExemplars>, Error> {
        self.turnstile.pass().await;
        self.source.exemplars(request).await
    }

    async fn metadata(&self) -> Result<Vec<FamilyMetadata>, Error> {
        self.turnstile.pass().await;
        self.source.metadata().await
    }

    async fn ttl_max_ms(&self) -> Result<i64, Error> {
        self.turnstile.pass().await;
        self.source.ttl_max_ms().await
    }
}

/// A store with a turnstile before and after each request.
#[derive(Debug)]
pub(crate) struct GatedStore {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) turnstile: Turnstile,
}

impl fmt::Display for GatedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gated({})", self.store)
    }
}

impl GatedStore {
    async fn gated<T>(&self, request: impl Future<Output = T>) -> T {
        self.turnstile.pass().await;

        let answer = request.await;
        self.turnstile.pass().await;
        answer
    }
}

#[async_trait]
impl ObjectStore for GatedStore {
    async fn put_opts(
        &self,
        at: &Path,
        body: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.gated(self.store.put_opts(at, body, options)).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.gated(self.store.get_opts(at, options)).await
    }

    async fn get_ranges(
        &self,
        at: &Path,
        ranges: &[Range<u64>],
    ) -> object_store::Result<Vec<Bytes>> {
        self.gated(self.store.get_ranges(at, ranges)).await
    }

    fn delete_stream(
        &self,
        at: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.store.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        let list = self.store.list(prefix);
        let turnstile = self.turnstile.clone();

        async move { turnstile.pass().await }
            .into_stream()
            .flat_map(move |()| futures::stream::empty())
            .chain(list)
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.gated(self.store.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.gated(self.store.copy_opts(from, to, options)).await
    }
}
