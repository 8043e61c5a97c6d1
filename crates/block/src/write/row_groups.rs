//! Writes a Parquet file row group by row group, each column encoded on its own.

use std::sync::Arc;

use parquet::errors::Result;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor, TypePtr};

use crate::write::encode::{Chunk, base_properties};
use crate::write::folder::BlockFileWriter;

/// A file that is being written.
pub(crate) struct GroupsWriter {
    file: SerializedFileWriter<BlockFileWriter>,
    columns: SchemaDescriptor,
}

impl GroupsWriter {
    pub(crate) fn create(out: BlockFileWriter, schema: TypePtr, zstd_level: i32) -> Result<Self> {
        let columns = SchemaDescriptor::new(Arc::clone(&schema));
        let file =
            SerializedFileWriter::new(out, schema, Arc::new(base_properties(zstd_level)?.build()))?;
        Ok(Self { file, columns })
    }

    /// Returns the leaf column `index`.
    pub(crate) fn column(&self, index: usize) -> ColumnDescPtr {
        self.columns.column(index)
    }

    /// Appends a row group: one chunk for each leaf column, in the order of the schema.
    pub(crate) fn append(&mut self, chunks: impl IntoIterator<Item = Chunk>) -> Result<()> {
        let mut group = self.file.next_row_group()?;
        for chunk in chunks {
            group.append_column(&chunk.bytes, chunk.close)?;
        }

        group.close().map(drop)
    }

    /// Writes the footer. Nothing is synced.
    pub(crate) fn finish(self) -> Result<()> {
        self.file.into_inner().map(drop)
    }
}
