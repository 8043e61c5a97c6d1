//! Renames, clones and deletes tenants: in the store, and in this process.

use duramen_bucket::{DeletedTenant, NotRenamed, Tenant, keys};
use duramen_manifest::{Commit, Violation, clones};
use duramen_model::{TenantId, TenantName};
use serde::Serialize;
use tracing::{info, warn};

use crate::error::Error;
use crate::ingester::Ingester;
use crate::snapshots::commit;

/// What the store still has of a tenant that was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Remains {
    pub objects: u64,
    pub bytes: u64,
}

/// Why a tenant cannot be cloned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCloned {
    #[error("there is no such tenant. tenant=`{0}`")]
    Unknown(TenantName),
    #[error("another tenant has this name. tenant=`{0}`")]
    Taken(TenantName),
    #[error(
        "the tenant is a clone that still reads blocks of the tenant that it was made of: it can be cloned once they are merged or expired. tenant=`{tenant}`, home=`{home}`"
    )]
    StillShares { tenant: TenantName, home: TenantId },
}

impl Ingester {
    /// Returns the tenants, and those that were deleted. 1 GET, and 1 for each record of the register
    /// that others have added.
    pub async fn registered(&self) -> Result<(Vec<Tenant>, Vec<DeletedTenant>), Error> {
        let register = &self.heads.register;
        register.refresh().await?;
        Ok((register.all(), register.deleted()))
    }

    /// Gives a tenant another name. Its data stays where it is, and the old name is free. When it
    /// returns, this process knows the new name; others do with their next look at the register.
    ///
    /// Requests: those of [`duramen_bucket::Tenants::rename`].
    pub async fn rename_tenant(
        &self,
        from: &TenantName,
        to: &TenantName,
    ) -> Result<Result<TenantId, NotRenamed>, Error> {
        let renamed = self.heads.register.rename(from, to).await;
        self.settle(renamed.is_err()).await;
        let renamed = renamed?;

        if let Ok(id) = &renamed {
            info!(%from, %to, %id, "a tenant was renamed");
        }

        Ok(renamed)
    }

    /// Makes a tenant that begins with what another one has now. No sample is copied: its blocks stay
    /// where they are, and what is in memory is flushed before. From then on the two have nothing in
    /// common.
    ///
    /// Requests: those of a flush, two commits at most, [`duramen_manifest::Manifests::begin_clone`],
    /// and those of [`duramen_bucket::Tenants::resolve_or_create`].
    pub async fn clone_tenant(
        &self,
        from: &TenantName,
        to: &TenantName,
    ) -> Result<Result<TenantId, NotCloned>, Error> {
        let heads = &self.heads;
        heads.register.refresh().await?;

        let Some(home) = heads.register.lookup(from) else {
            return Ok(Err(NotCloned::Unknown(from.clone())));
        };

        if heads.register.lookup(to).is_some() {
            return Ok(Err(NotCloned::Taken(to.clone())));
        }

        heads.intake.check_tenants()?;
        self.flush(from).await?;

        let state = heads.manifests.refresh(home).await?;
        if let Some(origin) = state.origin.filter(|one| state.has_blocks_of(one.home)) {
            return Ok(Err(NotCloned::StillShares {
                tenant: from.clone(),
                home: origin.home,
            }));
        }

        let clone = TenantId(heads.clock.new_ulid());
        let hold = clones::hold(clone);
        let sequence = commit(&heads.manifests, home, Commit::snapshot(&hold), &hold).await?;
        let sequence = sequence.unwrap_or_default();

        heads.manifests.begin_clone(clone, home, sequence).await?;

        // After an error the name may be the clone's all the same, so the hold stays. If it is not,
        // the home drops the hold by and by.
        if heads.register.restore(to, clone).await? != clone {
            return Ok(Err(NotCloned::Taken(to.clone())));
        }

        // A process that slept for a day in between may have lost the hold.
        let state = heads.manifests.refresh(home).await?;
        if !state.snapshots.contains_key(&hold) {
            heads.register.delete(to).await?;
            return Err(Error::Snapshot(Violation::NoSnapshot { name: hold }));
        }

        info!(%from, %to, %clone, sequence, "a tenant was cloned");
        Ok(Ok(clone))
    }

    /// Deletes a tenant with all that it has. When it returns, its name is free: what is written
    /// under the name from now on belongs to another tenant. A write at the same time may be
    /// acknowledged and deleted with the rest. The objects go by and by. Returns `None` if there is
    /// no such tenant.
    ///
    /// Requests: those of [`duramen_bucket::Tenants::delete`].
    pub async fn delete_tenant(&self, name: &TenantName) -> Result<Option<DeletedTenant>, Error> {
        let deleted = self.heads.register.delete(name).await;
        self.settle(deleted.is_err()).await;
        let deleted = deleted?;

        if let Some(deleted) = &deleted {
            info!(tenant = %name, id = %deleted.id, "a tenant was deleted");
        }

        Ok(deleted)
    }

    /// Lets the heads know what the register says. If the outcome of a change is not clear, the
    /// register is asked again.
    async fn settle(&self, is_unclear: bool) {
        let register = &self.heads.register;

        if is_unclear && let Err(error) = register.refresh().await {
            warn!(%error, "whether a tenant was renamed or deleted is not known yet");
        }

        self.heads.settle_all();
    }

    /// Returns what the store still has of a tenant that was deleted.
    ///
    /// Requests: 1 LIST for each 1,000 objects.
    pub async fn remains(&self, tenant: TenantId) -> Result<Remains, Error> {
        let objects = self
            .flusher
            .bucket
            .list(&keys::tenant(tenant), None)
            .await?;

        Ok(Remains {
            objects: objects.len() as u64,
            bytes: objects.iter().map(|object| object.size).sum(),
        })
    }
}
