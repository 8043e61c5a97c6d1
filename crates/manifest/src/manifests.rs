//! The chains of all tenants, in the bucket and in the memory of this process.

mod as_of;
mod cloning;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use duramen_bucket::{Author, Bucket, Chain, Claim, Created, Entry, WriterIdentity, chain, keys};
use duramen_model::{BlockId, TenantId, WriterId};
use duramen_runtime::Clock;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use parking_lot::{Mutex, RwLock};
use tracing::warn;

use crate::change::Commit;
use crate::edit::Edit;
use crate::log::Log;
use crate::object::{Base, Boundary, SnapshotReader, Tail, encode_snapshot};
use crate::reserved::{Reservations, Reserved};
use crate::{Error, Process, State, VERSION, Violation};

/// Reads and extends manifests as one writer. Cheap to clone; clones share what they know.
#[derive(Clone, Debug)]
pub struct Manifests {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bucket: Bucket,
    clock: Arc<dyn Clock>,
    identity: WriterIdentity,
    /// The right to publish, if the store has claims.
    claim: Option<Claim>,
    /// A larger snapshot is written in several parts.
    snapshot_bytes_max: usize,
    tenants: Mutex<HashMap<TenantId, Arc<Known>>>,
}

/// What this process knows about one tenant.
#[derive(Debug)]
struct Known {
    tenant: TenantId,
    chain: Chain,
    log: RwLock<Option<Log>>,
    /// The ids of blocks that are about to come.
    reservations: Reservations,
    /// Locked by the task that reads or commits. Others would only conflict with it.
    asking: tokio::sync::Mutex<()>,
}

/// After this many single GETs, a LIST finds the newest object. Ten GETs cost less than a LIST.
const STEPS_MAX: usize = 10;

/// So many parts of a snapshot are read at a time. They are packed, some 1.3 MB each.
const PARTS_AT_ONCE: usize = 8;

/// Half of what a reader unpacks of one object: some 25,000 blocks.
pub(crate) const SNAPSHOT_BYTES_MAX: usize = 8 << 20;

impl Manifests {
    /// Makes manifests without a claim, for tests. Commits are made as `identity`. Nothing has been
    /// read yet.
    pub fn new(bucket: Bucket, clock: Arc<dyn Clock>, identity: WriterIdentity) -> Self {
        Self::with_snapshots_of(SNAPSHOT_BYTES_MAX, bucket, clock, identity)
    }

    /// Does the same as [`Manifests::new`], with snapshot parts of that size, for tests.
    pub fn with_snapshots_of(
        snapshot_bytes_max: usize,
        bucket: Bucket,
        clock: Arc<dyn Clock>,
        identity: WriterIdentity,
    ) -> Self {
        let claim = None;
        let tenants = Mutex::default();

        Self {
            inner: Arc::new(Inner {
                bucket,
                clock,
                identity,
                claim,
                snapshot_bytes_max,
                tenants,
            }),
        }
    }

    /// Makes manifests that can be changed as long as `claim` holds.
    pub fn under(claim: Claim, bucket: Bucket, clock: Arc<dyn Clock>) -> Self {
        let identity = claim.identity();
        let claim = Some(claim);
        let tenants = Mutex::default();
        let snapshot_bytes_max = SNAPSHOT_BYTES_MAX;

        Self {
            inner: Arc::new(Inner {
                bucket,
                clock,
                identity,
                claim,
                snapshot_bytes_max,
                tenants,
            }),
        }
    }

    pub fn bucket(&self) -> &Bucket {
        &self.inner.bucket
    }

    pub fn clock(&self) -> &dyn Clock {
        &*self.inner.clock
    }

    pub fn identity(&self) -> WriterIdentity {
        self.inner.identity
    }

    /// Returns the state that this process knows, or `None` before the first read. No request.
    pub fn cached(&self, tenant: TenantId) -> Option<Arc<State>> {
        self.known(tenant).state()
    }

    /// Returns the state in the bucket. It is at least as new as the start of this call. One GET if
    /// nothing is new, and one for each new edit. The first time, one LIST and two or three GETs.
    pub async fn refresh(&self, tenant: TenantId) -> Result<Arc<State>, Error> {
        let known = self.known(tenant);
        let _asking = known.asking.lock().await;
        let log = self.catch_up(&known).await?;

        Ok(Arc::clone(log.state()))
    }

    /// Fences out earlier epochs of this writer, durably. A process must do this at its start
    /// before it relies on a state: afterwards, pending commits of earlier processes have either
    /// happened or never will. Former holders of the store are fenced out too. A refresh and one
    /// PUT, and one more PUT for each of these.
    pub async fn fence(&self, tenant: TenantId) -> Result<Arc<State>, Error> {
        let mut state = self
            .extend(tenant, self.inner.identity, Commit::fence())
            .await?;
        let Some(claim) = &self.inner.claim else {
            return Ok(state);
        };
        let over = |(writer, last): (&WriterId, &Process)| {
            claim.over(*writer).filter(|over| over.epoch > last.epoch)
        };
        let over: Vec<WriterIdentity> = state.epochs.iter().filter_map(over).collect();

        for identity in over {
            state = self.extend(tenant, identity, Commit::fence()).await?;
        }

        Ok(state)
    }

