//! The ingester of one process.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use duramen_bucket::LogLeft;
use duramen_model::{ErrorKind, TenantId, TenantName};
use duramen_proto::{Version, WriteLimits, WriteRequest};
use duramen_qos::{Share, Use};
use duramen_runtime::{OnFailure, Tasks};
use duramen_source::{HeadSnapshot, Heads};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tracing::warn;

use crate::admit::{Admitted, admit};
use crate::commit::{Command, Write};
use crate::error::Error;
use crate::flush::{self, Backoff, FlushReport, Freeze};
use crate::head::TenantHead;
use crate::metrics::{ResultLabel, TenantLabel};
use crate::rejection::RequestLimit;
use crate::report::WriteReport;

mod counts;
mod shared;

pub(crate) use shared::Shared;

/// The way to the running ingester. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ingester {
    pub(crate) shared: Arc<Shared>,
}

/// Bytes of memory that a byte of a decoded body takes, itself included: a sample of ten bytes
/// makes columns of twenty.
const COLUMNS_PER_BODY: usize = 3;

/// A share of the memory for writes, held until the write is applied.
#[derive(Debug)]
pub struct Turn {
    _permit: OwnedSemaphorePermit,
    /// Of the account of the process.
    _share: Share,
}

impl Ingester {
    /// Stores what a remote write body (after snappy) of `version` brings and returns once it is
    /// durable: fsynced on this disk.
    ///
    /// Dropping the future does not take a write back.
    pub async fn write(
        &self,
        tenant: &TenantName,
        version: Version,
        body: &[u8],
    ) -> Result<WriteReport, Error> {
        let turn = self.turn_for_body(body.len()).await?;
        self.write_in_turn(turn, tenant, version, body).await
    }

    /// Whether there is room for a write at all, for a caller that would have to read its body
    /// first.
    pub fn check_room(&self) -> Result<(), Error> {
        let held = self.shared.head_bytes();
        let max = self.shared.config.head_bytes_max;

        if held > max.saturating_mul(2) {
            return Err(Error::HeadFull { bytes: held, max });
        }

        self.shared.memory.check(Use::Head, 0)?;
        Ok(())
    }

    /// Waits until a body that has `decoded_bytes` after snappy may be decoded. The turn has room
    /// for it and for the columns of its samples, all at once: whoever has a turn waits for no
    /// other.
    pub async fn turn_for_body(&self, decoded_bytes: usize) -> Result<Turn, Error> {
        self.check_room()?;

        let bytes = decoded_bytes.saturating_mul(COLUMNS_PER_BODY);
        let permit = self.shared.permit(bytes).await?;
        Ok(Turn {
            _permit: permit,
            _share: self.shared.memory.take(Use::Body, bytes)?,
        })
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
            Version::Two => {
                WriteRequest::decode_v2(body, &memory, shared.config.type_and_unit_labels)?
            }
        };

        if request.series.is_empty() && request.metadata.is_empty() && request.refused.is_empty() {
            return Ok(WriteReport::default());
        }

        let head = shared.head(tenant).await?;
        let limits = shared.limits.of(tenant);

        let gate = head
            .pairs
            .gate(
                &request,
                &limits.ha,
                shared.hash_seed,
                shared.electorate(head.id),
            )
            .await;

        let gate = gate.map_err(|error| match error.is_damage() {
            true => Error::Quarantined {
                tenant: tenant.clone(),
                cause: Arc::from(error.cause()),
            },
            false => error,
        })?;

        let duplicates = shared.note_duplicates(tenant, &gate, &request);
        shared.check_rate(&head, &request, duplicates.all(), &limits.ingest)?;

        let admitted = admit(
            &head,
            &request,
            &gate,
            shared.seen.now(),
            &limits.ingest,
            shared.hash_seed,
        );

        let Admitted {
            rows,
            families,
            rejected,
            lost_exemplars,
            lost_metadata,
            pin,
        } = admitted;

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
            let pin = pin.unwrap_or_else(|| head.registry.read().pin());
            let _until_reported = pin.clone();

            let write = Write {
                head: Arc::clone(&head),
                rows,
                exemplars_max,
                turn,
                pin,
                done,
            };

            shared.send(Command::Write(Box::new(write))).await?;

