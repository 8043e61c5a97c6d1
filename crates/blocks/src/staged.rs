//! Blocks on the local disk that will be uploaded to the bucket.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use duramen_block::{Block, BlockSource, OpenOptions};
use duramen_model::{BlockEntry, BlockId, FamilyMetadata};
use duramen_runtime::Disk;
use duramen_runtime::disk::{create_dir_all_synced, remove_dir_all};
use duramen_source::{
    Error, PresenceStream, Reads, RollupSource, SeriesExemplars, SeriesRequest, SeriesSource,
    SeriesStream, SeriesSummary, UndecodedStream,
};
use futures::StreamExt;
use object_store::ObjectStore;
use object_store::path::Path as Key;

use crate::disk_store::DiskStore;

/// The directory for staged blocks. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Staging {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    store: Arc<dyn ObjectStore>,
}

impl Staging {
    /// Opens `directory` and removes the blocks that an earlier process has left, because no
    /// manifest names them. Creates the directory if it does not exist. This call blocks.
    pub fn open(disk: Arc<dyn Disk>, directory: PathBuf) -> Result<Self, crate::Error> {
        let empty =
            create_dir_all_synced(&disk, &directory).and_then(|()| sweep(&*disk, &directory));
        empty.map_err(|source| crate::Error::Disk {
            path: directory.clone(),
            source,
        })?;

        let store = Arc::new(DiskStore::new(Arc::clone(&disk), directory.clone()));
        Ok(Self {
            disk,
            directory,
            store,
        })
    }

    /// The disk that the directory is on.
    pub const fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Returns the directory for a block, which the block's writer creates. It is removed when its
    /// last user drops it.
    pub fn place(&self, block: BlockId) -> Arc<StagingDir> {
        Arc::new(StagingDir {
            disk: Arc::clone(&self.disk),
            path: self.directory.join(folder_name(block)),
        })
    }

    /// Opens the block that was written to `directory`, which is its [`Staging::place`].
    pub async fn stage(
        &self,
        entry: BlockEntry,
        directory: Arc<StagingDir>,
    ) -> Result<StagedBlock, duramen_block::Error> {
        let block = Block::open(
            Arc::clone(&self.store),
            Key::from(folder_name(entry.id)),
            &entry.stats,
            OpenOptions::default(),
            &Reads::default(),
        )
        .await?;

        Ok(StagedBlock {
            entry,
            directory,
            block: BlockSource::new(block),
        })
    }
}

fn folder_name(block: BlockId) -> String {
    format!("block={block}")
}

