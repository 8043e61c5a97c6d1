//! The ingester of one process.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use duramen_bucket::{Bucket, Tenants, WriterIdentity};
use duramen_limits::{IngestLimits, LimitsHandle};
use duramen_manifest::{Commit, Flushed, Manifests};
use duramen_model::{BlockEntry, ErrorKind, TenantId, TenantName};
use duramen_proto::{Version, WriteLimits, WriteRequest};
use duramen_qos::{Rate, Refused};
use duramen_runtime::{Clock, OnFailure, Tasks};
use duramen_source::{HeadSnapshot, Heads};
use duramen_wal::Position;
use object_store::ObjectStore;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tracing::warn;

use crate::admit::{Admitted, admit};
use crate::commit::{Command, Write};
use crate::config::Config;
use crate::error::Error;
use crate::flush::{self, Backoff, FlushReport, Freeze};
use crate::ha::{Electorate, Gate};
use crate::head::{Applied, HeadMap, Past, Rows, TenantHead};
use crate::metrics::{ClusterLabel, LimitLabel, Metrics, RejectedLabel, ResultLabel, TenantLabel};
use crate::order::OrderClock;
use crate::rejection::{Rejections, RequestLimit};
use crate::report::{Duplicates, WriteReport};

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

impl Ingester {
    /// Stores what a remote write body (after snappy) of `version` brings and returns once it is durable: fsynced on this disk.
    ///
    /// Dropping the future does not take a write back.
    pub async fn write(&self, tenant: &TenantName, version: Version, body: &[u8]) -> Result<WriteReport, Error> {
        let turn = self.turn(body.len() * COLUMNS_PER_BODY).await?;
        self.write_in_turn(turn, tenant, version, body).await
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
    pub async fn write_in_turn(
        &self,
        turn: Turn,
        tenant: &TenantName,
        version: Version,
        body: &[u8],
    ) -> Result<WriteReport, Error> {
        let shared = &self.shared;
        let memory = WriteLimits::of_body(body.len());
        let request = match version {
            Version::One => WriteRequest::decode_v1(body, &memory)?,
            Version::Two => WriteRequest::decode_v2(body, &memory, shared.config.type_and_unit_labels)?,
        };
        if request.series.is_empty() && request.metadata.is_empty() && request.refused.is_empty() {
            return Ok(WriteReport::default());
        }
        let head = shared.head(tenant).await?;
        let limits = shared.limits.of(tenant);
        let gate = head.pairs.gate(&request, &limits.ha, shared.hash_seed, shared.electorate(head.id)).await?;
        let duplicates = shared.note_duplicates(tenant, &gate, &request);
        shared.check_rate(&head, &request, duplicates.all(), &limits.ingest)?;
        let admitted = admit(&head, &request, &gate, shared.clock.now_ms(), &limits.ingest, shared.hash_seed);
        let Admitted { rows, families, rejected, lost_exemplars, lost_metadata } = admitted;
        let mut report = WriteReport {
            duplicates,
            metadata: families,
            rejected,
            lost_exemplars,
            lost_metadata,
            ..WriteReport::default()
        };
        if !rows.is_empty() {
            let new_families = rows.metadata.len();
            let (done, applied) = oneshot::channel();
            let exemplars_max = limits.ingest.exemplars_max;
            let write = Write { head: Arc::clone(&head), rows, exemplars_max, turn, done };
            shared.send(Command::Write(Box::new(write))).await?;
            let applied = applied.await.map_err(|_| Error::Stopped)??;
            shared.note_applied(tenant, &applied, new_families);
            report.note(&head, applied);
        }
        shared.note_refused(tenant, &report);
        Ok(report)
    }

    /// Counts a request that the caller refuses for a limit, if the tenant exists: a header alone makes no metric.
    pub fn note_limited(&self, tenant: &TenantName, limit: RequestLimit) {
        if self.shared.register.lookup(tenant).is_some() {
            self.shared.note_limited(tenant, limit);
        }
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
            let (label, metrics) = (TenantLabel::of(&head.name), &self.shared.metrics);
            let (histograms, exemplars) = head.rare();
            for (gauge, count) in [
                (&metrics.head_series, head.registry.read().len()),
                (&metrics.head_histograms, histograms),
                (&metrics.head_exemplars, exemplars),
                (&metrics.head_families, head.families.read().len()),
            ] {
                gauge.get_or_create(&label).set(i64::try_from(count).unwrap_or(i64::MAX));
            }
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
        let past = self.take_over(id).await?;
        // Before anyone can find the head and write to it.
        self.send(Command::SkipTo { position: past.flushed }).await?;
        Ok(self.put_head(id, name.clone(), past))
    }

    /// Fences the writer's earlier epochs out of a tenant's manifest and returns what they left.
    pub(crate) async fn take_over(&self, id: TenantId) -> Result<Past, Error> {
        let state = self.manifests.fence(id).await?;
        for block in state.blocks.values() {
            self.orders.observe(block.order.max);
        }
        let writer = self.writer.writer;
        let mine = state.blocks.values().filter(|block| block.order.max.writer == writer && block.stats.families > 0);
        let metadata = mine.max_by_key(|block| block.order.max).cloned();
        Ok(Past { flushed: Position(state.flushed_position(writer)), metadata })
    }

    /// The head of a tenant that was taken over, made unless another made it meanwhile.
    pub(crate) fn put_head(&self, id: TenantId, name: TenantName, past: Past) -> Arc<TenantHead> {
        let mut heads = self.heads.write();
        Arc::clone(heads.entry(id).or_insert_with(|| TenantHead::new(id, name, self.orders.next(), past)))
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

    /// Logs all metadata that the tenant has once more: it is in the open generation when this returns.
    pub(crate) async fn log_families(&self, head: &Arc<TenantHead>) -> Result<(), Error> {
        let rows = Rows { metadata: head.families.read().all(), ..Rows::default() };
        let turn = Turn { _permit: self.permit(1).await?, more: None };
        let (done, applied) = oneshot::channel();
        let write = Write { head: Arc::clone(head), rows, exemplars_max: 0, turn, done };
        self.send(Command::Write(Box::new(write))).await?;
        applied.await.map_err(|_| Error::Stopped)??;
        Ok(())
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

    /// Holds a request against the tenant's rate before anything of it is stored.
    fn check_rate(
        &self,
        head: &TenantHead,
        request: &WriteRequest<'_>,
        duplicates: usize,
        limits: &IngestLimits,
    ) -> Result<(), Error> {
        let Some(per_second) = limits.samples_per_second else { return Ok(()) };
        let sent = request.ts_ms.len() + request.histograms.len() + request.exemplars.len();
        let samples = sent.saturating_sub(duplicates) as u64;
        let burst = limits.samples_burst;
        let taken = head.rate.lock().take(self.clock.monotonic(), samples, Rate { per_second, burst });
        match taken {
            Ok(()) => Ok(()),
            Err(Refused::For(wait)) => {
                self.note_limited(&head.name, RequestLimit::SamplesPerSecond);
                Err(Error::RateLimited { samples, per_second, burst, wait })
            }
            Err(Refused::Forever) => {
                self.note_limited(&head.name, RequestLimit::SamplesBurst);
                Err(Error::OverBurst { samples, max: burst })
            }
        }
    }

    fn electorate(&self, tenant: TenantId) -> Electorate<'_> {
        Electorate { tenant, bucket: &self.bucket, writer: self.writer }
    }

    /// Counts what the replicas bring that are not elected.
    fn note_duplicates(&self, tenant: &TenantName, gate: &Gate, request: &WriteRequest<'_>) -> Duplicates {
        let mut all = Duplicates::default();
        for (cluster, duplicates) in gate.duplicates(&request.series) {
            let label = ClusterLabel { tenant: tenant.as_str().to_owned(), cluster: cluster.to_owned() };
            self.metrics.duplicates.get_or_create(&label).inc_by(duplicates.all() as u64);
            all.add(duplicates);
        }
        all
    }

    fn note_limited(&self, tenant: &TenantName, limit: RequestLimit) {
        let label = LimitLabel { tenant: tenant.as_str().to_owned(), limit: limit.as_str() };
        self.metrics.limited.get_or_create(&label).inc();
    }

    fn note_applied(&self, tenant: &TenantName, applied: &Applied, new_families: usize) {
        let label = TenantLabel::of(tenant);
        let repeated = applied.samples.repeated + applied.histograms.repeated + applied.exemplars.repeated;
        for (counter, count) in [
            (&self.metrics.samples, applied.samples.stored),
            (&self.metrics.histograms, applied.histograms.stored),
            (&self.metrics.exemplars, applied.exemplars.stored),
            (&self.metrics.exemplars_evicted, applied.exemplars_evicted),
            (&self.metrics.metadata, new_families),
            (&self.metrics.repeated, repeated),
        ] {
            counter.get_or_create(&label).inc_by(count as u64);
        }
    }

    fn note_refused(&self, tenant: &TenantName, report: &WriteReport) {
        let all = [&report.rejected, &report.lost_exemplars, &report.lost_metadata];
        for (reason, count) in all.into_iter().flat_map(Rejections::counts) {
            let label = RejectedLabel { tenant: tenant.as_str().to_owned(), reason: reason.as_str() };
            self.metrics.rejected.get_or_create(&label).inc_by(*count as u64);
        }
    }
}
