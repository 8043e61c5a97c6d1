//! Makes sure that only one process at a time writes to the store.
//!
//! The chain under `claims/` has one object for each process that started, and one for each process
//! that ended properly. The newest object tells which process holds the store, and the last process
//! of each writer. With it a process finds out whether its data directory belonged to the last
//! process of its writer, or is an outdated copy. `docs/design/0005-one-writer.md` has the reasons.

use std::collections::BTreeMap;
use std::time::Duration;

use duramen_model::{Incarnation, WriterId};
use duramen_runtime::{Clock, Liveness, ProcessMark};
use object_store::path::Path;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::data_dir::Past;
use crate::{Author, Bucket, Chain, Created, DataDir, Entry, Error, WriterIdentity, keys};

/// The right to write to a store and to answer queries from it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Claim {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bucket: Bucket,
    chain: Chain,
    slot: u64,
    identity: WriterIdentity,
    claims: Claims,
    former: Former,
    looks: Mutex<Looks>,
    /// Locked by the task that checks the claim.
    looking: tokio::sync::Mutex<()>,
}

/// The last check of the claim.
#[derive(Debug)]
struct Looks {
    /// The time of the check on both clocks, because the monotonic clock may stop while a machine
    /// is suspended.
    last: (Duration, i64),
    /// The process that has taken the store over.
    successor: Option<Holder>,
}

/// Whether the store may be taken from a process that has not released it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeOver {
    /// Only if that process has certainly ended.
    IfGone,
    /// Always: a person has said that the process is gone or must stop.
    Always,
}

/// What is known about the process that held the store before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Former {
    /// There was none, it has released the store, it is gone, or it had this same directory.
    Over,
    /// It may still run, and answer queries until it checks its claim.
    MayRun,
}

/// The interval between checks whether another process has taken the store over. Each is one GET.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// A process whose last check is older than this was suspended. It checks again before it relies on
/// its claim.
pub const LOOK_AGE_MAX: Duration = Duration::from_secs(15);

/// The longest wait for a check. If the store is unavailable for longer, the process continues:
/// another process can only have taken the store over on a person's command.
const LOOK_WAIT_MAX: Duration = Duration::from_secs(2);

/// The number of writers whose last process is remembered. A writer that has been forgotten gets a
/// new name when it starts again.
const RUNS_MAX: usize = 1_000;

/// The body of an object of the chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Claims {
    format: u64,
    holder: Holder,
    standing: Standing,
    /// The last process of each writer; the most recent is last.
    runs: Vec<WriterIdentity>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Standing {
    Held,
    /// The holder has ended. Everything that it acknowledged is in the store.
    Released,
    /// The holder has ended. Some of what it acknowledged is only in its log.
    ReleasedWithLog,
}

/// The process that holds the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Holder {
    #[serde(flatten)]
    identity: WriterIdentity,
    since_ms: i64,
    /// Where it runs, if that machine can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    process: Option<Mark>,
}

/// The recorded form of [`ProcessMark`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Mark {
    host: String,
    boot: String,
    pid_namespace: String,
    pid: u32,
    started: u64,
}

const FORMAT: u64 = 1;

/// The writer name of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    /// The directory belonged to the last process of its writer. So positions in its log mean the
    /// same as in the manifests.
    Kept { epoch: u64 },
    /// The directory is a copy or was restored, so positions in its log differ from those in the
    /// manifests. The whole log is replayed under a new name. Some samples may be in blocks
    /// already; equal samples count once.
    New,
}

impl Claim {
    /// Takes the store for the process with the data directory `data_dir`, and gives that its
    /// identity. One LIST for each 1,000 starts, 1 GET and 1 PUT.
    ///
    /// # Errors
    /// [`Error::Held`] if another process may write to the store.
    pub async fn take(
        bucket: &Bucket,
        data_dir: &mut DataDir,
        take_over: TakeOver,
    ) -> Result<Self, Error> {
        Seen::of(bucket, take_over).await?.take(data_dir).await
    }

    /// Waits until a former process that may still run has noticed that it lost the store. Returns
    /// at once if there is no such process. No request.
    pub async fn outlast(&self) {
        if self.inner.former == Former::MayRun {
            let wait = LOOK_AGE_MAX + LOOK_WAIT_MAX;
            tracing::info!(
                ?wait,
                "the store was taken from a process that may run: it is given the time to notice"
            );

            self.inner.bucket.clock().sleep(wait).await;
        }
    }

    pub fn identity(&self) -> WriterIdentity {
        self.inner.identity
    }

