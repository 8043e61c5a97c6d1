//! The ingester of one process.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use duramen_bucket::{Bucket, Tenants, WriterIdentity};
use duramen_limits::LimitsHandle;
use duramen_manifest::{Commit, Flushed, Manifests};
use duramen_model::{BlockEntry, ErrorKind, TenantId, TenantName};
use duramen_proto::{WriteLimits, WriteRequest};
use duramen_runtime::{Clock, OnFailure, Tasks};
use duramen_source::{HeadSnapshot, Heads};
use duramen_wal::Position;
use object_store::ObjectStore;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tracing::warn;

use crate::admit::admit;
use crate::commit::{Command, Write};
use crate::config::Config;
use crate::error::Error;
use crate::flush::{self, Backoff, FlushReport, Freeze};
use crate::head::{Applied, Conflict, HeadMap, Kept, TenantHead};
use crate::metrics::{Metrics, RejectedLabel, ResultLabel, TenantLabel};
use crate::order::OrderClock;
use crate::rejection::{Reason, Rejections};

/// The way to the running ingester. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ingester {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) bucket: Bucket,
    pub(crate) register: Arc<Tenants>,
    pub(crate) manifests: Manifests,
    pub(crate) writer: WriterIdentity,
    pub(crate) limits: LimitsHandle,
    pub(crate) orders: Arc<OrderClock>,
    pub(crate) heads: HeadMap,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) in_flight: Arc<Semaphore>,
    pub(crate) staging: PathBuf,
    pub(crate) staging_store: Arc<dyn ObjectStore>,
    pub(crate) hash_seed: u64,
    pub(crate) metrics: Metrics,
}

/// Bytes of memory that a byte of a decoded body takes, itself included: a sample of ten bytes makes columns of twenty.
const COLUMNS_PER_BODY: usize = 3;

/// A share of the memory for writes, held until the write is applied.
#[derive(Debug)]
pub struct Turn {
    _permit: OwnedSemaphorePermit,
    more: Option<OwnedSemaphorePermit>,
}

/// What a write did. Everything that is not rejected is durable on this disk and readable.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteReport {
    /// Floats.
    pub samples: Kept,
    pub histograms: Kept,
    pub exemplars: Kept,
    /// Metric families that were told of.
    pub metadata: usize,
    pub rejected: Rejections,
}

impl Ingester {
    /// Stores the samples of a decoded remote write 1.0 body and returns once they are durable: fsynced on this disk.
    ///
    /// Dropping the future does not take a write back.
    pub async fn write(&self, tenant: &TenantName, body: &[u8]) -> Result<WriteReport, Error> {
        let turn = self.turn(body.len() * COLUMNS_PER_BODY).await?;
        self.write_in_turn(turn, tenant, body).await
    }

    /// Waits until a request that takes `bytes` of memory may be worked on.
    pub async fn turn(&self, bytes: usize) -> Result<Turn, Error> {
        let (held, max) = (self.shared.head_bytes(), self.shared.config.head_bytes_max);
        if held > max.saturating_mul(2) {
            return Err(Error::HeadFull { bytes: held, max });
        }
        Ok(Turn { _permit: self.shared.permit(bytes).await?, more: None })
    }

    /// Adds to a turn what a body takes once it is decoded: itself and the columns of its samples.
    pub async fn grow(&self, turn: &mut Turn, decoded_bytes: usize) -> Result<(), Error> {
        turn.more = Some(self.shared.permit(decoded_bytes * COLUMNS_PER_BODY).await?);
        Ok(())
    }

