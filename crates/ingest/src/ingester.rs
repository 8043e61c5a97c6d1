//! The handle of the ingester of one process.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use duramen_bucket::LogLeft;
use duramen_model::{TenantId, TenantName};
use duramen_proto::Version;
use duramen_source::{HeadSnapshot, Heads};
use tracing::{info, warn};

use crate::admit::{Admitted, admit};
use crate::commit::CommitHandle;
use crate::error::Error;
use crate::flush::{FlushReport, Freeze};
use crate::flusher::Flusher;
use crate::head::TenantHead;
use crate::heads::TenantHeads;
use crate::intake::{DecodedWrite, GatedWrite, Intake, WriteBody};
use crate::metrics::{Metrics, TenantLabel};
use crate::report::WriteReport;
use crate::schedule::flush_head;
use crate::seen::SeenClock;

mod counts;

/// The handle of the running ingester. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ingester {
    pub(crate) intake: Arc<Intake>,
    pub(crate) heads: Arc<TenantHeads>,
    pub(crate) commit: CommitHandle,
    pub(crate) flusher: Arc<Flusher>,
    pub(crate) seen: Arc<SeenClock>,
    pub(crate) metrics: Metrics,
}

impl Ingester {
    /// Returns the intake, which a write passes first.
    pub const fn intake(&self) -> &Arc<Intake> {
        &self.intake
    }

    /// Stores the samples of a remote write body of `version`, without its snappy compression.
    /// Returns once they are durable: fsynced on the local disk.
    ///
    /// Dropping the future does not undo the write.
    pub async fn write(
        &self,
        tenant: &TenantName,
        version: Version,
        body: &[u8],
    ) -> Result<WriteReport, Error> {
        let permit = self.intake.permit(body.len()).await?;
        self.take(tenant, self.intake.decode(permit, version, body)?)
            .await
    }

    /// Stores a write like [`Ingester::write`], from a body that the intake has decompressed.
    pub async fn write_body(
        &self,
        tenant: &TenantName,
        version: Version,
        body: WriteBody,
    ) -> Result<WriteReport, Error> {
        let WriteBody { message, permit } = body;
        self.take(
            tenant,
            self.intake.decode(permit, version, message.bytes())?,
        )
        .await
    }

    /// Stores a write like [`Ingester::write`], from a request that is already decoded.
    pub async fn take(
        &self,
        tenant: &TenantName,
        write: DecodedWrite<'_>,
    ) -> Result<WriteReport, Error> {
        if write.is_empty() {
            return Ok(WriteReport::default());
        }

        // This comes before the gate: a request of a tenant in quarantine does not count against
        // its limits.
        let head = self.heads.of(tenant).await?;
        let write = self.intake.gate(write, &head.intake).await?;
        self.store(&head, write).await
    }

    /// Stores the part of a request that the head admits. The request has passed the intake.
    async fn store(
        &self,
        head: &Arc<TenantHead>,
        write: GatedWrite<'_>,
    ) -> Result<WriteReport, Error> {
        let Admitted {
            rows,
            families,
            rejected,
            lost_exemplars,
            lost_metadata,
            pin,
        } = admit(head, &write, self.seen.now(), self.intake.hash_seed());

        let mut report = WriteReport {
            duplicates: write.duplicates,
            metadata: families,
            rejected,
            lost_exemplars,
            lost_metadata,
            ..WriteReport::default()
        };

        if !rows.is_empty() {
            let new_families = rows.metadata.len();
            let exemplars_max = write.limits.ingest.exemplars_max;
            let pin = pin.unwrap_or_else(|| head.registry.read().pin());
            let _until_reported = pin.clone();

            let applied = self
                .commit
                .write(head, rows, exemplars_max, write.permit, pin)
                .await?;

            self.note_applied(&head.name(), &applied, new_families);
            report.note(head, applied);
        }

        self.note_rejected(&head.name(), &report);
        Ok(report)
    }

