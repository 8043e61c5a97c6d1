//! Reads a finished file back, to describe it in `meta`.

use std::io::{BufReader, Seek, SeekFrom};

use bytes::Bytes;
use duramen_model::NameBounds;
use parquet::errors::{ParquetError, Result as Parsed};
use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};

use crate::error::Error;
use crate::layout::extent::Extents;
use crate::layout::file_names::{SAMPLES_FILE, SERIES_FILE};
use crate::layout::meta::{Described, FileMeta, SeriesMeta};
use crate::layout::pages::{Chunk, Page, Pages};
use crate::layout::schema::{SeriesSchema, sample};
use crate::write::folder::{Folder, WrittenFile};
use crate::write::rows_file::encode_error;

/// Reads a finished file back, one extent at a time. Returns its description for `meta` and, for a
/// file in memory, its bytes.
pub(crate) fn describe(
    folder: &Folder,
    name: &'static str,
) -> Result<(Described, Option<Bytes>), Error> {
    let failed = |source| Error::Write {
        path: folder.path(name),
        source,
    };

    let (mut file, bytes) = folder.open_file(name).map_err(failed)?;
    let reader = ParquetMetaDataReader::new()
        .with_column_index_policy(PageIndexPolicy::Skip)
        .with_offset_index_policy(PageIndexPolicy::Optional);
    let parsed = match &file {
        WrittenFile::Disk(file) => reader.parse_and_finish(file),
        WrittenFile::Memory(bytes) => reader.parse_and_finish(bytes.get_ref()),
    };

    let parsed = parsed.map_err(|e| encode_error(name, e))?;
    let pages = pages(name, &parsed).map_err(|e| encode_error(name, e))?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;

    let extents = Extents::cut(
        &mut BufReader::with_capacity(1 << 20, &mut file),
        bytes,
        &pages.boundaries(),
    )
    .map_err(failed)?;

    let series = (name == SERIES_FILE).then(|| SeriesMeta {
        schema: SeriesSchema::of(parsed.file_metadata().schema().get_fields()),
        names: parsed.row_groups().iter().map(names).collect(),
    });

    let described = Described {
        file: FileMeta {
            name: name.to_owned(),
            bytes,
            extents,
        },
        pages,
        series,
    };

    Ok((described, file.into_memory()))
}

/// Takes the pages out of the footer. A file without offset indexes has one page in each chunk,
/// maybe with a dictionary before it.
fn pages(name: &str, file: &ParquetMetaData) -> Parsed<Pages> {
    let mut pages = Pages {
        columns: file.file_metadata().schema_descr().num_columns(),
        ..Pages::default()
    };

    let mut end = pages.boundaries().last().copied().unwrap_or(0);

    for (group, row_group) in file.row_groups().iter().enumerate() {
        pages.group_rows.push(u32::try_from(row_group.num_rows())?);

        for (column, chunk) in row_group.columns().iter().enumerate() {
            let (start, length) = chunk.byte_range();
            if start != end {
                return Err(ParquetError::General("a chunk is out of place".to_owned()));
            }

            let index = file
                .offset_index()
                .and_then(|groups| groups.get(group)?.get(column));
            let first = chunk.data_page_offset();
            end = start + length;

            match index {
                Some(index) => {
                    let locations = index.page_locations();
                    let firsts = locations.iter().map(|page| page.first_row_index);
                    let ends = firsts.skip(1).chain([row_group.num_rows()]);

                    for (page, end) in locations.iter().zip(ends) {
                        pages.pages.push(Page {
                            bytes: u32::try_from(page.compressed_page_size)?,
                            rows: u32::try_from(end - page.first_row_index)?,
                        });
                    }
                }
                None => pages.pages.push(Page {
                    bytes: u32::try_from(end - first.cast_unsigned())?,
                    rows: u32::try_from(row_group.num_rows())?,
                }),
            }

            pages.chunks.push(Chunk {
                dictionary_bytes: u32::try_from(first.cast_unsigned() - start)?,
                has_values: has_values(name, column, chunk),
                pages_end: u32::try_from(pages.pages.len())?,
            });
        }
    }

    if pages.boundaries().last() == Some(&end) {
        Ok(pages)
    } else {
        Err(ParquetError::General("a page is out of place".to_owned()))
    }
}

/// Whether any row of the chunk may have a value. The writer of samples adds statistics to a column
/// of life spans only if a row has one.
fn has_values(name: &str, column: usize, chunk: &ColumnChunkMetaData) -> bool {
    let statistics = chunk.statistics();
    if name == SAMPLES_FILE && [sample::START_TS, sample::TTL].contains(&column) {
        return statistics.is_some();
    }

    let nulls = statistics.and_then(|statistics| statistics.null_count_opt());
    nulls != Some(chunk.num_values().cast_unsigned())
}

/// Returns bounds of the names in a row group of the series file.
fn names(group: &RowGroupMetaData) -> NameBounds {
    let statistics = group.columns().first().and_then(|chunk| chunk.statistics());
    let text = |bytes: Option<&[u8]>| {
        bytes.map_or_else(String::new, |bytes| {
            String::from_utf8_lossy(bytes).into_owned()
        })
    };

    // A series without a name counts as one with the name "".
    let nameless = statistics.and_then(|all| all.null_count_opt()) != Some(0);
    let first = statistics.and_then(|all| all.min_bytes_opt());

    NameBounds {
        first: text(first.filter(|_| !nameless)),
        last: text(statistics.and_then(|all| all.max_bytes_opt())),
    }
}
