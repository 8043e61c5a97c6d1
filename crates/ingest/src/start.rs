//! Starts an ingester: puts its parts together, replays the log, and starts the threads.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};

use duramen_blocks::{Publisher, Staging};
use duramen_bucket::{Ballast, Bucket, Tenants, WriterIdentity};
use duramen_limits::LimitsHandle;
use duramen_manifest::Manifests;
use duramen_model::{Labels, TenantId, TenantName, WriterId};
use duramen_qos::Account;
use duramen_runtime::disk::create_dir_all_synced;
use duramen_runtime::{Clock, Disk, OnFailure, Tasks};
use duramen_wal::{Entry, OwnedRecord, Position, SegmentId, Wal};
use roaring::RoaringBitmap;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tracing::{error, info};

use crate::commit::{Command, CommitHandle, CommitLoop, LogPlace};
use crate::config::Config;
use crate::error::Error;
use crate::flush::stage_frozen;
use crate::flusher::Flusher;
use crate::head::{HeadMap, OpenSegment, Past, Rows, TenantHead};
use crate::heads::TenantHeads;
use crate::ingester::Ingester;
use crate::intake::{Intake, IntakeParts};
use crate::logged::resolve;
use crate::memory::HeadsMemory;
use crate::metrics::Metrics;
use crate::order::OrderClock;
use crate::references::References;
use crate::room::Room;
use crate::schedule::start_flushing;
use crate::seen::SeenClock;

/// The file beside the log with the latest time that the clock has shown.
const CLOCK_FILE: &str = "clock";

/// The parts from which an ingester is made.
#[derive(Debug)]
pub struct Parts {
    /// The directory of the WAL on `disk`.
    pub wal_dir: PathBuf,
    pub disk: Arc<dyn Disk>,
    /// The directory of staged blocks. They need not be durable.
    pub staging: Staging,
    /// The reserved space that is freed if the disk of the log and the staging is full.
    pub ballast: Option<Arc<Ballast>>,
    pub clock: Arc<dyn Clock>,
    pub bucket: Bucket,
    pub register: Arc<Tenants>,
    pub manifests: Manifests,
    pub writer: WriterIdentity,
    /// The writer that the segments of the log name.
    pub log: WriterId,
    pub limits: LimitsHandle,
    pub metrics: Metrics,
    /// The account for the memory of bodies and heads.
    pub memory: Arc<Account>,
    /// A secret of this process for hashes of bytes from outside.
    pub hash_seed: u64,
}

/// The result of the replay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartReport {
    pub records: u64,
    /// The number of floats and histograms.
    pub samples: u64,
    pub exemplars: u64,
    /// Damaged records.
    pub lost_records: u64,
    /// Samples and exemplars of readable records whose series was defined in a damaged one.
    pub lost_samples: u64,
    pub tenants: usize,
    /// Tenants of the log that the register did not know.
    pub unknown_tenants: usize,
    /// Records of tenants that were deleted, which are passed over.
    pub deleted_records: u64,
}

impl Ingester {
    /// Replays the log and starts the threads. All samples that were acknowledged before are
    /// readable when this returns.
    ///
    /// Requests: those of [`Manifests::fence`] for each tenant that has samples in the log.
    pub async fn start(
        parts: Parts,
        config: Config,
        tasks: &Tasks,
    ) -> Result<(Self, StartReport), Error> {
        create_dir_all_synced(&parts.disk, &parts.wal_dir).map_err(|source| Error::Disk {
            path: parts.wal_dir.clone(),
            source,
        })?;

        let (ingester, received) = Self::assemble(parts, config);
        let (wal, report) = Replay::of(&ingester.flusher).await?;

        ingester.start_threads(wal, received, tasks)?;
        Ok((ingester, report))
    }

