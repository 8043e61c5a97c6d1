//! Blocks on the local disk that are on their way to the bucket.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use duramen_block::BlockSource;
use duramen_model::{BlockEntry, FamilyMetadata, TenantId};
use duramen_source::{
    Error, SeriesExemplars, SeriesRequest, SeriesSource, SeriesStream, SeriesSummary,
};
use futures::StreamExt;

/// A block that is complete in a directory of its own and is read there until the manifest has it,
/// and longer by those who began before.
///
/// It need not survive a loss of power: until the commit the WAL holds its samples, and a start
/// throws staged blocks away.
#[derive(Clone, Debug)]
pub(crate) struct StagedBlock {
    pub(crate) entry: BlockEntry,
    pub(crate) directory: Arc<StagingDir>,
    pub(crate) block: BlockSource,
}

/// A directory that is removed when nobody reads in it any more.
#[derive(Debug)]
pub(crate) struct StagingDir(PathBuf);

impl StagingDir {
    pub(crate) fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for StagingDir {
    /// A failure is left to the next start, which removes what is left.
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, directory = %self.0.display(), "a staged block could not be removed");
        }
    }
}

impl StagedBlock {
    pub(crate) fn source(&self) -> Arc<dyn SeriesSource> {
        Arc::new(StagedSource {
            directory: Arc::clone(&self.directory),
            block: self.block.clone(),
        })
    }
}

/// Keeps the directory for as long as it or one of its answers is read.
#[derive(Debug)]
struct StagedSource {
    directory: Arc<StagingDir>,
    block: BlockSource,
}

#[async_trait]
impl SeriesSource for StagedSource {
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, Error> {
        let batches = self.block.select(request).await?;
        let directory = Arc::clone(&self.directory);
        Ok(Box::pin(batches.map(move |batch| {
            let _ = &directory;
            batch
        })))
    }

    async fn exemplars(&self, request: &SeriesRequest) -> Result<Vec<SeriesExemplars>, Error> {
        self.block.exemplars(request).await
    }

    async fn metadata(&self, tenants: &[TenantId]) -> Result<Vec<FamilyMetadata>, Error> {
        self.block.metadata(tenants).await
    }

    async fn summaries(&self, request: &SeriesRequest) -> Result<Vec<SeriesSummary>, Error> {
        self.block.summaries(request).await
    }

    async fn label_names(&self, request: &SeriesRequest) -> Result<BTreeSet<String>, Error> {
        self.block.label_names(request).await
    }

    async fn label_values(
        &self,
        request: &SeriesRequest,
        name: &str,
    ) -> Result<BTreeSet<String>, Error> {
        self.block.label_values(request, name).await
    }

    async fn ttl_max_ms(&self, tenants: &[TenantId]) -> Result<i64, Error> {
        self.block.ttl_max_ms(tenants).await
    }
}
