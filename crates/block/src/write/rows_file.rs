//! A file of which each row belongs to a series: made with its first row, written row group by row
//! group.

use std::io;
use std::path::PathBuf;

use parquet::errors::{ParquetError, Result as Encoded};
use parquet::schema::types::TypePtr;

use crate::error::Error;
use crate::write::encode::Chunk;
use crate::write::folder::Folder;
use crate::write::options::WriterOptions;
use crate::write::row_groups::GroupsWriter;

/// The rows of the row group that is being filled: one kind of rows, column by column.
pub(crate) trait RowGroup: Sized {
    /// The name of the file.
    const FILE: &'static str;

    /// The rows of one series that were not taken yet.
    type Rows<'a>;

    fn schema() -> Encoded<TypePtr>;

    /// A row group without rows.
    fn new(options: &WriterOptions) -> Encoded<Self>;

    /// Takes rows off the front of `rows`: at most `rows_max`, and few enough that the row group
    /// does not grow far beyond its size before [`RowGroup::is_full`] is asked. Returns how many;
    /// 0 when none are left.
    fn take(&mut self, sref: u32, rows: &mut Self::Rows<'_>, rows_max: usize) -> usize;

    fn rows(&self) -> usize;

    /// Whether it has as many bytes as it may, by a guess.
    fn is_full(&self) -> bool;

    /// The chunks of all leaf columns of `file`, in the order of the schema. The row group has no
    /// rows afterwards.
    fn encode(&mut self, file: &GroupsWriter) -> Encoded<Vec<Chunk>>;
}

/// Writes the file of the row groups `G`, if there are any rows.
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
    /// How many rows were appended: the place of the next.
    pub(crate) const fn rows(&self) -> u64 {
        self.rows
    }

    /// Appends the rows of series `sref`, of which there is at least one.
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

    /// Ends the file. Its name, if there is one. Nothing is synced.
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

    /// Returns how many rows there were.
    fn append(&mut self, sref: u32, mut rows: G::Rows<'_>) -> Encoded<u64> {
        let mut appended = 0;

        loop {
            let room = self.group_rows_max - self.group.rows();
            let taken = self.group.take(sref, &mut rows, room);
            if taken == 0 {
                return Ok(appended);
            }

            appended += taken as u64;

            if self.group.rows() >= self.group_rows_max || self.group.is_full() {
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

/// An error of the disk comes wrapped in one of the encoder.
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
