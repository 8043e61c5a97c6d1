//! Compares what lies in the folder of a tenant with what its manifest names: live blocks, and
//! those of named snapshots. Changes nothing.
//!
//! A server may work on the store meanwhile. So the manifest is read before the folder, and what
//! seems to be missing is asked for once more: an object that is there after all, or that a newer
//! manifest does not name, is no fault.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use duramen_block::META_FILE;
use duramen_blocks::Error;
use duramen_bucket::{Bucket, keys};
use duramen_manifest::Manifests;
use duramen_model::{BlockEntry, BlockId, TenantId};
use object_store::ObjectMeta;
use object_store::path::Path;
use serde::Serialize;

use crate::litter::Litter;
use crate::named::{Blocks, Named};

/// The objects of one LIST.
const LISTED_AT_ONCE: u64 = 1000;

/// What was found in the folder of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// Blocks that the manifest names, and their objects.
    pub blocks: u64,
    pub objects: u64,
    pub bytes: u64,
    /// Objects that the manifest names and that are not there.
    pub missing: Vec<String>,
    /// Objects of another size than the manifest says.
    pub differ: Vec<Differs>,
    /// Objects of blocks that no manifest names, the oldest first.
    pub unnamed: Vec<Unnamed>,
    /// Objects in the folders of named blocks that are no files of them.
    pub strangers: Vec<String>,
    /// The requests, besides those for the manifest.
    pub lists: u64,
    pub heads: u64,
}

/// An object of another size than the manifest says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Differs {
    pub key: String,
    pub bytes: u64,
    pub named_bytes: u64,
}

/// A block that no manifest names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unnamed {
    pub block: BlockId,
    pub objects: u64,
    pub bytes: u64,
    /// Whether all of it is younger than an upload with its commit may take.
    pub is_young: bool,
}

impl Inventory {
    /// Whether everything that the manifest names is there as it says.
    pub const fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.differ.is_empty()
    }
}

/// Compares folders with manifests.
#[derive(Debug)]
pub struct Inventories {
    pub bucket: Bucket,
    pub manifests: Manifests,
    /// What no manifest names is young until then.
    pub age: Duration,
}

impl Inventories {
    /// Compares the folder of a tenant with its manifest.
    ///
    /// Requests: those of [`Manifests::refresh`], those of [`Manifests::blocks_after`] for each
    /// named snapshot, 1 LIST for each 1,000 objects of the tenant, 1 HEAD for each file of a block
    /// in the folder of another tenant, and for each that seems to be missing; if one is, those of
    /// a second refresh.
    pub async fn of(&self, tenant: TenantId, now_ms: i64) -> Result<Inventory, Error> {
        let named = self.named(tenant).await?;
        let objects = self.bucket.list(&keys::tenant(tenant), None).await?;
        let sizes: HashMap<Path, u64> = objects
            .iter()
            .map(|object| (object.location.clone(), object.size))
            .collect();

        let mut inventory = Inventory {
            lists: (objects.len() as u64).div_ceil(LISTED_AT_ONCE).max(1),
            ..Inventory::default()
        };

        let litter = Litter::sort(tenant, objects);
        let mut absent: Vec<(BlockId, Path, u64)> = Vec::new();

        for entry in named.values() {
            let held = litter.blocks.get(&entry.id).map_or(&[][..], Vec::as_slice);
            inventory.strangers.extend(strangers(tenant, entry, held));
            inventory.blocks += 1;

            for (key, named_bytes) in files(tenant, entry) {
                match sizes.get(&key) {
                    Some(bytes) => inventory.count(&key, *bytes, named_bytes),
                    None => absent.push((entry.id, key, named_bytes)),
                }
            }
        }

        self.ask_again(tenant, absent, &mut inventory).await?;
        inventory.unnamed = self.unnamed(&litter, &named, now_ms);
        Ok(inventory)
    }

    /// Returns the live blocks of a tenant, and those of its named snapshots.
    async fn named(&self, tenant: TenantId) -> Result<Blocks, Error> {
        let state = self.manifests.refresh(tenant).await?;
        let snapshots = Named::default();
        let snapshots = snapshots.blocks(&self.manifests, tenant, &state).await?;

        let mut named = snapshots.all();
        named.extend(state.blocks.clone());
        Ok(named)
    }

    /// Asks for each object that a LIST has not found.
    async fn ask_again(
        &self,
        tenant: TenantId,
        absent: Vec<(BlockId, Path, u64)>,
        inventory: &mut Inventory,
    ) -> Result<(), Error> {
        let mut missing = Vec::new();

        for (block, key, named_bytes) in absent {
            inventory.heads += 1;

            match self.bucket.head(&key).await {
                Ok(object) => inventory.count(&key, object.size, named_bytes),
                Err(error) if error.is_not_found() => missing.push((block, key)),
                Err(error) => return Err(error.into()),
            }
        }

        if missing.is_empty() {
            return Ok(());
        }

        let named = self.named(tenant).await?;
        missing.retain(|(block, _)| named.contains_key(block));
        let keys = missing.into_iter().map(|(_, key)| key.to_string());
        inventory.missing = keys.collect();
        Ok(())
    }

    fn unnamed(&self, litter: &Litter, named: &Blocks, now_ms: i64) -> Vec<Unnamed> {
        let age_ms = i64::try_from(self.age.as_millis()).unwrap_or(i64::MAX);
        let is_old = |object: &ObjectMeta| {
            now_ms.saturating_sub(object.last_modified.timestamp_millis()) >= age_ms
        };

        let unnamed = litter
            .blocks
            .iter()
            .filter(|(block, _)| !named.contains_key(*block));

        unnamed
            .map(|(block, objects)| Unnamed {
                block: *block,
                objects: objects.len() as u64,
                bytes: objects.iter().map(|object| object.size).sum(),
                is_young: !objects.iter().any(is_old),
            })
            .collect()
    }
}

impl Inventory {
    /// Counts an object that is there.
    fn count(&mut self, key: &Path, bytes: u64, named_bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;

        if bytes != named_bytes {
            self.differ.push(Differs {
                key: key.to_string(),
                bytes,
                named_bytes,
            });
        }
    }
}

/// The objects of a block, with their sizes.
fn files(tenant: TenantId, entry: &BlockEntry) -> BTreeMap<Path, u64> {
    let files = entry.stats.files.iter();
    let files = files.map(|file| (keys::block_file(tenant, entry, &file.name), file.bytes));
    let meta = keys::block_file(tenant, entry, META_FILE);

    files.chain([(meta, entry.stats.meta_bytes)]).collect()
}

/// The objects in the folder of a block that are no files of it.
fn strangers(tenant: TenantId, entry: &BlockEntry, held: &[ObjectMeta]) -> Vec<String> {
    let files = files(tenant, entry);
    let is_strange = |object: &&ObjectMeta| !files.contains_key(&object.location);

    let strange = held.iter().filter(is_strange);
    strange.map(|object| object.location.to_string()).collect()
}
