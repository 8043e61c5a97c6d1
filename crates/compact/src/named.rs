//! Which blocks named snapshots need.

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_blocks::Error;
use duramen_manifest::log::EDITS_MAX;
use duramen_manifest::{Manifests, State, Tombstone};
use duramen_model::{BlockEntry, BlockId, TenantId};
use parking_lot::Mutex;

/// The blocks of a state.
pub(crate) type Blocks = BTreeMap<BlockId, Arc<BlockEntry>>;

/// The blocks of the named snapshots of tenants. Cheap to clone; clones share what they know.
#[derive(Clone, Debug, Default)]
pub struct Named {
    tenants: Arc<Mutex<BTreeMap<TenantId, NamedBlocks>>>,
}

/// The blocks of the named snapshots of a tenant, by the sequences of their states. They may be
/// live or not.
#[derive(Clone, Debug, Default)]
pub struct NamedBlocks(BTreeMap<u64, Arc<Blocks>>);

impl Named {
    /// Returns the blocks that the named snapshots of `state` need.
    ///
    /// Requests: none without a snapshot; else, once for each in this process, those of
    /// [`Manifests::blocks_after`].
    pub(crate) async fn blocks(
        &self,
        manifests: &Manifests,
        tenant: TenantId,
        state: &State,
    ) -> Result<NamedBlocks, Error> {
        let known = self.tenants.lock().remove(&tenant);
        if state.snapshots.is_empty() {
            return Ok(NamedBlocks::default());
        }

        let mut known = known.unwrap_or_default();
        let is_named = |sequence: &u64| state.snapshots.values().any(|named| named == sequence);
        known.0.retain(|sequence, _| is_named(sequence));

        for sequence in state.snapshots.values() {
            if !known.0.contains_key(sequence) {
                let blocks = manifests.blocks_after(tenant, *sequence).await?;
                known.0.insert(*sequence, Arc::new(blocks));
            }
        }

        self.tenants.lock().insert(tenant, known.clone());
        Ok(known)
    }
}

impl NamedBlocks {
    /// Returns each block once, in the order of their ids.
    pub(crate) fn all(&self) -> Blocks {
        let all = self.0.values().flat_map(|blocks| blocks.iter());
        all.map(|(block, entry)| (*block, Arc::clone(entry)))
            .collect()
    }

    pub(crate) fn contains(&self, block: BlockId) -> bool {
        self.0.values().any(|blocks| blocks.contains_key(&block))
    }

    /// Whether a snapshot from before the deletion may have samples that it means, by time and
    /// metric names.
    pub(crate) fn may_hold(&self, tombstone: &Tombstone) -> bool {
        let earlier = self.0.range(..tombstone.number);
        let mut entries = earlier.flat_map(|(_, blocks)| blocks.values());
        entries.any(|entry| tombstone.may_mean(entry))
    }

    /// Whether a snapshot may need an object of the manifest's snapshot after edit `base`: the
    /// objects of the edits right behind it build on it.
    pub(crate) fn may_build_on(&self, base: u64) -> bool {
        let behind = base..=base.saturating_add(2 * EDITS_MAX as u64);
        self.0.range(behind).next().is_some()
    }
}
