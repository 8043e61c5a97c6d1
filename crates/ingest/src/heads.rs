//! The heads of a process by tenant: they are found, created, and taken out of quarantine here.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use duramen_bucket::{Tenants, WriterIdentity};
use duramen_manifest::Manifests;
use duramen_model::{TenantId, TenantName};
use duramen_runtime::Clock;
use duramen_wal::Position;
use tracing::info;

use crate::commit::CommitHandle;
use crate::error::Error;
use crate::head::{HeadMap, OpenSegment, Past, TenantHead};
use crate::intake::Intake;
use crate::memory::{HeadMemory, HeadsMemory};
use crate::order::OrderClock;

/// The heads of a process, by tenant.
#[derive(Debug)]
pub(crate) struct TenantHeads {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) intake: Arc<Intake>,
    pub(crate) register: Arc<Tenants>,
    pub(crate) manifests: Manifests,
    pub(crate) writer: WriterIdentity,
    pub(crate) commit: CommitHandle,
    pub(crate) orders: Arc<OrderClock>,
    /// The memory of all heads.
    pub(crate) memory: Arc<HeadsMemory>,
    pub(crate) open_segment: OpenSegment,
    pub(crate) by_tenant: HeadMap,
}

impl TenantHeads {
    /// Returns the head of a tenant. Creates it if the tenant is new to this process.
    ///
    /// Requests in that case: those of [`Manifests::fence`], and one PUT if the tenant does not
    /// exist yet.
    pub(crate) async fn of(&self, name: &TenantName) -> Result<Arc<TenantHead>, Error> {
        if let Some(id) = self.register.lookup(name)
            && let Some(head) = self.by_tenant.read().get(&id)
        {
            head.check()?;
            return Ok(Arc::clone(head));
        }

        let id = self.intake.resolve(name).await?;
        let past = match self.take_over(id).await {
            Ok(past) => past,
            Err(error) if error.is_damage() => {
                let head = self.put(id, name.clone(), Past::default());
                head.quarantine(&error);
                return head.check().map(|()| head);
            }
            Err(error) => return Err(error),
        };

        // This comes before anyone can find the head and write to it.
        self.commit.skip_to(past.next_position()).await?;
        let head = self.put(id, name.clone(), past);
        self.settle(id);
        Ok(head)
    }

    /// Lets all heads know what the register says of their tenants.
    pub(crate) fn settle_all(&self) {
        for head in self.all() {
            self.settle(head.id);
        }
    }

    /// Lets the head of a tenant know whether it was renamed or deleted, also by somebody who has
    /// not seen the head.
    pub(crate) fn settle(&self, id: TenantId) {
        match self.register.name_of(id) {
            Some(name) => self.rename(id, &name),
            None if self.register.is_deleted(id) => self.forget(id),
            None => {}
        }
    }

    /// Fences earlier epochs of the writer out of a tenant's manifest, and returns the state that
    /// they left.
    pub(crate) async fn take_over(&self, id: TenantId) -> Result<Past, Error> {
        let state = self.manifests.fence(id).await?;
        for block in state.blocks.values() {
            self.orders.observe(block.order.max);
        }

        let writer = self.writer.writer;
        let newest = duramen_blocks::metadata::newest(state.blocks.values());
        let mut metadata: Vec<_> = newest.into_values().collect();
        metadata.sort_by_key(|entry| Reverse((entry.order.max, entry.id)));

        let in_force = state.deletions.in_force.values();
        let seals = in_force.filter_map(|deletion| deletion.positions.get(&writer));
        let seals: BTreeSet<Position> = seals.copied().map(Position).collect();

        Ok(Past {
            flushed: Position(state.flushed_position(writer)),
            metadata,
            seals: seals.into_iter().collect(),
        })
    }

    /// Returns the head of a tenant that was taken over. Creates it unless it exists by now.
    pub(crate) fn put(&self, id: TenantId, name: TenantName, past: Past) -> Arc<TenantHead> {
        let mut heads = self.by_tenant.write();
        Arc::clone(heads.entry(id).or_insert_with(|| {
            let intake = self.intake.of(id, &name);
            let memory = HeadMemory::new(Arc::clone(&self.memory));
            TenantHead::new(
                intake,
                self.orders.next(),
                past,
                memory,
                self.open_segment.clone(),
                self.intake.hash_seed(),
                self.clock.monotonic(),
            )
        }))
    }

    pub(crate) fn get(&self, id: TenantId) -> Option<Arc<TenantHead>> {
        self.by_tenant.read().get(&id).cloned()
    }

    /// Returns the head of the tenant with this name, if there is one.
    pub(crate) fn find(&self, name: &TenantName) -> Option<Arc<TenantHead>> {
        if let Some(id) = self.register.lookup(name) {
            return self.get(id);
        }

        // A tenant of the log that the register does not know.
        let heads = self.by_tenant.read();
        heads.values().find(|head| head.name() == *name).cloned()
    }

    /// Gives a tenant another name in this process.
    pub(crate) fn rename(&self, id: TenantId, name: &TenantName) {
        self.intake.rename(id, name);
    }

    /// Drops the head of a tenant that was deleted, with all that it holds. The log needs its
    /// records no more.
    pub(crate) fn forget(&self, id: TenantId) {
        self.by_tenant.write().remove(&id);
        self.intake.forget(id);
    }

    pub(crate) fn all(&self) -> Vec<Arc<TenantHead>> {
        self.by_tenant.read().values().cloned().collect()
    }

    /// Ends the quarantine of a tenant if its cause is gone. Requests: those of
    /// [`duramen_manifest::Manifests::fence`].
    pub(crate) async fn heal(&self, head: &TenantHead) -> Result<(), Error> {
        if !head.is_quarantined() {
            return Ok(());
        }

        // A tenant without a name comes back at the next start, once the register knows it.
        if head.name().as_str().strip_prefix("unknown-") == Some(&head.id.to_string()) {
            return head.check();
        }

        if self.register.lookup(&head.name()) != Some(head.id) {
            let id = self.register.restore(&head.name(), head.id).await?;
            if id != head.id {
                // Another tenant has the name by now. The next start gives the samples to that
                // tenant.
                return head.check();
            }
        }

        let past = self.take_over(head.id).await?;
        self.commit.skip_to(past.next_position()).await?;
        head.heal(past.flushed, past.metadata);
        info!(tenant = %head.name(), "a tenant is out of quarantine");

        Ok(())
    }
}
