//! Makes the metadata that the readers of Parquet files want out of what `meta` says. The footer of
//! the file is not read.

use std::sync::Arc;

use duramen_model::NameBounds;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, OffsetIndexBuilder, ParquetMetaData, ParquetMetaDataBuilder,
    RowGroupMetaData,
};
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use parquet::file::statistics::Statistics;
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor, TypePtr};

use crate::layout::file_names::{
    EXEMPLARS_FILE, HISTOGRAMS_FILE, METADATA_FILE, ROLLUPS_FILE, SAMPLES_FILE, SERIES_FILE,
};
use crate::layout::meta::Described;
use crate::layout::pages::{Chunk, Page};
use crate::layout::schema::{self, sample};

/// Returns the metadata of a file: its schema, and where the pages of each chunk are.
///
/// Of statistics it has those that our readers look at: bounds of the names of each row group of
/// series, and empty ones for columns of life spans that have values.
pub(crate) fn parquet_metadata(described: &Described) -> Result<ParquetMetaData> {
    let columns = Arc::new(SchemaDescriptor::new(schema(described)?));
    let pages = &described.pages;

    if columns.num_columns() != pages.columns {
        return Err(ParquetError::General(
            "meta describes another number of columns than the format has".to_owned(),
        ));
    }

    let mut chunks = pages.chunks();
    let mut row_groups = Vec::with_capacity(pages.group_rows.len());
    let mut indexes = Vec::with_capacity(pages.group_rows.len());

    for (group, &rows) in pages.group_rows.iter().enumerate() {
        let mut of_group = Vec::with_capacity(pages.columns);
        let mut indexes_of_group = Vec::with_capacity(pages.columns);
        let mut bytes = 0;

        for (at, (start, chunk, pages)) in chunks.by_ref().take(pages.columns).enumerate() {
            let column = columns.column(at);
            let statistics = statistics(described, group, at, chunk);
            let made = column_chunk(column, rows, start, chunk, pages, statistics)?;

            bytes += made.compressed_size();
            indexes_of_group.push(offset_index(made.data_page_offset(), pages));
            of_group.push(made);
        }

        row_groups.push(
            RowGroupMetaData::builder(Arc::clone(&columns))
                .set_num_rows(i64::from(rows))
                .set_total_byte_size(bytes)
                .set_column_metadata(of_group)
                .build()?,
        );
        indexes.push(indexes_of_group);
    }

    let rows = pages.group_rows.iter().map(|rows| i64::from(*rows)).sum();
    let file = FileMetaData::new(1, rows, None, None, columns, None);

    Ok(ParquetMetaDataBuilder::new(file)
        .set_row_groups(row_groups)
        .set_offset_index(Some(indexes))
        .build())
}

fn schema(described: &Described) -> Result<TypePtr> {
    match (described.file.name.as_str(), &described.series) {
        (SERIES_FILE, Some(series)) => schema::series(&series.schema),
        (SAMPLES_FILE, _) => schema::samples(),
        (HISTOGRAMS_FILE, _) => schema::histograms(),
        (EXEMPLARS_FILE, _) => schema::exemplars(),
        (METADATA_FILE, _) => schema::metadata(),
        (ROLLUPS_FILE, _) => schema::rollups(),
        _ => Err(ParquetError::General(
            "meta describes an unknown file".to_owned(),
        )),
    }
}

fn statistics(
    described: &Described,
    group: usize,
    column: usize,
    chunk: &Chunk,
) -> Option<Statistics> {
    let lives = [sample::START_TS, sample::TTL];

    match &described.series {
        Some(series) if column == 0 => series.names.get(group).map(of_names),
        None if described.file.name == SAMPLES_FILE && lives.contains(&column) => chunk
            .has_values
            .then(|| Statistics::int64(None, None, None, None, false)),
        _ => None,
    }
}

fn of_names(NameBounds { first, last }: &NameBounds) -> Statistics {
    let bound = |text: &str| Some(ByteArray::from(text));
    Statistics::byte_array(bound(first), bound(last), None, None, false)
}

fn column_chunk(
    column: ColumnDescPtr,
    rows: u32,
    start: u64,
    chunk: &Chunk,
    pages: &[Page],
    statistics: Option<Statistics>,
) -> Result<ColumnChunkMetaData> {
    let dictionary = u64::from(chunk.dictionary_bytes);
    let bytes = pages.iter().map(|page| u64::from(page.bytes)).sum::<u64>();
    let signed = |offset: u64| i64::try_from(offset).map_err(ParquetError::from);
    let with_dictionary = (dictionary > 0).then(|| signed(start)).transpose()?;

    let builder = ColumnChunkMetaData::builder(column)
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_num_values(i64::from(rows))
        .set_total_compressed_size(signed(dictionary + bytes)?)
        .set_data_page_offset(signed(start + dictionary)?)
        .set_dictionary_page_offset(with_dictionary);

    match statistics {
        Some(statistics) => builder.set_statistics(statistics).build(),
        None => builder.build(),
    }
}

fn offset_index(mut offset: i64, pages: &[Page]) -> OffsetIndexMetaData {
    let mut index = OffsetIndexBuilder::new();

    for page in pages {
        index.append_row_count(i64::from(page.rows));
        index.append_offset_and_size(offset, page.bytes.cast_signed());
        offset += i64::from(page.bytes);
    }

    index.build()
}