    /// Changes the manifest, durably. Returns the state with the change. One PUT if nobody else has
    /// committed since. One in 64 commits takes two more PUTs, for a snapshot and a hint to it.
    ///
    /// After an error of kind `Unavailable`, make the same commit again: it has no second effect.
    /// It is recognized by its blocks. A flush is also recognized by its process and number, as
    /// long as it is the last flush of that writer for the tenant.
    ///
    /// # Errors
    /// All of these say that the commit has not happened: [`Error::Fenced`] if a later epoch of
    /// this writer has taken over, [`Error::Twin`] if another process publishes under the same
    /// epoch, [`Error::Refused`] if the change does not fit the state.
    pub async fn commit(&self, tenant: TenantId, commit: Commit) -> Result<Arc<State>, Error> {
        self.extend(tenant, self.inner.identity, commit).await
    }

    /// Returns a new id for a block of the tenant, above the horizon that this process knows. Take
    /// it as late as possible: a block whose id is a day old may come too late. No request.
    pub fn reserve(&self, tenant: TenantId) -> Reserved {
        let known = self.known(tenant);
        let horizon = known.state().and_then(|state| state.horizon);
        known.reservations.reserve(&*self.inner.clock, horizon)
    }

    /// Raises the horizon to `to`, but not above an id that this process has reserved. Returns the
    /// state with the horizon that there is then. Requests: none if the horizon is as high already,
    /// else those of [`Manifests::commit`].
    pub async fn raise_horizon(&self, tenant: TenantId, to: BlockId) -> Result<Arc<State>, Error> {
        let known = self.known(tenant);
        let to = known
            .reservations
            .oldest()
            .map_or(to, |oldest| oldest.min(to));

        match known.state() {
            Some(state) if state.horizon >= Some(to) => Ok(state),
            _ => self.commit(tenant, Commit::horizon(to)).await,
        }
    }

    /// Returns the sequence of the snapshot that the newest object that this process knows builds
    /// on; 0 if it builds on none. No later object builds on an earlier one. No request.
    pub fn base_sequence(&self, tenant: TenantId) -> u64 {
        self.known(tenant)
            .log()
            .map_or(0, |log| log.base_sequence())
    }

    /// Whether the edits that this process knows show a merge of another writer. No request.
    pub fn has_merges_of_others(&self, tenant: TenantId) -> bool {
        let own = self.inner.identity.writer;
        let is_merge = |edit: &Edit| {
            let replace = edit.changes.replace.as_ref();
            replace.is_some_and(|replace| !replace.add.is_empty() && !replace.remove.is_empty())
        };

        self.known(tenant).log().is_some_and(|log| {
            let mut edits = log.numbered();
            edits.any(|(_, edit)| edit.writer != own && is_merge(edit))
        })
    }

    /// Returns the blocks that edits above the sequence `since` have removed, with the sequences of
    /// these edits, up to the state that this process knows.
    ///
    /// Requests: none if the edits that this process knows reach back so far. Else 1 GET for each
    /// object further back, of some 64 edits each.
    pub async fn removed_since(
        &self,
        tenant: TenantId,
        since: u64,
    ) -> Result<BTreeMap<BlockId, u64>, Error> {
        let known = self.known(tenant);
        let Some(log) = known.log() else {
            return Ok(BTreeMap::new());
        };

        let mut removed = BTreeMap::new();
        let mut note = |sequence: u64, edit: &Edit| {
            let replace = edit.changes.replace.as_ref();
            let blocks = replace.map_or(&[][..], |replace| &replace.remove);

            if sequence > since {
                removed.extend(blocks.iter().map(|block| (*block, sequence)));
            }
        };

        for (sequence, edit) in log.numbered() {
            note(sequence, edit);
        }

        let mut first = log.base_sequence();
        let since = since.max(log.begun());
        while first > since {
            let key = known.chain.key(first);
            let entry = self.entry(&known, first).await?;
            let tail = Tail::decode(&key, first, &entry.body)?;
            let base = tail.base_sequence();

            for (sequence, edit) in (base + 1..).zip(&tail.edits) {
                note(sequence, edit);
            }

            first = base;
        }

        Ok(removed)
    }

