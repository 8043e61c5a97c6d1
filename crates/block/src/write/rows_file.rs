//! A file of a block that is made with its first row.

use std::io;
use std::path::PathBuf;

use parquet::errors::{ParquetError, Result as Encoded};

use crate::error::Error;
use crate::write::folder::{BlockFileWriter, Folder};
use crate::write::options::WriterOptions;

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
pub(crate) struct RowsFileWriter<W>(Option<W>);

impl<W> Default for RowsFileWriter<W> {
    fn default() -> Self {
        Self(None)
    }
}

impl<W: RowsWriter> RowsFileWriter<W> {
    /// How many rows were pushed.
    pub(crate) fn rows(&self) -> u64 {
        self.0.as_ref().map_or(0, W::rows)
    }

    /// Appends by `push`, to a new file in `folder` if there is none yet.
    pub(crate) fn append(
        &mut self,
        folder: &Folder,
        options: &WriterOptions,
        push: impl FnOnce(&mut W) -> Encoded<()>,
    ) -> Result<(), Error> {
        let writer = match &mut self.0 {
            Some(writer) => writer,
            none => {
                let file = folder.create_file(W::FILE)?;
                none.insert(W::create(file, options).map_err(|e| encode_error(W::FILE, e))?)
            }
        };

        push(writer).map_err(|e| encode_error(W::FILE, e))
    }

    /// Ends the file. Its name, if there is one.
    pub(crate) fn finish(self) -> Result<Option<&'static str>, Error> {
        let Some(writer) = self.0 else {
            return Ok(None);
        };
        writer.finish().map_err(|e| encode_error(W::FILE, e))?;
        Ok(Some(W::FILE))
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
