//! Compares the bytes of a staged block with its checksums, while they leave the disk.
//!
//! A file may have been damaged on the local disk since it was written, and the bucket must not get
//! the damage. `meta` is compared with the block's entry, and each other file with `meta`.

use std::path::PathBuf;
use std::sync::Arc;

use duramen_block::{BlockChecks, FileCheck, META_FILE};
use duramen_bucket::CheckError;

use crate::error::Error;
use crate::staged::StagedBlock;

/// What the files of a staged block must be.
pub(crate) struct Verifier {
    /// The bytes of `meta`. They match the block's entry.
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

    /// Returns the check of the file `name`, which is at `path`.
    pub(crate) fn file(&self, name: &str, path: PathBuf) -> Result<FileCheck<'_>, Error> {
        self.checks.file(name).ok_or_else(|| {
            let source: CheckError = "the block has no such file".into();
            Error::Bucket(duramen_bucket::Error::Damaged { path, source })
        })
    }
}
