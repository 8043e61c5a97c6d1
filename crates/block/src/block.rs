//! An open block.

use std::sync::Arc;

use bytes::Bytes;
use duramen_model::{BlockStats, FamilyMetadata};
use duramen_source::{Read, Reads, SeriesExemplars, SeriesRequest, SeriesStream, SeriesSummary};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::cache::ExtentCache;
use crate::error::Error;
use crate::fetch::RemoteFile;
use crate::file::{Folder, RowsFile};
use crate::lookup::FoundSeries;
use crate::meta::{self, FileMeta};
use crate::rows::Wanted;
use crate::series_file::SeriesFile;
use crate::tables::SeriesTables;
use crate::warm::Warmth;
use crate::{
    EXEMPLARS_FILE, HISTOGRAMS_FILE, META_FILE, METADATA_FILE, SAMPLES_FILE, SERIES_FILE, metadata,
    read, source,
};

/// How a block is read.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Two ranges of one file whose distance is at most this are one GET, and the bytes between are
    /// read too. More: fewer requests; fewer: fewer bytes.
    pub gap_bytes_max: u64,
    /// A series file of at most this size is got whole together with `meta`, which saves the cold
    /// reader a round trip.
    pub series_prefetch_bytes_max: u64,
    /// Where verified extents are kept. `None`: every selection reads anew.
    pub cache: Option<Arc<ExtentCache>>,
    /// Where decoded series tables are kept. `None`: every selection decodes the columns that it
    /// needs.
    ///
    /// A table is made by the first selection that reads the whole series file anyway, otherwise by
    /// the third of an open block.
    pub tables: Option<Arc<SeriesTables>>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            gap_bytes_max: 8 << 10,
            series_prefetch_bytes_max: 64 << 10,
            cache: None,
            tables: None,
        }
    }
}

/// A block whose `meta` has been read: everything that is needed to find any byte of it. Immutable;
/// share it.
///
/// A file is absent when the block has no row of it.
#[derive(Debug)]
pub struct Block {
    pub(crate) dir: Arc<Path>,
    pub(crate) stats: BlockStats,
    pub(crate) series: Option<Arc<SeriesFile>>,
    pub(crate) samples: Option<RowsFile>,
    pub(crate) histograms: Option<RowsFile>,
    pub(crate) exemplars: Option<RowsFile>,
    metadata: Option<RowsFile>,
    pub(crate) tables: Option<Arc<SeriesTables>>,
    pub(crate) warmth: Warmth,
}

impl Block {
    /// Opens the block in folder `dir`, whose `stats` stand in the manifest: one GET of `meta`,
    /// checked against them, and beside it one of the series file when that is small. Both are
    /// counted in `reads`.
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
            // A failure here is found again, and named, by the first selection.
            if series_bytes <= options.series_prefetch_bytes_max {
                get(&*store, &series_key, reads).await.ok()
            } else {
                None
            }
        };

        let (meta, whole_series) =
            futures::join!(get_meta(&*store, &meta_key, stats, reads), whole_series);
        let files = meta::decode(&meta?).map_err(|what| Error::Malformed {
            key: meta_key.clone(),
            offset: 0,
            what,
        })?;

        check_sizes(&meta_key, stats, &files)?;

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
            tables: options.tables.clone(),
            warmth: Warmth::default(),
            dir: Arc::clone(&dir),
        };

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

    /// The series of this block that pass the request, whichever tenants it names, in the order of
    /// the block.
    ///
    /// One round trip for the series pages, one for the samples and histograms of each batch; the
    /// next batch is got while one is used.
    pub fn select(self: &Arc<Self>, request: &SeriesRequest) -> SeriesStream {
        source::stream(Arc::clone(self), request.clone())
    }

    /// The exemplars in the range of the series that pass. One round trip for the series pages, one
    /// for the exemplars.
    pub(crate) async fn exemplars(
        &self,
        request: &SeriesRequest,
    ) -> Result<Vec<SeriesExemplars>, Error> {
        if self.exemplars.is_none() || !self.stats.range().overlaps(request.range) {
            return Ok(Vec::new());
        }

        let series = source::find_all(self, request, Wanted::Exemplars).await?;
        let mut all = read::exemplars(self, series, &request.reads).await?;

        for series in &mut all {
            series
                .exemplars
                .retain(|exemplar| request.range.contains(exemplar.ts_ms));
        }

        all.retain(|series| !series.exemplars.is_empty());
        Ok(all)
    }

    /// All metric families, in the order of their names.
    pub(crate) async fn metadata(&self) -> Result<Vec<FamilyMetadata>, Error> {
        let Some(file) = &self.metadata else {
            return Ok(Vec::new());
        };
        let groups = file.all();
        let bytes = file.fetch_groups(&groups, &Reads::default()).await?;
        let mut families = Vec::new();

        file.decode(&bytes, &groups, |batch| {
            metadata::append(batch, &mut families)
        })?;
        Ok(families)
    }

    /// What the series table says of the series that pass; no sample is read.
    pub(crate) async fn summaries(
        &self,
        request: &SeriesRequest,
    ) -> Result<Vec<SeriesSummary>, Error> {
        if !self.stats.range().overlaps(request.range) {
            return Ok(Vec::new());
        }

        let series = source::find_all(self, request, Wanted::Samples(request.range)).await?;
        let summary = |series: FoundSeries| SeriesSummary {
            labels: series.labels(),
            floats: series.rows.samples.end - series.rows.samples.start,
            histograms: series.rows.histograms.end - series.rows.histograms.start,
            first_ms: series.rows.min_ts_ms,
            last_ms: series.rows.max_ts_ms,
        };

        Ok(series.into_iter().map(summary).collect())
    }

    /// Reads every byte of every file and compares it with the checksums. The error names the first
    /// object that is damaged.
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

            // A part of the file at a time: memory is bounded.
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

    /// The series table contradicts another file.
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

/// `meta`, with the length and checksum that the manifest says. What fails is asked for once more.
async fn get_meta(
    store: &dyn ObjectStore,
    key: &Path,
    stats: &BlockStats,
    reads: &Reads,
) -> Result<Bytes, Error> {
    let bytes = get(store, key, reads).await?;
    match check_meta(key, stats, &bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => {
            let bytes = get(store, key, reads).await?;
            check_meta(key, stats, &bytes).map(|()| bytes)
        }
    }
}

fn check_meta(key: &Path, stats: &BlockStats, bytes: &Bytes) -> Result<(), Error> {
    if bytes.len() as u64 != stats.meta_bytes {
        return Err(Error::Size {
            key: key.clone(),
            expected: stats.meta_bytes,
            actual: bytes.len() as u64,
        });
    }

    let expected = stats.meta_crc32c;
    let actual = crc32c::crc32c(bytes);

    if expected != actual {
        return Err(Error::Checksum {
            key: key.clone(),
            offset: 0,
            expected,
            actual,
        });
    }

    Ok(())
}

/// `meta` and the manifest speak of the same files.
pub(crate) fn check_sizes(key: &Path, stats: &BlockStats, files: &[FileMeta]) -> Result<(), Error> {
    let same = stats.files.len() == files.len()
        && stats
            .files
            .iter()
            .zip(files)
            .all(|(stated, file)| stated.name == file.name && stated.bytes == file.bytes);

    let what = "meta and manifest name different files or sizes";

    if same {
        Ok(())
    } else {
        Err(Error::Malformed {
            key: key.clone(),
            offset: 0,
            what,
        })
    }
}