            let applied = applied.await.map_err(|_| Error::Stopped)??;
            shared.note_applied(tenant, &applied, new_families);
            report.note(&head, applied);
        }

        shared.note_refused(tenant, &report);
        Ok(report)
    }

    /// Counts a request that the caller refuses for a limit, if the tenant exists: a header alone
    /// makes no metric.
    pub fn note_limited(&self, tenant: &TenantName, limit: RequestLimit) {
        if self.shared.register.lookup(tenant).is_some() {
            self.shared.note_limited(tenant, limit);
        }
    }

    /// Flushes one tenant; see [`crate::flush`]. An unknown tenant has nothing to flush.
    pub async fn flush(&self, tenant: &TenantName) -> Result<FlushReport, Error> {
        let head = self
            .shared
            .heads
            .read()
            .values()
            .find(|head| head.name == *tenant)
            .cloned();

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

    /// Publishes nothing more: what is under way ends first. Tells whether all that was
    /// acknowledged is in the bucket.
    pub async fn close(&self) -> LogLeft {
        self.shared.closed.store(true, Ordering::SeqCst);

        let mut left = LogLeft::Nothing;
        for head in self.shared.all_heads() {
            let _last = head.flushing.lock().await;
            if head.first_uncommitted().is_some() {
                left = LogLeft::Samples;
            }
        }

        left
    }

    /// Whether another process has published under this one's name.
    pub fn is_fenced(&self) -> bool {
        self.shared.fenced.get().is_some()
    }

    async fn flush_head(
        &self,
        head: &Arc<TenantHead>,
        freeze: Freeze,
    ) -> Result<FlushReport, Error> {
        let result = flush::flush(&self.shared, head, freeze).await;
        if let Err(Error::Manifest(
            cause @ (duramen_manifest::Error::Fenced { .. } | duramen_manifest::Error::Twin { .. }),
        )) = &result
        {
            self.shared.fenced.get_or_init(|| cause.to_string());
        }

        let label = ResultLabel {
            result: if result.is_ok() { "success" } else { "failure" },
        };
        self.shared.metrics.flushes.get_or_create(&label).inc();
        result
    }

    /// Flushes heads by age and by size until the process shuts down.
    pub(crate) fn start_flushing(&self, tasks: &Tasks) {
        let ingester = self.clone();
        let shutdown = tasks.shutdown();

        tasks.spawn::<_, Error>("flush", OnFailure::Fatal, async move {
            let mut backoff = Backoff::default();

            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return Ok(()),
                    () = ingester.shared.clock.sleep(std::time::Duration::from_secs(1)) => {}
                }

                if ingester.shared.seen.is_due() {
                    let shared = Arc::clone(&ingester.shared);
                    let written = tokio::task::spawn_blocking(move || shared.seen.write_down());
                    written.await.map_err(|_| Error::Stopped)?;
                }

                // A flush that somebody asked for may have found out.
                if let Some(cause) = ingester.shared.fenced.get() {
                    return Err(Error::Overtaken { cause: cause.clone() });
                }

                ingester.shared.settle_disk().await;

                for (head, freeze) in ingester.shared.due() {
                    let now = ingester.shared.clock.monotonic();
                    if !backoff.is_over(head.id, now) {
                        continue;
                    }

                    let flushed = ingester.flush_head(&head, freeze).await;
                    backoff.note(head.id, now, flushed.as_ref().err());

                    if let Err(error) = flushed {
                        if error.is_full() {
                            ingester.shared.make_way().await;
                        }

                        if error.kind() == ErrorKind::Fenced {
                            // Another process has this writer's data: nothing of ours can be
                            // published any more.
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
        self.shared
            .all_heads()
            .into_iter()
            .map(|head| head.name.clone())
            .collect()
    }

    /// The memory of samples that are not staged or flushed yet, in bytes, roughly.
    pub fn head_bytes(&self) -> usize {
        self.shared.head_bytes()
    }

    /// How many series are in memory.
    pub fn head_series(&self) -> usize {
        self.shared
            .all_heads()
            .iter()
            .map(|head| head.registry.read().len())
            .sum()
    }

    /// Brings the gauges up to date.
    pub fn observe(&self) {
        let heads = self.shared.all_heads();
        let quarantined = heads.iter().filter(|head| head.is_quarantined()).count();
        self.shared
            .metrics
            .quarantined
            .set(i64::try_from(quarantined).unwrap_or(i64::MAX));

        for head in &heads {
            let label = TenantLabel::of(&head.name);
            let metrics = &self.shared.metrics;
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

        let all = self.head_bytes() + self.shared.heads_memory.series_bytes();
        self.shared
            .metrics
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
        let head = self.shared.heads.read().get(&tenant).cloned();
        if let Some(head) = &head {
            let waits = |error: Error| {
                duramen_source::Error::new("samples of the tenant", error.kind(), error)
            };
            head.check().map_err(waits)?;
        }

        Ok(head
            .map(|head| head.snapshot(self.shared.writer.writer))
            .into_iter()
            .collect())
    }
}
