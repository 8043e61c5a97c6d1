//! A file of a block that is made with its first row.

use std::fs::File;
use std::path::Path;

use parquet::errors::{ParquetError, Result as Encoded};

use crate::error::Error;
use crate::writer::{BlockFileWriter, WriterOptions};

/// Writes one file, row by row.
pub(crate) trait RowsWriter: Sized {
    /// The name of the file.
    const FILE: &'static str;

    fn create(out: BlockFileWriter, options: &WriterOptions) -> Encoded<Self>;

    /// How many rows were pushed: the place of the next.
    fn rows(&self) -> u64;

    /// Writes what is buffered and the footer. Nothing is synced.
    fn finish(self) -> Encoded<()>;
}

/// The writer of a file that may not come to be.
pub(crate) struct Lazy<W>(Option<W>);

impl<W> Default for Lazy<W> {
    fn default() -> Self {
        Self(None)
    }
}

impl<W: RowsWriter> Lazy<W> {
    /// How many rows were pushed.
    pub(crate) fn rows(&self) -> u64 {
        self.0.as_ref().map_or(0, W::rows)
    }

    /// Appends by `push`, to a new file in `dir` if there is none yet.
    pub(crate) fn append(
        &mut self,
        dir: &Path,
        options: &WriterOptions,
        push: impl FnOnce(&mut W) -> Encoded<()>,
    ) -> Result<(), Error> {
        let writer = match &mut self.0 {
            Some(writer) => writer,
            none => {
                let file = create_file(&dir.join(W::FILE))?;
                none.insert(W::create(file, options).map_err(|e| encode_error(W::FILE, e))?)
            }
        };
        push(writer).map_err(|e| encode_error(W::FILE, e))
    }

    /// Ends the file. Its name, if there is one.
    pub(crate) fn finish(self) -> Result<Option<&'static str>, Error> {
        let Some(writer) = self.0 else { return Ok(None) };
        writer.finish().map_err(|e| encode_error(W::FILE, e))?;
        Ok(Some(W::FILE))
    }
}

pub(crate) fn create_file(path: &Path) -> Result<File, Error> {
    File::create_new(path).map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// An error of the disk comes wrapped in one of the encoder.
pub(crate) fn encode_error(file: &'static str, source: ParquetError) -> Error {
    Error::Encode { file, source }
}
