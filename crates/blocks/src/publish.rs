//! Publishes blocks: uploads their files, `meta` last, then makes one manifest edit.
//!
//! If the process dies before the edit, it leaves objects that no manifest names, and nothing else.

use std::sync::Arc;

use bytes::Bytes;
use duramen_block::META_FILE;
use duramen_bucket::{Bucket, WriterIdentity, keys};
use duramen_manifest::{Commit, Flushed, Manifests, Reserved, State};
use duramen_model::{BlockEntry, TenantId};

use crate::error::Error;
use crate::staged::StagedBlock;
use crate::verify::Verifier;

/// Uploads blocks and names them in the manifest. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Publisher {
    bucket: Bucket,
    manifests: Manifests,
}

/// A block that was written into memory instead of to the disk.
#[derive(Debug)]
pub struct MemoryBlock {
    pub entry: BlockEntry,
    /// The files by name, `meta` last.
    pub files: Vec<(String, Bytes)>,
}

impl Publisher {
    pub const fn new(bucket: Bucket, manifests: Manifests) -> Self {
        Self { bucket, manifests }
    }

    /// Returns the id for a block that is about to be uploaded, see [`Manifests::reserve`]. Hold it
    /// until the commit.
    pub fn reserve(&self, tenant: TenantId) -> Reserved {
        self.manifests.reserve(tenant)
    }

    /// Uploads the files of a staged block, `meta` last. Repeating it writes the same bytes under
    /// the same keys. Every byte is verified while it is sent.
    ///
    /// Requests: 1 PUT for each file; a file above 16 MiB takes more, see [`Bucket::put_file`]. In a
    /// store that is a directory on the same disk, a file becomes the object and is not copied.
    ///
    /// # Errors
    /// [`duramen_bucket::Error::Damaged`] or a block error of kind `Corrupt` if the files are not
    /// what was written.
    pub async fn upload(&self, tenant: TenantId, block: &StagedBlock) -> Result<(), Error> {
        let entry = &block.entry;
        let verifier = Verifier::of(block).await?;

        for file in &entry.stats.files {
            let path = block.path(&file.name);
            let key = keys::block_file(tenant, entry, &file.name);
            let mut check = verifier.file(&file.name, path.clone())?;
            let length = check.bytes();
            let compare = |bytes: &[u8]| check.push(bytes).map_err(Into::into);

            self.bucket
                .put_file(&key, block.disk(), &path, length, compare)
                .await?;
        }

        let meta_key = keys::block_file(tenant, entry, META_FILE);
        self.bucket.put(&meta_key, verifier.meta).await?;
        Ok(())
    }

    /// Does the same as [`Publisher::upload`], for a block in memory.
    pub async fn upload_from_memory(
        &self,
        tenant: TenantId,
        block: MemoryBlock,
    ) -> Result<BlockEntry, Error> {
        let MemoryBlock { entry, files } = block;

        for (name, bytes) in files {
            let key = keys::block_file(tenant, &entry, &name);
            self.bucket.put_large(&key, bytes).await?;
        }

        Ok(entry)
    }

    /// Makes one manifest edit: `blocks`, which must be uploaded, become live, and everything in
    /// the log of this process's writer before `position` is flushed. `flush` is the number of the
    /// flush.
    ///
    /// Requests and errors are those of [`Manifests::commit`].
    pub async fn commit_flush(
        &self,
        tenant: TenantId,
        blocks: Vec<BlockEntry>,
        position: u64,
        flush: u64,
    ) -> Result<Arc<State>, Error> {
        let WriterIdentity {
            writer,
            epoch,
            incarnation,
        } = self.manifests.identity();

        let flushed = Flushed {
            writer,
            epoch,
            incarnation,
            position,
            flush,
        };

        let commit = Commit::flush(blocks, flushed);
        Ok(self.manifests.commit(tenant, commit).await?)
    }
}
