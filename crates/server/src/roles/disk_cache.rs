//! The cache of the store on the local disk.

use std::sync::Arc;

use anyhow::Context;
use duramen_bucket::StoreUrl;
use duramen_cache::{DiskCache, FolderError, Host, Options};
use duramen_metrics::Registry;
use duramen_runtime::Tasks;
use duramen_runtime::disk::Space;

use super::shared::Shared;
use crate::config::Config;

/// The default size is one in so many parts of the disk, and at most this.
const DISK_SHARE: u64 = 10;
const DEFAULT_BYTES_MAX: u64 = 10 << 30;
/// The cache leaves one in so many parts of the disk free, and at most this.
const FREE_SHARE: u64 = 20;
const FREE_BYTES_MAX: u64 = 4 << 30;

/// Opens the cache that the settings ask for. Returns `None` if they ask for none, or if its disk
/// fails: queries go on without it.
pub(crate) async fn open(
    shared: &Shared,
    config: &Config,
    registry: &mut Registry,
    tasks: &Tasks,
) -> anyhow::Result<Option<Arc<DiskCache>>> {
    let space = shared
        .disk
        .space(&config.data_dir)
        .context("look at the disk")?;
    let is_remote = !matches!(config.store_url()?, StoreUrl::File(_));
    let Some(options) = options(config.cache.disk_bytes_max, is_remote, space) else {
        return Ok(None);
    };

    let own_folder = || config.data_dir.join("cache");
    let folder = config.cache.directory.clone().unwrap_or_else(own_folder);
    let host = Host {
        disk: Arc::clone(&shared.disk),
        clock: Arc::clone(&shared.clock),
        tasks: tasks.clone(),
        memory: Arc::clone(&shared.memory),
    };

    match DiskCache::open(host, &folder, config.cache.engine.0, options).await {
        Ok(cache) => {
            duramen_cache::metrics::register(&cache, registry);
            Ok(Some(cache))
        }
        Err(error @ FolderError::Disk { .. }) => {
            tracing::warn!(%error, "there is no disk cache: queries ask the store");
            Ok(None)
        }
        Err(error) => Err(error).context("open the disk cache"),
    }
}

/// Returns the bounds of the cache; `None` if there is to be none. A store that is a directory
/// needs none unless it is asked for.
fn options(set: Option<usize>, is_remote: bool, space: Space) -> Option<Options> {
    let default = (space.capacity / DISK_SHARE).min(DEFAULT_BYTES_MAX);
    let disk_bytes_max = match set {
        Some(bytes) => bytes as u64,
        None if is_remote => default,
        None => 0,
    };

    (disk_bytes_max > 0).then_some(Options {
        disk_bytes_max,
        free_bytes_min: (space.capacity / FREE_SHARE).min(FREE_BYTES_MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_size_depends_on_the_disk_and_on_the_store() {
        let disk = |capacity| Space { free: 0, capacity };
        let size = |set, is_remote, capacity| {
            options(set, is_remote, disk(capacity)).map(|options| options.disk_bytes_max)
        };

        assert_eq!(size(None, true, 1 << 40), Some(10 << 30));
        assert_eq!(size(None, true, 10 << 30), Some(1 << 30));
        assert_eq!(size(None, false, 1 << 40), None);
        assert_eq!(size(Some(1 << 20), false, 1 << 40), Some(1 << 20));
        assert_eq!(size(Some(0), true, 1 << 40), None);
    }
}
