//! The bytes of a staged block against its checksums, as they leave the disk.
//!
//! What the local disk made of them since they were written must not be all that is left: `meta` is
//! compared with the block's entry, and each other file with `meta`.

use std::path::PathBuf;
use std::sync::Arc;

use duramen_block::{BlockChecks, FileCheck, META_FILE};
use duramen_bucket::CheckError;

use crate::error::Error;
use crate::staged::StagedBlock;

/// What the files of a staged block must be.
pub(crate) struct Verifier {
    /// The bytes of `meta`, which are those that the entry describes.
    pub(crate) meta: Vec<u8>,
    checks: BlockChecks,
}

impl Verifier {
    /// Reads the block's `meta`.
    pub(crate) async fn of(block: &StagedBlock) -> Result<Self, Error> {
        let disk = Arc::clone(block.disk());
        let path = block.path(META_FILE);
        let from = path.clone();

        let read = tokio::task::spawn_blocking(move || disk.read(&from))
            .await
            .map_err(|_| Error::Stopped)?;

        let meta = read.map_err(|source| duramen_bucket::Error::Disk {
            operation: "read",
            path,
            source,
        })?;

        let checks = BlockChecks::new(&meta, &block.entry.stats)?;
        Ok(Self { meta, checks })
    }

    /// The check of the file `name`, which lies at `path`.
    pub(crate) fn file(&self, name: &str, path: PathBuf) -> Result<FileCheck<'_>, Error> {
        self.checks.file(name).ok_or_else(|| {
            let source: CheckError = "the block has no such file".into();
            Error::Bucket(duramen_bucket::Error::Damaged { path, source })
        })
    }
}