    fn known(&self, tenant: TenantId) -> Arc<Known> {
        let mut tenants = self.inner.tenants.lock();
        let known = tenants.entry(tenant).or_insert_with(|| {
            let chain = Chain::new(self.inner.bucket.clone(), keys::manifest(tenant));
            Arc::new(Known {
                tenant,
                chain,
                log: RwLock::default(),
                reservations: Reservations::default(),
                asking: tokio::sync::Mutex::default(),
            })
        });

        Arc::clone(known)
    }

    /// Records a commit of `process`. This is the own process, or one that it fences out.
    async fn extend(
        &self,
        tenant: TenantId,
        process: WriterIdentity,
        commit: Commit,
    ) -> Result<Arc<State>, Error> {
        if let Some(claim) = &self.inner.claim {
            claim.assure().await?;
        }

        let known = self.known(tenant);
        let _asking = known.asking.lock().await;

        // First try with the known state. If it is outdated, the create or the check fails.
        let (mut log, mut is_fresh) = match known.log() {
            Some(log) if !commit.is_fence() => (log, false),
            _ => (self.catch_up(&known).await?, true),
        };

        let mut snapshot = None;

        loop {
            if log.state().has(&commit, process) {
                return Ok(Arc::clone(log.state()));
            }

            let author = Author::new(self.inner.identity.writer, &*self.inner.clock);
            let edit = Arc::new(Edit::commit(process, author, commit.clone()));

            let next = match log.with(Arc::clone(&edit)) {
                Ok(next) => next,
                Err(violation) if is_fresh || violation.is_final() => {
                    return Err(refused(&known, &log, &edit, violation));
                }
                Err(_) => {
                    log = self.catch_up(&known).await?;
                    is_fresh = true;
                    continue;
                }
            };

            check_writer_version(&known, log.state())?;

            let next = if log.is_long() {
                self.rebased(&known, &log, next, &mut snapshot).await?
            } else {
                next
            };

            let sequence = next.state().sequence;
            let body = next.tail().encode(&known.chain.key(sequence))?;

            match known.chain.create(sequence, author, &body).await? {
                Created::Ours => {
                    known.learn(&next);
                    if log.is_long() {
                        self.hint(&known, sequence).await;
                    }

                    return Ok(Arc::clone(next.state()));
                }

                Created::Theirs(entry) => log = self.advance(&known, Some(&log), entry).await?,
            }
        }
    }

    /// Returns `next` on a snapshot of `log`, which has one edit less. `snapshot` is the one that
    /// an earlier attempt has written, and is reused.
    async fn rebased(
        &self,
        known: &Known,
        log: &Log,
        next: Log,
        snapshot: &mut Option<Base>,
    ) -> Result<Log, Error> {
        if let Some(rebased) = snapshot.clone().and_then(|base| next.rebased(base)) {
            return Ok(rebased);
        }

        let state = log.state();
        let author = Author::new(self.inner.identity.writer, &*self.inner.clock);
        let key = keys::manifest_snapshot(known.tenant, state.sequence, author.attempt);
        let part_key =
            |part| keys::manifest_snapshot_part(known.tenant, state.sequence, author.attempt, part);
        let bytes_max = self.inner.snapshot_bytes_max;
        let bodies = encode_snapshot(state, bytes_max, key.clone(), part_key)?;

        // The first object names the others, so it is written last.
        for (key, body) in bodies.parts.into_iter().chain([bodies.first]) {
            let object = chain::encode(state.sequence, author, &body);
            chain::check_size(&key, &object)?;
            self.inner.bucket.put(&key, object).await?;
        }

        let base = Base {
            sequence: state.sequence,
            key: key.to_string(),
        };

        *snapshot = Some(base.clone());
        Ok(next
            .rebased(base)
            .expect("a log goes through the state that it was made from"))
    }

    /// Writes a hint where a first read can begin. Without it, or with an outdated one, the LIST of
    /// a first read is longer.
    async fn hint(&self, known: &Known, sequence: u64) {
        let key = keys::manifest_boundary(known.tenant);
        if let Err(error) = self
            .inner
            .bucket
            .put(&key, Boundary { sequence }.encode())
            .await
        {
            warn!(%error, tenant = %known.tenant, sequence, "the hint to the newest edits was not written; first reads list more");
        }
    }

    /// Returns the newest log. The caller must hold `asking`.
    async fn catch_up(&self, known: &Known) -> Result<Log, Error> {
        let Some(mut log) = known.log() else {
            return self.open(known).await;
        };
        for _ in 0..STEPS_MAX {
            match known.chain.get(log.state().sequence + 1).await? {
                Some(entry) => log = self.advance(known, Some(&log), entry).await?,
                None => return Ok(log),
            }
        }

        // This process is far behind. The newest object alone has everything since its base.
        let last = known.chain.last(Some(log.state().sequence)).await?;
        match last {
            Some(last) => {
                let entry = self.entry(known, last).await?;
                self.advance(known, Some(&log), entry).await
            }
            None => Ok(log),
        }
    }

