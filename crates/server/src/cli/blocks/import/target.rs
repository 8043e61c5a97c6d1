//! Where the blocks of an import go: a folder, a store, or nowhere.

use std::path::PathBuf;
use std::sync::Arc;

use duramen_block::{BlockWriter, Error as BlockError, Sibling, WriterOptions};
use duramen_blocks::{MemoryBlock, Publisher, local};
use duramen_model::{BlockEntry, BlockId, Content, Order, TenantId, TimeRange, WriterId};
use duramen_runtime::{Clock, Disk};
use duramen_tsdb::Meta;
use ulid::Ulid;

use crate::cli::blocks::store::TenantStore;

/// As orders of flushes have it: milliseconds, and room for several in one.
const ORDER_SHIFT: u32 = 16;
/// An import is the only flush of a writer of its own, which has no log.
const FLUSH: u64 = 1;
const POSITION: u64 = 0;

/// Where blocks go.
pub(super) struct Target {
    pub(super) place: Place,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) clock: Arc<dyn Clock>,
}

pub(super) enum Place {
    Folder(PathBuf),
    Store(TenantStore),
    Nowhere,
}

pub(super) type Creator = Box<dyn FnMut() -> Result<(BlockId, BlockWriter), BlockError> + Send>;

/// The blocks that become live together.
pub(super) struct Lot<'a> {
    target: &'a Target,
    publisher: Option<(TenantId, Publisher)>,
    order: Order,
    entries: Vec<BlockEntry>,
}

impl Target {
    fn tenant(&self) -> TenantId {
        match &self.place {
            Place::Store(store) => store.id,
            Place::Folder(_) | Place::Nowhere => TenantId(Ulid::nil()),
        }
    }

    /// Begins the blocks of `what`, whose name says all that they are made of. `None` if they were
    /// imported before: their writer follows from the name and the tenant, and is in the manifest.
    ///
    /// Requests: those of reading the manifest.
    pub(super) async fn begin(&self, what: &str) -> anyhow::Result<Option<Lot<'_>>> {
        self.begin_as(&format!("import of {what} into {}", self.tenant()))
            .await
    }

    /// Does the same for a block of a TSDB.
    pub(super) async fn begin_block(&self, meta: &Meta) -> anyhow::Result<Option<Lot<'_>>> {
        let ulid = meta.ulid;
        let labels = &meta.external_labels;

        self.begin_as(&format!(
            "import of {ulid} into {}: {labels:?}",
            self.tenant()
        ))
        .await
    }

    async fn begin_as(&self, named: &str) -> anyhow::Result<Option<Lot<'_>>> {
        let writer = WriterId(Ulid(xxhash_rust::xxh3::xxh3_128(named.as_bytes())));

        let publisher = match &self.place {
            Place::Store(store) => {
                let manifests = store.manifests(writer);
                let state = manifests.refresh(store.id).await?;

                if state.flushed.contains_key(&writer) {
                    return Ok(None);
                }

                Some((store.id, Publisher::new(store.bucket.clone(), manifests)))
            }
            Place::Folder(_) | Place::Nowhere => None,
        };

        Ok(Some(Lot {
            target: self,
            publisher,
            order: Order {
                opened: self.clock.now_ms().unsigned_abs() << ORDER_SHIFT,
                writer,
                flush: FLUSH,
            },
            entries: Vec::new(),
        }))
    }

    /// What makes the writers of the blocks of a window.
    pub(super) fn creator(&self, window: TimeRange) -> Creator {
        let length_ms = window.end_ms().saturating_sub(window.start_ms());
        let options = WriterOptions::window(length_ms);
        let clock = Arc::clone(&self.clock);

        match &self.place {
            Place::Folder(out) => {
                let disk = Arc::clone(&self.disk);
                let out = out.clone();

                Box::new(move || {
                    let id = BlockId(clock.new_ulid());
                    let folder = local::folder_of(&out, id);
                    Ok((id, BlockWriter::create(&disk, &folder, options.clone())?))
                })
            }
            Place::Store(_) | Place::Nowhere => Box::new(move || {
                let id = BlockId(clock.new_ulid());
                Ok((id, BlockWriter::in_memory(options.clone())))
            }),
        }
    }
}

impl Lot<'_> {
    /// Takes the blocks of a window.
    ///
    /// Requests: those of uploading them.
    pub(super) async fn put(
        &mut self,
        window: TimeRange,
        siblings: Vec<Sibling<BlockId>>,
    ) -> anyhow::Result<()> {
        let tenant = self.target.tenant();
        let content = Content::of_flush(tenant, self.order, window.start_ms());

        for Sibling {
            place,
            stats,
            files,
        } in siblings
        {
            let entry = BlockEntry::of_flush(place, self.order, content, stats);

            let entry = match (&self.target.place, &self.publisher) {
                (Place::Folder(out), _) => {
                    let folder = local::folder_of(out, entry.id);
                    local::write_entry(&*self.target.disk, &folder, &entry)?;
                    entry
                }
                (_, Some((tenant, publisher))) => {
                    let memory = MemoryBlock { entry, files };
                    publisher.upload_from_memory(*tenant, memory).await?
                }
                (_, None) => entry,
            };

            self.entries.push(entry);
        }

        Ok(())
    }

    /// Makes all blocks live. Returns how many there are, and their bytes.
    ///
    /// Requests: those of one edit of the manifest.
    pub(super) async fn commit(self) -> anyhow::Result<(usize, u64)> {
        let blocks = self.entries.len();
        let bytes = self.entries.iter().map(|entry| entry.stats.bytes()).sum();

        if let Some((tenant, publisher)) = self.publisher {
            publisher
                .commit_flush(tenant, self.entries, POSITION, FLUSH)
                .await?;
        }

        Ok((blocks, bytes))
    }
}
