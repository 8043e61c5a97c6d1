//! Writes a block into a local folder, or into memory.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use duramen_model::labels::{LabelsIter, cmp_encoded_in_block};
use duramen_model::{BlockFile, BlockStats, FamilyMetadata, Histogram, Labels, METRIC_NAME};
use duramen_runtime::Disk;
use duramen_source::SeriesBatch;

use crate::error::Error;
use crate::layout::file_names::{META_FILE, METADATA_FILE, SERIES_FILE};
use crate::layout::meta::{Fence, Meta, encode};
use crate::layout::rows::SeriesRows;
use crate::write::contents::{LABELS_BYTES_MAX, OwnedContents, SeriesContents, join};
use crate::write::describe::describe;
use crate::write::exemplars::ExemplarsGroup;
use crate::write::folder::Folder;
use crate::write::histograms::HistogramsGroup;
use crate::write::metadata;
use crate::write::options::WriterOptions;
use crate::write::rollups::{RollupRows, RollupsGroup};
use crate::write::rows_file::{RowsFileWriter, encode_error};
use crate::write::samples::{FloatRows, SamplesGroup};
use crate::write::series::SeriesRowsWriter;

/// Writes one block, series by series or batch by batch. It blocks, so use it on a thread that may
/// block.
///
/// A file without rows is not created. A writer that is dropped before [`BlockWriter::finish`]
/// leaves an incomplete folder, without `meta`.
pub struct BlockWriter {
    folder: Folder,
    options: WriterOptions,
    series: SeriesRowsWriter,
    samples: RowsFileWriter<SamplesGroup>,
    histograms: RowsFileWriter<HistogramsGroup>,
    exemplars: RowsFileWriter<ExemplarsGroup>,
    rollups: RowsFileWriter<RollupsGroup>,
    families: Vec<FamilyMetadata>,
    /// The first and last time of all floats, histograms and exemplars so far.
    span_ms: Option<(i64, i64)>,
    ttl_max_ms: i64,
}

impl std::fmt::Debug for BlockWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockWriter")
            .field("folder", &self.folder)
            .field("series", &self.series.len())
            .finish_non_exhaustive()
    }
}

impl BlockWriter {
    /// Creates the folder `dir` on `disk`, which must not exist; its parent must.
    pub fn create(disk: &Arc<dyn Disk>, dir: &Path, options: WriterOptions) -> Result<Self, Error> {
        Ok(Self::into_folder(Folder::create(disk, dir)?, options))
    }

    /// Returns a writer into memory, for use when the disk is full.
    pub fn in_memory(options: WriterOptions) -> Self {
        Self::into_folder(Folder::in_memory(), options)
    }

    fn into_folder(folder: Folder, options: WriterOptions) -> Self {
        Self {
            folder,
            options,
            series: SeriesRowsWriter::default(),
            samples: RowsFileWriter::default(),
            histograms: RowsFileWriter::default(),
            exemplars: RowsFileWriter::default(),
            rollups: RowsFileWriter::default(),
            families: Vec::new(),
            span_ms: None,
            ttl_max_ms: 0,
        }
    }

    /// Appends a series.
    ///
    /// Series must ascend strictly in the order of [`Labels::cmp_in_block`]. A call that breaks
    /// this rule, or a rule of [`SeriesContents`], is an error and appends nothing.
    pub fn push(&mut self, labels: &Labels, contents: &SeriesContents<'_>) -> Result<(), Error> {
        let broken = |rule| {
            Err(Error::Contract {
                rule,
                series: labels.to_string(),
            })
        };

        if self
            .series
            .last_labels()
            .is_some_and(|last| cmp_encoded_in_block(last, labels.encoded()).is_ge())
        {
            return broken("the series is not behind the one before");
        }
        if let Some(rule) = contents.broken_rule() {
            return broken(rule);
        }
        if labels.encoded().len() > LABELS_BYTES_MAX {
            return Err(Error::Contract {
                rule: "the labels have more than 16 MiB",
                series: labels
                    .get(METRIC_NAME)
                    .unwrap_or("")
                    .chars()
                    .take(64)
                    .collect(),
            });
        }

        let decoded = contents
            .histograms
            .iter()
            .map(|histogram| Histogram::from_bytes(histogram.bytes));

        let Some(histograms) = decoded.collect::<Option<Vec<_>>>() else {
            return broken("a histogram is not in its byte form");
        };
        let Some(sref) = next_sref(self.series.len()) else {
            return broken("the block has 2^31 series");
        };
        let Some(rows) = self.next_rows(contents) else {
            return broken("the series has neither samples nor exemplars");
        };

        let has_others = match contents.rollups.is_empty() {
            true => self.rollups.rows() > 0,
            false => self.samples() + self.histograms() > 0,
        };
        if has_others {
            return broken("a block has either samples or buckets");
        }

        self.series.push(labels, rows);
        self.span_ms = join(
            join(self.span_ms, contents.span_ms()),
            contents.exemplars_span_ms(),
        );

        let lives = contents
            .lives
            .iter()
            .copied()
            .chain(contents.histograms.iter().map(|histogram| histogram.life));

        self.ttl_max_ms = lives
            .map(|life| life.ttl_ms)
            .fold(self.ttl_max_ms, i64::max);
        self.append(sref, contents, histograms)
    }

