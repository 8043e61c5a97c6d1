//! How a block is written.

/// How a block is laid out. A reader reads every layout. Only benches and tests change it.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    pub zstd_level: i32,
    /// Rows in a page of times. More: the times of series of one target compress against each
    /// other. Fewer: reading one series takes fewer bytes. No other page has more rows either.
    pub ts_page_rows: usize,
    /// Integers in a page of them.
    pub integer_page_values: usize,
    /// Floats in a page of them.
    pub float_page_values: usize,
    /// A row group of `samples.parquet` ends at this many rows or at about this many bytes,
    /// whichever comes first. So all columns of a row group fit into a GET of half a mebibyte.
    pub row_group_rows_max: usize,
    pub row_group_bytes_max: usize,
    /// A row group of `series.parquet` has at most so many series. Each costs some 50 bytes of
    /// footer for each column, which is more than a small block has in the column.
    pub series_group_rows_max: usize,
}

impl WriterOptions {
    /// Returns the layout of a block that a flush writes. It is merged soon, so it is written fast.
    pub fn flush() -> Self {
        Self {
            zstd_level: 3,
            ..Self::default()
        }
    }

    /// Returns the layout of a block that covers `window_ms` and is read often.
    ///
    /// One series of a short window is a small part of a page of floats. One of a day fills a page,
    /// so pages of floats are larger there.
    pub fn window(window_ms: i64) -> Self {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;

        if window_ms < DAY_MS {
            return Self::default();
        }

        Self {
            zstd_level: 6,
            float_page_values: 8 << 10,
            ..Self::default()
        }
    }
}

impl Default for WriterOptions {
    /// Returns the layout of a block of a few hours.
    fn default() -> Self {
        Self {
            zstd_level: 4,
            ts_page_rows: 64 << 10,
            integer_page_values: 6000,
            float_page_values: 2 << 10,
            row_group_rows_max: 256 << 10,
            row_group_bytes_max: 512 << 10,
            series_group_rows_max: 8192,
        }
    }
}
