//! The server, as a test uses it: start and stop it, inspect it, inject faults.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::{Dropped, Refusal, Wire};
use super::bucket::Bucket;
use super::clock;
use super::exchange::{ServerData, Shared};
use super::faults::{FaultPlan, Faults, Rule, RuleId};
use super::objects::{Object, ObjectInfo};
use super::options::S3Options;
use super::records::{Counts, Records, RequestLog};

/// The largest request body. It is kept in memory. No block or part of a test is larger.
const BODY_BYTES_MAX: usize = 1 << 30;

/// A running S3 server. It stops when this value is dropped.
#[derive(Debug)]
pub struct S3 {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// `None` while the server is stopped.
    run: Mutex<Option<Run>>,
}

/// The tasks from one start to the next stop.
#[derive(Clone, Debug)]
struct Run {
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl S3 {
    /// Starts a server. On return it accepts connections. Its tasks run on the runtime of the
    /// caller.
    pub async fn start(options: S3Options) -> anyhow::Result<Self> {
        ensure!(
            options.listen.ip().is_loopback(),
            "not a loop-back address. listen=`{}`",
            options.listen
        );

        let listener = TcpListener::bind(options.listen)
            .await
            .with_context(|| format!("bind the test store. listen=`{}`", options.listen))?;
        let address = listener
            .local_addr()
            .context("read the port of the test store")?;
        let shared = Arc::new(Shared::new(options));
        let run = Mutex::new(Some(Run::start(listener, &shared)));

        Ok(Self {
            address,
            shared,
            run,
        })
    }

    /// Returns its address as `http://127.0.0.1:port`. In the path of a request, the bucket
    /// follows.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops listening and drops all connections. On return no request is running, and requests
    /// that had not committed never will. Connections are refused until
    /// [`start_again`](Self::start_again).
    pub async fn stop(&self) {
        let run = self.run.lock().take();
        if let Some(run) = run {
            run.stopping.cancel();
            run.tasks.close();
            run.tasks.wait().await;
        }
    }

    /// Starts again on the same port, with the same contents, rules and counters. Does nothing
    /// while the server runs.
    pub async fn start_again(&self) -> anyhow::Result<()> {
        if self.run.lock().is_some() {
            return Ok(());
        }

        let listener = TcpListener::bind(self.address)
            .await
            .with_context(|| format!("bind the test store again. listen=`{}`", self.address))?;
        *self.run.lock() = Some(Run::start(listener, &self.shared));
        Ok(())
    }

    /// While set, every request is answered 503 and nothing is done. To refuse connections, use
    /// [`stop`](Self::stop).
    pub fn set_outage(&self, outage: bool) {
        self.shared.outage.store(outage, Ordering::Release);
    }

    /// Sets what `GET ?versioning` answers.
    pub fn set_versioned(&self, versioned: bool) {
        self.shared.data.lock().options.versioned = versioned;
    }

    /// Sets what `GET ?object-lock` answers.
    pub fn set_locked(&self, locked: bool) {
        self.shared.data.lock().options.locked = locked;
    }

    /// Adds a rule after the existing ones.
    pub fn inject(&self, rule: Rule) -> RuleId {
        self.shared.faults.lock().inject(rule)
    }

    /// Replaces all rules by those of a plan. Returns their ids, in the order of the plan.
    pub fn set_plan(&self, plan: FaultPlan) -> Vec<RuleId> {
        self.shared.faults.lock().set_plan(plan)
    }

    /// Removes all rules. Requests that a fault has already affected are not changed.
    pub fn clear_faults(&self) {
        self.shared.faults.lock().clear();
    }

    /// Returns how many requests a rule has affected, or 0 if there is no such rule.
    pub fn fired(&self, rule: RuleId) -> u64 {
        self.shared.faults.lock().fired(rule)
    }

    /// Returns all objects, in the order of their keys.
    pub fn objects(&self) -> Vec<ObjectInfo> {
        let data = self.shared.data.lock();
        data.bucket
            .objects
            .iter()
            .map(|(key, object)| object.info(key))
            .collect()
    }

    /// Returns all objects with their bodies, for [`S3Options::contents`] of another server. Bodies
    /// are shared, not copied.
    pub fn clone_contents(&self) -> BTreeMap<String, Bytes> {
        let data = self.shared.data.lock();
        data.bucket
            .objects
            .iter()
            .map(|(key, object)| (key.clone(), object.body.clone()))
            .collect()
    }

    /// Returns the body of one object. Ignores faults and does not count.
    pub fn object(&self, key: &str) -> Option<Bytes> {
        self.shared
            .data
            .lock()
            .bucket
            .objects
            .get(key)
            .map(|object| object.body.clone())
    }

    /// Writes an object. Ignores faults and conditions and does not count.
    pub fn plant(&self, key: impl Into<String>, body: impl Into<Bytes>) {
        let object = Object::new(body.into(), Vec::new(), clock::now_ms());
        self.shared
            .data
            .lock()
            .bucket
            .objects
            .insert(key.into(), object);
    }

    /// Removes an object. Ignores faults and does not count. Returns false if there was none.
    pub fn uproot(&self, key: &str) -> bool {
        self.shared.data.lock().bucket.objects.remove(key).is_some()
    }

    /// Returns how many uploads in parts are neither completed nor aborted.
    pub fn open_uploads(&self) -> usize {
        self.shared.data.lock().bucket.uploads.count()
    }

    /// Returns the requests since the start or the last reset. A request is logged before its
    /// answer is sent.
    pub fn log(&self) -> Vec<RequestLog> {
        self.shared.records.lock().log.iter().cloned().collect()
    }

    /// Returns the counters since the start or the last reset.
    pub fn counts(&self) -> Counts {
        self.shared.records.lock().counts
    }

    /// Sets the counters to zero and empties the log.
    pub fn reset_counts(&self) {
        *self.shared.records.lock() = Records::default();
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        if let Some(run) = self.run.get_mut().take() {
            run.stopping.cancel();
        }
    }
}

impl Shared {
    fn new(mut options: S3Options) -> Self {
        let now_ms = clock::now_ms();
        let contents = std::mem::take(&mut options.contents);
        let object = |(key, body)| (key, Object::new(body, Vec::new(), now_ms));
        let bucket = Bucket {
            objects: contents.into_iter().map(object).collect(),
            ..Bucket::default()
        };

        let faults = Mutex::new(Faults::new(options.seed));
        let data = Mutex::new(ServerData { bucket, options });

        Self {
            data,
            faults,
            records: Mutex::default(),
            outage: AtomicBool::new(false),
        }
    }
}

impl Run {
    fn start(listener: TcpListener, shared: &Arc<Shared>) -> Self {
        let run = Self {
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };

        run.tasks
            .spawn(run.clone().accept(listener, Arc::clone(shared)));
        run
    }