    /// Puts the parts together. The receiver is that of the commit thread, which does not run yet.
    fn assemble(parts: Parts, config: Config) -> (Self, mpsc::Receiver<Command>) {
        let wal_dir = parts.wal_dir;
        let room = Arc::new(Room::new(
            Arc::clone(&parts.disk),
            wal_dir.clone(),
            Arc::clone(&parts.clock),
            config.head_bytes_max,
            parts.ballast,
        ));

        let orders = Arc::new(OrderClock::new(
            Arc::clone(&parts.clock),
            parts.writer.writer,
            parts.writer.epoch,
        ));

        let seen = Arc::new(SeenClock::open(
            Arc::clone(&parts.clock),
            Arc::clone(&parts.disk),
            wal_dir.with_file_name(CLOCK_FILE),
        ));

        let memory = HeadsMemory::new(Arc::clone(&parts.memory), config.series_bytes_max);
        let metrics = parts.metrics;

        let intake = IntakeParts {
            clock: Arc::clone(&parts.clock),
            bucket: parts.bucket.clone(),
            register: Arc::clone(&parts.register),
            writer: parts.writer,
            limits: parts.limits.clone(),
            metrics: metrics.clone(),
            memory: parts.memory,
            hash_seed: parts.hash_seed,
        };

        let intake = Arc::new(Intake::before_heads(intake, Arc::clone(&memory), &config));
        let (commit, received) = CommitHandle::new();
        let publisher = Publisher::new(parts.bucket.clone(), parts.manifests.clone());

        let heads = Arc::new(TenantHeads {
            clock: Arc::clone(&parts.clock),
            intake: Arc::clone(&intake),
            register: parts.register,
            manifests: parts.manifests,
            writer: parts.writer,
            commit: commit.clone(),
            orders,
            memory,
            open_segment: OpenSegment::default(),
            by_tenant: HeadMap::default(),
        });

        let flusher = Arc::new(Flusher {
            config,
            clock: parts.clock,
            limits: parts.limits,
            metrics: metrics.clone(),
            bucket: parts.bucket,
            publisher,
            heads: Arc::clone(&heads),
            commit: commit.clone(),
            disk: parts.disk,
            wal_dir,
            log: parts.log,
            room,
            wal_bytes: Arc::new(AtomicU64::new(0)),
            staging: parts.staging,
            closed: AtomicBool::new(false),
            fenced: OnceLock::new(),
        });

        let ingester = Self {
            intake,
            heads,
            commit,
            flusher,
            seen,
            metrics,
        };

        (ingester, received)
    }

    fn start_threads(
        &self,
        wal: Wal,
        received: mpsc::Receiver<Command>,
        tasks: &Tasks,
    ) -> Result<(), Error> {
        let flusher = &self.flusher;
        let heads = &self.heads;

        let thread = CommitLoop::new(
            wal,
            received,
            Arc::clone(&heads.by_tenant),
            Arc::clone(&flusher.clock),
            Arc::clone(&heads.orders),
            self.metrics.clone(),
            LogPlace {
                room: Arc::clone(&flusher.room),
                log_bytes: Arc::clone(&flusher.wal_bytes),
                open_segment: heads.open_segment.clone(),
            },
        );

        tasks
            .spawn_thread("commit", OnFailure::Fatal, move || thread.run())
            .map_err(|source| Error::Disk {
                path: PathBuf::from("thread"),
                source,
            })?;

        start_flushing(Arc::clone(flusher), Arc::clone(&self.seen), tasks);
        Ok(())
    }
}

/// A replay does not stage a head with fewer bytes: each block takes a folder and an open file.
const STAGED_BYTES_MIN: usize = 256 << 10;

/// Applies the records of the log to the heads.
struct Replay<'a> {
    flusher: &'a Arc<Flusher>,
    runtime: &'a Handle,
    /// The current segment. `slots` and `flushed` are about its series only.
    segment: Option<SegmentId>,
    slots: HashMap<TenantId, References>,
    /// Series that only records with flushed samples have defined, with the offset of the last such
    /// record. Few of them are needed again.
    flushed: HashMap<(TenantId, u32), usize>,
    /// The heads by the tenants' ids in the log.
    known: HashMap<TenantId, Arc<TenantHead>>,
    /// Whether samples may be staged if there are too many.
    may_stage: bool,
    names: HashMap<TenantId, TenantName>,
    report: StartReport,
}

impl<'a> Replay<'a> {
    /// Replays the log of `flusher` on a thread that may block.
    async fn of(flusher: &Arc<Flusher>) -> Result<(Wal, StartReport), Error> {
        let flusher = Arc::clone(flusher);
        let runtime = Handle::current();
        let replayed = tokio::task::spawn_blocking(move || Replay::run(&flusher, &runtime));

        replayed.await.map_err(|_| Error::Stopped)?
    }

