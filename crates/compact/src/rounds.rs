//! Compacts all tenants of a store, again and again. What is beyond its retention goes first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use duramen_blocks::Error;
use duramen_bucket::Tenants;
use duramen_limits::LimitsHandle;
use duramen_manifest::Tombstone;
use duramen_model::{BlockId, TenantId};
use duramen_qos::{Account, Use};
use parking_lot::Mutex;
use tracing::warn;

use crate::clones::Clones;
use crate::compactor::Compactor;
use crate::job::{Job, Level};
use crate::metrics::{Backlog, Metrics};
use crate::named::{Named, NamedBlocks};
use crate::replaced::Replaced;

/// Compacts all tenants, and deletes what merges have replaced.
#[derive(Debug)]
pub struct Rounds {
    pub compactor: Compactor,
    pub register: Arc<Tenants>,
    /// How long each tenant's data is kept.
    pub limits: LimitsHandle,
    pub settings: RoundSettings,
    /// The account that queries draw from too.
    pub memory: Arc<Account>,
    pub metrics: Metrics,
    pub state: RoundState,
}

/// A manifest is looked at so often in the time that replaced blocks stay.
const LOOKS: u32 = 4;

/// How a round is done.
#[derive(Clone, Debug)]
pub struct RoundSettings {
    /// Whether blocks are merged. If not, a round only looks for blocks that others have replaced.
    pub merges: bool,
    /// What a merge takes of the memory. A tenant whose turn it is waits for the next round while
    /// queries need it.
    pub memory_bytes: usize,
    /// Blocks with deleted samples are deleted so long after this process has seen that they were
    /// replaced. No query may take longer.
    pub grace: Duration,
    /// Other replaced blocks are deleted so long after it: at least the grace. Past states are read
    /// as far back.
    pub history: Duration,
}

/// What rounds remember of earlier ones.
#[derive(Debug, Default)]
pub struct RoundState {
    replaced: Replaced,
    /// What named snapshots need.
    named: Named,
    clones: Clones,
    /// Blocks that had deleted samples and are not live any more, and when this was seen on the
    /// monotonic clock.
    remains: Mutex<BTreeMap<TenantId, BTreeMap<BlockId, Duration>>>,
    /// When each tenant's manifest was looked at, on the monotonic clock.
    looked: Mutex<BTreeMap<TenantId, Duration>>,
}

impl RoundState {
    /// What is seen of blocks that go, for a collector of this process.
    pub const fn replaced(&self) -> &Replaced {
        &self.replaced
    }

    /// What named snapshots need, for a collector of this process.
    pub const fn named(&self) -> &Named {
        &self.named
    }
}

impl Rounds {
    /// Removes the blocks of all tenants that are beyond their retention, does all jobs, and
    /// deletes what was removed or replaced long enough ago. What fails for a tenant is logged, and
    /// tried again in the next round.
    ///
    /// Requests for each tenant: a look at the manifest, which is 1 GET if nothing is new; none if
    /// the last look was less than a quarter of the grace ago and left no job. If blocks are beyond
    /// their retention: 1 PUT for each 1,000 of them, and another look. For each clone that
    /// holds blocks, those of [`Clones::needs`] at each look. If there are jobs: those of
    /// [`Compactor::drain`], and another look. For each replaced block, once: 1 DELETE for each of
    /// its files. If the last sample of a deletion is gone: 1 PUT.
    pub async fn round(&self) {
        let mut backlog = Backlog::default();

        for tenant in self.register.all() {
            let of_tenant = self.of_tenant(tenant.id, &mut backlog);
            if let Err(error) = of_tenant.await {
                warn!(%error, tenant = %tenant.name, "the blocks of a tenant could not be merged");
            }
        }

        backlog.show(&self.metrics, self.compactor.clock().now_ms());
    }

    async fn of_tenant(&self, tenant: TenantId, backlog: &mut Backlog) -> Result<(), Error> {
        if self.must_look(tenant) {
            self.look(tenant).await?;
            self.release_clones(tenant).await;
        }

        self.expire(tenant).await?;

        if self
            .compactor
            .known_jobs(tenant)
            .iter()
            .any(|job| self.may_do(job))
        {
            self.merge(tenant).await?;
            self.look(tenant).await?;
        }

        backlog.add(&self.compactor.known_jobs(tenant));
        self.collect(tenant).await?;
        self.end_deletions(tenant).await
    }