    /// Appends the series of `batch`. The bytes are those that [`BlockWriter::push`] of each series
    /// would write. Batches have no exemplars.
    ///
    /// An error is about one series. The series before it in the batch have been appended.
    pub fn push_batch(&mut self, batch: &SeriesBatch) -> Result<(), Error> {
        for row in 0..batch.len() {
            let labels = Labels::from_encoded_trusted(batch.labels_at(row));
            let owned = OwnedContents::of(batch, row);
            self.push(&labels, &owned.contents(batch, row, &[]))?;
        }

        Ok(())
    }

    /// Returns where the rows of `contents` will be, or `None` if there are none.
    fn next_rows(&self, contents: &SeriesContents<'_>) -> Option<SeriesRows> {
        let (min_ts_ms, max_ts_ms) = contents
            .span_ms()
            .or_else(|| contents.exemplars_span_ms())?;
        let rows = |first: u64, length: usize| first..first + length as u64;

        Some(SeriesRows {
            samples: match contents.rollups.is_empty() {
                true => rows(self.samples(), contents.ts_ms.len()),
                false => rows(self.rollups.rows(), contents.rollups.len()),
            },
            histograms: rows(self.histograms(), contents.histograms.len()),
            exemplars: rows(self.exemplars(), contents.exemplars.len()),
            min_ts_ms,
            max_ts_ms,
        })
    }

    fn append(
        &mut self,
        sref: u32,
        contents: &SeriesContents<'_>,
        histograms: Vec<Histogram>,
    ) -> Result<(), Error> {
        let dir = &self.folder;
        let options = &self.options;

        let SeriesContents {
            ts_ms,
            values,
            lives,
            exemplars,
            rollups,
            ..
        } = contents;

        if !ts_ms.is_empty() {
            let rows = FloatRows::new(ts_ms, values, lives);
            self.samples.append(dir, options, sref, rows)?;
        }

        if !histograms.is_empty() {
            let rows = contents.histograms.iter().zip(histograms);
            self.histograms.append(dir, options, sref, rows)?;
        }

        if !exemplars.is_empty() {
            self.exemplars.append(dir, options, sref, *exemplars)?;
        }

        if !rollups.is_empty() {
            let rows = RollupRows::new(rollups);
            self.rollups.append(dir, options, sref, rows)?;
        }

        Ok(())
    }

    /// Sets the metadata of metric families, each once, in any order. A second call replaces that
    /// of the first. A block may have metadata only.
    pub fn set_metadata(&mut self, mut families: Vec<FamilyMetadata>) -> Result<(), Error> {
        families.sort_unstable_by(|a, b| a.family.cmp(&b.family));
        if let Some(pair) = families
            .windows(2)
            .find(|pair| pair[0].family == pair[1].family)
        {
            return Err(Error::Contract {
                rule: "a metric family comes twice",
                series: pair[0].family.clone(),
            });
        }

        let bytes = |family: &FamilyMetadata| {
            let texts = [&family.family, &family.help, &family.unit];
            texts.iter().map(|text| text.len()).max().unwrap_or(0)
        };
        if let Some(long) = families.iter().find(|f| bytes(f) > LABELS_BYTES_MAX) {
            return Err(Error::Contract {
                rule: "a text of the metric family has more than 16 MiB",
                series: long.family.chars().take(64).collect(),
            });
        }

        self.families = families;
        Ok(())
    }

    /// How many series were pushed.
    pub const fn series(&self) -> usize {
        self.series.len()
    }

    /// Returns the encoded labels of the last series.
    pub(crate) fn last_labels(&self) -> Option<&[u8]> {
        self.series.last_labels()
    }

    /// Returns the metric name of the last series.
    pub(crate) fn last_name(&self) -> Option<&str> {
        self.last_labels().map(metric_name)
    }

    /// The bytes of the labels of all series.
    pub(crate) const fn labels_bytes(&self) -> usize {
        self.series.labels_bytes()
    }

    /// The bytes in the files of samples, histograms and exemplars. The row groups that are being
    /// filled are not in them yet.
    pub(crate) fn rows_bytes(&self) -> u64 {
        self.folder.bytes()
    }

    /// How many rows of rollups were pushed.
    const fn rollups(&self) -> u64 {
        self.rollups.rows()
    }

    /// How many floats were pushed.
    pub const fn samples(&self) -> u64 {
        self.samples.rows()
    }

    /// How many histograms were pushed.
    pub const fn histograms(&self) -> u64 {
        self.histograms.rows()
    }

    /// How many exemplars were pushed.
    pub const fn exemplars(&self) -> u64 {
        self.exemplars.rows()
    }

