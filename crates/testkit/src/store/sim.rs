//! A store in memory that many processes share, each of which can fail, stop and die at any request.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use duramen_runtime::{Clock, MockClock};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Notify;

/// The objects, and the time in the store: objects have the times of this clock, whichever clock
/// the processes have. Cheap to clone; clones share the objects.
#[derive(Clone, Debug)]
pub struct SimStore {
    objects: Arc<InMemory>,
    clock: Arc<MockClock>,
    times: Arc<Mutex<BTreeMap<Path, i64>>>,
}

/// The store as one process has it. Cheap to clone; clones are the same process.
#[derive(Clone, Debug)]
pub struct SimClient {
    store: SimStore,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    control: Mutex<Control>,
    stopped: Notify,
    resumed: Notify,
}

#[derive(Debug)]
struct Control {
    random: StdRng,
    /// How many writes of a hundred fail. Half of these have had their effect. Of the reads, a tenth
    /// as many fail.
    failing: u32,
    /// The process stops at its n-th request from now.
    stop_at: Option<u64>,
    /// Whether the request at which it stops has its effect before.
    is_done: bool,
    is_stopped: bool,
    counts: SimCounts,
}

/// The requests of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SimCounts {
    pub gets: u64,
    pub puts: u64,
    pub lists: u64,
    pub deletes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SimOp {
    Get,
    Put,
    List,
    Delete,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Done,
    /// It fails, and nothing is done.
    Lost,
    /// It fails, but it is done.
    Unanswered,
}

impl SimStore {
    pub fn new(clock: Arc<MockClock>) -> Self {
        Self {
            objects: Arc::default(),
            clock,
            times: Arc::default(),
        }
    }

    /// The clock of the store.
    pub const fn clock(&self) -> &Arc<MockClock> {
        &self.clock
    }

    /// Returns the store as another process has it, whose requests do not fail.
    pub fn client(&self) -> SimClient {
        self.failing_client(0, 0)
    }

    /// Returns the store as another process has it. Of a hundred of its writes, `failing` fail, and
    /// a tenth as many of its reads: the same ones for the same seed.
    pub fn failing_client(&self, seed: u64, failing: u32) -> SimClient {
        let control = Control {
            random: StdRng::seed_from_u64(seed),
            failing,
            stop_at: None,
            is_done: false,
            is_stopped: false,
            counts: SimCounts::default(),
        };

        SimClient {
            store: self.clone(),
            inner: Arc::new(Inner {
                control: Mutex::new(control),
                stopped: Notify::new(),
                resumed: Notify::new(),
            }),
        }
    }

    fn written(&self, key: &Path) {
        self.times.lock().insert(key.clone(), self.clock.now_ms());
    }

    fn dated(&self, meta: ObjectMeta) -> ObjectMeta {
        let at_ms = self.times.lock().get(&meta.location).copied();

        ObjectMeta {
            last_modified: DateTime::from_timestamp_millis(at_ms.unwrap_or(0)).unwrap_or_default(),
            ..meta
        }
    }
}

impl SimClient {
    /// Makes the process stop at its `n`-th request from now, before or after the request has its
    /// effect.
    pub fn stop_at(&self, n: u64, is_done: bool) {
        let mut control = self.inner.control.lock();
        control.stop_at = Some(n.max(1));
        control.is_done = is_done;
    }

    /// Returns when the process has stopped.
    pub async fn stopped(&self) {
        loop {
            let stopped = self.inner.stopped.notified();
            tokio::pin!(stopped);
            stopped.as_mut().enable();

            if self.inner.control.lock().is_stopped {
                return;
            }

            stopped.await;
        }
    }

    /// Lets the process go on.
    pub fn resume(&self) {
        let mut control = self.inner.control.lock();
        control.is_stopped = false;
        control.stop_at = None;
        drop(control);

        self.inner.resumed.notify_waiters();
    }

    /// Sets how many writes of a hundred fail.
    pub fn set_failing(&self, failing: u32) {
        self.inner.control.lock().failing = failing;
    }

    /// The requests so far.
    pub fn counts(&self) -> SimCounts {
        self.inner.control.lock().counts
    }

    pub fn reset_counts(&self) {
        self.inner.control.lock().counts = SimCounts::default();
    }

    /// Counts a request, and decides whether the process stops at it: before or after its effect.
    fn arrive(&self, op: SimOp) -> (bool, bool) {
        let mut control = self.inner.control.lock();
        let counts = &mut control.counts;

        match op {
            SimOp::Get => counts.gets += 1,
            SimOp::Put => counts.puts += 1,
            SimOp::List => counts.lists += 1,
            SimOp::Delete => counts.deletes += 1,
        }

        let stops = match control.stop_at {
            Some(1) => {
                control.stop_at = None;
                true
            }
            left => {
                control.stop_at = left.map(|left| left - 1);
                false
            }
        };

        (stops && !control.is_done, stops && control.is_done)
    }

    fn fate(&self, op: SimOp) -> Fate {
        let mut control = self.inner.control.lock();
        let failing = match op {
            SimOp::Put | SimOp::Delete => control.failing * 10,
            SimOp::Get | SimOp::List => control.failing,
        };

        if control.random.random_range(0..1_000) >= failing {
            return Fate::Done;
        }

        match control.random.random() {
            true => Fate::Lost,
            false => Fate::Unanswered,
        }
    }