    /// Removes the blocks that are beyond their retention from the manifest.
    async fn expire(&self, tenant: TenantId) -> Result<(), Error> {
        // The tenant may have got another name since the round began, with another retention.
        let Some(name) = self.register.name_of(tenant) else {
            return Ok(());
        };

        let now_ms = self.compactor.clock().now_ms();
        let Some(retention) = self.limits.of(&name).retention.at(now_ms) else {
            return Ok(());
        };

        let expired = self.compactor.expire(tenant, &retention).await?;
        if expired > 0 {
            self.metrics.expired.inc_by(expired as u64);
            self.look(tenant).await?;
        }

        Ok(())
    }

    /// Whether something may have happened that this process does not know. What it commits itself,
    /// it knows. It must see what others replace long before they may delete it.
    fn must_look(&self, tenant: TenantId) -> bool {
        let looked = self.state.looked.lock().get(&tenant).copied();
        let now = self.compactor.clock().monotonic();
        let is_stale = looked.is_none_or(|looked| now >= looked + self.settings.grace / LOOKS);

        is_stale || !self.compactor.known_jobs(tenant).is_empty()
    }

    /// Whether a job is one for this process. Deleted samples are removed even if nothing is
    /// merged.
    fn may_do(&self, job: &Job) -> bool {
        self.settings.merges || job.level == Level::Clean
    }

    /// Deletes the blocks that had deleted samples, once no query can read them any more and no
    /// named snapshot needs them, and ends the deletions of which nothing is left.
    async fn end_deletions(&self, tenant: TenantId) -> Result<(), Error> {
        let Some(state) = self.compactor.known(tenant) else {
            return Ok(());
        };

        if state.deletions.in_force.is_empty() {
            return Ok(());
        }

        let named = self.named(tenant).await?;
        let now = self.compactor.clock().monotonic();
        let due = {
            let mut remains = self.state.remains.lock();
            let seen = remains.entry(tenant).or_default();
            seen.retain(|block, _| state.deletions.remains.contains_key(block));

            let blocks = state.deletions.remains.keys();
            let is_due = |block: &&BlockId| {
                let since = *seen.entry(**block).or_insert(now);
                since + self.settings.grace <= now && !named.contains(**block)
            };

            blocks.filter(is_due).copied().collect()
        };

        let is_held = |tombstone: &Tombstone| named.may_hold(tombstone);
        self.compactor
            .end_deletions(tenant, &state, due, is_held)
            .await
    }

    async fn merge(&self, tenant: TenantId) -> Result<(), Error> {
        let Ok(_memory) = self.memory.take(Use::Query, self.settings.memory_bytes) else {
            self.metrics.waits.inc();
            return Ok(());
        };

        let may_do = |job: &Job| self.may_do(job);
        let summary = self.compactor.drain(tenant, may_do, |_| {}).await?;
        self.metrics.note(&summary);
        Ok(())
    }

    /// Looks at the manifest, and notes which blocks went.
    async fn look(&self, tenant: TenantId) -> Result<(), Error> {
        let state = self.compactor.refresh(tenant).await?;
        let now = self.compactor.clock().monotonic();

        self.state.replaced.look(tenant, &state, now);
        self.state.looked.lock().insert(tenant, now);
        Ok(())
    }

    /// Lets go of blocks that clones of the tenant do not need any more.
    async fn release_clones(&self, tenant: TenantId) {
        let Some(state) = self.compactor.known(tenant) else {
            return;
        };

        let manifests = self.compactor.manifests();
        let home = (tenant, &*state);
        let history = self.settings.history;
        self.state
            .clones
            .release(manifests, &self.register, home, history)
            .await;
    }

    /// Returns the blocks that named snapshots need, of the manifest as it was seen last.
    async fn named(&self, tenant: TenantId) -> Result<NamedBlocks, Error> {
        let Some(state) = self.compactor.known(tenant) else {
            return Ok(NamedBlocks::default());
        };

        let manifests = self.compactor.manifests();
        self.state.named.blocks(manifests, tenant, &state).await
    }

    /// Deletes the objects of blocks that were replaced long enough ago, and that no named snapshot
    /// needs.
    async fn collect(&self, tenant: TenantId) -> Result<(), Error> {
        let now = self.compactor.clock().monotonic();
        let mut due = self.state.replaced.due(tenant, now, self.settings.history);

        if !due.is_empty() {
            let named = self.named(tenant).await?;
            due.retain(|entry| !named.contains(entry.id));
        }

        for entry in due {
            self.compactor.delete(tenant, &entry).await?;
            self.metrics.collected.inc();
            self.state.replaced.forget(tenant, entry.id);
        }

        Ok(())
    }
}
