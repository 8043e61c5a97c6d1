//! Reads a finished file back, to take its extents and its tail for `meta`.

use std::io::{BufReader, Read, Seek, SeekFrom};

use bytes::Bytes;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use crate::error::Error;
use crate::layout::extent::Extents;
use crate::layout::meta::FileMeta;
use crate::write::folder::{Folder, WrittenFile};
use crate::write::rows_file::encode_error;

/// Reads a finished file back, one extent at a time. Returns its description for `meta` and, for a
/// file in memory, its bytes.
pub(crate) fn describe(
    folder: &Folder,
    name: &'static str,
) -> Result<(FileMeta, Option<Bytes>), Error> {
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
    let boundaries = boundaries(&parsed);
    file.seek(SeekFrom::Start(0)).map_err(failed)?;

    let extents = Extents::cut(
        &mut BufReader::with_capacity(1 << 20, &mut file),
        bytes,
        &boundaries,
    )
    .map_err(failed)?;

    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(boundaries.last().copied().unwrap_or(0)))
        .map_err(failed)?;
    file.read_to_end(&mut tail).map_err(failed)?;

    let described = FileMeta {
        name: name.to_owned(),
        bytes,
        extents,
        tail: tail.into(),
    };

    Ok((described, file.into_memory()))
}

/// Returns the ascending offsets at which pages begin, followed by the end of the last page. A file
/// without offset indexes has one page in each chunk, maybe with a dictionary before it.
fn boundaries(file: &ParquetMetaData) -> Vec<u64> {
    let mut starts = Vec::new();
    let mut end = 0;

    for (group, row_group) in file.row_groups().iter().enumerate() {
        for (column, chunk) in row_group.columns().iter().enumerate() {
            let (start, length) = chunk.byte_range();
            let index = file
                .offset_index()
                .and_then(|groups| groups.get(group)?.get(column));

            let pages = index.map(|index| index.page_locations().iter().map(|page| page.offset));
            starts.push(start);
            starts.push(chunk.data_page_offset().cast_unsigned());
            starts.extend(pages.into_iter().flatten().map(i64::cast_unsigned));
            end = end.max(start + length);
        }
    }

    starts.push(end);
    starts.sort_unstable();
    starts.dedup();

    starts
}
