//! Plans and does the jobs of a tenant, until there is none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use duramen_blocks::{Error, Merged};
use duramen_manifest::{Commit, Gone, Manifests, State, Tombstone, Tombstones, Violation};
use duramen_model::{BlockEntry, BlockId, TenantId};
use duramen_runtime::Clock;
use duramen_source::Retention;
use parking_lot::Mutex;
use tracing::{info, warn};

use crate::claims::{Claim, Claims};
use crate::clean::clean;
use crate::execute::{Executor, damaged_input, with_causes};
use crate::job::{Digest, Job, Level};
use crate::plan::plan;
use crate::policy::Policy;
use crate::retention::{Expired, expired};
use crate::rollups::Rollups;
use crate::summary::{Failure, Summary};

/// So many blocks are removed by one edit.
pub const EXPIRED_AT_ONCE: usize = 1_000;

/// Compacts tenants.
#[derive(Debug)]
pub struct Compactor {
    executor: Executor,
    policy: Policy,
    /// The damaged blocks that the manifest could not be told about, which no job takes any more.
    held: Mutex<BTreeMap<TenantId, BTreeSet<BlockId>>>,
    claiming: Option<Claiming>,
}

/// When jobs are claimed. A claim costs a PUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimWhen {
    /// This is one of several workers.
    Always,
    /// Only if the manifest of the tenant shows merges of another worker, now or not long ago.
    OthersMerge,
}

#[derive(Debug)]
struct Claiming {
    claims: Claims,
    when: ClaimWhen,
    /// When merges of others were last seen, on the monotonic clock.
    others: Mutex<BTreeMap<TenantId, Duration>>,
}

/// A worker that has merged counts as present for so long.
const OTHERS_STAY: Duration = Duration::from_secs(3600);

/// A job that this worker may do.
struct Taken {
    job: Job,
    claim: Option<Claim>,
}

/// Whether samples were deleted while a job was done, so that its output still has them.
fn is_missed(error: &Error) -> bool {
    let Error::Manifest(duramen_manifest::Error::Refused { violation, .. }) = error else {
        return false;
    };

    matches!(violation, Violation::DeletionMissed { .. })
}

/// How often one call does jobs again whose outputs came too late.
const LATE_MAX: usize = 3;

