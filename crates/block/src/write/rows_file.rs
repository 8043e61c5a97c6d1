//! Writes a file whose rows belong to series, row group by row group. The first row creates it.

use std::io;
use std::path::PathBuf;

use parquet::errors::{ParquetError, Result as Encoded};
use parquet::schema::types::TypePtr;

use crate::error::Error;
use crate::write::encode::Chunk;
use crate::write::folder::Folder;
use crate::write::options::WriterOptions;
use crate::write::row_groups::GroupsWriter;

/// The row group that is being filled: rows of one kind, column by column.
pub(crate) trait RowGroup: Sized {
    /// The name of the file.
    const FILE: &'static str;

    /// The rows of one series that have not been taken yet.
    type Rows<'a>;

    fn schema() -> Encoded<TypePtr>;

    /// Returns a row group without rows.
    fn new(options: &WriterOptions) -> Encoded<Self>;

    /// How many rows are left.
    fn count(rows: &Self::Rows<'_>) -> usize;

    /// Takes rows off the front of `rows`. It takes at most `rows_max`, and so few that the row
    /// group does not grow far beyond its size before [`RowGroup::is_full`] is asked again. Returns
    /// how many it took; 0 if none are left.
    fn take(&mut self, sref: u32, rows: &mut Self::Rows<'_>, rows_max: usize) -> usize;

    fn rows(&self) -> usize;

    /// Whether it ends here, by an estimate of its size in bytes. `in_series`: the last series has
    /// more rows.
    fn is_full(&self, in_series: bool) -> bool;

    /// Encodes the chunks of all leaf columns of `file`, in the order of the schema. Afterwards the
    /// row group has no rows.
    fn encode(&mut self, file: &GroupsWriter) -> Encoded<Vec<Chunk>>;
}

/// Writes the file of the row groups `G`. Without rows there is no file.
pub(crate) struct RowsFileWriter<G> {
    open: Option<OpenFile<G>>,
    rows: u64,
}

/// A file that has at least one row.
struct OpenFile<G> {
    file: GroupsWriter,
    group: G,
    group_rows_max: usize,
}

impl<G> Default for RowsFileWriter<G> {
    fn default() -> Self {
        Self {
            open: None,
            rows: 0,
        }
    }
}

impl<G: RowGroup> RowsFileWriter<G> {
    /// How many rows were appended. This is also the number of the next row.
    pub(crate) const fn rows(&self) -> u64 {
        self.rows
    }

    /// Appends the rows of series `sref`. There must be at least one.
    pub(crate) fn append(
        &mut self,
        folder: &Folder,
        options: &WriterOptions,
        sref: u32,
        rows: G::Rows<'_>,
    ) -> Result<(), Error> {
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(OpenFile::create(folder, options)?),
        };

        let appended = open.append(sref, rows);
        self.rows += appended.map_err(|e| encode_error(G::FILE, e))?;
        Ok(())
    }

    /// Completes the file. Returns its name, or `None` if it has no rows. Nothing is synced.
    pub(crate) fn finish(self) -> Result<Option<&'static str>, Error> {
        let Some(open) = self.open else {
            return Ok(None);
        };

        open.finish().map_err(|e| encode_error(G::FILE, e))?;
        Ok(Some(G::FILE))
    }
}

impl<G: RowGroup> OpenFile<G> {
    fn create(folder: &Folder, options: &WriterOptions) -> Result<Self, Error> {
        let out = folder.create_file(G::FILE)?;
        let file = G::schema()
            .and_then(|schema| GroupsWriter::create(out, schema, options.zstd_level))
            .map_err(|e| encode_error(G::FILE, e))?;

        Ok(Self {
            file,
            group: G::new(options).map_err(|e| encode_error(G::FILE, e))?,
            group_rows_max: options.row_group_rows_max,
        })
    }

    /// Appends all rows of a series. Returns how many they were.
    ///
    /// A series that fits into a row group is not cut by the limit of rows.
    fn append(&mut self, sref: u32, mut rows: G::Rows<'_>) -> Encoded<u64> {
        let count = G::count(&rows);
        let is_too_long = self.group.rows() + count > self.group_rows_max;

        if self.group.rows() > 0 && is_too_long && count <= self.group_rows_max {
            self.end_row_group()?;
        }

        loop {
            let room = self.group_rows_max - self.group.rows();
            if self.group.take(sref, &mut rows, room) == 0 {
                return Ok(count as u64);
            }

            let in_series = G::count(&rows) > 0;
            if self.group.rows() >= self.group_rows_max || self.group.is_full(in_series) {
                self.end_row_group()?;
            }
        }
    }

    fn end_row_group(&mut self) -> Encoded<()> {
        let chunks = self.group.encode(&self.file)?;
        self.file.append(chunks)
    }

    fn finish(mut self) -> Encoded<()> {
        if self.group.rows() > 0 {
            self.end_row_group()?;
        }

        self.file.finish()
    }
}

/// Turns an error of the Parquet writer into one of the block. A disk error comes wrapped in it.
pub(crate) fn encode_error(file: &'static str, source: ParquetError) -> Error {
    match source {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(source) => Error::Write {
                path: PathBuf::from(file),
                source: *source,
            },
            Err(cause) => Error::Encode {
                file,
                source: ParquetError::External(cause),
            },
        },
        source => Error::Encode { file, source },
    }
}
