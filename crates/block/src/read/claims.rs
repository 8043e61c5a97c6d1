//! Checks what the pages of a chunk claim, before the reader of the Parquet library takes memory
//! for it. That reader takes what a page header says, up to 2 GiB.

use std::ops::Range;

use object_store::path::Path;
use parquet::basic::Type as Physical;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::ChunkReader;

use crate::error::Error;
use crate::read::fetch::SparseFile;
use crate::read::page_header::{PageHeader, PageKind};
use crate::read::pages::{PAGE_BYTES_MAX, bytes_max};

/// A page of lists or maps has at most this many values, as many as there can be labels in the
/// largest series that a writer takes.
const LIST_VALUES_MAX: usize = 4 << 20;
/// A value of a dictionary has at least this many bytes.
const DICTIONARY_VALUE_BYTES: usize = 4;

/// Where a page is, and what its header says.
struct Page {
    offset: u64,
    header: PageHeader,
}

/// Checks all pages of row group `group` that begin within `wanted`, which is fetched. The error
/// names the file, which is at `key`, and the offset of the page. Only headers are looked at.
pub(crate) fn check(
    key: &Path,
    parsed: &ParquetMetaData,
    file: &SparseFile,
    group: usize,
    wanted: &Range<u64>,
) -> Result<(), Error> {
    let indexes = parsed.offset_index().and_then(|all| all.get(group));
    let group = parsed.row_group(group);

    for (column, chunk) in group.columns().iter().enumerate() {
        let (start, _) = chunk.byte_range();
        if !wanted.contains(&start) {
            continue;
        }

        let pages = indexes
            .and_then(|columns| columns.get(column))
            .map_or(&[][..], |index| index.page_locations());

        let checked = check_chunk(chunk, pages, group.num_rows(), file);
        checked.map_err(|(offset, what)| Error::Malformed {
            key: key.clone(),
            offset,
            what,
        })?;
    }

    Ok(())
}

/// The error has the offset of the page.
fn check_chunk(
    chunk: &ColumnChunkMetaData,
    pages: &[PageLocation],
    rows: i64,
    file: &SparseFile,
) -> Result<(), (u64, &'static str)> {
    let (start, _) = chunk.byte_range();
    let first = pages.first().ok_or((start, "a chunk has no pages"))?;
    let first = first.offset.cast_unsigned();

    if start < first {
        let page = read(file, start, first - start)?;
        check_dictionary(&page.header).map_err(|what| (page.offset, what))?;
    }

    let ends = pages.iter().skip(1).map(|page| page.first_row_index);

    for (location, end) in pages.iter().zip(ends.chain([rows])) {
        let length = u64::from(location.compressed_page_size.cast_unsigned());
        let page = read(file, location.offset.cast_unsigned(), length)?;
        let rows = usize::try_from(end - location.first_row_index).unwrap_or(0);

        check_data(&page.header, chunk, rows).map_err(|what| (page.offset, what))?;
    }

    Ok(())
}

/// Reads the header of the page at `offset`, which has `length` bytes in all.
fn read(file: &SparseFile, offset: u64, length: u64) -> Result<Page, (u64, &'static str)> {
    let at = |what| (offset, what);
    let length = usize::try_from(length).map_err(|_| at("a page is longer than memory"))?;
    let bytes = file.get_bytes(offset, length);
    let bytes = bytes.map_err(|_| at("a page was not fetched"))?;

    let mut body = &bytes[..];
    let header = PageHeader::read(&mut body);
    let header = header.map_err(|_| at("a page has a header that the format does not have"))?;

    if header.stored_bytes == body.len() {
        Ok(Page { offset, header })
    } else {
        Err(at("a page has another length than its header says"))
    }
}

const fn check_dictionary(header: &PageHeader) -> Result<(), &'static str> {
    if !matches!(header.kind, PageKind::Dictionary) {
        return Err("a chunk begins with a page that is no dictionary");
    }

    if header.bytes > PAGE_BYTES_MAX {
        return Err("a dictionary is larger than one may be");
    }

    if header.values > header.bytes / DICTIONARY_VALUE_BYTES {
        return Err("a dictionary has more values than its bytes can hold");
    }

    Ok(())
}

/// `rows` is the number of rows that `meta` gives the page.
fn check_data(
    header: &PageHeader,
    chunk: &ColumnChunkMetaData,
    rows: usize,
) -> Result<(), &'static str> {
    if header.kind != PageKind::Data {
        return Err("a chunk has a dictionary behind its first page");
    }

    let values = if chunk.column_descr().max_rep_level() > 0 {
        rows..=LIST_VALUES_MAX.max(rows)
    } else {
        rows..=rows
    };

    if !values.contains(&header.values) {
        return Err("a page has a number of values that its rows cannot have");
    }

    let allowed = match chunk.column_type() {
        // A text may be long.
        Physical::BYTE_ARRAY => PAGE_BYTES_MAX,
        _ => bytes_max(header.values),
    };

    if header.bytes > allowed {
        return Err("a page is larger than its rows can be");
    }

    Ok(())
}
