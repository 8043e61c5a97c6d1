//! What all handles of one ingester share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use duramen_bucket::{Bucket, Tenants, WriterIdentity};
use duramen_limits::{IngestLimits, LimitsHandle};
use duramen_manifest::{Commit, Flushed, Manifests};
use duramen_model::{BlockEntry, TenantId, TenantName, WriterId};
use duramen_proto::WriteRequest;
use duramen_qos::{Account, Rate, Refused, Use};
use duramen_runtime::{Clock, Disk};
use duramen_wal::Position;
use object_store::ObjectStore;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::Turn;
use crate::commit::{Command, Write};
use crate::config::Config;
use crate::error::Error;
use crate::flush::Freeze;
use crate::ha::Electorate;
use crate::head::{HeadMap, HeadMemory, HeadsMemory, OpenSegment, Past, Rows, TenantHead};
use crate::metrics::Metrics;
use crate::order::OrderClock;
use crate::rejection::RequestLimit;
use crate::room::Room;
use crate::seen::SeenClock;

/// While memory for series is short, heads with many of them are flushed so often.
const CROWDED_FLUSH_INTERVAL: Duration = Duration::from_secs(60);

/// While memory is short, a head with less is not flushed before its time.
const SHORT_FLUSH_BYTES_MIN: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) seen: SeenClock,
    pub(crate) bucket: Bucket,
    pub(crate) register: Arc<Tenants>,
    pub(crate) manifests: Manifests,
    pub(crate) writer: WriterIdentity,
    pub(crate) limits: LimitsHandle,
    pub(crate) orders: Arc<OrderClock>,
    pub(crate) heads: HeadMap,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) in_flight: Arc<Semaphore>,
    /// Where the log lies, and the writer in its segments.
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) wal_dir: PathBuf,
    pub(crate) log: WriterId,
    pub(crate) room: Arc<Room>,
    /// Size of the log, as the commit thread tells it.
    pub(crate) wal_bytes: Arc<AtomicU64>,
    pub(crate) staging: PathBuf,
    pub(crate) staging_store: Arc<dyn ObjectStore>,
    pub(crate) hash_seed: u64,
    pub(crate) metrics: Metrics,
    /// The account of the process.
    pub(crate) memory: Arc<Account>,
    /// What the heads hold of it.
    pub(crate) heads_memory: Arc<HeadsMemory>,
    /// Nothing is published any more.
    pub(crate) closed: AtomicBool,
    /// Why: another process has published under this one's name.
    pub(crate) fenced: OnceLock<String>,
    pub(crate) open_segment: OpenSegment,
}

