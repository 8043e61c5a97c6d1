//! One Parquet file of an open block.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use duramen_source::Reads;
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use crate::error::Error;
use crate::layout::meta::Described;
use crate::layout::schema::SREF;
use crate::read::claims;
use crate::read::fetch::{RemoteFile, SparseFile};
use crate::read::library::guarded;
use crate::read::options::OpenOptions;
use crate::read::plan::{self, GroupRows};
use crate::read::rebuilt;

/// A file with its metadata as a footer would have it, and its offset indexes.
#[derive(Debug)]
pub(crate) struct ParquetFile {
    pub(crate) remote: RemoteFile,
    pub(crate) parsed: Arc<ParquetMetaData>,
}

/// A file whose rows belong to series. The series file says which rows belong to which series.
#[derive(Debug)]
pub(crate) struct RowsFile {
    pub(crate) file: ParquetFile,
    /// The first row of each row group, followed by the number of rows in the file.
    pub(crate) group_rows: Vec<u64>,
}

/// The folder of one block, and what `meta` says about its files.
pub(crate) struct Folder<'a> {
    pub(crate) store: &'a Arc<dyn ObjectStore>,
    pub(crate) dir: &'a Arc<Path>,
    pub(crate) meta_key: &'a Path,
    pub(crate) files: &'a [Described],
    pub(crate) options: &'a OpenOptions,
}

impl Folder<'_> {
    /// Opens the file `name`, which must have `rows` rows. Returns `None` if that is 0 and the file
    /// is absent.
    pub(crate) fn open(&self, name: &str, rows: u64) -> Result<Option<RowsFile>, Error> {
        let malformed = |what| Error::Malformed {
            key: self.meta_key.clone(),
            offset: 0,
            what,
        };

        let Some(index) = self
            .files
            .iter()
            .position(|described| described.file.name == name)
        else {
            return if rows == 0 {
                Ok(None)
            } else {
                Err(malformed("a file is not described"))
            };
        };

        let described = &self.files[index];
        let parsed = rebuilt::parquet_metadata(described);
        let parsed = Arc::new(parsed.map_err(|e| Error::decode(self.meta_key, e))?);
        let meta = described.file.clone();

        let remote = RemoteFile::new(self.store, self.dir, index, meta, self.options);
        let file = ParquetFile { remote, parsed };
        let group_rows = file.group_rows(rows)?;
        Ok(Some(RowsFile { file, group_rows }))
    }
}

impl ParquetFile {
    /// Checks the headers of all pages of row group `group` that begin within `wanted`. The library
    /// decodes only what passed.
    pub(crate) fn check_pages(
        &self,
        file: &SparseFile,
        group: usize,
        wanted: &Range<u64>,
    ) -> Result<(), Error> {
        claims::check(&self.remote.key, &self.parsed, file, group, wanted)
    }

    /// Returns the first row of each row group, followed by the number of rows, which must be
    /// `expected`.
    fn group_rows(&self, expected: u64) -> Result<Vec<u64>, Error> {
        let mut rows = vec![0u64];
        let mut end = 0u64;

        for group in self.parsed.row_groups() {
            end = end.saturating_add(group.num_rows().cast_unsigned());
            rows.push(end);
        }

        let key = self.remote.key.clone();
        let what = "the row groups have another number of rows than the manifest says";

        if end == expected {
            Ok(rows)
        } else {
            Err(Error::Malformed {
                key,
                offset: 0,
                what,
            })
        }
    }
}

impl RowsFile {
    /// Splits ascending row ranges at the row groups. Returns `None` if a range exceeds the file.
    pub(crate) fn by_group(
        &self,
        rows: impl Iterator<Item = Range<u64>>,
    ) -> Option<Vec<GroupRows>> {
        plan::by_group(rows, &self.group_rows)
    }

    /// Returns all rows.
    pub(crate) fn all(&self) -> Vec<GroupRows> {
        let rows = self.group_rows.last().map(|end| 0..*end);
        self.by_group(rows.into_iter()).unwrap_or_default()
    }

