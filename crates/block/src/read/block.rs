//! An open block.

use std::sync::Arc;

use bytes::Bytes;
use duramen_model::BlockStats;
use duramen_source::{Read, Reads};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::error::Error;
use crate::layout::file_names::{
    EXEMPLARS_FILE, HISTOGRAMS_FILE, META_FILE, METADATA_FILE, SAMPLES_FILE, SERIES_FILE,
};
use crate::read::fetch::RemoteFile;
use crate::read::meta;
use crate::read::options::{BatchOptions, OpenOptions};
use crate::read::parquet_file::{Folder, RowsFile};
use crate::series::file::SeriesFile;
use crate::series::pool::SeriesIndexPool;
use crate::series::warmth::Warmth;

/// A block whose `meta` has been read. It knows where every byte of the block is. Immutable; share
/// it.
///
/// A file is absent if the block has no rows for it.
#[derive(Debug)]
pub struct Block {
    pub(crate) dir: Arc<Path>,
    pub(crate) stats: BlockStats,
    pub(crate) series: Option<Arc<SeriesFile>>,
    pub(crate) samples: Option<RowsFile>,
    pub(crate) histograms: Option<RowsFile>,
    pub(crate) exemplars: Option<RowsFile>,
    pub(crate) metadata: Option<RowsFile>,
    pub(crate) indexes: Option<Arc<SeriesIndexPool>>,
    pub(crate) warmth: Warmth,
    pub(crate) batches: BatchOptions,
}

impl Block {
    /// Opens the block in folder `dir`, with its `stats` from the manifest.
    ///
    /// This gets `meta` and checks it against `stats`. A small series file is fetched at the same
    /// time. Both GETs are counted in `reads`.
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        dir: Path,
        stats: &BlockStats,
        options: OpenOptions,
        reads: &Reads,
    ) -> Result<Arc<Self>, Error> {
        let series_bytes = stats
            .files
            .iter()
            .find(|f| f.name == SERIES_FILE)
            .map_or(u64::MAX, |f| f.bytes);

        let meta_key = dir.clone().join(META_FILE);
        let series_key = dir.clone().join(SERIES_FILE);

        let whole_series = async {
            // A failure here is ignored: the first selection meets it again and reports it.
            if series_bytes <= options.series_prefetch_bytes_max {
                get(&*store, &series_key, reads).await.ok()
            } else {
                None
            }
        };

        let (meta, whole_series) =
            futures::join!(get_meta(&*store, &meta_key, stats, reads), whole_series);
        let files = meta::decode(&meta_key, stats, &meta?)?;
        let dir = Arc::new(dir);
        let folder = Folder {
            store: &store,
            dir: &dir,
            meta_key: &meta_key,
            files: &files,
            options: &options,
        };

        let series = folder.open(SERIES_FILE, stats.series)?;
        let series = series
            .map(|series| SeriesFile::new(series.file, stats, whole_series.as_ref()))
            .transpose()?;

        let block = Self {
            series: series.map(Arc::new),
            samples: folder.open(SAMPLES_FILE, stats.samples)?,
            histograms: folder.open(HISTOGRAMS_FILE, stats.histograms)?,
            exemplars: folder.open(EXEMPLARS_FILE, stats.exemplars)?,
            metadata: folder.open(METADATA_FILE, stats.families)?,
            stats: stats.clone(),
            indexes: options.indexes.clone(),
            warmth: Warmth::default(),
            batches: options.batches.clone(),
            dir: Arc::clone(&dir),
        };

        Ok(Arc::new(block))
    }

    /// The folder of the block.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the manifest says about the block.
    pub const fn stats(&self) -> &BlockStats {
        &self.stats
    }

    /// Reads every byte of every file and compares it with the checksums. The error names the first
    /// damaged object.
    pub async fn verify(&self) -> Result<(), Error> {
        let others = [
            &self.samples,
            &self.histograms,
            &self.exemplars,
            &self.metadata,
        ];

        let others = others.into_iter().flatten().map(|file| &file.file);

        for file in self.series.iter().map(|series| &series.file).chain(others) {
            let extents = file.remote.meta.extents.len();
            let uncached = RemoteFile {
                cache: None,
                ..file.remote.clone()
            };

            let ranges = (0..extents).map(|i| file.remote.meta.extents.range(i));

            // One part of the file at a time bounds the memory.
            let parts: Vec<Vec<_>> = ranges
                .collect::<Vec<_>>()
                .chunks(1024)
                .map(<[_]>::to_vec)
                .collect();

            stream::iter(parts)
                .then(|part| {
                    let file = &uncached;
                    async move { file.fetch(&part, &Reads::default()).await.map(drop) }
                })
                .try_collect::<()>()
                .await?;
        }

        Ok(())
    }

    /// Makes an error: the series file contradicts another file.
    pub(crate) fn malformed_series(&self, what: &'static str) -> Error {
        Error::Malformed {
            key: Path::clone(&self.dir).join(SERIES_FILE),
            offset: 0,
            what,
        }
    }
}

async fn get(store: &dyn ObjectStore, key: &Path, reads: &Reads) -> Result<Bytes, Error> {
    let failed = |source| Error::Get {
        key: key.clone(),
        source,
    };

    reads.add(Read::Gets, 1);

    let bytes = store
        .get(key)
        .await
        .map_err(failed)?
        .bytes()
        .await
        .map_err(failed)?;

    reads.add(Read::GetBytes, bytes.len() as u64);
    Ok(bytes)
}

/// Gets `meta` and checks it against the manifest's length and checksum. A `meta` that fails the
/// check is fetched once more.
async fn get_meta(
    store: &dyn ObjectStore,
    key: &Path,
    stats: &BlockStats,
    reads: &Reads,
) -> Result<Bytes, Error> {
    let bytes = get(store, key, reads).await?;
    match meta::check(key, stats, &bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => {
            let bytes = get(store, key, reads).await?;
            meta::check(key, stats, &bytes).map(|()| bytes)
        }
    }
}
