//! Encodes one column chunk alone. This way each column has its own page size; a Parquet writer has
//! one limit of rows per page for all columns.

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::writer::{ColumnCloseResult, get_column_writer, get_typed_column_writer};
use parquet::data_type::DataType;
use parquet::errors::Result;
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterPropertiesPtr,
};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

/// The name of the writer in the footer. It has no version, so that the same data makes the same
/// bytes.
const CREATED_BY: &str = "duramen";

/// An encoded chunk, to be appended to a row group.
pub(crate) struct Chunk {
    pub(crate) bytes: Bytes,
    pub(crate) close: ColumnCloseResult,
}

/// Returns the properties that all columns share.
pub(crate) fn base_properties(zstd_level: i32) -> Result<WriterPropertiesBuilder> {
    Ok(WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(zstd_level)?))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_dictionary_enabled(false))
}

/// How one column is encoded.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) properties: WriterPropertiesPtr,
}

impl Recipe {
    pub(crate) fn new(
        zstd_level: i32,
        page_rows: usize,
        change: impl FnOnce(WriterPropertiesBuilder) -> WriterPropertiesBuilder,
    ) -> Result<Self> {
        let builder = base_properties(zstd_level)?
            .set_data_page_row_count_limit(page_rows)
            .set_write_batch_size(page_rows.min(1024))
            .set_data_page_size_limit(1 << 20);

        Ok(Self {
            properties: Arc::new(change(builder).build()),
        })
    }

    /// Returns the recipe of a column in one encoding, without a dictionary.
    pub(crate) fn encoded(zstd_level: i32, page_rows: usize, encoding: Encoding) -> Result<Self> {
        Self::new(zstd_level, page_rows, |builder| {
            builder.set_encoding(encoding)
        })
    }

    /// Returns the recipe of a column that is always a dictionary, even a large one: row groups are
    /// small.
    pub(crate) fn dictionary(zstd_level: i32, page_rows: usize) -> Result<Self> {
        Self::new(zstd_level, page_rows, |builder| {
            builder
                .set_dictionary_enabled(true)
                .set_dictionary_page_size_limit(32 << 20)
        })
    }

    /// Writes each chunk as one page and at most one dictionary, however large they are.
    pub(crate) fn with_one_page(self) -> Self {
        let builder = WriterPropertiesBuilder::from((*self.properties).clone())
            .set_data_page_size_limit(usize::MAX)
            .set_dictionary_page_size_limit(usize::MAX);

        Self {
            properties: Arc::new(builder.build()),
        }
    }

    /// Also writes the smallest and largest value of each chunk into the footer.
    pub(crate) fn with_statistics(self) -> Self {
        let builder = WriterPropertiesBuilder::from((*self.properties).clone());
        Self {
            properties: Arc::new(
                builder
                    .set_statistics_enabled(EnabledStatistics::Chunk)
                    .build(),
            ),
        }
    }

    /// Encodes all rows of one chunk. `definition` and `repetition` are Parquet's levels, or `None`
    /// if the column has none.
    pub(crate) fn encode<T: DataType>(
        &self,
        column: &ColumnDescPtr,
        values: &[T::T],
        definition: Option<&[i16]>,
        repetition: Option<&[i16]>,
    ) -> Result<Chunk> {
        let mut sink = TrackedWrite::new(Vec::new());
        let close = {
            let pages = Box::new(SerializedPageWriter::new(&mut sink));
            let writer = get_column_writer(Arc::clone(column), Arc::clone(&self.properties), pages);
            let mut writer = get_typed_column_writer::<T>(writer);
            writer.write_batch(values, definition, repetition)?;
            writer.close()?
        };

        Ok(Chunk {
            bytes: Bytes::from(sink.into_inner()?),
            close,
        })
    }
}
