//! Deletes samples: heads end their generation, and the manifest names the position.

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_manifest::{AskedDeletion, Commit, State, Tombstones};
use duramen_model::{Deletion, TenantName};
use tracing::info;
use ulid::Ulid;

use crate::error::Error;
use crate::flush::Freeze;
use crate::ingester::Ingester;
use crate::schedule::flush_head;

/// Each deletion may end a generation. So many wait for their flush; then a deletion waits too.
const FROZEN_MAX: usize = 16;

impl Ingester {
    /// Deletes samples of a tenant that were acknowledged before this call. When it returns, every
    /// view that is taken from now on is without them, whether they are in memory, staged or in
    /// blocks. What is written after it stays. Returns the id of the deletion; `None` for a tenant
    /// that does not exist.
    ///
    /// Requests: those of [`duramen_manifest::Manifests::commit`]; after many deletions one after
    /// the other, those of a flush too.
    ///
    /// # Errors
    /// If the manifest refuses the deletion, nothing is deleted. If the store fails, the deletion
    /// may have happened.
    pub async fn delete(
        &self,
        tenant: &TenantName,
        deletion: Deletion,
        author: String,
    ) -> Result<Option<Ulid>, Error> {
        let heads = &self.heads;
        let Some(id) = heads.register.lookup(tenant) else {
            return Ok(None);
        };

        let mut positions = BTreeMap::new();
        if let Some(head) = heads.get(id) {
            head.check()?;

            if head.frozen().len() >= FROZEN_MAX {
                flush_head(&self.flusher, &head, Freeze::No).await?;
            }

            let position = self.commit.freeze(&head).await?;
            positions.insert(heads.writer.writer, position.0);
        }

        let asked = AskedDeletion {
            id: heads.clock.new_ulid(),
            deletion: Arc::new(deletion),
            author,
            at_ms: heads.clock.now_ms(),
            positions,
        };

        let deletion = asked.id;
        let committed = heads.manifests.commit(id, Commit::delete(asked));

        committed.await.map_err(|error| match error {
            duramen_manifest::Error::Refused { violation, .. } => Error::Deletion(violation),
            error => error.into(),
        })?;
        info!(%tenant, %deletion, "samples were deleted");

        Ok(Some(deletion))
    }

    /// Returns the manifest of a tenant, with its deletions; `None` for a tenant that does not
    /// exist. Requests: those of [`duramen_manifest::Manifests::refresh`].
    pub async fn manifest(&self, tenant: &TenantName) -> Result<Option<Arc<State>>, Error> {
        match self.heads.register.lookup(tenant) {
            Some(id) => Ok(Some(self.heads.manifests.refresh(id).await?)),
            None => Ok(None),
        }
    }

    /// Flushes a tenant, and asks compactors to remove all deleted samples soon.
    ///
    /// Requests: those of a flush, a refresh of the manifest, and a commit.
    pub async fn clean_deletions(&self, tenant: &TenantName) -> Result<(), Error> {
        self.flush(tenant).await?;

        let Some(state) = self.manifest(tenant).await? else {
            return Ok(());
        };

        let last = state.deletions.last();
        if let Some(id) = self.heads.register.lookup(tenant)
            && last > state.deletions.clean
        {
            let clean = Tombstones {
                clean: last,
                ..Tombstones::default()
            };
            let commit = Commit::tombstones(clean);
            self.heads.manifests.commit(id, commit).await?;
        }

        Ok(())
    }
}
