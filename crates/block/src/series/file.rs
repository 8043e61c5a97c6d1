//! The series file of an open block: finds series, a few row groups at a time.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use duramen_model::{BlockStats, Matcher};
use duramen_source::Reads;
use object_store::path::Path;
use parking_lot::Mutex;

use crate::error::Error;
use crate::layout::rows::Wanted;
use crate::read::fetch::SparseFile;
use crate::read::parquet_file::ParquetFile;
use crate::series::columns::SeriesColumns;
use crate::series::found::{FoundSeries, Row};

/// About this many bytes of the file are searched at a time.
const PART_BYTES: u64 = 1 << 20;

/// A file of at most this size, which came with `meta`, is worth an index at the first selection.
/// That takes 4 ms for its 2,000 series.
const INDEX_AT_ONCE_BYTES: u64 = 64 << 10;

/// A series file with its columns.
#[derive(Debug)]
pub(crate) struct SeriesFile {
    pub(crate) file: ParquetFile,
    columns: SeriesColumns,
    /// How many series the file has.
    series: u64,
    /// Whether the whole file came with `meta`.
    came_along: bool,
    /// The file that came along, for the first selection. Later ones find it in the cache; without
    /// a cache it stays here.
    prefetched: Mutex<Option<SparseFile>>,
}

impl SeriesFile {
    /// `whole` has the bytes of the file if they came with `meta`. They are verified here.
    pub(crate) fn new(
        file: ParquetFile,
        stats: &BlockStats,
        whole: Option<&Bytes>,
    ) -> Result<Self, Error> {
        let columns = SeriesColumns::of(&file, stats)?;
        let prefetched = whole.and_then(|bytes| file.remote.verified(bytes));

        Ok(Self {
            file,
            columns,
            series: stats.series,
            came_along: prefetched.is_some(),
            prefetched: Mutex::new(prefetched),
        })
    }

    /// The folder of the block.
    pub(crate) const fn dir(&self) -> &Arc<Path> {
        &self.file.remote.dir
    }

    pub(crate) const fn series(&self) -> u64 {
        self.series
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.file.remote.meta.bytes
    }

    /// Whether the first selection can build an index without a request and in little time.
    pub(crate) fn is_quick_to_index(&self) -> bool {
        self.came_along && self.bytes() <= INDEX_AT_ONCE_BYTES
    }

    /// Returns the row groups that may hold a series that passes.
    pub(crate) fn groups(&self, matchers: &[Matcher]) -> Vec<usize> {
        self.columns.groups(&self.file, matchers)
    }

    /// Whether `groups` are all row groups.
    pub(crate) fn is_whole(&self, groups: &[usize]) -> bool {
        groups.len() == self.file.parsed.num_row_groups()
    }

    /// Splits row groups into parts that are read one at a time.
    pub(crate) fn parts(&self, groups: &[usize]) -> Vec<Vec<usize>> {
        in_parts(groups, |group| self.columns.bytes(&self.file, group))
    }

    /// Returns the series of `groups` that pass all matchers and have what is `wanted`.
    pub(crate) async fn find(
        &self,
        groups: &[usize],
        matchers: &[Matcher],
        wanted: Wanted,
        reads: &Reads,
    ) -> Result<Vec<FoundSeries>, Error> {
        let file = self.fetch(groups, reads).await?;
        let mut found = Vec::new();

        for &group in groups {
            self.check_pages(&file, group)?;
            let series = self.columns.find(&file, group, matchers, wanted).await;
            found.append(&mut series.map_err(|e| Error::decode(&self.file.remote.key, e))?);
        }

        Ok(found)
    }

    /// Calls `visit` for each series of `groups`.
    pub(crate) async fn read_all(
        &self,
        groups: &[usize],
        reads: &Reads,
        mut visit: impl FnMut(&Row<'_>) + Send,
    ) -> Result<(), Error> {
        let file = self.fetch(groups, reads).await?;
        for &group in groups {
            self.check_pages(&file, group)?;
            let read = self.columns.read_all(&file, group, &mut visit);
            read.map_err(|e| Error::decode(&self.file.remote.key, e))?;
        }

        Ok(())
    }

    async fn fetch(&self, groups: &[usize], reads: &Reads) -> Result<SparseFile, Error> {
        if let Some(file) = self.prefetched() {
            return Ok(file);
        }

        let wanted: Vec<_> = groups
            .iter()
            .map(|group| self.columns.bytes(&self.file, *group))
            .collect();

        self.file.remote.fetch(&wanted, reads).await
    }

    /// Checks what the pages of a row group claim, before they are decoded.
    fn check_pages(&self, file: &SparseFile, group: usize) -> Result<(), Error> {
        let wanted = self.columns.bytes(&self.file, group);
        self.file.check_pages(file, group, &wanted)
    }

    /// Returns the file that came along, if it is still here.
    fn prefetched(&self) -> Option<SparseFile> {
        let mut file = self.prefetched.lock();
        if self.file.remote.cache.is_some() {
            file.take()
        } else {
            file.clone()
        }
    }
}

/// Splits row groups into parts of about [`PART_BYTES`].
fn in_parts(groups: &[usize], bytes: impl Fn(usize) -> Range<u64>) -> Vec<Vec<usize>> {
    let mut parts: Vec<Vec<usize>> = Vec::new();
    let mut size = u64::MAX;

    for &group in groups {
        let range = bytes(group);
        let length = range.end.saturating_sub(range.start);
        size = size.saturating_add(length);

        if size > PART_BYTES {
            parts.push(Vec::new());
            size = length;
        }

        if let Some(part) = parts.last_mut() {
            part.push(group);
        }
    }

    parts
}
