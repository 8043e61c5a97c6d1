//! How a block is written.

/// How a block is laid out. A reader reads every layout. Only benches and tests change it.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    pub zstd_level: i32,
    /// Rows in a page of timestamps. More: the timestamps of series of one target compress against
    /// each other. Fewer: reading one series takes fewer bytes.
    pub ts_page_rows: usize,
    /// Rows in a page of values.
    pub value_page_rows: usize,
    /// A row group of `samples.parquet` ends at this many rows or at about this many bytes,
    /// whichever comes first. So all columns of a row group fit into a GET of half a mebibyte.
    pub row_group_rows_max: usize,
    pub row_group_bytes_max: usize,
    /// A row group of `series.parquet` has at most so many series. Each costs some 50 bytes of
    /// footer for each column, which is more than a small block has in the column.
    pub series_group_rows_max: usize,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            zstd_level: 3,
            ts_page_rows: 16_384,
            value_page_rows: 4096,
            row_group_rows_max: 256 << 10,
            row_group_bytes_max: 512 << 10,
            series_group_rows_max: 8192,
        }
    }
}