/// What becomes of a job.
#[derive(Debug)]
pub enum Event<'a> {
    Begins(&'a Job),
    /// Another worker has claimed it.
    Left(&'a Job),
    Done(&'a Job),
    Lost(&'a Job),
    Failed(&'a Job, &'a Failure),
}

impl Compactor {
    pub fn new(executor: Executor, policy: Policy) -> Self {
        Self {
            executor,
            policy,
            held: Mutex::default(),
            claiming: None,
        }
    }

    /// Claims jobs before they are done.
    #[must_use]
    pub fn claiming(self, claims: Claims, when: ClaimWhen) -> Self {
        let claiming = Claiming {
            claims,
            when,
            others: Mutex::default(),
        };

        Self {
            claiming: Some(claiming),
            ..self
        }
    }

    /// Returns the jobs of a tenant, the newest window first, from the manifest as it is now.
    ///
    /// Requests: those of a refresh of the manifest.
    pub async fn plan(&self, tenant: TenantId) -> Result<Vec<Job>, Error> {
        self.plan_without(tenant, &BTreeSet::new()).await
    }

    /// Returns the jobs of a tenant from the manifest as it was seen last. No request.
    pub(crate) fn known_jobs(&self, tenant: TenantId) -> Vec<Job> {
        let state = self.executor.manifests().cached(tenant);
        state.map_or_else(Vec::new, |state| {
            self.jobs(tenant, &state, &BTreeSet::new())
        })
    }

    /// Returns the manifest as it was seen last. No request.
    pub(crate) fn known(&self, tenant: TenantId) -> Option<Arc<State>> {
        self.executor.manifests().cached(tenant)
    }

    pub(crate) async fn refresh(&self, tenant: TenantId) -> Result<Arc<State>, Error> {
        Ok(self.executor.manifests().refresh(tenant).await?)
    }

    pub(crate) fn manifests(&self) -> &Manifests {
        self.executor.manifests()
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.executor.clock()
    }

    async fn plan_without(
        &self,
        tenant: TenantId,
        set_aside: &BTreeSet<BlockId>,
    ) -> Result<Vec<Job>, Error> {
        let state = self.refresh(tenant).await?;
        Ok(self.jobs(tenant, &state, set_aside))
    }

    fn jobs(&self, tenant: TenantId, state: &State, set_aside: &BTreeSet<BlockId>) -> Vec<Job> {
        let mut held = self.held.lock().get(&tenant).cloned().unwrap_or_default();
        held.extend(set_aside);
        held.extend(state.quarantined.keys());

        let now_ms = self.clock().now_ms();
        let mut jobs = plan(state.blocks.values(), &held, &self.policy, now_ms);

        let rollups = Rollups::of(state, &self.policy);
        rollups.attach(&mut jobs, &self.policy);
        held.extend(jobs.iter().flat_map(Job::ids));
        held.extend(jobs.iter().flat_map(Job::removed));

        let missing = rollups.missing(&held, &self.policy, now_ms);
        held.extend(missing.iter().flat_map(Job::removed));
        jobs.extend(missing);

        let periods = rollups.periods(&held, &self.policy, now_ms);
        held.extend(periods.iter().flat_map(Job::ids));
        jobs.extend(periods);

        jobs.extend(clean(state, &rollups, &held, &self.policy, now_ms));
        jobs
    }

    /// Does the jobs of a tenant that `wanted` lets pass, until there is none. `notice` learns what
    /// becomes of each.
    ///
    /// A job that fails ends nothing, and the rest goes on. A damaged input goes into the
    /// quarantine of the manifest, so no process takes it again. If no input is damaged, all of
    /// them are left alone in this call. A job whose outputs come too late is done again with new
    /// ones.
    ///
    /// A job that another worker has claimed is left to it.
    ///
    /// Requests: those of [`Compactor::plan`] before each job and once at the end, those of
    /// [`Executor::run`] for each job, and of a commit for each damaged input. If jobs are claimed,
    /// those of [`Claims::claim`], [`Claims::alive`] and [`Claims::release`] for each job.
    ///
    /// # Errors
    /// The manifest cannot be read.
    pub async fn drain(
        &self,
        tenant: TenantId,
        wanted: impl Fn(&Job) -> bool,
        mut notice: impl FnMut(Event<'_>),
    ) -> Result<Summary, Error> {
        let mut summary = Summary::default();
        let mut set_aside = BTreeSet::new();
        let mut left = BTreeSet::new();
        let mut late = 0;

        loop {
            let mut jobs = self.plan_without(tenant, &set_aside).await?;
            jobs.retain(&wanted);

            let taken = self.take(tenant, jobs, &mut left, &mut notice).await?;
            let Some(Taken { job, claim }) = taken else {
                summary.left = left.len() as u64;
                return Ok(summary);
            };

            notice(Event::Begins(&job));
            let done = self.run(tenant, &job, claim).await;

            match done {
                Ok(merged) => {
                    summary.add(job.level, &merged.report, merged.blocks.len());
                    if job.level == Level::Rollups && merged.blocks.is_empty() {
                        // The day has no samples that are not deleted.
                        set_aside.extend(job.ids());
                    }
                    info!(
                        %tenant,
                        window = %job.window,
                        level = job.level.name(),
                        inputs = job.inputs.len(),
                        outputs = merged.blocks.len(),
                        "blocks were merged"
                    );
                    notice(Event::Done(&job));
                }
                Err(error) if is_missed(&error) || self.is_lost(tenant, &job).await? => {
                    summary.lost += 1;
                    notice(Event::Lost(&job));
                }
                Err(error) if error.is_behind_horizon() && late < LATE_MAX => {
                    warn!(%tenant, %error, "merged blocks come too late; they are made again");
                    late += 1;
                }
                Err(error) => {
                    let failure = self.give_up(tenant, &job, &error).await;
                    set_aside.extend(&failure.held);
                    notice(Event::Failed(&job, &failure));
                    summary.failed.push(failure);
                }
            }
        }
    }

    /// Returns the first job that no other worker has. Notes those that others have in `left`.
    async fn take(
        &self,
        tenant: TenantId,
        jobs: Vec<Job>,
        left: &mut BTreeSet<Digest>,
        notice: &mut impl FnMut(Event<'_>),
    ) -> Result<Option<Taken>, Error> {
        let Some(claims) = self.claims(tenant) else {
            let job = jobs.into_iter().next();
            return Ok(job.map(|job| Taken { job, claim: None }));
        };

        claims.keep(tenant, &jobs);

        for job in jobs {
            if left.contains(&job.digest()) {
                continue;
            }

            match claims.claim(tenant, &job).await? {
                Some(claim) => {
                    let claim = Some(claim);
                    return Ok(Some(Taken { job, claim }));
                }
                None => {
                    notice(Event::Left(&job));
                    left.insert(job.digest());
                }
            }
        }

        Ok(None)
    }

    /// Returns the claims, if jobs of the tenant are to be claimed.
    fn claims(&self, tenant: TenantId) -> Option<&Claims> {
        let Claiming {
            claims,
            when,
            others,
        } = self.claiming.as_ref()?;

        if *when == ClaimWhen::Always {
            return Some(claims);
        }

        let now = self.clock().monotonic();
        let mut others = others.lock();
        if self.executor.manifests().has_merges_of_others(tenant) {
            others.insert(tenant, now);
        }

        let seen = others.get(&tenant);
        seen.filter(|seen| now < **seen + OTHERS_STAY)
            .map(|_| claims)
    }

    /// Does a job, and gives it back.
    async fn run(
        &self,
        tenant: TenantId,
        job: &Job,
        claim: Option<Claim>,
    ) -> Result<Merged, Error> {
        let work = Box::pin(self.executor.run(tenant, job));

        match (&self.claiming, claim) {
            (Some(Claiming { claims, .. }), Some(claim)) => {
                let done = claims.alive(work).await;
                claims.release(claim).await;
                done
            }
            _ => work.await,
        }
    }

    /// Returns the blocks that are beyond their retention and may go, of the manifest as it was seen
    /// last. No request.
    pub fn expired(&self, tenant: TenantId, retention: &Retention) -> Vec<BlockId> {
        let expired = self.known(tenant).map(|state| expired(&state, retention));
        let blocks = expired.into_iter().flatten();
        blocks.flat_map(|expired| expired.blocks).collect()
    }

    /// Removes the blocks that are beyond their retention from the manifest as it was seen last.
    /// Samples whose rollups are kept for longer go when these are there. Returns how many blocks
    /// went.
    ///
    /// Requests: 1 PUT for each [`EXPIRED_AT_ONCE`] of them, and 1 more if only some have rollups
    /// that stay, as [`duramen_manifest::Manifests::commit`] says.
    pub async fn expire(&self, tenant: TenantId, retention: &Retention) -> Result<usize, Error> {
        let manifests = self.executor.manifests();
        let known = self.known(tenant);
        let all = known.map_or_else(Vec::new, |state| expired(&state, retention));
        let mut removed = 0;

        for Expired { blocks, rolled_at } in all {
            for blocks in blocks.chunks(EXPIRED_AT_ONCE) {
                let commit = Commit::expire(blocks.to_vec(), rolled_at.clone());
                manifests.commit(tenant, commit).await?;
                removed += blocks.len();
                info!(%tenant, blocks = blocks.len(), "blocks beyond their retention were removed");
            }
        }

        Ok(removed)
    }

    /// Deletes the objects of a block that is not live any more. Requests: 1 DELETE for each file.
    pub(crate) async fn delete(&self, tenant: TenantId, entry: &BlockEntry) -> Result<(), Error> {
        self.executor.delete(tenant, entry).await
    }

    /// Deletes the objects of `blocks`, which had deleted samples, and ends the deletions of which
    /// nothing is left then. `is_held` says whether a named snapshot may have samples of one.
    ///
    /// Requests: 1 DELETE for each file of these blocks, and 1 PUT if there is something to tell
    /// the manifest.
    pub(crate) async fn end_deletions(
        &self,
        tenant: TenantId,
        state: &State,
        blocks: Vec<BlockId>,
        is_held: impl Fn(&Tombstone) -> bool,
    ) -> Result<(), Error> {
        let deletions = &state.deletions;
        let gone: BTreeSet<BlockId> = blocks.iter().copied().collect();

        let is_over = |one: &&Arc<Tombstone>| {
            !is_held(one)
                && one.remains.is_subset(&gone)
                && state.waits_for(one).next().is_none()
                && state.holds_deleted(one).next().is_none()
        };

        let over = deletions.in_force.values().filter(is_over);
        let gone = Gone {
            at_ms: self.clock().now_ms(),
            blocks,
            deletions: over.map(|one| one.number).collect(),
        };

        if gone.blocks.is_empty() && gone.deletions.is_empty() {
            return Ok(());
        }

        for entry in gone
            .blocks
            .iter()
            .filter_map(|id| deletions.remains.get(id))
        {
            self.executor.delete(tenant, entry).await?;
        }

        info!(%tenant, blocks = gone.blocks.len(), deletions = gone.deletions.len(), "deleted samples are gone");
        let commit = Commit::tombstones(Tombstones {
            gone: Some(gone),
            ..Tombstones::default()
        });

        self.executor.manifests().commit(tenant, commit).await?;
        Ok(())
    }

    /// Whether an input of a job is not live any more: another worker was first.
    async fn is_lost(&self, tenant: TenantId, job: &Job) -> Result<bool, Error> {
        let state = self.refresh(tenant).await?;
        let is_gone = |id: BlockId| !state.blocks.contains_key(&id);

        if job.ids().chain(job.removed()).any(is_gone) {
            return Ok(true);
        }
        if job.level != Level::Rollups {
            return Ok(false);
        }

        // Nothing of the job goes, so only the plan tells whether it is done.
        let digest = job.digest();
        let jobs = self.jobs(tenant, &state, &BTreeSet::new());
        Ok(!jobs.iter().any(|job| job.digest() == digest))
    }

    /// Notes why a job failed, and tells the manifest which input is damaged.
    async fn give_up(&self, tenant: TenantId, job: &Job, error: &Error) -> Failure {
        let damaged = damaged_input(job, error);
        let reason = with_causes(error);
        let job_id = job.digest();

        if let Some(block) = damaged {
            warn!(%tenant, %block, window = %job.window, reason, "a block is damaged: it is not merged any more");
            self.quarantine(tenant, block, &reason).await;
        } else {
            warn!(%tenant, job = %job_id, window = %job.window, reason, "blocks could not be merged");
        }

        Failure {
            job: job_id.to_string(),
            reason,
            held: damaged.map_or_else(|| job.ids().collect(), |block| vec![block]),
        }
    }

    /// Puts a damaged block into the quarantine of the manifest. If that fails, this process alone
    /// leaves it alone, and the next one finds it again.
    async fn quarantine(&self, tenant: TenantId, block: BlockId, reason: &str) {
        let commit = Commit::quarantine(block, reason);

        if let Err(error) = self.executor.manifests().commit(tenant, commit).await {
            warn!(%tenant, %block, %error, "the manifest was not told that a block is damaged");
            self.held.lock().entry(tenant).or_default().insert(block);
        }
    }
}