impl Shared {
    /// Waits for a share of `bytes`, the whole at most.
    pub(super) async fn permit(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Error> {
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
    pub(super) async fn head(&self, name: &TenantName) -> Result<Arc<TenantHead>, Error> {
        let known = self.register.lookup(name);
        if let Some(id) = known
            && let Some(head) = self.heads.read().get(&id)
        {
            head.check()?;
            return Ok(Arc::clone(head));
        }

        if known.is_none() && self.register.count() >= self.config.tenants_max {
            return Err(Error::TooManyTenants {
                max: self.config.tenants_max,
            });
        }

        let id = self.register.resolve_or_create(name).await?;
        let past = match self.take_over(id).await {
            Ok(past) => past,
            Err(error) if error.is_damage() => {
                let head = self.put_head(id, name.clone(), Past::default());
                head.quarantine(&error);
                return head.check().map(|()| head);
            }
            Err(error) => return Err(error),
        };

        // Before anyone can find the head and write to it.
        self.send(Command::SkipTo {
            position: past.flushed,
        })
        .await?;
        Ok(self.put_head(id, name.clone(), past))
    }

    /// Fences the writer's earlier epochs out of a tenant's manifest and returns what they left.
    pub(crate) async fn take_over(&self, id: TenantId) -> Result<Past, Error> {
        let state = self.manifests.fence(id).await?;
        for block in state.blocks.values() {
            self.orders.observe(block.order.max);
        }

        let writer = self.writer.writer;
        let mine = state
            .blocks
            .values()
            .filter(|block| block.order.max.writer == writer && block.stats.families > 0);

        let metadata = mine.max_by_key(|block| block.order.max).cloned();
        Ok(Past {
            flushed: Position(state.flushed_position(writer)),
            metadata,
        })
    }

    /// The head of a tenant that was taken over, made unless another made it meanwhile.
    pub(crate) fn put_head(&self, id: TenantId, name: TenantName, past: Past) -> Arc<TenantHead> {
        let mut heads = self.heads.write();
        Arc::clone(heads.entry(id).or_insert_with(|| {
            let memory = HeadMemory::new(Arc::clone(&self.heads_memory));
            TenantHead::new(
                id,
                name,
                self.orders.next(),
                past,
                memory,
                self.open_segment.clone(),
                self.clock.monotonic(),
            )
        }))
    }

    pub(crate) fn all_heads(&self) -> Vec<Arc<TenantHead>> {
        self.heads.read().values().cloned().collect()
    }

    /// What the samples of all heads take.
    pub(super) fn head_bytes(&self) -> usize {
        self.heads_memory.sample_bytes()
    }

    /// Whether the log should make room on its disk.
    pub(crate) fn is_disk_low(&self) -> bool {
        self.room.is_low(self.wal_bytes.load(Ordering::Relaxed))
    }

    /// Gives up what is kept for a full disk.
    pub(super) async fn make_way(&self) {
        let room = Arc::clone(&self.room);
        let _ = tokio::task::spawn_blocking(move || room.make_way()).await;
    }

    /// Keeps space for a full disk again, once there is some.
    pub(super) async fn settle_disk(&self) {
        let room = Arc::clone(&self.room);
        let _ = tokio::task::spawn_blocking(move || room.settle()).await;
    }

    /// The heads that should be flushed now: those that are old, the largest while all together are
    /// too large, all while the disk is nearly full, those whose series are to be forgotten, and
    /// those that have frozen generations waiting, which alone are no reason to freeze another.
    pub(super) fn due(&self) -> Vec<(Arc<TenantHead>, Freeze)> {
        let now_ms = i64::try_from(self.clock.monotonic().as_millis()).unwrap_or(i64::MAX);
        let age_ms = i64::try_from(self.config.flush_interval.as_millis()).unwrap_or(i64::MAX);
        let mut heads = self.all_heads();

        heads.sort_by_cached_key(|head| std::cmp::Reverse(head.sample_bytes()));

        let mut held: usize = heads.iter().map(|head| head.sample_bytes()).sum();

        // A flush before its time gives back what makes its requests worth while.
        let short = self.heads_memory.is_short();
        let worth = (held / 8).max(SHORT_FLUSH_BYTES_MIN);
        let now = self.clock.monotonic();
        let crowded = self.heads_memory.is_short_for_series();
        let series_bytes = self.heads_memory.series_bytes();
        let is_low = self.is_disk_low();

        let judge = |head: Arc<TenantHead>| {
            if head.is_quarantined() {
                return Some((head, Freeze::Yes));
            }

            let since = head.since_forgetting(now);
            let idle = head.rests() && since >= self.config.flush_interval;

            // Two flushes make room where series have gone, so many that it is worth the requests.
            let room = crowded
                && since >= CROWDED_FLUSH_INTERVAL
                && head.memory.series_bytes() >= series_bytes / 16;
            let waits = !head.frozen().is_empty();
            let old = head
                .open()
                .filled_since_ms()
                .is_some_and(|since| now_ms - since >= age_ms);

            let large =
                held > self.config.head_bytes_max || (short && head.sample_bytes() >= worth);
            if large {
                held = held.saturating_sub(head.sample_bytes());
            }

            // A second generation beside one that cannot go up would make no room.
            let low = is_low && !waits && head.open().filled_since_ms().is_some();
            match (old || large || low || idle || room, waits) {
                (true, _) => Some((head, Freeze::Yes)),
                (false, true) => Some((head, Freeze::No)),
                (false, false) => None,
            }
        };

        heads.into_iter().filter_map(judge).collect()
    }

    pub(crate) async fn send(&self, command: Command) -> Result<(), Error> {
        self.commands
            .send(command)
            .await
            .map_err(|_| Error::Stopped)
    }

    /// Logs all metadata that the tenant has once more: it is in the open generation when this
    /// returns.
    pub(crate) async fn log_families(&self, head: &Arc<TenantHead>) -> Result<(), Error> {
        let rows = Rows {
            metadata: head.all_families(),
            ..Rows::default()
        };

        let turn = Turn {
            _permit: self.permit(1).await?,
            _share: self.memory.share(Use::Body),
        };

        let pin = head.registry.read().pin();
        let (done, applied) = oneshot::channel();

        let write = Write {
            head: Arc::clone(head),
            rows,
            exemplars_max: 0,
            turn,
            pin,
            done,
        };

        self.send(Command::Write(Box::new(write))).await?;
        applied.await.map_err(|_| Error::Stopped)??;
        Ok(())
    }

    pub(crate) async fn freeze(&self, head: &Arc<TenantHead>) -> Result<(), Error> {
        let (done, frozen) = oneshot::channel();
        self.send(Command::Freeze {
            head: Arc::clone(head),
            done,
        })
        .await?;
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
        let WriterIdentity {
            writer,
            epoch,
            incarnation,
        } = self.writer;

        let flushed = Some(Flushed {
            writer,
            epoch,
            incarnation,
            position: end.0,
            flush,
        });

        self.manifests
            .commit(
                tenant,
                Commit {
                    add,
                    remove: Vec::new(),
                    flushed,
                },
            )
            .await?;

        Ok(())
    }

    /// Lets the log give up what every tenant has flushed.
    pub(crate) async fn trim(&self) -> Result<(), Error> {
        self.send(Command::Trim).await
    }

    /// Holds a request against the tenant's rate before anything of it is stored.
    pub(super) fn check_rate(
        &self,
        head: &TenantHead,
        request: &WriteRequest<'_>,
        duplicates: usize,
        limits: &IngestLimits,
    ) -> Result<(), Error> {
        let Some(per_second) = limits.samples_per_second else {
            return Ok(());
        };
        let sent = request.ts_ms.len() + request.histograms.len() + request.exemplars.len();
        let samples = sent.saturating_sub(duplicates) as u64;
        let burst = limits.samples_burst;
        let taken =
            head.rate
                .lock()
                .take(self.clock.monotonic(), samples, Rate { per_second, burst });

        match taken {
            Ok(()) => Ok(()),
            Err(Refused::For(wait)) => {
                self.note_limited(&head.name, RequestLimit::SamplesPerSecond);
                Err(Error::RateLimited {
                    samples,
                    per_second,
                    burst,
                    wait,
                })
            }
            Err(Refused::Forever) => {
                self.note_limited(&head.name, RequestLimit::SamplesBurst);
                Err(Error::OverBurst {
                    samples,
                    max: burst,
                })
            }
        }
    }

    pub(super) fn electorate(&self, tenant: TenantId) -> Electorate<'_> {
        Electorate {
            tenant,
            bucket: &self.bucket,
            writer: self.writer,
        }
    }
}