    /// Flushes one tenant; see [`crate::flush`]. Does nothing for an unknown tenant.
    pub async fn flush(&self, tenant: &TenantName) -> Result<FlushReport, Error> {
        match self.heads.find(tenant) {
            Some(head) => flush_head(&self.flusher, &head, Freeze::Yes).await,
            None => Ok(FlushReport::default()),
        }
    }

    /// Flushes every tenant, one after the other. The first error is returned after all tenants
    /// were tried.
    pub async fn flush_all(&self) -> Result<(), Error> {
        let mut first = Ok(());

        for head in self.heads.all() {
            if let Err(e) = flush_head(&self.flusher, &head, Freeze::Yes).await
                && first.is_ok()
            {
                first = Err(e);
            }
        }

        first
    }

    /// Flushes every tenant for at most `wait_max`, before the process ends. What is not flushed by
    /// then stays in the log, as after a kill: the next start replays it.
    pub async fn flush_before_end(&self, wait_max: Duration) {
        let flushed = tokio::select! {
            biased;
            flushed = self.flush_all() => flushed,
            () = self.flusher.clock.sleep(wait_max) => {
                warn!(?wait_max, "not all samples could be flushed in time; they stay in the log");
                return;
            }
        };

        match flushed {
            Ok(()) => info!("all samples are flushed"),
            Err(error) => warn!(%error, "not all samples could be flushed; they stay in the log"),
        }
    }

    /// Stops publishing and waits for running flushes. Returns whether the log still has
    /// acknowledged samples that are not in the bucket.
    pub async fn close(&self) -> LogLeft {
        self.flusher.closed.store(true, Ordering::SeqCst);

        let mut left = LogLeft::Nothing;
        for head in self.heads.all() {
            let _last = head.flushing.lock().await;
            if head.first_uncommitted().is_some() {
                left = LogLeft::Samples;
            }
        }

        left
    }

    /// Returns whether another process has published under this one's name.
    pub fn is_fenced(&self) -> bool {
        self.flusher.fenced.get().is_some()
    }

    /// Returns the names of the tenants that have a head.
    pub fn tenants(&self) -> Vec<TenantName> {
        self.heads
            .all()
            .into_iter()
            .map(|head| head.name())
            .collect()
    }

    /// Returns the memory of samples that are not staged or flushed yet, in bytes, roughly.
    pub fn head_bytes(&self) -> usize {
        self.heads.memory.sample_bytes()
    }

    /// Returns how many series are in memory.
    pub fn head_series(&self) -> usize {
        self.heads
            .all()
            .iter()
            .map(|head| head.registry.read().len())
            .sum()
    }

    /// Updates the gauges.
    pub fn observe(&self) {
        let heads = self.heads.all();
        let quarantined = heads.iter().filter(|head| head.is_quarantined()).count();
        self.metrics
            .quarantined
            .set(i64::try_from(quarantined).unwrap_or(i64::MAX));

        for head in &heads {
            let label = TenantLabel::of(&head.name());
            let metrics = &self.metrics;
            let (histograms, exemplars) = head.rare();

            for (gauge, count) in [
                (&metrics.head_series, head.registry.read().len()),
                (&metrics.head_series_bytes, head.memory.series_bytes()),
                (&metrics.head_histograms, histograms),
                (&metrics.head_exemplars, exemplars),
                (&metrics.head_families, head.families.read().len()),
            ] {
                gauge
                    .get_or_create(&label)
                    .set(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }

        let all = self.head_bytes() + self.heads.memory.series_bytes();
        self.metrics
            .head_bytes
            .set(i64::try_from(all).unwrap_or(i64::MAX));
    }
}

#[async_trait]
impl Heads for Ingester {
    async fn snapshots(
        &self,
        tenant: TenantId,
    ) -> Result<Vec<HeadSnapshot>, duramen_source::Error> {
        let head = self.heads.get(tenant);
        if let Some(head) = &head {
            let waits = |error: Error| {
                duramen_source::Error::new("samples of the tenant", error.kind(), error)
            };
            head.check().map_err(waits)?;
        }

        Ok(head
            .map(|head| head.snapshot(self.heads.writer.writer))
            .into_iter()
            .collect())
    }
}