    /// As [`Ingester::write`], for a caller that has waited for its turn.
    pub async fn write_in_turn(&self, turn: Turn, tenant: &TenantName, body: &[u8]) -> Result<WriteReport, Error> {
        let shared = &self.shared;
        let request = WriteRequest::decode_v1(body, &WriteLimits::of_body(body.len()))?;
        if request.ts_ms.is_empty() && request.histograms.is_empty() {
            shared.note_ignored(tenant, &request);
            return Ok(WriteReport::default());
        }
        let head = shared.head(tenant).await?;
        shared.note_ignored(tenant, &request);
        let limits = shared.limits.of(tenant);
        let admitted = admit(&head, &request, shared.clock.now_ms(), &limits.ingest, shared.hash_seed);
        let mut report = WriteReport { rejected: admitted.rejected, ..WriteReport::default() };
        if !admitted.rows.is_empty() {
            let (done, applied) = oneshot::channel();
            let exemplars_max = limits.ingest.exemplars_max;
            let write = Write { head: Arc::clone(&head), rows: admitted.rows, exemplars_max, turn, done };
            shared.send(Command::Write(write)).await?;
            let applied = applied.await.map_err(|_| Error::Stopped)??;
            shared.note_applied(tenant, &applied);
            report.note(&head, applied);
        }
        shared.note_written(tenant, &report);
        Ok(report)
    }

    /// Flushes one tenant; see [`crate::flush`]. An unknown tenant has nothing to flush.
    pub async fn flush(&self, tenant: &TenantName) -> Result<FlushReport, Error> {
        let head = self.shared.heads.read().values().find(|head| head.name == *tenant).cloned();
        match head {
            Some(head) => self.flush_head(&head, Freeze::Yes).await,
            None => Ok(FlushReport::default()),
        }
    }

    /// Flushes every tenant, one after the other. The first error is returned after all were tried.
    pub async fn flush_all(&self) -> Result<(), Error> {
        let mut first = Ok(());
        for head in self.shared.all_heads() {
            if let Err(e) = self.flush_head(&head, Freeze::Yes).await
                && first.is_ok()
            {
                first = Err(e);
            }
        }
        first
    }

    async fn flush_head(&self, head: &Arc<TenantHead>, freeze: Freeze) -> Result<FlushReport, Error> {
        let result = flush::flush(&self.shared, head, freeze).await;
        let label = ResultLabel { result: if result.is_ok() { "success" } else { "failure" } };
        self.shared.metrics.flushes.get_or_create(&label).inc();
        result
    }

    /// Flushes heads by age and by size until the process shuts down.
    pub(crate) fn start_flushing(&self, tasks: &Tasks) {
        let (ingester, shutdown) = (self.clone(), tasks.shutdown());
        tasks.spawn::<_, Error>("flush", OnFailure::Fatal, async move {
            let mut backoff = Backoff::default();
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return Ok(()),
                    () = ingester.shared.clock.sleep(std::time::Duration::from_secs(1)) => {}
                }
                for (head, freeze) in ingester.shared.due() {
                    let now = ingester.shared.clock.monotonic();
                    if !backoff.is_over(head.id, now) {
                        continue;
                    }
                    let flushed = ingester.flush_head(&head, freeze).await;
                    backoff.note(head.id, now, flushed.is_ok());
                    if let Err(error) = flushed {
                        if error.kind() == ErrorKind::Fenced {
                            // Another process has this writer's data: nothing of ours can be published any more.
                            return Err(error);
                        }
                        warn!(tenant = %head.name, %error, cause = ?std::error::Error::source(&error),
                            "a head could not be flushed; the samples stay in the log and it is tried again");
                    }
                }
            }
        });
    }

    /// The names of the tenants that have a head.
    pub fn tenants(&self) -> Vec<TenantName> {
        self.shared.all_heads().into_iter().map(|head| head.name.clone()).collect()
    }

    /// The memory of samples that are not staged or flushed yet, in bytes, roughly.
    pub fn head_bytes(&self) -> usize {
        self.shared.head_bytes()
    }

    /// How many series are in memory.
    pub fn head_series(&self) -> usize {
        self.shared.all_heads().iter().map(|head| head.registry.read().len()).sum()
    }

    /// Brings the gauges up to date.
    pub fn observe(&self) {
        let heads = self.shared.all_heads();
        for head in &heads {
            let series = i64::try_from(head.registry.read().len()).unwrap_or(i64::MAX);
            self.shared.metrics.head_series.get_or_create(&TenantLabel::of(&head.name)).set(series);
        }
        self.shared.metrics.head_bytes.set(i64::try_from(self.head_bytes()).unwrap_or(i64::MAX));
    }
}