    /// Reads the newest log, without any known state.
    async fn open(&self, known: &Known) -> Result<Log, Error> {
        let boundary = keys::manifest_boundary(known.tenant);
        let hint = self
            .inner
            .bucket
            .get_if_exists(&boundary, 4 << 10)
            .await?
            .and_then(|body| Boundary::decode(&body));

        let after = hint
            .and_then(|hint| hint.sequence.checked_sub(1))
            .filter(|after| *after > 0);

        match (known.chain.last(after).await?, hint) {
            (Some(last), _) => {
                let entry = self.entry(known, last).await?;
                self.advance(known, None, entry).await
            }
            (None, Some(hint)) => {
                let key = known.chain.key(hint.sequence).to_string();
                Err(Error::Corrupt {
                    key,
                    fault: "missing, and all behind it".to_owned(),
                })
            }
            (None, None) => {
                let log = Log::default();
                known.learn(&log);
                Ok(log)
            }
        }
    }

    async fn entry(&self, known: &Known, sequence: u64) -> Result<Entry, Error> {
        let missing = || Error::Corrupt {
            key: known.chain.key(sequence).to_string(),
            fault: "listed and missing".to_owned(),
        };

        known.chain.get(sequence).await?.ok_or_else(missing)
    }

    /// Returns the log of `entry`, and remembers it. Reads the snapshot if `log` does not reach it.
    async fn advance(&self, known: &Known, log: Option<&Log>, entry: Entry) -> Result<Log, Error> {
        let key = known.chain.key(entry.slot);
        let tail = Tail::decode(&key, entry.slot, &entry.body)?;
        let advanced = match log {
            Some(log) => log.advanced(&key, tail.clone())?,
            None => None,
        };

        let log = match advanced {
            Some(log) => log,
            None => Log::of(&key, self.snapshot(known, tail.base.as_ref()).await?, tail)?,
        };

        known.learn(&log);
        Ok(log)
    }

    /// Reads a snapshot. One GET, and one for each further part, which are sent together.
    async fn snapshot(&self, known: &Known, base: Option<&Base>) -> Result<State, Error> {
        let Some(base) = base else {
            return Ok(State::default());
        };
        let (key, entry) = self
            .snapshot_object(known, base.sequence, &base.key)
            .await?;
        let mut reader = SnapshotReader::open(&key, base.sequence, &entry.body)?;

        let parts: Vec<String> = reader.parts().map(str::to_owned).collect();
        let mut parts = stream::iter(parts)
            .map(async |part: String| self.snapshot_object(known, base.sequence, &part).await)
            .buffered(PARTS_AT_ONCE);

        while let Some((key, entry)) = parts.try_next().await? {
            reader.read_part(&key, &entry.body)?;
        }

        reader.finish()
    }

    async fn snapshot_object(
        &self,
        known: &Known,
        sequence: u64,
        key: &str,
    ) -> Result<(Path, Entry), Error> {
        let corrupt = |fault: &str| Error::Corrupt {
            key: key.to_owned(),
            fault: fault.to_owned(),
        };

        let path = Path::parse(key).map_err(|_| corrupt("not a key"))?;
        if !path.prefix_matches(&keys::tenant(known.tenant)) {
            return Err(corrupt("a snapshot of another tenant"));
        }

        let object = self
            .inner
            .bucket
            .get_if_exists(&path, chain::ENTRY_BYTES_MAX)
            .await?;

        let missing = || Error::NoSnapshot {
            key: key.to_owned(),
        };

        let object = object.ok_or_else(missing)?;
        let entry = chain::decode(&path, sequence, &object)?;
        Ok((path, entry))
    }
}

fn refused(known: &Known, log: &Log, edit: &Edit, violation: Violation) -> Error {
    let tenant = known.tenant;

    match violation {
        Violation::Fenced { epoch, later } => Error::Fenced {
            tenant,
            writer: edit.writer,
            epoch,
            later,
        },
        violation @ Violation::Twin { .. } => Error::Twin {
            tenant,
            writer: edit.writer,
            violation,
        },
        violation => Error::Refused {
            tenant,
            sequence: log.state().sequence,
            violation,
        },
    }
}

fn check_writer_version(known: &Known, state: &State) -> Result<(), Error> {
    if state.writer_version_min > VERSION {
        let key = known.chain.key(state.sequence).to_string();
        return Err(Error::Version {
            key,
            needed: state.writer_version_min,
        });
    }

    Ok(())
}

impl Known {
    fn log(&self) -> Option<Log> {
        self.log.read().clone()
    }

    fn state(&self) -> Option<Arc<State>> {
        self.log.read().as_ref().map(|log| Arc::clone(log.state()))
    }

    fn learn(&self, log: &Log) {
        *self.log.write() = Some(log.clone());
    }
}
