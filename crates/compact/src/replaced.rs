//! Blocks that were live and are not any more, until nobody can read them. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use duramen_manifest::State;
use duramen_model::{BlockEntry, BlockId, TenantId};
use parking_lot::Mutex;

/// What this process has seen of the blocks of its tenants. Cheap to clone; clones share it.
///
/// A block that an edit has removed never comes back: an edit that adds it is that of a flush with
/// an earlier number, or of a merge whose inputs are not live any more. Both are illegal.
#[derive(Clone, Debug, Default)]
pub struct Replaced {
    tenants: Arc<Mutex<BTreeMap<TenantId, Seen>>>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The latest state.
    state: Arc<State>,
    /// The blocks that went, and when this was seen on the monotonic clock.
    gone: BTreeMap<BlockId, (Duration, Arc<BlockEntry>)>,
}

impl Replaced {
    /// Notes which blocks of a tenant went since the last look.
    pub(crate) fn look(&self, tenant: TenantId, state: &Arc<State>, now: Duration) {
        let mut tenants = self.tenants.lock();
        let seen = tenants.entry(tenant).or_default();
        if state.sequence <= seen.state.sequence {
            return;
        }

        for (id, entry) in &seen.state.blocks {
            if !state.blocks.contains_key(id) {
                seen.gone.insert(*id, (now, Arc::clone(entry)));
            }
        }

        seen.gone.retain(|id, _| !state.blocks.contains_key(id));
        seen.state = Arc::clone(state);
    }

    /// Returns the blocks of a tenant that went at least `grace` ago.
    pub(crate) fn due(
        &self,
        tenant: TenantId,
        now: Duration,
        grace: Duration,
    ) -> Vec<Arc<BlockEntry>> {
        let is_due = |since: Duration| since + grace <= now;
        self.gone(tenant, is_due)
    }

    /// Returns the blocks of a tenant that went less than `grace` ago.
    pub(crate) fn waiting(
        &self,
        tenant: TenantId,
        now: Duration,
        grace: Duration,
    ) -> BTreeSet<BlockId> {
        let waits = |since: Duration| since + grace > now;
        let gone = self.gone(tenant, waits);
        gone.iter().map(|entry| entry.id).collect()
    }

    fn gone(&self, tenant: TenantId, wanted: impl Fn(Duration) -> bool) -> Vec<Arc<BlockEntry>> {
        let tenants = self.tenants.lock();
        let Some(seen) = tenants.get(&tenant) else {
            return Vec::new();
        };

        let gone = seen.gone.values().filter(|(since, _)| wanted(*since));
        gone.map(|(_, entry)| Arc::clone(entry)).collect()
    }

    /// Forgets a block whose objects are deleted.
    pub(crate) fn forget(&self, tenant: TenantId, block: BlockId) {
        if let Some(seen) = self.tenants.lock().get_mut(&tenant) {
            seen.gone.remove(&block);
        }
    }
}
