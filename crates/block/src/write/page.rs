//! Makes column chunks of finished pages. The library's column writer ends a page at a number of
//! rows or bytes; here the caller says where, and how a page is encoded.

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk;

use crate::write::encode::Chunk;

/// Compresses pages with one level of zstd.
pub(crate) struct Compressor {
    zstd: bulk::Compressor<'static>,
    level: ZstdLevel,
}

impl Compressor {
    pub(crate) fn new(level: i32) -> Result<Self> {
        Ok(Self {
            zstd: bulk::Compressor::new(level)?,
            level: ZstdLevel::try_new(level)?,
        })
    }

    pub(crate) fn compress(&mut self, body: &[u8]) -> Result<Vec<u8>> {
        Ok(self.zstd.compress(body)?)
    }
}

/// The chunk of one column that is being made.
pub(crate) struct PagesWriter {
    column: ColumnDescPtr,
    sink: TrackedWrite<Vec<u8>>,
    index: OffsetIndexBuilder,
    encodings: Vec<Encoding>,
    rows: usize,
    /// The size of all pages with their headers, before compression.
    plain_bytes: usize,
    has_dictionary: bool,
    first_data_page: Option<usize>,
}

impl PagesWriter {
    /// `column` must not be inside of a list.
    pub(crate) fn new(column: ColumnDescPtr) -> Self {
        Self {
            column,
            sink: TrackedWrite::new(Vec::new()),
            index: OffsetIndexBuilder::new(),
            encodings: vec![Encoding::RLE],
            rows: 0,
            plain_bytes: 0,
            has_dictionary: false,
            first_data_page: None,
        }
    }

    /// Appends the page with the dictionary, which comes before all others: `values` values in
    /// PLAIN.
    pub(crate) fn dictionary(
        &mut self,
        compressor: &mut Compressor,
        body: &[u8],
        values: u32,
    ) -> Result<()> {
        let page = Page::DictionaryPage {
            buf: compressor.compress(body)?.into(),
            num_values: values,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };

        self.has_dictionary = true;
        self.append(page, body.len()).map(drop)
    }

    /// Appends a page of `rows` rows. `body` has the definition levels, if the column has any, and
    /// the values in `encoding`.
    pub(crate) fn data(
        &mut self,
        compressor: &mut Compressor,
        body: &[u8],
        rows: usize,
        encoding: Encoding,
    ) -> Result<()> {
        let packed = compressor.compress(body)?;
        self.packed(packed, body.len(), rows, encoding)
    }

    /// Like [`PagesWriter::data`], of a body of `plain_bytes` bytes that is compressed already.
    pub(crate) fn packed(
        &mut self,
        packed: Vec<u8>,
        plain_bytes: usize,
        rows: usize,
        encoding: Encoding,
    ) -> Result<()> {
        let page = Page::DataPage {
            buf: packed.into(),
            num_values: u32::try_from(rows)?,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };

        let at = self.sink.bytes_written();
        let size = self.append(page, plain_bytes)?;

        self.first_data_page.get_or_insert(at);
        self.index.append_row_count(i64::try_from(rows)?);
        self.index
            .append_offset_and_size(i64::try_from(at)?, i32::try_from(size)?);
        self.rows += rows;
        Ok(())
    }

    /// Returns the size of the page with its header.
    fn append(&mut self, page: Page, plain_bytes: usize) -> Result<usize> {
        let encoding = page.encoding();
        if !self.encodings.contains(&encoding) {
            self.encodings.push(encoding);
        }

        let page = CompressedPage::new(page, plain_bytes);
        let spec = SerializedPageWriter::new(&mut self.sink).write_page(page)?;
        self.plain_bytes += spec.uncompressed_size;
        Ok(spec.compressed_size)
    }

    /// Returns the chunk. `statistics` go into the footer.
    pub(crate) fn close(
        self,
        compressor: &Compressor,
        statistics: Option<Statistics>,
    ) -> Result<Chunk> {
        let bytes = self.sink.into_inner()?;
        let size = i64::try_from(bytes.len())?;
        let first_data_page = i64::try_from(self.first_data_page.unwrap_or(0))?;

        let mut metadata = ColumnChunkMetaData::builder(self.column)
            .set_compression(Compression::ZSTD(compressor.level))
            .set_encodings(self.encodings)
            .set_total_compressed_size(size)
            .set_total_uncompressed_size(i64::try_from(self.plain_bytes)?)
            .set_num_values(i64::try_from(self.rows)?)
            .set_data_page_offset(first_data_page)
            .set_dictionary_page_offset(self.has_dictionary.then_some(0));

        if let Some(statistics) = statistics {
            metadata = metadata.set_statistics(statistics);
        }

        let close = ColumnCloseResult {
            bytes_written: size.cast_unsigned(),
            rows_written: self.rows as u64,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(self.index.build()),
        };

        Ok(Chunk {
            bytes: Bytes::from(bytes),
            close,
        })
    }
}