    fn run(flusher: &'a Arc<Flusher>, runtime: &'a Handle) -> Result<(Wal, StartReport), Error> {
        let config = duramen_wal::Config {
            segment_bytes_max: flusher.config.wal_segment_bytes_max,
        };
        let names = flusher
            .heads
            .register
            .all()
            .into_iter()
            .map(|tenant| (tenant.id, tenant.name))
            .collect();

        let mut replay = Self {
            flusher,
            runtime,
            segment: None,
            slots: HashMap::new(),
            flushed: HashMap::new(),
            known: HashMap::new(),
            may_stage: true,
            names,
            report: StartReport::default(),
        };

        let disk = Arc::clone(&flusher.disk);
        let bytes = duramen_wal::bytes_in(&disk, &flusher.wal_dir).map_err(Error::of_replay)?;
        flusher.metrics.replay.begin(bytes);

        let replayed = Wal::replay(disk, &flusher.wal_dir, flusher.log, config, |entry| {
            Ok(replay.apply(entry)?)
        });
        let (mut wal, found) = replayed.map_err(Error::of_replay)?;

        let mut report = replay.report;
        report.lost_records = found.records_lost();
        report.tenants = flusher.heads.by_tenant.read().len();

        // If the log was lost, positions that a manifest names as flushed must not be used again.
        // What is written from now on is behind all deletions.
        for head in flusher.heads.all() {
            wal.skip_to(head.flushed());

            if let Some(last) = head.last_seal() {
                wal.skip_to(last);
            }

            head.freeze_before(wal.next_position(), || flusher.heads.orders.next());
        }

        flusher.metrics.wal_records_lost.inc_by(report.lost_records);
        flusher.metrics.wal_samples_lost.inc_by(report.lost_samples);
        flusher.metrics.replayed_samples.inc_by(report.samples);
        info!(?report, "replayed the write-ahead log");

        Ok((wal, report))
    }

    fn apply(&mut self, mut entry: Entry<'_>) -> Result<(), Error> {
        let segment = entry.segment;
        let position = entry.position;

        if self.segment != Some(segment) {
            self.segment = Some(segment);
            self.slots.clear();
            self.flushed.clear();
        }

        let register = &self.flusher.heads.register;
        if register.is_deleted(entry.record.tenant) {
            self.report.deleted_records += 1;
            return Ok(());
        }

        let head = self.head(&entry.record)?;
        self.report.records += 1;
        self.flusher.metrics.replay.note(entry.bytes_before);

        // If the tenant has another id by now, its flushed position says nothing about records with
        // the old id.
        let is_own = head.id == entry.record.tenant;
        entry.record.tenant = head.id;

        if is_own && position < head.flushed() {
            self.pass_over(&entry);
            return Ok(());
        }

        self.define(&head, &mut entry);

        let (rows, lost) = self.resolve(entry.record);
        if lost > 0 {
            self.report.lost_samples += lost;
            error!(tenant = %head.name(), %segment, %position, lost, "samples of a damaged log are lost: their series is not known");
        }

        head.freeze_before(position, || self.flusher.heads.orders.next());

        let now_ms = i64::try_from(self.flusher.clock.monotonic().as_millis()).unwrap_or(i64::MAX);
        let exemplars_max = self.flusher.limits.of(&head.name()).ingest.exemplars_max;
        let applied = head.apply(position, now_ms, rows, exemplars_max);

        self.report.samples += (applied.samples.stored + applied.histograms.stored) as u64;
        self.report.exemplars += applied.exemplars.stored as u64;
        self.stage_what_is_too_much(position);

        Ok(())
    }

    /// Notes the series that a record with flushed samples defines. The process that wrote it may
    /// have forgotten most of them since.
    fn pass_over(&mut self, entry: &Entry<'_>) {
        let tenant = entry.record.tenant;
        let slots = self.slots.entry(tenant).or_default();

        for (reference, _) in &entry.record.series {
            slots.remove(*reference);
            self.flushed.insert((tenant, *reference), entry.offset);
        }
    }

    /// Finds slots for the series that a record defines or refers to.
    fn define(&mut self, head: &TenantHead, entry: &mut Entry<'_>) {
        let tenant = entry.record.tenant;
        let defined = std::mem::take(&mut entry.record.series);

        if !self.flushed.is_empty() {
            for (reference, _) in &defined {
                self.flushed.remove(&(tenant, *reference));
            }
        }

        let mut interned = self.intern(head, defined);
        let earlier = self.earlier_definitions(&entry.record);

        for (offset, wanted) in earlier {
            let mut again = entry.definitions_at(offset);
            again.retain(|(reference, _)| wanted.contains(*reference));

            for reference in wanted {
                self.flushed.remove(&(tenant, reference));
            }

            interned |= self.intern(head, again);
        }

        if interned {
            head.report_series();
        }
    }

    /// Interns definitions. Returns whether there were any.
    fn intern(&mut self, head: &TenantHead, definitions: Vec<(u32, Vec<u8>)>) -> bool {
        if definitions.is_empty() {
            return false;
        }

        let slots = self.slots.entry(head.id).or_default();
        let mut registry = head.registry.write();

        for (reference, encoded) in &definitions {
            // The record's checksum is right, so an earlier process has checked these labels.
            // Another version may have other rules.
            if let Some(labels) = Labels::from_encoded(encoded) {
                slots.insert(*reference, registry.intern(&labels));
            }
        }

        true
    }

