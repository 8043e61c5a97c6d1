//! An open block.

use std::sync::Arc;

use bytes::Bytes;
use duramen_model::BlockStats;
use duramen_source::{SeriesRequest, SeriesStream};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use crate::cache::ExtentCache;
use crate::error::Error;
use crate::fetch::{RemoteFile, SparseFile};
use crate::lookup::SeriesColumns;
use crate::meta::{self, FileMeta};
use crate::tables::SeriesTables;
use crate::warm::Warmth;
use crate::{META_FILE, SAMPLES_FILE, SERIES_FILE, source};

/// How a block is read.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Two ranges of one file whose distance is at most this are one GET, and the bytes between are read too. More: fewer requests;
    /// fewer: fewer bytes.
    pub gap_bytes_max: u64,
    /// A series file of at most this size is got whole together with `meta`, which saves the cold reader a round trip.
    pub series_prefetch_bytes_max: u64,
    /// Where verified extents are kept. `None`: every selection reads anew.
    pub cache: Option<Arc<ExtentCache>>,
    /// Where decoded series tables are kept. `None`: every selection decodes the columns that it needs.
    ///
    /// A table is made by the first selection that reads the whole series file anyway, otherwise by the third of an open block.
    pub tables: Option<Arc<SeriesTables>>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { gap_bytes_max: 8 << 10, series_prefetch_bytes_max: 64 << 10, cache: None, tables: None }
    }
}

/// A block whose `meta` has been read: everything that is needed to find any byte of it. Immutable; share it.
#[derive(Debug)]
pub struct Block {
    pub(crate) dir: Arc<Path>,
    pub(crate) stats: BlockStats,
    pub(crate) series: ParquetFile,
    pub(crate) columns: SeriesColumns,
    pub(crate) samples: ParquetFile,
    /// The first row of each row group of the samples, and behind them the number of rows.
    pub(crate) sample_group_rows: Vec<u64>,
    /// The series file, if it came along with `meta`.
    pub(crate) prefetched: Option<SparseFile>,
    pub(crate) tables: Option<Arc<SeriesTables>>,
    pub(crate) warmth: Warmth,
}

/// One Parquet file with its parsed footer and offset indexes.
#[derive(Debug)]
pub(crate) struct ParquetFile {
    pub(crate) remote: RemoteFile,
    pub(crate) parsed: Arc<ParquetMetaData>,
}

impl Block {
    /// Opens the block in folder `dir`, whose `stats` stand in the manifest: one GET of `meta`, checked against them, and beside it one of
    /// the series file when that is small.
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        dir: Path,
        stats: &BlockStats,
        options: OpenOptions,
    ) -> Result<Arc<Self>, Error> {
        let series_bytes = stats.files.iter().find(|f| f.name == SERIES_FILE).map_or(u64::MAX, |f| f.bytes);
        let (meta_key, series_key) = (dir.clone().join(META_FILE), dir.clone().join(SERIES_FILE));
        let whole_series = async {
            // A failure here is found again, and named, by the first selection.
            if series_bytes <= options.series_prefetch_bytes_max { get(&*store, &series_key).await.ok() } else { None }
        };
        let (meta, whole_series) = futures::join!(get_meta(&*store, &meta_key, stats), whole_series);
        let files = meta::decode(&meta?).map_err(|what| Error::Malformed { key: meta_key.clone(), offset: 0, what })?;
        check_sizes(&meta_key, stats, &files)?;
        let dir = Arc::new(dir);
        let open = |name: &str| ParquetFile::open(&store, &dir, &meta_key, &files, name, &options);
        let (series, samples) = (open(SERIES_FILE)?, open(SAMPLES_FILE)?);
        let columns = SeriesColumns::of(&series)?;
        let sample_group_rows = samples.group_rows(stats.samples)?;
        let prefetched = whole_series.and_then(|bytes| series.remote.verified(&bytes));
        let (stats, tables, warmth) = (stats.clone(), options.tables, Warmth::default());
        let block = Self { dir, stats, series, columns, samples, sample_group_rows, prefetched, tables, warmth };
        Ok(Arc::new(block))
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the manifest says of the block.
    pub const fn stats(&self) -> &BlockStats {
        &self.stats
    }

    /// The series of this block that pass the request, whichever tenants it names, in the order of the block.
    ///
    /// One round trip for the series pages, one for the samples of each batch; the next batch is got while one is used.
    pub fn select(self: &Arc<Self>, request: &SeriesRequest) -> SeriesStream {
        source::stream(Arc::clone(self), request.clone())
    }

    /// Reads every byte of every file and compares it with the checksums. The error names the first object that is damaged.
    pub async fn verify(&self) -> Result<(), Error> {
        for file in [&self.series, &self.samples] {
            let extents = file.remote.meta.extents.len();
            let uncached = RemoteFile { cache: None, ..file.remote.clone() };
            let ranges = (0..extents).map(|i| file.remote.meta.extents.range(i));
            // A part of the file at a time: memory is bounded.
            let parts: Vec<Vec<_>> = ranges.collect::<Vec<_>>().chunks(1024).map(<[_]>::to_vec).collect();
            stream::iter(parts)
                .then(|part| {
                    let file = &uncached;
                    async move { file.fetch(&part).await.map(drop) }
                })
                .try_collect::<()>()
                .await?;
        }
        Ok(())
    }
}