    /// The first leaf column that is read. `sref` is skipped: the number of a row already tells
    /// which series it belongs to.
    fn first_leaf(&self) -> usize {
        let columns = self.file.parsed.file_metadata().schema_descr().columns();
        columns
            .iter()
            .take_while(|column| column.name() == SREF)
            .count()
    }

    /// The bytes of row group `group` that are read.
    fn bytes_of(&self, group: usize) -> Option<Range<u64>> {
        let columns = self.file.parsed.row_group(group).columns();
        let (start, _) = columns.get(self.first_leaf())?.byte_range();
        let (last, length) = columns.last()?.byte_range();

        Some(start..last.saturating_add(length))
    }

    /// Fetches the bytes of whole row groups.
    pub(crate) async fn fetch_groups(
        &self,
        groups: &[GroupRows],
        reads: &Reads,
    ) -> Result<SparseFile, Error> {
        let wanted: Vec<_> = groups
            .iter()
            .filter_map(|wanted| self.bytes_of(wanted.group))
            .collect();

        self.file.remote.fetch(&wanted, reads).await
    }

    /// Decodes rows of the groups that [`RowsFile::fetch_groups`] fetched. Calls `visit` for each
    /// record batch, in row order.
    pub(crate) fn decode(
        &self,
        file: &SparseFile,
        groups: &[GroupRows],
        visit: impl FnMut(&RecordBatch) -> Result<(), ParquetError>,
    ) -> Result<(), Error> {
        let schema = self.file.parsed.file_metadata().schema_descr();
        let all: Vec<usize> = (self.first_leaf()..schema.num_columns()).collect();
        self.decode_leaves(file, groups, &all, visit)
    }

    /// Does what [`RowsFile::decode`] does with the columns of these names alone.
    pub(crate) fn decode_columns(
        &self,
        file: &SparseFile,
        groups: &[GroupRows],
        names: &[&str],
        visit: impl FnMut(&RecordBatch) -> Result<(), ParquetError>,
    ) -> Result<(), Error> {
        let schema = self.file.parsed.file_metadata().schema_descr();
        let columns = schema.columns().iter().enumerate();
        let wanted = columns.filter(|(_, column)| names.contains(&column.name()));
        let leaves: Vec<usize> = wanted.map(|(leaf, _)| leaf).collect();
        self.decode_leaves(file, groups, &leaves, visit)
    }

    fn decode_leaves(
        &self,
        file: &SparseFile,
        groups: &[GroupRows],
        leaves: &[usize],
        mut visit: impl FnMut(&RecordBatch) -> Result<(), ParquetError>,
    ) -> Result<(), Error> {
        let failed = |e: ParquetError| Error::decode(&self.file.remote.key, e);
        let options = ArrowReaderOptions::new();
        let arrow =
            ArrowReaderMetadata::try_new(Arc::clone(&self.file.parsed), options).map_err(failed)?;
        let schema = self.file.parsed.file_metadata().schema_descr();

        for wanted in groups {
            let bytes = self.bytes_of(wanted.group).unwrap_or_default();
            self.file.check_pages(file, wanted.group, &bytes)?;

            let rows =
                usize::try_from(self.file.parsed.row_group(wanted.group).num_rows()).unwrap_or(0);
            let selection =
                RowSelection::from_consecutive_ranges(wanted.rows.iter().cloned(), rows);

            let builder =
                ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), arrow.clone())
                    .with_row_groups(vec![wanted.group])
                    .with_projection(ProjectionMask::leaves(schema, leaves.iter().copied()))
                    .with_row_selection(selection)
                    .with_batch_size(rows.max(1));

            let mut reader = guarded(|| builder.build()).map_err(failed)?;

            while let Some(batch) = guarded(|| Ok(reader.next().transpose()?)).map_err(failed)? {
                visit(&batch).map_err(failed)?;
            }
        }

        Ok(())
    }
}
