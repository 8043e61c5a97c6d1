//! Which clones need the blocks of their home.
//!
//! A clone holds the blocks that it began with by a named snapshot of its home
//! ([`duramen_manifest::clones`]), all of them as long as it needs one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use duramen_blocks::Error;
use duramen_bucket::{Tenants, keys};
use duramen_manifest::{Commit, Manifests, State, clones};
use duramen_model::TenantId;
use parking_lot::Mutex;
use tracing::{info, warn};

use crate::named::Named;

/// A clone that the register does not know is about to come, or its making has failed. After this
/// time it has failed.
const MAKING_MAX: Duration = Duration::from_hours(24);

/// What a process knows of clones. Cheap to clone; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clones {
    /// Since when a clone does not need the blocks of its home, on the monotonic clock.
    unneeded: Arc<Mutex<BTreeMap<TenantId, Duration>>>,
    named: Named,
}

impl Clones {
    /// Drops the snapshots of `home` by which clones hold blocks that they do not need any more. Of a
    /// clone that never came, it also deletes the objects. What fails for a clone is logged, and its
    /// blocks are kept.
    ///
    /// Requests: none without clones. For each clone, those of [`Clones::needs`], and those of
    /// [`Manifests::commit`] if it lets go; for one that never came also 1 LIST, and 1 DELETE for
    /// each object.
    pub(crate) async fn release(
        &self,
        manifests: &Manifests,
        register: &Tenants,
        (home, state): (TenantId, &State),
        history: Duration,
    ) {
        for name in state.snapshots.keys() {
            let Some(clone) = clones::held_by(name) else {
                continue;
            };

            let released = async {
                if self
                    .needs(manifests, register, (clone, home), history)
                    .await?
                {
                    return Ok(());
                }

                if register.name_of(clone).is_none() && !register.is_deleted(clone) {
                    remove(manifests, clone).await?;
                }

                manifests.commit(home, Commit::drop_snapshot(name)).await?;
                self.unneeded.lock().remove(&clone);
                info!(%home, %clone, "a clone has let go of the blocks of its home");
                Ok::<(), Error>(())
            };

            if let Err(error) = released.await {
                warn!(%error, %home, %clone, "what a clone needs of its home is not known, so all is kept");
            }
        }
    }

    /// Whether a clone may read blocks in the folder of `home`, or has less than `history` ago:
    /// queries over its past states may read them until then.
    ///
    /// Requests: those of [`Manifests::refresh`], and those of [`Manifests::blocks_after`] once for
    /// each named snapshot of the clone. For a clone that the register does not know, those of
    /// [`Tenants::refresh`].
    pub(crate) async fn needs(
        &self,
        manifests: &Manifests,
        register: &Tenants,
        (clone, home): (TenantId, TenantId),
        history: Duration,
    ) -> Result<bool, Error> {
        if self.names(manifests, register, clone, home).await? {
            self.unneeded.lock().remove(&clone);
            return Ok(true);
        }

        let now = manifests.clock().monotonic();
        let since = *self.unneeded.lock().entry(clone).or_insert(now);
        Ok(now < since + history)
    }

    /// Whether a clone names blocks in the folder of `home`, or is about to.
    async fn names(
        &self,
        manifests: &Manifests,
        register: &Tenants,
        clone: TenantId,
        home: TenantId,
    ) -> Result<bool, Error> {
        if register.name_of(clone).is_none() {
            register.refresh().await?;

            if register.name_of(clone).is_none() {
                let is_young = !is_over(clone, manifests.clock().now_ms());
                return Ok(is_young && !register.is_deleted(clone));
            }
        }

        let state = manifests.refresh(clone).await?;
        if state.has_blocks_of(home) {
            return Ok(true);
        }

        let named = self.named.blocks(manifests, clone, &state).await?;
        let blocks = named.all();
        Ok(blocks.values().any(|entry| entry.home == Some(home)))
    }
}

/// Deletes the objects of a clone that never came.
async fn remove(manifests: &Manifests, clone: TenantId) -> Result<(), Error> {
    let bucket = manifests.bucket();

    for object in bucket.list(&keys::tenant(clone), None).await? {
        bucket.delete(&object.location).await?;
    }

    Ok(())
}

/// Whether the making of a clone is over, by the time in its id.
fn is_over(clone: TenantId, now_ms: i64) -> bool {
    let made_ms = i64::try_from(clone.0.timestamp_ms()).unwrap_or(i64::MAX);
    let max_ms = i64::try_from(MAKING_MAX.as_millis()).unwrap_or(i64::MAX);
    made_ms.saturating_add(max_ms) <= now_ms
}