#[async_trait]
impl Heads for Ingester {
    async fn snapshots(&self, tenant: TenantId) -> Result<Vec<HeadSnapshot>, duramen_source::Error> {
        let head = self.shared.heads.read().get(&tenant).cloned();
        Ok(head.map(|head| head.snapshot(self.shared.writer.writer)).into_iter().collect())
    }
}

impl Shared {
    /// Waits for a share of `bytes`, the whole at most.
    async fn permit(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Error> {
        let max = self.config.writes_in_flight_bytes_max;
        let permits = u32::try_from(bytes.clamp(1, max)).unwrap_or(u32::MAX);
        tokio::select! {
            biased;
            permit = Arc::clone(&self.in_flight).acquire_many_owned(permits) => permit.map_err(|_| Error::Stopped),
            () = self.clock.sleep(self.config.write_wait_max) => Err(Error::Overload { max }),
        }
    }

    /// The head of a tenant, made when the tenant is new to this process.
    ///
    /// Requests then: one PUT when the tenant is new at all, and what [`Manifests::fence`] takes.
    async fn head(&self, name: &TenantName) -> Result<Arc<TenantHead>, Error> {
        let known = self.register.lookup(name);
        if let Some(id) = known
            && let Some(head) = self.heads.read().get(&id)
        {
            return Ok(Arc::clone(head));
        }
        if known.is_none() && self.register.count() >= self.config.tenants_max {
            return Err(Error::TooManyTenants { max: self.config.tenants_max });
        }
        let id = self.register.resolve_or_create(name).await?;
        let flushed = self.take_over(id).await?;
        // Before anyone can find the head and write to it.
        self.send(Command::SkipTo { position: flushed }).await?;
        Ok(self.put_head(id, name.clone(), flushed))
    }

    /// Fences the writer's earlier epochs out of a tenant's manifest and returns how far the writer has flushed.
    pub(crate) async fn take_over(&self, id: TenantId) -> Result<Position, Error> {
        let state = self.manifests.fence(id).await?;
        for block in state.blocks.values() {
            self.orders.observe(block.order.max);
        }
        Ok(Position(state.flushed_position(self.writer.writer)))
    }

    /// The head of a tenant that was taken over, made unless another made it meanwhile.
    pub(crate) fn put_head(&self, id: TenantId, name: TenantName, flushed: Position) -> Arc<TenantHead> {
        let mut heads = self.heads.write();
        Arc::clone(heads.entry(id).or_insert_with(|| TenantHead::new(id, name, self.orders.next(), flushed)))
    }

    pub(crate) fn all_heads(&self) -> Vec<Arc<TenantHead>> {
        self.heads.read().values().cloned().collect()
    }

    fn head_bytes(&self) -> usize {
        self.heads.read().values().map(|head| head.memory()).sum()
    }

    /// The heads that should be flushed now: those that are old, the largest while all together are too large, and those that have
    /// frozen generations waiting, which alone are no reason to freeze another.
    fn due(&self) -> Vec<(Arc<TenantHead>, Freeze)> {
        let now_ms = i64::try_from(self.clock.monotonic().as_millis()).unwrap_or(i64::MAX);
        let age_ms = i64::try_from(self.config.flush_interval.as_millis()).unwrap_or(i64::MAX);
        let mut heads = self.all_heads();
        heads.sort_by_cached_key(|head| std::cmp::Reverse(head.memory()));
        let mut held: usize = heads.iter().map(|head| head.memory()).sum();
        let judge = |head: Arc<TenantHead>| {
            let waits = !head.frozen().is_empty();
            let old = head.open().filled_since_ms().is_some_and(|since| now_ms - since >= age_ms);
            let large = held > self.config.head_bytes_max;
            if large {
                held -= head.memory();
            }
            match (old || large, waits) {
                (true, _) => Some((head, Freeze::Yes)),
                (false, true) => Some((head, Freeze::No)),
                (false, false) => None,
            }
        };
        heads.into_iter().filter_map(judge).collect()
    }

    async fn send(&self, command: Command) -> Result<(), Error> {
        self.commands.send(command).await.map_err(|_| Error::Stopped)
    }

    pub(crate) async fn freeze(&self, head: &Arc<TenantHead>) -> Result<(), Error> {
        let (done, frozen) = oneshot::channel();
        self.send(Command::Freeze { head: Arc::clone(head), done }).await?;
        frozen.await.map_err(|_| Error::Stopped)?;
        Ok(())
    }

    /// One manifest edit: the blocks are live and the writer has flushed up to `end`.
    pub(crate) async fn commit_blocks(
        &self,
        tenant: TenantId,
        add: Vec<BlockEntry>,
        end: Position,
        flush: u64,
    ) -> Result<(), Error> {
        let (writer, epoch) = (self.writer.writer, self.writer.epoch);
        let flushed = Some(Flushed { writer, epoch, position: end.0, flush });
        self.manifests.commit(tenant, Commit { add, remove: Vec::new(), flushed }).await?;
        Ok(())
    }

    /// Lets the log give up what every tenant has flushed.
    pub(crate) async fn trim(&self) -> Result<(), Error> {
        self.send(Command::Trim).await
    }

    /// Counts what is not kept, for tenants that exist: a header alone makes no metric.
    fn note_ignored(&self, tenant: &TenantName, request: &WriteRequest<'_>) {
        if self.register.lookup(tenant).is_none() {
            return;
        }
        let label = TenantLabel::of(tenant);
        if !request.exemplars.is_empty() {
            self.metrics.exemplars_ignored.get_or_create(&label).inc_by(request.exemplars.len() as u64);
        }
        if !request.metadata.is_empty() {
            self.metrics.metadata_ignored.get_or_create(&label).inc_by(request.metadata.len() as u64);
        }
    }

    fn note_applied(&self, tenant: &TenantName, applied: &Applied) {
        if applied.exemplars_evicted > 0 {
            let evicted = self.metrics.exemplars_evicted.get_or_create(&TenantLabel::of(tenant));
            evicted.inc_by(applied.exemplars_evicted as u64);
        }
    }

    fn note_written(&self, tenant: &TenantName, report: &WriteReport) {
        let label = TenantLabel::of(tenant);
        self.metrics.samples.get_or_create(&label).inc_by(report.samples.stored as u64);
        self.metrics.repeated.get_or_create(&label).inc_by(report.samples.repeated as u64);
        for (reason, count) in report.rejected.counts() {
            let label = RejectedLabel { tenant: tenant.as_str().to_owned(), reason: reason.as_str() };
            self.metrics.rejected.get_or_create(&label).inc_by(*count as u64);
        }
    }
}

impl WriteReport {
    fn note(&mut self, head: &TenantHead, applied: Applied) {
        self.samples = applied.samples;
        self.histograms = applied.histograms;
        self.exemplars = applied.exemplars;
        for Conflict { slot, ts_ms } in applied.conflicts {
            self.rejected.add(Reason::Conflict, 1, || {
                let series = head.labels(slot);
                format!("another value is held for this time; it stays. series=`{series}`, ts_ms=`{ts_ms}`")
            });
        }
    }

    /// What the sender should do about what was rejected; `None` when nothing was.
    pub fn rejection_kind(&self) -> Option<ErrorKind> {
        if self.rejected.is_empty() {
            return None;
        }
        Some(if self.rejected.passes_with_time() { ErrorKind::Limited } else { ErrorKind::Invalid })
    }
}
