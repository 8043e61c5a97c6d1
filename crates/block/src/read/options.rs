//! How a block is read.

use std::sync::Arc;

use crate::read::cache::ExtentCache;
use crate::series::pool::SeriesIndexPool;

/// How a block is read.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Two ranges of one file are read by one GET if the gap between them is at most this long. The
    /// gap is read too. Larger: fewer requests. Smaller: fewer bytes.
    pub gap_bytes_max: u64,
    /// A series file of at most this size is fetched whole together with `meta`. This saves a cold
    /// reader one round trip.
    pub series_prefetch_bytes_max: u64,
    /// Where verified extents are kept. `None`: every selection fetches them again.
    pub cache: Option<Arc<ExtentCache>>,
    /// Where decoded series indexes are kept. `None`: every selection decodes the columns that it
    /// needs.
    ///
    /// The first selection that reads the whole series file anyway builds the index. Otherwise the
    /// third selection of an open block does.
    pub indexes: Option<Arc<SeriesIndexPool>>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            gap_bytes_max: 8 << 10,
            series_prefetch_bytes_max: 64 << 10,
            cache: None,
            indexes: None,
        }
    }
}
