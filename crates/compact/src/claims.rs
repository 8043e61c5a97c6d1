//! Claims of jobs, which save double work.
//!
//! A worker claims a job by an object that only one worker can create, and shows that it lives by an
//! object of its own, which it writes again and again. Whoever sees the same content there for
//! [`STILL_MAX`] by its own clock may claim the job in the next attempt.
//!
//! Nothing depends on a claim: of two workers that do one job, the manifest takes one. So a claim
//! needs no fence, and what is unclear is left to the next look.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use duramen_bucket::{Bucket, Error, keys};
use duramen_model::{BlockId, TenantId};
use duramen_runtime::Clock;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tracing::warn;
use ulid::Ulid;

use crate::job::{Digest, Job};
use crate::worker::Worker;

/// A claim is taken over when its worker has not been seen to live for so long.
pub const STILL_MAX: Duration = Duration::from_secs(60);

/// How often a worker with a claim shows that it lives.
pub const BEAT_EVERY: Duration = Duration::from_secs(20);

/// The largest body of a claim, and of a beat, that is read.
const BODY_BYTES_MAX: u64 = 64 << 10;

/// The claims as one worker sees them.
#[derive(Debug)]
pub struct Claims {
    bucket: Bucket,
    worker: Worker,
    clock: Arc<dyn Clock>,
    /// The claims of others.
    seen: Mutex<HashMap<(TenantId, Digest), Seen>>,
}

/// What was seen of the claim of another worker.
#[derive(Clone, Debug)]
struct Seen {
    attempt: u32,
    /// `None`: the claim does not name one that can be read.
    worker: Option<Ulid>,
    /// What its object had, and since when on the monotonic clock.
    beat: Option<Bytes>,
    since: Duration,
}

/// The right to do a job while others leave it alone.
#[derive(Debug)]
pub struct Claim {
    tenant: TenantId,
    digest: Digest,
    attempt: u32,
}

/// The body of a claim.
#[derive(Debug, Serialize, Deserialize)]
struct Body {
    worker: Ulid,
    /// When the job was claimed by the worker's clock, for people.
    at_ms: i64,
    inputs: Vec<BlockId>,
}

impl Claims {
    pub fn new(bucket: Bucket, worker: Worker, clock: Arc<dyn Clock>) -> Self {
        Self {
            bucket,
            worker,
            clock,
            seen: Mutex::default(),
        }
    }

    /// Claims a job. Returns `None` if another worker has it.
    ///
    /// Requests: 1 PUT for a job that nobody has claimed. If another worker has: 1 GET of the claim
    /// and 1 of its worker, the first time; then 1 GET of the worker at each look, and 1 PUT to take
    /// the job over.
    pub async fn claim(&self, tenant: TenantId, job: &Job) -> Result<Option<Claim>, Error> {
        let digest = job.digest();
        let seen = self.seen.lock().get(&(tenant, digest)).cloned();

        let attempt = match seen {
            None => 1,
            Some(seen) if self.is_still(tenant, digest, &seen).await? => {
                seen.attempt.saturating_add(1)
            }
            Some(_) => return Ok(None),
        };

        self.offer(tenant, job, attempt).await
    }

    /// Takes an attempt if nobody has it.
    async fn offer(
        &self,
        tenant: TenantId,
        job: &Job,
        attempt: u32,
    ) -> Result<Option<Claim>, Error> {
        let digest = job.digest();
        let key = keys::job(tenant, &digest.to_string(), attempt);
        let body = Body {
            worker: self.worker.id(),
            at_ms: self.clock.now_ms(),
            inputs: job.ids().collect(),
        };

        let body = serde_json::to_vec(&body).expect("plain values have JSON");
        let offered = self.bucket.offer(&key, body.into(), BODY_BYTES_MAX).await;
        let other = or_unreadable(offered)?;
        let worker = match other {
            None => Some(self.worker.id()),
            Some(other) => serde_json::from_slice(&other)
                .ok()
                .map(|body: Body| body.worker),
        };

        if worker == Some(self.worker.id()) {
            self.seen.lock().remove(&(tenant, digest));
            return Ok(Some(Claim {
                tenant,
                digest,
                attempt,
            }));
        }

        let seen = Seen {
            attempt,
            worker,
            beat: self.beat_of(worker).await?,
            since: self.clock.monotonic(),
        };

        self.seen.lock().insert((tenant, digest), seen);
        Ok(None)
    }

    /// Whether the worker of a claim has not been seen to live for so long that its job is free.
    async fn is_still(&self, tenant: TenantId, digest: Digest, seen: &Seen) -> Result<bool, Error> {
        let beat = self.beat_of(seen.worker).await?;
        let now = self.clock.monotonic();

        if beat == seen.beat {
            return Ok(now.saturating_sub(seen.since) >= STILL_MAX);
        }

        let seen = Seen {
            beat,
            since: now,
            ..seen.clone()
        };

        self.seen.lock().insert((tenant, digest), seen);
        Ok(false)
    }

    async fn beat_of(&self, worker: Option<Ulid>) -> Result<Option<Bytes>, Error> {
        match worker {
            Some(worker) => {
                let key = keys::worker(worker);
                or_unreadable(self.bucket.get_if_exists(&key, BODY_BYTES_MAX).await)
            }
            None => Ok(None),
        }
    }

    /// Does `work`, and shows meanwhile that this worker lives.
    ///
    /// Requests: 1 PUT each [`BEAT_EVERY`]. So work that is done sooner takes none.
    pub async fn alive<T>(&self, work: impl Future<Output = T>) -> T {
        let beats = async {
            loop {
                self.clock.sleep(BEAT_EVERY).await;

                if let Err(error) = self.worker.beat().await {
                    warn!(%error, "others were not told that this worker lives");
                }
            }
        };

        tokio::select! {
            biased;
            done = work => done,
            () = beats => unreachable!("beats do not end"),
        }
    }

    /// Gives a job back, done or not. 1 DELETE.
    pub async fn release(&self, claim: Claim) {
        let key = keys::job(claim.tenant, &claim.digest.to_string(), claim.attempt);

        // A claim that is left behind is collected.
        if let Err(error) = self.bucket.delete(&key).await {
            warn!(%error, "a claim was left behind");
        }
    }

    /// Forgets the claims of others on jobs of a tenant that are not there any more.
    pub(crate) fn keep(&self, tenant: TenantId, jobs: &[Job]) {
        let digests: Vec<Digest> = jobs.iter().map(Job::digest).collect();
        let is_kept = |of: &(TenantId, Digest)| of.0 != tenant || digests.contains(&of.1);
        self.seen.lock().retain(|of, _| is_kept(of));
    }

    /// Removes the object of this worker. 1 DELETE if it has shown that it lives.
    pub async fn leave(&self) -> Result<(), Error> {
        self.worker.leave().await
    }
}

/// An object that is too large is as good as one that says nothing.
fn or_unreadable(read: Result<Option<Bytes>, Error>) -> Result<Option<Bytes>, Error> {
    match read {
        Err(Error::TooLarge { .. }) => Ok(Some(Bytes::new())),
        read => read,
    }
}