    async fn accept(self, listener: TcpListener, shared: Arc<Shared>) {
        loop {
            let accepted = self.stopping.run_until_cancelled(listener.accept()).await;

            match accepted {
                None => return,
                Some(Ok((stream, _))) => drop(
                    self.tasks
                        .spawn(self.clone().connection(stream, Arc::clone(&shared))),
                ),
                // Either no file descriptor is left or the client is gone. Later connections may
                // work.
                Some(Err(_)) => tokio::task::yield_now().await,
            }
        }
    }

    async fn connection(self, stream: TcpStream, shared: Arc<Shared>) {
        // Small answers should leave at once. If this fails, it only costs time.
        let _ = stream.set_nodelay(true);
        let reset = Arc::new(AtomicBool::new(false));

        let service = service_fn(|request| {
            let exchange = self
                .clone()
                .exchange(request, Arc::clone(&shared), Arc::clone(&reset));
            Box::pin(exchange) as Pin<Box<dyn Future<Output = _> + Send>>
        });

        let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        let ended = poll_fn(|context| connection.poll_without_shutdown(context));

        // The result does not matter: the client reports its own errors.
        let _ = self.stopping.run_until_cancelled(ended).await;
        let stream = connection.into_parts().io.into_inner();

        if reset.load(Ordering::Acquire) {
            // With this, dropping the stream sends RST instead of FIN.
            let _ = stream.set_zero_linger();
        }
    }

    /// Reads the whole request. Then carries it out in a task of its own, which continues if the
    /// client leaves.
    async fn exchange(
        self,
        request: Request<Incoming>,
        shared: Arc<Shared>,
        reset: Arc<AtomicBool>,
    ) -> Result<Response<Wire>, Dropped> {
        let (head, body) = request.into_parts();
        let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
            let refusal = Refusal::new(
                StatusCode::BAD_REQUEST,
                "EntityTooLarge",
                "the body is too large, or ended early",
            );

            return Ok(refusal.answer(head.uri.path()).into_response());
        };

        let exchange = async move { shared.exchange(head, body.to_bytes()).await };
        let exchange = self
            .tasks
            .spawn(self.stopping.run_until_cancelled_owned(exchange));

        match exchange.await {
            Ok(Some(Ok(answer))) => Ok(answer.into_response()),
            _ => {
                reset.store(true, Ordering::Release);
                Err(Dropped)
            }
        }
    }
}