    async fn stand(&self, stops: bool) {
        if stops {
            self.inner.control.lock().is_stopped = true;
            self.inner.stopped.notify_waiters();
        }

        loop {
            let resumed = self.inner.resumed.notified();
            tokio::pin!(resumed);
            resumed.as_mut().enable();

            if !self.inner.control.lock().is_stopped {
                return;
            }

            resumed.await;
        }
    }

    /// Carries a request out, with what befalls it.
    async fn request<T>(&self, op: SimOp, effect: impl Future<Output = Result<T>>) -> Result<T> {
        let (before, after) = self.arrive(op);
        self.stand(before).await;

        let fate = self.fate(op);
        let answer = match fate {
            Fate::Done | Fate::Unanswered => Some(effect.await),
            Fate::Lost => None,
        };

        self.stand(after).await;

        match answer {
            Some(answer) if fate == Fate::Done => answer,
            _ => Err(Error::Generic {
                store: "sim",
                source: "the request failed".into(),
            }),
        }
    }
}

impl fmt::Display for SimClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimClient")
    }
}

#[async_trait]
impl ObjectStore for SimClient {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let effect = async {
            let put = self.store.objects.put_opts(at, payload, options).await?;
            self.store.written(at);
            Ok(put)
        };

        self.request(SimOp::Put, effect).await
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotImplemented {
            operation: "put_multipart".to_owned(),
            implementer: "sim".to_owned(),
        })
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        let effect = async {
            let mut answer = self.store.objects.get_opts(at, options).await?;
            answer.meta = self.store.dated(answer.meta);
            Ok(answer)
        };

        self.request(SimOp::Get, effect).await
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let effect = self.store.objects.get_ranges(at, ranges);
        self.request(SimOp::Get, effect).await
    }

    fn delete_stream(
        &self,
        at: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let client = self.clone();
        let deleted = at.and_then(move |key| {
            let client = client.clone();
            async move {
                let objects = Arc::clone(&client.store.objects);
                let effect = async {
                    objects.delete(&key).await?;
                    Ok(key)
                };

                client.request(SimOp::Delete, effect).await
            }
        });

        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let client = self.clone();
        let prefix = prefix.cloned();

        let listed = async move {
            let effect = async {
                let found = client.store.objects.list(prefix.as_ref());
                let found: Vec<_> = found.try_collect().await?;
                let dated = found.into_iter().map(|meta| client.store.dated(meta));
                Ok(dated.collect::<Vec<_>>())
            };

            client.request(SimOp::List, effect).await
        };

        let objects = stream::once(listed).map_ok(|found| stream::iter(found).map(Ok));
        objects.try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let effect = self.store.objects.list_with_delimiter(prefix);
        self.request(SimOp::List, effect).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let effect = self.store.objects.copy_opts(from, to, options);
        self.request(SimOp::Put, effect).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn an_object_has_the_time_of_the_store() {
        let clock = MockClock::at(1_000);
        let store = SimStore::new(Arc::clone(&clock));
        let client = store.client();
        let key = Path::from("a");

        client.put(&key, "x".into()).await.unwrap();
        clock.advance(Duration::from_secs(5));
        client.put(&Path::from("b"), "x".into()).await.unwrap();

        let objects: Vec<_> = client.list(None).try_collect().await.unwrap();
        let times: Vec<_> = objects
            .iter()
            .map(|object| object.last_modified.timestamp_millis())
            .collect();

        assert_eq!(times, [1_000, 6_000]);
        let expected = SimCounts {
            puts: 2,
            lists: 1,
            ..SimCounts::default()
        };
        assert_eq!(client.counts(), expected);
    }

    #[tokio::test]
    async fn a_process_stops_at_its_request_and_goes_on() {
        let store = SimStore::new(MockClock::at(0));
        let other = store.client();

        for is_done in [false, true] {
            let client = store.client();
            let key = Path::from(format!("{is_done}"));
            client.stop_at(2, is_done);

            let writing = async {
                client.put(&Path::from("first"), "x".into()).await.unwrap();
                client.put(&key, "x".into()).await.unwrap();
            };

            let looking = async {
                client.stopped().await;
                assert_eq!(other.head(&key).await.is_ok(), is_done);
                client.resume();
            };

            futures::join!(writing, looking);
            assert!(other.head(&key).await.is_ok());
        }
    }

    #[tokio::test]
    async fn some_requests_fail_and_some_of_these_are_done() {
        let store = SimStore::new(MockClock::at(0));
        let client = store.failing_client(7, 50);
        let mut fates = BTreeMap::new();

        for n in 0..200 {
            let key = Path::from(format!("{n}"));
            let is_answered = client.put(&key, "x".into()).await.is_ok();
            let is_done = store.client().head(&key).await.is_ok();
            *fates.entry((is_answered, is_done)).or_insert(0) += 1;
        }

        assert_eq!(fates.len(), 3, "{fates:?}");
        assert!(!fates.contains_key(&(true, false)));
    }
}