fn sweep(disk: &dyn Disk, directory: &Path) -> io::Result<()> {
    for entry in disk.read_dir(directory)? {
        let path = directory.join(entry.name);

        let removed = if entry.is_dir {
            remove_dir_all(disk, &path)
        } else {
            disk.remove_file(&path)
        };

        match removed {
            // The name of a foreign file may not be text, and then it is not found by its name.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
    }

    Ok(())
}

/// A complete block in a directory of its own. It is read there until the manifest names it, and
/// longer by readers that began before.
///
/// It need not survive a loss of power: until the commit the WAL has its samples, and a start
/// removes staged blocks.
#[derive(Clone, Debug)]
pub struct StagedBlock {
    pub entry: BlockEntry,
    directory: Arc<StagingDir>,
    block: BlockSource,
}

/// A directory that is removed when nobody reads in it any more.
#[derive(Debug)]
pub struct StagingDir {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl StagingDir {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for StagingDir {
    /// If this fails, the next start removes the directory.
    fn drop(&mut self) {
        if let Err(error) = remove_dir_all(&*self.disk, &self.path) {
            tracing::warn!(%error, directory = %self.path.display(), "a staged block could not be removed");
        }
    }
}

impl StagedBlock {
    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.directory.disk
    }

    /// The path of the file `name`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path.join(name)
    }

    /// Returns the series of the block. The source and its answers keep the directory.
    pub fn source(&self) -> Arc<dyn SeriesSource> {
        Arc::new(StagedSource {
            directory: Arc::clone(&self.directory),
            block: self.block.clone(),
        })
    }
}

/// Keeps the directory while this source or one of its answers is read.
#[derive(Debug)]
struct StagedSource {
    directory: Arc<StagingDir>,
    block: BlockSource,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SeriesSource for StagedSource {
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, Error> {
        let batches = self.block.select(request).await?;
        let directory = Arc::clone(&self.directory);
        Ok(Box::pin(batches.map(move |batch| {
            let _ = &directory;
            batch
        })))
    }

    async fn select_undecoded(&self, request: &SeriesRequest) -> Result<UndecodedStream, Error> {
        let batches = self.block.select_undecoded(request).await?;
        let directory = Arc::clone(&self.directory);
        Ok(Box::pin(batches.map(move |batch| {
            let _ = &directory;
            batch
        })))
    }

    async fn presence(
        &self,
        request: &SeriesRequest,
        from_ms: i64,
    ) -> Result<Option<PresenceStream>, Error> {
        let Some(batches) = self.block.presence(request, from_ms).await? else {
            return Ok(None);
        };

        let directory = Arc::clone(&self.directory);
        Ok(Some(Box::pin(batches.map(move |batch| {
            let _ = &directory;
            batch
        }))))
    }

    async fn exemplars(&self, request: &SeriesRequest) -> Result<Vec<SeriesExemplars>, Error> {
        self.block.exemplars(request).await
    }

    async fn metadata(&self) -> Result<Vec<FamilyMetadata>, Error> {
        self.block.metadata().await
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

    async fn ttl_max_ms(&self) -> Result<i64, Error> {
        self.block.ttl_max_ms().await
    }

    fn rollups(&self) -> Option<&dyn RollupSource> {
        None
    }
}

#[cfg(test)]
mod tests {
    use duramen_block::{BlockWriter, SeriesContents, WriterOptions};
    use duramen_model::{Content, Labels, Order, TimeRange, WriterId};
    use duramen_source::Columns;
    use duramen_testkit::SimDisk;
    use futures::TryStreamExt;
    use ulid::Ulid;

    use super::*;

    fn staging(disk: &SimDisk) -> Staging {
        Staging::open(Arc::new(disk.clone()), PathBuf::from("/data/staging")).unwrap()
    }

    /// Returns a staged block with one sample.
    async fn staged(staging: &Staging) -> StagedBlock {
        let id = BlockId(Ulid(7));
        let directory = staging.place(id);
        let mut writer =
            BlockWriter::create(staging.disk(), directory.path(), WriterOptions::default())
                .unwrap();

        let labels = Labels::from_pairs([("__name__", "m")]).unwrap();
        writer
            .push(&labels, &SeriesContents::floats(&[10], &[0.5]))
            .unwrap();

        let order = Order {
            opened: 1,
            writer: WriterId(Ulid(2)),
            flush: 1,
        };

        let entry = BlockEntry::of_flush(id, order, Content::default(), writer.finish().unwrap());

        staging.stage(entry, directory).await.unwrap()
    }

    fn entries(disk: &SimDisk) -> usize {
        disk.read_dir(Path::new("/data/staging")).unwrap().len()
    }

    #[tokio::test]
    async fn a_staged_block_is_read_on_its_disk_for_as_long_as_somebody_reads() {
        let disk = SimDisk::new();
        let staging = staging(&disk);
        let block = staged(&staging).await;
        let source = block.source();

        let request = SeriesRequest {
            matchers: Arc::new([]),
            range: TimeRange::ALL,
            columns: Columns::Everything,
            batch_series_max: 10,
            reads: Arc::default(),
        };

        drop(block);
        let batches = source.select(&request).await.unwrap();
        drop(source);

        let batches: Vec<_> = batches.try_collect().await.unwrap();
        assert_eq!(batches[0].samples_at(0), (&[10][..], &[0.5][..]));
        assert_eq!(entries(&disk), 0, "nobody reads any more");
    }

    #[tokio::test]
    async fn what_an_earlier_process_staged_is_removed() {
        let disk = SimDisk::new();
        let block = staged(&staging(&disk)).await;
        assert_eq!(entries(&disk), 1);

        staging(&disk);
        assert_eq!(entries(&disk), 0);

        std::mem::forget(block);
    }
}