    /// Returns an identity that fences out all processes of another writer, if they have lost the
    /// store. No request.
    pub fn over(&self, writer: WriterId) -> Option<WriterIdentity> {
        let WriterIdentity {
            writer: own,
            incarnation,
            ..
        } = self.inner.identity;

        let run = self
            .inner
            .claims
            .runs
            .iter()
            .find(|run| run.writer == writer && writer != own)?;

        Some(WriterIdentity {
            incarnation,
            ..*run
        })
    }

    /// Checks the claim, unless the last check is recent. A process that was suspended must not
    /// rely on what it knew before. If the store cannot be reached, the claim still counts.
    ///
    /// # Errors
    /// [`Error::TakenOver`]: nothing may be answered or published any more.
    pub async fn assure(&self) -> Result<(), Error> {
        if !self.is_stale() {
            return self.successor();
        }

        let _looking = self.inner.looking.lock().await;
        if self.is_stale() {
            self.look().await;
        }

        self.successor()
    }

    /// Checks the claim every [`LOOK_INTERVAL`]. Returns an error when another process has the
    /// store.
    pub async fn watch(&self) -> Result<(), Error> {
        loop {
            self.inner.bucket.clock().sleep(LOOK_INTERVAL).await;
            {
                let _looking = self.inner.looking.lock().await;
                self.look().await;
            }

            self.successor()?;
        }
    }

    /// Records that this process has ended and will publish nothing more, so that any other process
    /// can take the store at once. One PUT.
    pub async fn release(&self, log: LogLeft) -> Result<(), Error> {
        let standing = match log {
            LogLeft::Nothing => Standing::Released,
            LogLeft::Samples => Standing::ReleasedWithLog,
        };

        let body = serde_json::to_vec(&Claims {
            standing,
            ..self.inner.claims.clone()
        })
        .expect("plain values have JSON");

        let author = Author::new(self.inner.identity.writer, &**self.inner.bucket.clock());
        match self
            .inner
            .chain
            .create(self.inner.slot + 1, author, &body)
            .await?
        {
            Created::Ours => Ok(()),
            Created::Theirs(entry) => {
                Err(self.taken_over(&decode(&self.inner.chain, &entry)?.holder))
            }
        }
    }

    fn is_stale(&self) -> bool {
        let clock = self.inner.bucket.clock();
        let (last, last_ms) = self.inner.looks.lock().last;
        let age_ms = i64::try_from(LOOK_AGE_MAX.as_millis()).unwrap_or(i64::MAX);

        clock.monotonic().saturating_sub(last) > LOOK_AGE_MAX
            || clock.now_ms().saturating_sub(last_ms).abs() > age_ms
    }

    /// Checks the claim by one GET. If there is no response in time, nothing changes.
    async fn look(&self) {
        let clock = self.inner.bucket.clock();
        let now = (clock.monotonic(), clock.now_ms());

        let found = tokio::select! {
            biased;
            found = self.inner.chain.get(self.inner.slot + 1) => found,
            () = clock.sleep(LOOK_WAIT_MAX) => return self.looked((clock.monotonic(), clock.now_ms()), None),
        };

        match found.and_then(|entry| {
            entry
                .map(|entry| decode(&self.inner.chain, &entry))
                .transpose()
        }) {
            Ok(claims) => self.looked(now, claims.map(|claims| claims.holder)),
            // A later version of this program wrote this claim.
            Err(Error::Format { .. }) => self.looked(now, Some(Holder::unknown())),
            Err(error) => {
                tracing::debug!(%error, "it could not be looked whether another process has taken over the store");
                self.looked(now, None);
            }
        }
    }

    fn looked(&self, last: (Duration, i64), successor: Option<Holder>) {
        let mut looks = self.inner.looks.lock();
        looks.last = last;
        looks.successor = looks.successor.take().or(successor);
    }

    fn successor(&self) -> Result<(), Error> {
        match &self.inner.looks.lock().successor {
            None => Ok(()),
            Some(holder) => Err(self.taken_over(holder)),
        }
    }

    fn taken_over(&self, by: &Holder) -> Error {
        Error::TakenOver {
            store: self.inner.bucket.name().to_owned(),
            writer: by.identity.writer,
            host: by.host().to_owned(),
            pid: by.pid(),
        }
    }
}

/// Who held the store at a look, for the process that is about to take it.
#[derive(Debug)]
pub(crate) struct Seen {
    bucket: Bucket,
    chain: Chain,
    take_over: TakeOver,
    /// The last slot that is taken, or 0.
    slot: u64,
    /// The claim in it; `None` if there is none, or if it cannot be read and is ignored.
    last: Option<Claims>,
}

