//! Named snapshots: states that keep their blocks.

use std::sync::Arc;

use duramen_manifest::{Commit, Manifests, State, Tombstone, Violation, clones};
use duramen_model::{BlockEntry, TenantId, TenantName};
use tracing::info;

use crate::error::Error;
use crate::ingester::Ingester;

/// A named snapshot, and what it keeps.
#[derive(Clone, Debug)]
pub struct SnapshotBlocks {
    pub name: String,
    pub sequence: u64,
    pub blocks: Vec<Arc<BlockEntry>>,
}

impl SnapshotBlocks {
    /// Whether the snapshot is from before the deletion, and may have samples that it means.
    pub fn may_hold(&self, tombstone: &Tombstone) -> bool {
        let mut blocks = self.blocks.iter();
        self.sequence < tombstone.number && blocks.any(|entry| tombstone.may_mean(entry))
    }
}

impl Ingester {
    /// Gives what a tenant has now a name, so that its blocks are kept. What is in memory is
    /// flushed before. Returns the sequence of the state; `None` for a tenant that does not exist.
    ///
    /// Requests: those of a flush, a refresh of the manifest, and a commit.
    ///
    /// # Errors
    /// [`Error::Snapshot`] if the name is taken or cannot be, or if there are too many.
    pub async fn make_snapshot(
        &self,
        tenant: &TenantName,
        name: &str,
    ) -> Result<Option<u64>, Error> {
        let Some(id) = self.heads.register.lookup(tenant) else {
            return Ok(None);
        };

        if clones::is_hold(name) {
            return Err(of_clone(name));
        }

        self.flush(tenant).await?;

        // A commit whose names are there counts as one that has happened.
        let manifests = &self.heads.manifests;
        if manifests.refresh(id).await?.snapshots.contains_key(name) {
            let name = name.to_owned();
            return Err(Error::Snapshot(Violation::SnapshotTwice { name }));
        }

        let sequence = commit(manifests, id, Commit::snapshot(name), name).await?;
        info!(%tenant, name, sequence, "a snapshot was made");
        Ok(sequence)
    }

    /// Returns the blocks of each named snapshot of `state`, the manifest of a tenant.
    ///
    /// Requests: those of [`Manifests::blocks_after`] for each.
    pub async fn snapshot_blocks(
        &self,
        tenant: &TenantName,
        state: &State,
    ) -> Result<Vec<SnapshotBlocks>, Error> {
        let Some(id) = self.heads.register.lookup(tenant) else {
            return Ok(Vec::new());
        };

        let mut all = Vec::new();
        for (name, sequence) in &state.snapshots {
            let blocks = self.heads.manifests.blocks_after(id, *sequence).await?;
            all.push(SnapshotBlocks {
                name: name.clone(),
                sequence: *sequence,
                blocks: blocks.into_values().collect(),
            });
        }

        Ok(all)
    }

    /// Drops a named snapshot. What only it has kept is deleted by and by. Returns whether there is
    /// such a tenant.
    ///
    /// Requests: those of a refresh of the manifest, and a commit.
    ///
    /// # Errors
    /// [`Error::Snapshot`] if there is no such snapshot.
    pub async fn drop_snapshot(&self, tenant: &TenantName, name: &str) -> Result<bool, Error> {
        let Some(id) = self.heads.register.lookup(tenant) else {
            return Ok(false);
        };

        if clones::held_by(name).is_some() {
            return Err(of_clone(name));
        }

        let manifests = &self.heads.manifests;
        if !manifests.refresh(id).await?.snapshots.contains_key(name) {
            let name = name.to_owned();
            return Err(Error::Snapshot(Violation::NoSnapshot { name }));
        }

        commit(manifests, id, Commit::drop_snapshot(name), name).await?;
        info!(%tenant, name, "a snapshot was dropped");
        Ok(true)
    }
}

/// The error for a name by which clones hold blocks.
fn of_clone(name: &str) -> Error {
    let name = name.to_owned();
    Error::Snapshot(Violation::SnapshotOfClone { name })
}

/// Commits, and returns what the name stands for then.
pub(crate) async fn commit(
    manifests: &Manifests,
    tenant: TenantId,
    commit: Commit,
    name: &str,
) -> Result<Option<u64>, Error> {
    let state = manifests.commit(tenant, commit).await;

    let state = state.map_err(|error| match error {
        duramen_manifest::Error::Refused { violation, .. } => Error::Snapshot(violation),
        error => error.into(),
    })?;

    Ok(state.snapshots.get(name).copied())
}