    /// Completes all files. On return they are written but *not* synced: a caller that relies on
    /// them syncs them or uploads them.
    ///
    /// It is a broken contract if the block has neither series nor metadata.
    pub fn finish(self) -> Result<BlockStats, Error> {
        Ok(self.finish_all()?.0)
    }

    /// Completes the block as [`BlockWriter::finish`] does. Also returns the files by name, `meta`
    /// last; a writer into a folder returns no files.
    pub fn finish_in_memory(self) -> Result<(BlockStats, Vec<(String, Bytes)>), Error> {
        self.finish_all()
    }

    fn finish_all(mut self) -> Result<(BlockStats, Vec<(String, Bytes)>), Error> {
        let families = std::mem::take(&mut self.families);
        let seen = |family: &FamilyMetadata| (family.last_seen_ms, family.last_seen_ms);
        let seen_ms = families
            .iter()
            .map(seen)
            .fold(None, |all, one| join(all, Some(one)));

        let Some((min_ts_ms, max_ts_ms)) = self.span_ms.or(seen_ms) else {
            return Err(Error::Contract {
                rule: "the block has neither series nor metadata",
                series: String::new(),
            });
        };

        let series = self.series.len() as u64;
        // A block has one of them. The manifest counts both as samples.
        let samples = self.samples() + self.rollups();
        let histograms = self.histograms();
        let exemplars = self.exemplars();
        let ttl_max_ms = self.ttl_max_ms;
        let names = self.series.names();
        let (folder, file_names, fences) = self.finish_files(&families)?;

        let mut files = Vec::new();
        let mut contents_in_memory = Vec::new();

        for name in file_names {
            let (file, contents) = describe(&folder, name)?;
            contents_in_memory.extend(contents.map(|bytes| (name.to_owned(), bytes)));
            files.push(file);
        }

        let meta = Meta { files, fences };
        let (meta_bytes, meta_crc32c, meta_in_memory) = write_meta(&folder, &meta)?;
        contents_in_memory.extend(meta_in_memory.map(|bytes| (META_FILE.to_owned(), bytes)));

        let files = meta
            .files
            .into_iter()
            .map(|described| BlockFile {
                name: described.file.name,
                bytes: described.file.bytes,
            })
            .collect();

        let stats = BlockStats {
            series,
            samples,
            histograms,
            exemplars,
            families: families.len() as u64,
            ttl_max_ms,
            min_ts_ms,
            max_ts_ms,
            names,
            files,
            meta_bytes,
            meta_crc32c,
        };

        Ok((stats, contents_in_memory))
    }

    /// Completes all files but `meta`. Returns their names, in the order of [`BlockStats::files`],
    /// and the fences of the series file.
    fn finish_files(
        self,
        families: &[FamilyMetadata],
    ) -> Result<(Folder, Vec<&'static str>, Vec<Fence>), Error> {
        let Self {
            folder,
            series,
            samples,
            histograms,
            exemplars,
            rollups,
            options,
            ..
        } = self;

        let level = options.zstd_level;
        let mut names = Vec::new();
        let mut fences = Vec::new();

        if series.len() > 0 {
            let file = folder.create_file(SERIES_FILE)?;
            fences = series
                .write(file, &options)
                .map_err(|e| encode_error(SERIES_FILE, e))?;
            names.push(SERIES_FILE);
        }

        names.extend(samples.finish()?);
        names.extend(histograms.finish()?);
        names.extend(exemplars.finish()?);
        names.extend(rollups.finish()?);

        if !families.is_empty() {
            let file = folder.create_file(METADATA_FILE)?;
            metadata::write(file, families, level).map_err(|e| encode_error(METADATA_FILE, e))?;
            names.push(METADATA_FILE);
        }

        Ok((folder, names, fences))
    }
}

/// Returns the `sref` of the series behind so many. The columns of `sref` are signed, and their
/// statistics with them, so `None` comes before the sign changes.
fn next_sref(series: usize) -> Option<u32> {
    i32::try_from(series).ok().map(i32::cast_unsigned)
}

/// Returns the metric name in encoded labels, "" if there is none.
fn metric_name(encoded: &[u8]) -> &str {
    LabelsIter::over(encoded)
        .find(|(name, _)| *name == METRIC_NAME)
        .map_or("", |(_, value)| value)
}

/// Writes `meta`. Returns its length, its checksum and, for a block in memory, its bytes.
fn write_meta(folder: &Folder, meta: &Meta) -> Result<(u64, u32, Option<Bytes>), Error> {
    let failed = |source| Error::Write {
        path: folder.path(META_FILE),
        source,
    };

    let meta = encode::encode(meta).map_err(failed)?;
    folder
        .create_file(META_FILE)?
        .write_all(&meta)
        .map_err(failed)?;

    let (file, length) = folder.open_file(META_FILE).map_err(failed)?;
    Ok((length, crc32c::crc32c(&meta), file.into_memory()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_series_end_before_their_sign_changes() {
        assert_eq!(next_sref(0), Some(0));
        assert_eq!(next_sref((1 << 31) - 1), Some(i32::MAX as u32));
        assert_eq!(next_sref(1 << 31), None);
    }
}
