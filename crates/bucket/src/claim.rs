//! Who writes to the store: one process at a time.
//!
//! The chain under `claims/` has one object for each process that started, and one for each that
//! said it was done. Its last object tells who holds the store, and of each writer the last
//! process: so a process knows whether its data directory is the one that its writer's last process
//! had, or a copy that others have left behind. `docs/design/0005-one-writer.md` has the reasons.

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

/// The right to write to a store and to answer from it. Cheap to clone.
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
    /// Held by the one who looks.
    looking: tokio::sync::Mutex<()>,
}

/// When it was last looked whether the claim holds.
#[derive(Debug)]
struct Looks {
    /// By both clocks: the monotonic one may stand while a machine is suspended.
    last: (Duration, i64),
    /// Who has taken over.
    successor: Option<Holder>,
}

/// Whether a store may be taken from a process that has not said that it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeOver {
    /// Only when it has ended for certain.
    IfGone,
    /// A person says that it is gone, or is to stop.
    Always,
}

/// What is known of the process that had the store before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Former {
    /// There was none, or it is done, gone, or of this very directory.
    Over,
    /// It may run, and answer until it looks.
    MayRun,
}

/// How often it is looked whether another process has taken over: one GET.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// Who has not looked for so long was stopped meanwhile, and looks again before it relies on its
/// claim.
pub const LOOK_AGE_MAX: Duration = Duration::from_secs(15);

/// The longest that anybody waits for a look. A store that is away longer has not been taken over
/// without a person's word.
const LOOK_WAIT_MAX: Duration = Duration::from_secs(2);

/// The writers whose last process is remembered. Of one that is forgotten nothing is known, and
/// then it takes a new name.
const RUNS_MAX: usize = 1_000;

/// The body of an object of the chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Claims {
    format: u64,
    holder: Holder,
    standing: Standing,
    /// The last process of each writer, the newest last.
    runs: Vec<WriterIdentity>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Standing {
    Held,
    /// The holder is done, and all that it acknowledged is in the store.
    Released,
    /// The holder is done, and some of what it acknowledged is in its log only.
    ReleasedWithLog,
}

/// The process that writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Holder {
    #[serde(flatten)]
    identity: WriterIdentity,
    since_ms: i64,
    /// Where it runs, if its machine tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    process: Option<Mark>,
}

/// [`ProcessMark`] as it is recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Mark {
    host: String,
    boot: String,
    pid_namespace: String,
    pid: u32,
    started: u64,
}

const FORMAT: u64 = 0;

/// The name under which a process writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    /// The directory is the one that its writer's last process had: its log and the manifests mean
    /// the same positions.
    Kept { epoch: u64 },
    /// It is a copy, or was restored: the manifests' positions are not those of its log, so that
    /// all of the log is replayed under a name of its own. Samples that are in blocks already are
    /// equal, and equal samples are one.
    New,
}

impl Claim {
    /// Takes the store for the process that has `data_dir`, which gets its identity by it. One LIST
    /// for each 1,000 starts, 1 GET and 1 PUT.
    ///
    /// # Errors
    /// [`Error::Held`] when another process may write to the store.
    pub async fn take(
        bucket: &Bucket,
        data_dir: &mut DataDir,
        take_over: TakeOver,
    ) -> Result<Self, Error> {
        let chain = Chain::new(bucket.clone(), Path::from(keys::CLAIMS));
        let mut slot = chain.last(None).await?.unwrap_or(0);
        let mut last = match slot {
            0 => None,
            slot => read(&chain, slot, take_over).await?,
        };

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
                Name::New => {
                    let old = past.writer;
                    let identity = DataDir::new_writer(&**bucket.clock());
                    tracing::warn!(writer = %identity.writer, %old, "the data directory is a copy, or was restored: another process has written \
                        under its name. It goes on under a new one, and replays all that its log holds");

                    identity
                }
            };

            // Durable before the claim is: after a death in between, the directory knows the
            // process that the bucket knows.
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

                    let looks = Mutex::new(Looks {
                        last: looked,
                        successor: None,
                    });

                    let bucket = bucket.clone();
                    let looking = tokio::sync::Mutex::default();
                    let slot = slot + 1;

                    let inner = Inner {
                        bucket,
                        chain,
                        slot,
                        identity,
                        claims,
                        former,
                        looks,
                        looking,
                    };

                    return Ok(Self {
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

    /// Waits until a process from which the store was taken, and which may run, has looked and
    /// stopped, or looks before it answers. No request; returns at once after an ordinary start.
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

    /// The identity that fences the processes of another writer out for good, if they are over. No
    /// request.
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

    /// Returns at once while it was looked a short time ago whether the claim holds, and otherwise
    /// looks: a process that was stopped and goes on must not rely on what it knew. While the store
    /// is away it goes on.
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

    /// Looks every [`LOOK_INTERVAL`] whether the claim holds; ends with an error when it does not.
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

    /// Says that this process is done and will publish nothing more, so that any other may take the
    /// store at once. One PUT.
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

    /// One GET. What cannot be had in time changes nothing.
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
            // The claim of a later version of this program.
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

/// What a process that ends leaves in its log and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLeft {
    Nothing,
    Samples,
}

/// What the slot says. A claim that cannot be read is one that nobody knows the holder of: only a
/// person's word goes over it.
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

/// The name for a process on a directory with that past, when `slot` objects are in the chain and
/// `last` is what the newest says.
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
        // The bucket has never heard of claims, or neither has the directory: it is new, or older
        // than they are.
        None if slot == 0 || (past.incarnations.is_empty() && last.is_some()) => {
            Name::Kept { epoch: past.epoch }
        }
        None => Name::New,
    }
}

impl Claims {
    /// What stands when `identity` takes over from `last`.
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
            // Whatever that process still tries comes too late: the epoch that fences it is taken.
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

    /// Whether a process on a directory with that past may write now.
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
        let held = || Error::Held {
            store: store.to_owned(),
            writer: holder.identity.writer,
            host: holder.host().to_owned(),
            pid: holder.pid(),
            since_ms: holder.since_ms,
        };

        match holder.liveness() {
            Liveness::Gone => Ok(Former::Over),
            // The directory's lock is ours, so the process that had it before is gone, or has a
            // copy of it on another machine: then it learns that it was overtaken.
            Liveness::Unknown if is_successor => Ok(Former::Over),
            Liveness::Alive if is_successor && holder.pid() == std::process::id() => {
                Ok(Former::Over)
            }
            _ if take_over == TakeOver::Always => Ok(Former::MayRun),
            Liveness::Unknown | Liveness::Alive => Err(held()),
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