impl Seen {
    /// Reads who holds the store. This decides nothing: [`Seen::take`] notices whoever came in
    /// between. One LIST for each 1,000 starts, and one GET.
    pub(crate) async fn of(bucket: &Bucket, take_over: TakeOver) -> Result<Self, Error> {
        let chain = Chain::new(bucket.clone(), Path::from(keys::CLAIMS));
        let slot = chain.last(None).await?.unwrap_or(0);
        let last = match slot {
            0 => None,
            slot => read(&chain, slot, take_over).await?,
        };

        Ok(Self {
            bucket: bucket.clone(),
            chain,
            take_over,
            slot,
            last,
        })
    }

    /// Takes the store for the process with the data directory `data_dir`, and gives that its
    /// identity. One PUT, and two requests more for each process that came in between.
    ///
    /// # Errors
    /// [`Error::Held`] if another process may write to the store.
    pub(crate) async fn take(self, data_dir: &mut DataDir) -> Result<Claim, Error> {
        let Self {
            bucket,
            chain,
            take_over,
            mut slot,
            mut last,
        } = self;

        loop {
            let past = data_dir.past();
            let former = match &last {
                Some(claims) => claims.check_free(&past, bucket.name(), take_over)?,
                None if slot > 0 => Former::MayRun,
                None => Former::Over,
            };

            let identity = match name(&past, last.as_ref(), slot) {
                Name::Kept { epoch } => WriterIdentity {
                    epoch,
                    ..data_dir.identity()
                },
                Name::New => new_identity(past.writer, &**bucket.clock()),
            };

            // The directory must know the identity durably before the bucket does. So if this
            // process dies in between, the directory is still recognized.
            data_dir.attempt(identity)?;

            let claims = Claims::of(identity, last.as_ref(), &**bucket.clock());
            let body = serde_json::to_vec(&claims).expect("plain values have JSON");
            let looked = (bucket.clock().monotonic(), bucket.clock().now_ms());

            match chain
                .create(
                    slot + 1,
                    Author::new(identity.writer, &**bucket.clock()),
                    &body,
                )
                .await?
            {
                Created::Ours => {
                    data_dir.settle()?;

                    let inner = Inner {
                        bucket: bucket.clone(),
                        chain,
                        slot: slot + 1,
                        identity,
                        claims,
                        former,
                        looks: Mutex::new(Looks {
                            last: looked,
                            successor: None,
                        }),
                        looking: tokio::sync::Mutex::default(),
                    };

                    return Ok(Claim {
                        inner: Arc::new(inner),
                    });
                }

                Created::Theirs(entry) => {
                    slot = entry.slot;
                    last = Some(decode(&chain, &entry)?);
                }
            }
        }
    }
}

/// Whether an ending process leaves samples that are only in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLeft {
    Nothing,
    Samples,
}

