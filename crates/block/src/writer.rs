//! Writes a block into a local folder.

use std::fs::{self, File};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use duramen_model::labels::cmp_encoded_in_block;
use duramen_model::{BlockFile, BlockStats, FamilyMetadata, Labels};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use crate::contents::{SeriesContents, join};
use crate::error::Error;
use crate::extent::Extents;
use crate::meta::{self, FileMeta};
use crate::samples::SamplesWriter;
use crate::series::SeriesTable;
use crate::{META_FILE, SAMPLES_FILE, SERIES_FILE};

/// What a file is written through. Unbuffered: the Parquet writer buffers.
pub(crate) type BlockFileWriter = File;

/// How a block is laid out. A reader reads every layout; only benches and tests change it.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    pub zstd_level: i32,
    /// Rows in a page of timestamps. More: neighbours of one target compress against each other; fewer: a series alone is read with
    /// fewer bytes.
    pub ts_page_rows: usize,
    /// Rows in a page of values.
    pub value_page_rows: usize,
    /// A row group of `samples.parquet` ends at so many rows or at so many (guessed) bytes, whichever is first, so that all columns of
    /// one fit a GET of half a mebibyte.
    pub row_group_rows_max: usize,
    pub row_group_bytes_max: usize,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            zstd_level: 3,
            ts_page_rows: 16_384,
            value_page_rows: 4096,
            row_group_rows_max: 256 << 10,
            row_group_bytes_max: 512 << 10,
        }
    }
}

/// Writes one block, series by series. Blocking: it belongs on a thread that may block.
///
/// A file of which the block has no row is not made. A writer that is dropped before [`BlockWriter::finish`] leaves an incomplete folder,
/// without `meta`.
pub struct BlockWriter {
    dir: PathBuf,
    options: WriterOptions,
    samples: Option<SamplesWriter>,
    series: SeriesTable,
    /// First and last timestamp so far.
    span_ms: Option<(i64, i64)>,
    ttl_max_ms: i64,
}

impl std::fmt::Debug for BlockWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockWriter")
            .field("dir", &self.dir)
            .field("series", &self.series.len())
            .finish_non_exhaustive()
    }
}

impl BlockWriter {
    /// Makes the folder `dir`, which must not exist; its parent must.
    pub fn create(dir: &Path, options: WriterOptions) -> Result<Self, Error> {
        fs::create_dir(dir).map_err(|source| Error::Write { path: dir.to_owned(), source })?;
        let (samples, series) = (None, SeriesTable::default());
        Ok(Self { dir: dir.to_owned(), options, samples, series, span_ms: None, ttl_max_ms: 0 })
    }

    /// Appends a series.
    ///
    /// Series ascend strictly in the order of [`Labels::cmp_in_block`]. A call that breaks this, or what [`SeriesContents`] says, is
    /// an error and appends nothing.
    pub fn push(&mut self, labels: &Labels, contents: &SeriesContents<'_>) -> Result<(), Error> {
        let broken = |rule| Err(Error::Contract { rule, series: labels.to_string() });
        if self.series.last_labels().is_some_and(|last| cmp_encoded_in_block(last, labels.encoded()).is_ge()) {
            return broken("the series is not behind the one before");
        }
        if let Some(rule) = contents.broken_rule() {
            return broken(rule);
        }
        if !contents.histograms.is_empty() || !contents.exemplars.is_empty() {
            return broken("histograms and exemplars have no file yet");
        }
        let Ok(sref) = u32::try_from(self.series.len()) else {
            return broken("the block has 2^32 series");
        };
        self.series.push(labels, self.samples(), contents.ts_ms);
        self.span_ms = join(self.span_ms, contents.span_ms());
        self.push_floats(sref, contents)
    }

    fn push_floats(&mut self, sref: u32, contents: &SeriesContents<'_>) -> Result<(), Error> {
        let SeriesContents { ts_ms, values, lives, .. } = contents;
        if ts_ms.is_empty() {
            return Ok(());
        }
        self.ttl_max_ms = lives.iter().map(|life| life.ttl_ms).fold(self.ttl_max_ms, i64::max);
        let failed = |e| encode_error(SAMPLES_FILE, e);
        let samples = match &mut self.samples {
            Some(samples) => samples,
            none => {
                let file = create_file(&self.dir.join(SAMPLES_FILE))?;
                none.insert(SamplesWriter::create(file, &self.options).map_err(failed)?)
            }
        };
        samples.push(sref, ts_ms, values, lives).map_err(failed)
    }

