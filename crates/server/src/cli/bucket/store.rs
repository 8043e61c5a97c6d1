//! The store of a command, and its tenants.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use duramen_bucket::{Access, Bucket, StoreUrl, Tenant, Tenants};
use duramen_model::{TenantName, WriterId};
use duramen_runtime::{Clock, Disk};

use crate::config::settings::Settings;
use crate::roles::open_bucket;

/// Opens the store that the settings name.
pub(super) fn open(
    config: Option<&Path>,
    store: Option<&str>,
    access: Access,
    disk: &Arc<dyn Disk>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Bucket> {
    let settings = Settings::of_store(config, store)?;
    let url = settings.config.store_url()?;

    // To open a store in a directory would create the directory.
    if let StoreUrl::File(path) = &url {
        anyhow::ensure!(path.is_dir(), "there is no store in {}", path.display());
    }

    open_bucket(&settings.config, access, disk, clock)
}

/// Returns the tenants of these names, or all of the store.
pub(super) async fn tenants(
    names: &[String],
    store: &Bucket,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Vec<Tenant>> {
    let register = Tenants::open(store.clone(), WriterId(clock.new_ulid())).await?;
    if names.is_empty() {
        return Ok(register.all());
    }

    let mut tenants = Vec::new();
    for name in names {
        let name = TenantName::parse(name)?;
        let id = register
            .lookup(&name)
            .with_context(|| format!("the store has no tenant {name}"))?;
        tenants.push(Tenant { name, id });
    }

    Ok(tenants)
}