/// Reads the claim in `slot`. If it cannot be read, its holder is unknown: then it is ignored only
/// on a person's command (`take_over`).
async fn read(chain: &Chain, slot: u64, take_over: TakeOver) -> Result<Option<Claims>, Error> {
    let missing = || Error::Corrupt {
        key: chain.key(slot).to_string(),
        fault: "listed and missing".to_owned(),
    };

    let entry = chain.get(slot).await;
    let claims = entry
        .and_then(|entry| entry.ok_or_else(missing))
        .and_then(|entry| decode(chain, &entry));

    match claims {
        Ok(claims) => Ok(Some(claims)),
        Err(error @ (Error::Corrupt { .. } | Error::Format { .. }))
            if take_over == TakeOver::Always =>
        {
            tracing::error!(%error, "who holds the store cannot be read; it is taken, as was asked for");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Decides the name of a process. `past` is the past of its directory, `slot` the number of objects
/// in the chain, and `last` the newest claim.
fn name(past: &Past<'_>, last: Option<&Claims>, slot: u64) -> Name {
    if past.is_disowned {
        return Name::New;
    }

    let run = last.and_then(|claims| claims.runs.iter().find(|run| run.writer == past.writer));

    match run {
        Some(run) if past.incarnations.contains(&run.incarnation) => Name::Kept {
            epoch: past.epoch.max(run.epoch.saturating_add(1)),
        },
        Some(_) => Name::New,
        // Either the chain or the directory has no record of processes: it is new, or from an
        // earlier version.
        None if slot == 0 || (past.incarnations.is_empty() && last.is_some()) => {
            Name::Kept { epoch: past.epoch }
        }
        None => Name::New,
    }
}

/// Makes an identity with a new name, for a directory whose old name another process has used.
fn new_identity(old: WriterId, clock: &dyn Clock) -> WriterIdentity {
    let identity = DataDir::new_writer(clock);
    tracing::warn!(writer = %identity.writer, %old, "the data directory is a copy, or was restored: another process has written \
        under its name. It goes on under a new one, and replays all that its log holds");

    identity
}

impl Claims {
    /// Makes the claims for `identity` taking over from `last`.
    fn of(identity: WriterIdentity, last: Option<&Self>, clock: &dyn Clock) -> Self {
        let holder = Holder {
            identity,
            since_ms: clock.now_ms(),
            process: ProcessMark::of_this().map(Mark::from),
        };

        let mut runs = last.map(|claims| claims.runs.clone()).unwrap_or_default();
        if let Some(last) = last
            && last.standing == Standing::Held
            && last.holder.identity.writer != identity.writer
        {
            // This reserves the epoch that will fence the former holder out, so that its later
            // commits are refused.
            for run in runs
                .iter_mut()
                .filter(|run| run.writer == last.holder.identity.writer)
            {
                run.epoch = run.epoch.saturating_add(1);
            }
        }

        runs.retain(|run| run.writer != identity.writer);
        runs.push(identity);

        let forgotten = runs.len().saturating_sub(RUNS_MAX);
        runs.drain(..forgotten);

        Self {
            format: FORMAT,
            holder,
            standing: Standing::Held,
            runs,
        }
    }

    /// Checks whether a process may take the store. `past` is the past of its directory.
    fn check_free(
        &self,
        past: &Past<'_>,
        store: &str,
        take_over: TakeOver,
    ) -> Result<Former, Error> {
        let holder = &self.holder;
        let is_same_writer = holder.identity.writer == past.writer;

        match self.standing {
            Standing::Released => return Ok(Former::Over),
            Standing::ReleasedWithLog => {
                if !is_same_writer {
                    tracing::warn!(writer = %holder.identity.writer, host = holder.host(), "the process that wrote to the store before has left \
                        samples in its log that are not in the store: start it once more, or they are not seen");
                }

                return Ok(Former::Over);
            }
            Standing::Held => {}
        }

        let is_successor =
            is_same_writer && past.incarnations.contains(&holder.identity.incarnation);
        let refused = || Error::Held {
            store: store.to_owned(),
            writer: holder.identity.writer,
            host: holder.host().to_owned(),
            pid: holder.pid(),
            since_ms: holder.since_ms,
        };

        match holder.liveness() {
            Liveness::Gone => Ok(Former::Over),
            // We have the lock of the directory. So its former process is gone, or it has a copy of
            // the directory on another machine and will notice that it lost the store.
            Liveness::Unknown if is_successor => Ok(Former::Over),
            Liveness::Alive if is_successor && holder.pid() == std::process::id() => {
                Ok(Former::Over)
            }
            _ if take_over == TakeOver::Always => Ok(Former::MayRun),
            Liveness::Unknown | Liveness::Alive => Err(refused()),
        }
    }
}

impl Holder {
    fn unknown() -> Self {
        let writer = WriterId(ulid::Ulid::nil());
        let incarnation = Incarnation::UNKNOWN;

        Self {
            identity: WriterIdentity {
                writer,
                epoch: 0,
                incarnation,
            },
            since_ms: 0,
            process: None,
        }
    }

    fn host(&self) -> &str {
        self.process
            .as_ref()
            .map_or("unknown", |process| &process.host)
    }

    fn pid(&self) -> u32 {
        self.process.as_ref().map_or(0, |process| process.pid)
    }

    fn liveness(&self) -> Liveness {
        self.process.clone().map_or(Liveness::Unknown, |process| {
            ProcessMark::from(process).liveness()
        })
    }
}

impl From<ProcessMark> for Mark {
    fn from(mark: ProcessMark) -> Self {
        let ProcessMark {
            host,
            boot,
            pid_namespace,
            pid,
            started,
        } = mark;

        Self {
            host,
            boot,
            pid_namespace,
            pid,
            started,
        }
    }
}

impl From<Mark> for ProcessMark {
    fn from(mark: Mark) -> Self {
        let Mark {
            host,
            boot,
            pid_namespace,
            pid,
            started,
        } = mark;

        Self {
            host,
            boot,
            pid_namespace,
            pid,
            started,
        }
    }
}

fn decode(chain: &Chain, entry: &Entry) -> Result<Claims, Error> {
    let key = || chain.key(entry.slot).to_string();
    let versions: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&entry.body)
        .map_err(|e| Error::Corrupt {
            key: key(),
            fault: e.to_string(),
        })?;

    let found = versions
        .get("format")
        .and_then(serde_json::Value::as_u64)
        .unwrap_or(u64::MAX);

    if found != FORMAT {
        return Err(Error::Format {
            key: key(),
            found,
            known: FORMAT,
        });
    }

    serde_json::from_slice(&entry.body).map_err(|e| Error::Corrupt {
        key: key(),
        fault: e.to_string(),
    })
}