    /// Returns the references of a record that only passed-over records define, by the offsets of
    /// these records.
    fn earlier_definitions(&self, record: &OwnedRecord) -> BTreeMap<usize, RoaringBitmap> {
        let mut earlier: BTreeMap<usize, RoaringBitmap> = BTreeMap::new();
        if self.flushed.is_empty() {
            return earlier;
        }

        let of_histograms = record.histograms.iter().map(|row| row.series_ref);
        let of_exemplars = record.exemplars.iter().map(|row| row.series_ref);

        for reference in record
            .refs
            .iter()
            .copied()
            .chain(of_histograms)
            .chain(of_exemplars)
        {
            if let Some(offset) = self.flushed.get(&(record.tenant, reference)) {
                earlier.entry(*offset).or_default().insert(reference);
            }
        }

        earlier
    }

    /// Stages the largest heads while all heads together have more samples than they may have, as
    /// the previous process did.
    fn stage_what_is_too_much(&mut self, position: Position) {
        let flusher = self.flusher;
        let heads = &flusher.heads;
        let max = self.flusher.config.head_bytes_max;
        let is_too_much = || heads.memory.sample_bytes() > max || heads.memory.is_short();

        if !self.may_stage || !is_too_much() {
            return;
        }

        let mut large = flusher.heads.all();

        // The flushed position of a tenant in quarantine is unknown, so none of its generations can
        // end here.
        large.retain(|head| !head.is_quarantined());
        large.sort_by_cached_key(|head| std::cmp::Reverse(head.sample_bytes()));

        for head in large {
            if !is_too_much() || head.sample_bytes() < (max / 16).max(STAGED_BYTES_MIN) {
                return;
            }

            head.freeze(position.next(), || heads.orders.next());

            match self.runtime.block_on(stage_frozen(flusher, &head)) {
                Ok(true) => {
                    info!(tenant = %head.name(), %position, "staged a head in the middle of the replay")
                }
                Ok(false) => self.may_stage = false,
                Err(error) => {
                    // The samples stay in memory: an error here would fail every start.
                    error!(tenant = %head.name(), %error, "the log is more than heads may hold, and nothing can be staged");
                    self.may_stage = false;
                }
            }
        }
    }

    /// Returns the rows of a record with slots instead of references, and how many rows are lost
    /// because a damaged record defined their series.
    fn resolve(&self, record: OwnedRecord) -> (Rows, u64) {
        let slots = self.slots.get(&record.tenant);
        resolve(record, |reference| slots?.get(reference))
    }

    /// Returns the head of a record's tenant. A tenant that the register does not know is
    /// registered again.
    fn head(&mut self, record: &OwnedRecord) -> Result<Arc<TenantHead>, Error> {
        if let Some(head) = self.known.get(&record.tenant) {
            return Ok(Arc::clone(head));
        }

        let head = self.new_head(record.tenant, &record.tenant_name)?;
        self.known.insert(record.tenant, Arc::clone(&head));
        Ok(head)
    }

    fn new_head(&mut self, tenant: TenantId, logged_name: &str) -> Result<Arc<TenantHead>, Error> {
        let (id, name) = match self.names.get(&tenant) {
            Some(name) => (tenant, name.clone()),
            None => {
                self.report.unknown_tenants += 1;
                self.flusher.metrics.unknown_tenants.inc();

                // An earlier version wrote the log without names, so there is no name to register.
                // The samples must not be lost either.
                let Ok(name) = TenantName::parse(logged_name) else {
                    let name = TenantName::parse(&format!("unknown-{tenant}"))
                        .expect("letters and digits");
                    let head = self.flusher.heads.put(tenant, name, Past::default());
                    head.quarantine(&Error::UnknownTenant { tenant });
                    return Ok(head);
                };

                error!(%tenant, %name, "the write-ahead log has samples of a tenant that the bucket does not know; it is registered again");
                match self
                    .runtime
                    .block_on(self.flusher.heads.register.restore(&name, tenant))
                {
                    Ok(id) => (id, name),
                    Err(error) => return self.waiting(tenant, name, error.into()),
                }
            }
        };

        if let Some(head) = self.flusher.heads.get(id) {
            return Ok(head);
        }

        match self.runtime.block_on(self.flusher.heads.take_over(id)) {
            Ok(past) => Ok(self.flusher.heads.put(id, name, past)),
            Err(error) => self.waiting(id, name, error),
        }
    }

    /// Returns a head in quarantine if `cause` is a reason for it, else `cause` as an error.
    fn waiting(
        &self,
        id: TenantId,
        name: TenantName,
        cause: Error,
    ) -> Result<Arc<TenantHead>, Error> {
        if !cause.is_damage() {
            return Err(cause);
        }

        let head = self.flusher.heads.put(id, name, Past::default());
        head.quarantine(&cause);
        Ok(head)
    }
}
