//! An open block.

use std::sync::Arc;

use bytes::Bytes;
use duramen_cache::Expected;
use duramen_model::BlockStats;
use duramen_qos::Exceeded;
use duramen_source::{Read, Reads};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;
use object_store::path::Path;

use crate::error::Error;
use crate::layout::file_names::{
    EXEMPLARS_FILE, HISTOGRAMS_FILE, META_FILE, METADATA_FILE, ROLLUPS_FILE, SAMPLES_FILE,
    SERIES_FILE,
};
use crate::layout::meta::Fence;
use crate::read::fetch::RemoteFile;
use crate::read::fetcher::Fetcher;
use crate::read::get::Get;
use crate::read::meta;
use crate::read::options::{BatchOptions, OpenOptions};
use crate::read::parquet_file::{Folder, RowsFile};
use crate::series::file::SeriesFile;
use crate::series::matched::MatchedPool;
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
    fences: Vec<Fence>,
    pub(crate) series: Option<Arc<SeriesFile>>,
    pub(crate) samples: Option<RowsFile>,
    /// A block has either samples or rollups.
    pub(crate) rollups: Option<RowsFile>,
    pub(crate) histograms: Option<RowsFile>,
    pub(crate) exemplars: Option<RowsFile>,
    pub(crate) metadata: Option<RowsFile>,
    pub(crate) indexes: Option<Arc<SeriesIndexPool>>,
    pub(crate) matched: Option<Arc<MatchedPool>>,
    pub(crate) warmth: Warmth,
    pub(crate) batches: BatchOptions,
}

impl Block {
    /// Opens the block in folder `dir`, with its `stats` from the manifest.
    ///
    /// This gets `meta` and checks it against `stats`. A series file that is not too large is
    /// fetched at the same time, whole. So it takes one trip of one GET or two, which are counted
    /// in `reads`.
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        dir: Path,
        stats: &BlockStats,
        options: OpenOptions,
        reads: &Reads,
    ) -> Result<Arc<Self>, Error> {
        let meta_key = dir.clone().join(META_FILE);
        let whole = |name: &str, size: u64| Get {
            store: Arc::clone(&store),
            key: dir.clone().join(name),
            size,
            range: None,
        };

        let meta = whole(META_FILE, stats.meta_bytes);
        let known = known_meta(&dir, stats, &options, reads).await;
        let is_cold = known.is_none();

        // If `meta` is on the disk, so are the series.
        let series = size_of(stats, SERIES_FILE)
            .filter(|bytes| is_cold && *bytes <= options.cost.prefetch_bytes_max)
            .map(|bytes| whole(SERIES_FILE, bytes));

        let fetcher = &options.fetcher;
        let whole_series = async {
            // A failure here is ignored: the first selection meets it again and reports it.
            fetcher.get(&series?, reads).await.ok()
        };

        let meta = async {
            match known {
                Some(meta) => Ok(meta),
                None => get_meta(fetcher, &meta, stats, reads).await,
            }
        };

        let (meta, whole_series) = futures::join!(meta, whole_series);
        let meta = meta?;
        let described = meta::decode(&meta_key, stats, &meta)?;
        if let Some(cache) = options.cache.as_ref().filter(|_| is_cold) {
            cache.write_meta_behind(&dir, stats.meta_crc32c, &meta);
        }

        let dir = Arc::new(dir);
        let folder = Folder {
            store: &store,
            dir: &dir,
            meta_key: &meta_key,
            files: &described.files,
            options: &options,
        };

        let series = folder.open(SERIES_FILE, stats.series)?;
        let series = series
            .map(|series| SeriesFile::new(series.file, stats, whole_series.as_ref()))
            .transpose()?;

        let has_rollups = size_of(stats, ROLLUPS_FILE).is_some();
        let (samples, rollups) = match has_rollups {
            true => (None, folder.open(ROLLUPS_FILE, stats.samples)?),
            false => (folder.open(SAMPLES_FILE, stats.samples)?, None),
        };

        let block = Self {
            series: series.map(Arc::new),
            samples,
            rollups,
            histograms: folder.open(HISTOGRAMS_FILE, stats.histograms)?,
            exemplars: folder.open(EXEMPLARS_FILE, stats.exemplars)?,
            metadata: folder.open(METADATA_FILE, stats.families)?,
            stats: stats.clone(),
            fences: described.fences,
            indexes: options.indexes.clone(),
            matched: options.matched.clone(),
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

    /// Where the row groups of the series file begin, in the order of the block: places at which a
    /// selection can be cut by a range of labels. They came with `meta`. Empty if the block has no
    /// series.
    pub fn fences(&self) -> &[Fence] {
        &self.fences
    }

    /// Reads every byte of every file and compares it with the checksums. The error names the first
    /// damaged object.
    pub async fn verify(&self) -> Result<(), Error> {
        let others = [
            &self.samples,
            &self.rollups,
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

    /// Returns what makes the error when memory was refused.
    pub(crate) fn no_memory(&self, what: &'static str) -> impl Fn(Exceeded) -> Error {
        move |source| Error::Memory {
            dir: Path::clone(&self.dir),
            what,
            source,
        }
    }
}

/// Returns the size of the file `name`. `None` if the block has no such file.
fn size_of(stats: &BlockStats, name: &str) -> Option<u64> {
    let file = stats.files.iter().find(|file| file.name == name)?;
    Some(file.bytes)
}

/// Returns `meta` if it is on the disk.
async fn known_meta(
    dir: &Path,
    stats: &BlockStats,
    options: &OpenOptions,
    reads: &Reads,
) -> Option<Bytes> {
    let expected = Expected {
        crc: stats.meta_crc32c,
        length: stats.meta_bytes,
    };

    let meta = options.cache.as_ref()?.meta(dir, expected).await?;
    reads.add(Read::DiskHits, 1);
    reads.add(Read::DiskBytes, meta.len() as u64);
    Some(meta)
}

/// Gets `meta` and checks it against the manifest's length and checksum. A `meta` that fails the
/// check is fetched once more.
async fn get_meta(
    fetcher: &Fetcher,
    meta: &Get,
    stats: &BlockStats,
    reads: &Reads,
) -> Result<Bytes, Error> {
    let checked = |bytes: Bytes| meta::check(&meta.key, stats, &bytes).map(|()| bytes);
    let first = fetcher.get(meta, reads).await.map_err(Error::from);

    match first.and_then(checked) {
        Err(Error::Checksum { .. } | Error::Size { .. } | Error::Range { .. }) => {
            checked(fetcher.get(meta, reads).await?)
        }
        other => other,
    }
}