impl ParquetFile {
    fn open(
        store: &Arc<dyn ObjectStore>,
        dir: &Arc<Path>,
        meta_key: &Path,
        files: &[FileMeta],
        name: &str,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        let malformed = |what| Error::Malformed { key: meta_key.clone(), offset: 0, what };
        let index = files.iter().position(|f| f.name == name).ok_or_else(|| malformed("a file is not described"))?;
        let meta = Arc::new(files[index].clone());
        let mut reader = ParquetMetaDataReader::new()
            .with_column_index_policy(PageIndexPolicy::Skip)
            .with_offset_index_policy(PageIndexPolicy::Required);
        let parsed = reader.try_parse_sized(&meta.tail, meta.bytes).and_then(|()| reader.finish());
        let parsed = Arc::new(parsed.map_err(|e| Error::decode(meta_key, e))?);
        let remote = RemoteFile {
            store: Arc::clone(store),
            key: Path::clone(dir).join(name),
            dir: Arc::clone(dir),
            index: u32::try_from(index).unwrap_or(u32::MAX),
            meta,
            gap_bytes_max: options.gap_bytes_max,
            cache: options.cache.clone(),
        };
        Ok(Self { remote, parsed })
    }

    /// The first row of each row group, and behind them the number of rows, which must be `expected`.
    fn group_rows(&self, expected: u64) -> Result<Vec<u64>, Error> {
        let mut rows = vec![0u64];
        let mut end = 0u64;
        for group in self.parsed.row_groups() {
            end = end.saturating_add(group.num_rows().cast_unsigned());
            rows.push(end);
        }
        let key = self.remote.key.clone();
        let what = "the row groups have another number of rows than the manifest says";
        if end == expected { Ok(rows) } else { Err(Error::Malformed { key, offset: 0, what }) }
    }
}

async fn get(store: &dyn ObjectStore, key: &Path) -> Result<Bytes, Error> {
    let failed = |source| Error::Get { key: key.clone(), source };
    store.get(key).await.map_err(failed)?.bytes().await.map_err(failed)
}

/// `meta`, with the length and checksum that the manifest says. What fails is asked for once more.
async fn get_meta(store: &dyn ObjectStore, key: &Path, stats: &BlockStats) -> Result<Bytes, Error> {
    let bytes = get(store, key).await?;
    match check_meta(key, stats, &bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => {
            let bytes = get(store, key).await?;
            check_meta(key, stats, &bytes).map(|()| bytes)
        }
    }
}

fn check_meta(key: &Path, stats: &BlockStats, bytes: &Bytes) -> Result<(), Error> {
    if bytes.len() as u64 != stats.meta_bytes {
        return Err(Error::Size { key: key.clone(), expected: stats.meta_bytes, actual: bytes.len() as u64 });
    }
    let (expected, actual) = (stats.meta_crc32c, crc32c::crc32c(bytes));
    if expected != actual {
        return Err(Error::Checksum { key: key.clone(), offset: 0, expected, actual });
    }
    Ok(())
}

/// `meta` and the manifest speak of the same files.
fn check_sizes(key: &Path, stats: &BlockStats, files: &[FileMeta]) -> Result<(), Error> {
    let same = stats.files.len() == files.len()
        && stats.files.iter().zip(files).all(|(stated, file)| stated.name == file.name && stated.bytes == file.bytes);
    let what = "meta and manifest name different files or sizes";
    if same { Ok(()) } else { Err(Error::Malformed { key: key.clone(), offset: 0, what }) }
}
