//! Takes the pages of a column chunk out of a file and decompresses them.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use parquet::basic::{Compression, Type as Physical};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::ChunkReader;
use zstd::bulk::Decompressor;

use crate::read::fetch::SparseFile;
use crate::read::page_header::{Encoding, PageHeader, PageKind};
use crate::read::varint::{self, malformed};

/// A page may not be larger than this decompressed, whatever else is allowed.
pub(crate) const PAGE_BYTES_MAX: usize = 64 << 20;
/// A page has at most this many bytes for each row, level included, and those of a miniblock.
const ROW_BYTES_MAX: usize = 16;
const PAGE_BYTES_MIN: usize = 4 << 10;

/// Where a column chunk has its pages, and how they are stored.
pub(crate) struct ChunkLayout<'a> {
    /// The bytes of the dictionary.
    pub(crate) dictionary: Option<Range<u64>>,
    pub(crate) pages: &'a [PageLocation],
    /// The rows of the row group.
    pub(crate) rows: usize,
    /// Whether a row may have no value. The pages then have definition levels.
    pub(crate) optional: bool,
    pub(crate) compressed: bool,
}

/// Some pages of a column chunk, decompressed. The memory is kept for the next chunk.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    /// What lies behind the first `used` bytes is of earlier chunks and will be overwritten.
    bytes: Vec<u8>,
    used: usize,
    dictionary: Range<usize>,
    pages: Vec<Placed>,
}

/// Where the parts of a page are in the memory.
#[derive(Debug)]
struct Placed {
    rows: Range<usize>,
    encoding: Encoding,
    levels: Option<Range<usize>>,
    values: Range<usize>,
}

/// One decompressed page.
#[derive(Clone, Debug)]
pub(crate) struct Page<'a> {
    /// Its rows in the row group.
    pub(crate) rows: Range<usize>,
    pub(crate) encoding: Encoding,
    /// The encoded definition levels, if a row may have no value.
    pub(crate) levels: Option<&'a [u8]>,
    /// The encoded values.
    pub(crate) values: &'a [u8],
    /// The dictionary of the chunk, PLAIN; empty if there is none.
    pub(crate) dictionary: &'a [u8],
}

/// What is reused from page to page.
#[derive(Default)]
pub(crate) struct Unpacker {
    zstd: Decompressor<'static>,
}

impl fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unpacker").finish_non_exhaustive()
    }
}

impl<'a> ChunkLayout<'a> {
    /// Looks up `column`, which must be of type `physical`, in row group `group`.
    pub(crate) fn of(
        parsed: &'a ParquetMetaData,
        group: usize,
        column: usize,
        physical: Physical,
    ) -> Result<Self> {
        let absent = || malformed("a column has no offset index");
        let indexes = parsed.offset_index().and_then(|groups| groups.get(group));
        let index = indexes.and_then(|columns| columns.get(column));
        let pages = index.ok_or_else(absent)?.page_locations().as_slice();

        let group = parsed.row_group(group);
        let chunk = group.columns().get(column).ok_or_else(absent)?;
        let compressed = match chunk.compression() {
            Compression::ZSTD(_) => true,
            Compression::UNCOMPRESSED => false,
            _ => return Err(malformed("a column is not compressed with zstd")),
        };

        let data = chunk.data_page_offset();
        let start = chunk
            .dictionary_page_offset()
            .unwrap_or(data)
            .cast_unsigned();
        let first = pages
            .first()
            .map_or(start, |page| page.offset.cast_unsigned());
        let levels = chunk.column_descr().max_def_level();

        if chunk.column_type() != physical || levels > 1 || chunk.column_descr().max_rep_level() > 0
        {
            return Err(malformed("a column has another type than the format says"));
        }

        Ok(Self {
            dictionary: (start < first).then_some(start..first),
            pages,
            rows: usize::try_from(group.num_rows()).unwrap_or(0),
            optional: levels == 1,
            compressed,
        })
    }

    /// Returns the end of the page that has the row in front of `row`, or `row` if there is none.
    pub(crate) fn page_end(&self, row: usize) -> usize {
        let first = |page: &PageLocation| usize::try_from(page.first_row_index).unwrap_or(0);
        let next = self.pages.partition_point(|page| first(page) < row);
        self.pages.get(next).map_or(self.rows, first).max(row)
    }

    /// Returns the rows of page `i`.
    fn rows_of(&self, i: usize) -> Result<Range<usize>> {
        let first = |page: &PageLocation| usize::try_from(page.first_row_index).ok();
        let start = self.pages.get(i).and_then(first);
        let end = self.pages.get(i + 1).map_or(Some(self.rows), first);

        match (start, end) {
            (Some(start), Some(end)) if start <= end => Ok(start..end),
            _ => Err(malformed("the pages of a column do not ascend")),
        }
    }
}