    /// Says what is known of metric families, each once, in any order; what was said before is replaced. A block may have nothing else.
    pub fn set_metadata(&mut self, families: Vec<FamilyMetadata>) -> Result<(), Error> {
        match families.first() {
            Some(first) => Err(Error::Contract { rule: "metadata has no file yet", series: first.family.clone() }),
            None => Ok(()),
        }
    }

    /// How many series were pushed.
    pub const fn series(&self) -> usize {
        self.series.len()
    }

    /// How many floats were pushed.
    pub fn samples(&self) -> u64 {
        self.samples.as_ref().map_or(0, SamplesWriter::rows)
    }

    /// Completes all files. On return they are written but *not* synced: whoever relies on them syncs them or uploads them.
    ///
    /// A block without series is a broken contract.
    pub fn finish(self) -> Result<BlockStats, Error> {
        let Some((min_ts_ms, max_ts_ms)) = self.span_ms else {
            return Err(Error::Contract { rule: "the block has no series", series: String::new() });
        };
        let (series, samples) = (self.series.len() as u64, self.samples());
        let mut files = Vec::new();
        let file = create_file(&self.dir.join(SERIES_FILE))?;
        self.series.write(file, self.options.zstd_level).map_err(|e| encode_error(SERIES_FILE, e))?;
        files.push(describe(&self.dir, SERIES_FILE)?);
        if let Some(samples) = self.samples {
            samples.finish().map_err(|e| encode_error(SAMPLES_FILE, e))?;
            files.push(describe(&self.dir, SAMPLES_FILE)?);
        }
        let path = self.dir.join(META_FILE);
        let failed = |source| Error::Write { path: path.clone(), source };
        let meta = meta::encode(&files).map_err(failed)?;
        create_file(&path)?.write_all(&meta).map_err(failed)?;
        let files = files.into_iter().map(|file| BlockFile { name: file.name, bytes: file.bytes }).collect();
        let (meta_bytes, meta_crc32c) = (meta.len() as u64, crc32c::crc32c(&meta));
        let (histograms, exemplars, families) = (0, 0, 0);
        Ok(BlockStats {
            series,
            samples,
            histograms,
            exemplars,
            families,
            ttl_max_ms: self.ttl_max_ms,
            min_ts_ms,
            max_ts_ms,
            files,
            meta_bytes,
            meta_crc32c,
        })
    }
}

fn create_file(path: &Path) -> Result<File, Error> {
    File::create_new(path).map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// An error of the disk comes wrapped in one of the encoder.
fn encode_error(file: &'static str, source: ParquetError) -> Error {
    Error::Encode { file, source }
}

/// Reads a finished file back, an extent at a time, and says what `meta` says of it.
fn describe(dir: &Path, name: &'static str) -> Result<FileMeta, Error> {
    let path = dir.join(name);
    let failed = |source| Error::Write { path: path.clone(), source };
    let mut file = File::open(&path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    let parsed = ParquetMetaDataReader::new()
        .with_column_index_policy(PageIndexPolicy::Skip)
        .with_offset_index_policy(PageIndexPolicy::Required)
        .parse_and_finish(&file)
        .map_err(|e| encode_error(name, e))?;
    let boundaries = boundaries(&parsed);
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let extents = Extents::cut(&mut BufReader::with_capacity(1 << 20, &file), bytes, &boundaries).map_err(failed)?;
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(boundaries.last().copied().unwrap_or(0))).map_err(failed)?;
    file.read_to_end(&mut tail).map_err(failed)?;
    Ok(FileMeta { name: name.to_owned(), bytes, extents, tail: tail.into() })
}

/// Where pages begin, ascending, and behind them where the last page ends.
fn boundaries(file: &ParquetMetaData) -> Vec<u64> {
    let mut starts = Vec::new();
    let mut end = 0;
    for (group, indexes) in file.row_groups().iter().zip(file.offset_index().into_iter().flatten()) {
        for (column, index) in group.columns().iter().zip(indexes) {
            let (start, length) = column.byte_range();
            starts.push(start);
            starts.extend(index.page_locations().iter().map(|page| page.offset.cast_unsigned()));
            end = end.max(start + length);
        }
    }
    starts.push(end);
    starts.sort_unstable();
    starts.dedup();
    starts
}
