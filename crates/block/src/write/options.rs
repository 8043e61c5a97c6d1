//! How a block is written.

/// How a block is laid out. A reader reads every layout; only benches and tests change it.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    pub zstd_level: i32,
    /// Rows in a page of timestamps. More: neighbours of one target compress against each other;
    /// fewer: a series alone is read with fewer bytes.
    pub ts_page_rows: usize,
    /// Rows in a page of values.
    pub value_page_rows: usize,
    /// A row group of `samples.parquet` ends at so many rows or at so many (guessed) bytes,
    /// whichever is first, so that all columns of one fit a GET of half a mebibyte.
    pub row_group_rows_max: usize,
    pub row_group_bytes_max: usize,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            zstd_level: 3,
            ts_page_rows: 16_384,
            value_page_rows: 4096,
            row_group_rows_max: 256 << 10,
            row_group_bytes_max: 512 << 10,
        }
    }
}
