//! One tenant in a store.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use duramen_bucket::{Access, Bucket, StoreUrl, Tenants, WriterIdentity};
use duramen_manifest::Manifests;
use duramen_model::{Incarnation, TenantId, TenantName, WriterId};
use duramen_runtime::{Clock, Disk};

use crate::config::settings::Settings;
use crate::roles::open_bucket;

/// A tenant, its store, and the manifests of the store.
pub(super) struct TenantStore {
    pub(super) bucket: Bucket,
    pub(super) id: TenantId,
    clock: Arc<dyn Clock>,
}

/// What happens if the store does not have the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// The store is only read.
    Fails,
    IsMade,
}

impl TenantStore {
    /// Opens the store that the settings name.
    ///
    /// Requests: those of reading the register of tenants, and of a new tenant if one is made.
    pub(super) async fn open(
        tenant: &str,
        store: Option<&str>,
        config: Option<&Path>,
        absent: Absent,
        (disk, clock): (&Arc<dyn Disk>, &Arc<dyn Clock>),
    ) -> anyhow::Result<Self> {
        let settings = Settings::of_store(config, store)?;
        let url = settings.config.store_url()?;

        // To open a store in a directory would create the directory.
        if let StoreUrl::File(path) = &url {
            anyhow::ensure!(path.is_dir(), "there is no store in {}", path.display());
        }

        let access = match absent {
            Absent::Fails => Access::Reads,
            Absent::IsMade => Access::Alone,
        };

        let bucket = open_bucket(&settings.config, access, disk, clock)?;
        let name = TenantName::parse(tenant)?;
        let register = Tenants::open(bucket.clone(), WriterId(clock.new_ulid())).await?;

        let id = match absent {
            Absent::IsMade => register.resolve_or_create(&name).await?,
            Absent::Fails => register
                .lookup(&name)
                .with_context(|| format!("the store has no tenant {tenant}"))?,
        };

        Ok(Self {
            bucket,
            id,
            clock: Arc::clone(clock),
        })
    }

    /// The manifests, as `writer` sees and changes them. No other process may be this writer.
    pub(super) fn manifests(&self, writer: WriterId) -> Manifests {
        let identity = WriterIdentity {
            writer,
            epoch: 0,
            incarnation: Incarnation(self.clock.new_ulid()),
        };

        Manifests::new(self.bucket.clone(), Arc::clone(&self.clock), identity)
    }

    /// The manifests, for reading.
    pub(super) fn manifests_to_read(&self) -> Manifests {
        self.manifests(WriterId(self.clock.new_ulid()))
    }
}
