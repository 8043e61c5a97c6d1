//! Blocks that were live and are not any more, until nobody can read them. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use duramen_manifest::State;
use duramen_model::{BlockEntry, BlockId, TenantId};

/// What this process has seen of the blocks of its tenants.
///
/// A block that an edit has removed never comes back: an edit that adds it is that of a flush with
/// an earlier number, or of a merge whose inputs are not live any more. Both are illegal.
#[derive(Debug, Default)]
pub(crate) struct Replaced {
    tenants: BTreeMap<TenantId, Seen>,
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
    pub(crate) fn look(&mut self, tenant: TenantId, state: &Arc<State>, now: Duration) {
        let seen = self.tenants.entry(tenant).or_default();
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
        let Some(seen) = self.tenants.get(&tenant) else {
            return Vec::new();
        };

        let due = seen
            .gone
            .values()
            .filter(|(since, _)| *since + grace <= now);
        due.map(|(_, entry)| Arc::clone(entry)).collect()
    }

    /// Forgets a block whose objects are deleted.
    pub(crate) fn forget(&mut self, tenant: TenantId, block: BlockId) {
        if let Some(seen) = self.tenants.get_mut(&tenant) {
            seen.gone.remove(&block);
        }
    }
}