impl Pages {
    /// Replaces the pages by those of `chunk` that have rows of `wanted`. These ascend and do not
    /// overlap.
    ///
    /// A page takes memory for what its header claims, but no more than its rows allow. How many
    /// rows it has, the header and the offset index must say alike.
    pub(crate) fn load(
        &mut self,
        chunk: &ChunkLayout<'_>,
        file: &SparseFile,
        wanted: &[Range<usize>],
        unpacker: &mut Unpacker,
    ) -> Result<()> {
        self.used = 0;
        self.pages.clear();
        self.dictionary = 0..0;

        if let Some(range) = &chunk.dictionary {
            let stored = stored(file, range.start, range.end - range.start)?;
            let (header, bytes) = self.unpack(&stored, chunk, chunk.rows, unpacker)?;
            self.dictionary = bytes;

            if header.kind != PageKind::Dictionary || header.encoding != Encoding::Plain {
                return Err(malformed("a chunk begins with an unknown dictionary"));
            }
        }

        for (i, location) in chunk.pages.iter().enumerate() {
            let rows = chunk.rows_of(i)?;
            let next = wanted.partition_point(|wanted| wanted.end <= rows.start);

            if wanted
                .get(next)
                .is_some_and(|wanted| wanted.start < rows.end)
            {
                let length = u64::try_from(location.compressed_page_size).unwrap_or(0);
                let stored = stored(file, location.offset.cast_unsigned(), length)?;
                self.load_page(&stored, chunk, rows, unpacker)?;
            }
        }

        Ok(())
    }

    fn load_page(
        &mut self,
        stored: &[u8],
        chunk: &ChunkLayout<'_>,
        rows: Range<usize>,
        unpacker: &mut Unpacker,
    ) -> Result<()> {
        let (header, mut values) = self.unpack(stored, chunk, rows.len(), unpacker)?;
        if header.kind != PageKind::Data || header.values != rows.len() {
            return Err(malformed(
                "a page has other rows than the offset index says",
            ));
        }

        let mut levels = None;

        if chunk.optional {
            let mut rest = &self.bytes[values.clone()];
            let mut length = [0; 4];
            length.copy_from_slice(varint::bytes(&mut rest, 4)?);
            let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
            varint::bytes(&mut rest, length)?;

            let start = values.start + 4;
            levels = Some(start..start + length);
            values.start = start + length;
        }

        self.pages.push(Placed {
            rows,
            encoding: header.encoding,
            levels,
            values,
        });

        Ok(())
    }

    /// Decompresses the page `stored` to the end of the memory, and returns where it is.
    fn unpack(
        &mut self,
        stored: &[u8],
        chunk: &ChunkLayout<'_>,
        rows: usize,
        unpacker: &mut Unpacker,
    ) -> Result<(PageHeader, Range<usize>)> {
        let mut body = stored;
        let header = PageHeader::read(&mut body)?;
        if header.stored_bytes != body.len() {
            return Err(malformed("a page has another length than its header says"));
        }

        if header.bytes > bytes_max(rows) {
            return Err(malformed("a page is larger than its rows can be"));
        }

        let page = self.used..self.used + header.bytes;
        if self.bytes.len() < page.end {
            self.bytes.resize(page.end, 0);
        }

        let room = &mut self.bytes[page.clone()];
        let mut written = body.len();

        if chunk.compressed && header.bytes > 0 {
            written = unpacker
                .zstd
                .decompress_to_buffer(body, room)
                .map_err(|e| ParquetError::External(Box::new(e)))?;
        } else if written == room.len() {
            room.copy_from_slice(body);
        }

        if written != header.bytes {
            return Err(malformed("a page has another length than its header says"));
        }

        self.used = page.end;
        Ok((header, page))
    }

    /// How many bytes are kept for pages.
    #[cfg(test)]
    pub(crate) const fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// Returns loaded page `i`, in the order of the rows.
    pub(crate) fn get(&self, i: usize) -> Option<Page<'_>> {
        let placed = self.pages.get(i)?;

        Some(Page {
            rows: placed.rows.clone(),
            encoding: placed.encoding,
            levels: placed.levels.clone().map(|levels| &self.bytes[levels]),
            values: &self.bytes[placed.values.clone()],
            dictionary: &self.bytes[self.dictionary.clone()],
        })
    }
}

/// Returns how many bytes a page of `rows` numbers may have, decompressed.
pub(crate) fn bytes_max(rows: usize) -> usize {
    rows.saturating_mul(ROW_BYTES_MAX)
        .saturating_add(PAGE_BYTES_MIN)
        .min(PAGE_BYTES_MAX)
}

/// Returns the bytes of a page as they are in the file.
fn stored(file: &SparseFile, start: u64, length: u64) -> Result<Bytes> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > PAGE_BYTES_MAX {
        return Err(malformed("a page is larger than a page may be"));
    }

    file.get_bytes(start, length)
}

#[cfg(test)]
mod tests;
