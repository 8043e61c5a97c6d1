//! Which blocks a command works on: folders, or the live blocks of a tenant.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use duramen_blocks::MergeInput;
use duramen_blocks::local::{self, LocalBlock};
use duramen_bucket::{Bucket, keys};
use duramen_manifest::State;
use duramen_model::{BlockEntry, BlockId, TenantId};
use duramen_runtime::{Clock, Disk};

use super::store::{Absent, TenantStore};

/// The blocks of a command.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(super) struct Selection {
    /// Folders of blocks, or folders that contain such folders. A block folder has a file `meta`.
    #[arg(value_name = "FOLDER", required_unless_present = "tenant")]
    inputs: Vec<PathBuf>,

    /// Takes the live blocks of this tenant in a store, instead of folders.
    #[arg(long, value_name = "NAME", conflicts_with = "inputs")]
    tenant: Option<String>,

    /// The store of --tenant, as for the server. Other settings of the store, such as keys for S3,
    /// come from --config or from DURAMEN_ variables.
    #[arg(long, value_name = "URL", requires = "tenant")]
    store: Option<String>,

    /// The file of settings that says where the store of --tenant is.
    #[arg(long, value_name = "FILE", requires = "tenant")]
    config: Option<PathBuf>,

    /// Takes only this block of the tenant. May be given several times.
    #[arg(long = "block", value_name = "ID", requires = "tenant")]
    blocks: Vec<BlockId>,
}

/// The blocks that were selected.
#[derive(Debug)]
pub(super) struct Selected {
    /// At least one.
    pub(super) blocks: Vec<MergeInput>,
    /// Those that the manifest has in quarantine, and what was found.
    pub(super) quarantined: BTreeMap<BlockId, String>,
}

/// How the blocks of folders rank among each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    /// As their entries say. Several blocks must all have one.
    ByEntry,
    /// As they are given: the earlier wins.
    AsGiven,
    /// It does not matter.
    Any,
}

impl Selection {
    /// Returns the blocks, of which there is at least one.
    pub(super) async fn blocks(
        &self,
        rank: Rank,
        disk: &Arc<dyn Disk>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Vec<MergeInput>> {
        let selected = self.select(rank, disk, clock).await?;
        Ok(selected.blocks)
    }

    /// Returns the blocks, with what their manifest says of them.
    pub(super) async fn select(
        &self,
        rank: Rank,
        disk: &Arc<dyn Disk>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Selected> {
        let selected = match &self.tenant {
            Some(tenant) => self.of_tenant(tenant, disk, clock).await?,
            None => Selected {
                blocks: self.of_folders(rank, disk)?,
                quarantined: BTreeMap::new(),
            },
        };

        anyhow::ensure!(!selected.blocks.is_empty(), "there is no block");
        Ok(selected)
    }

    fn of_folders(&self, rank: Rank, disk: &Arc<dyn Disk>) -> anyhow::Result<Vec<MergeInput>> {
        let mut blocks: Vec<LocalBlock> = Vec::new();

        for path in &self.inputs {
            let found = local::find(&**disk, path)?;
            anyhow::ensure!(!found.is_empty(), "no block is in {}", path.display());
            blocks.extend(found);
        }

        let unranked = blocks.iter().find(|block| block.entry.is_none());

        if let Some(block) = unranked
            && blocks.len() > 1
            && rank == Rank::ByEntry
        {
            anyhow::bail!(
                "{} has no entry.json, so its rank among the inputs is not known: --in-order ranks them as they are given",
                block.folder.display()
            );
        }

        let mut inputs = Vec::new();

        for (at, block) in (0..).zip(&blocks) {
            let given = (rank == Rank::AsGiven).then_some(at);
            inputs.push(block.input(disk, given)?);
        }

        Ok(inputs)
    }

    /// Returns the live blocks of a tenant.
    ///
    /// Requests: those of reading the register of tenants and the manifest once.
    async fn of_tenant(
        &self,
        tenant: &str,
        disk: &Arc<dyn Disk>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Selected> {
        let store = self.store.as_deref();
        let config = self.config.as_deref();
        let store = TenantStore::open(tenant, store, config, Absent::Fails, (disk, clock)).await?;
        let state = store.manifests_to_read().refresh(store.id).await?;

        for block in &self.blocks {
            anyhow::ensure!(
                state.blocks.contains_key(block),
                "{block} is no live block of {tenant}"
            );
        }

        let is_wanted =
            |entry: &&Arc<BlockEntry>| self.blocks.is_empty() || self.blocks.contains(&entry.id);

        let wanted = state.blocks.values().filter(is_wanted);
        let blocks = wanted.map(|entry| of_store(&store.bucket, store.id, &state, entry));

        Ok(Selected {
            blocks: blocks.collect(),
            quarantined: state.quarantined.clone(),
        })
    }
}

/// Returns a block of a tenant, without what deletions of the tenant hide in it.
fn of_store(bucket: &Bucket, tenant: TenantId, state: &State, entry: &BlockEntry) -> MergeInput {
    let deletions = state.deletions.touching(entry);

    MergeInput {
        entry: entry.clone(),
        store: bucket.store(),
        directory: keys::block(tenant, entry),
        deletions: deletions
            .map(|one| Arc::clone(&one.asked.deletion))
            .collect(),
    }
}
