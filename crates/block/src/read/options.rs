//! How a block is read.

use std::sync::Arc;

use crate::read::cache::ExtentCache;
use crate::series::pool::SeriesIndexPool;

/// How a block is read.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Two ranges of one file whose distance is at most this are one GET, and the bytes between are
    /// read too. More: fewer requests; fewer: fewer bytes.
    pub gap_bytes_max: u64,
    /// A series file of at most this size is got whole together with `meta`, which saves the cold
    /// reader a round trip.
    pub series_prefetch_bytes_max: u64,
    /// Where verified extents are kept. `None`: every selection reads anew.
    pub cache: Option<Arc<ExtentCache>>,
    /// Where decoded series indexes are kept. `None`: every selection decodes the columns that it
    /// needs.
    ///
    /// An index is made by the first selection that reads the whole series file anyway, otherwise
    /// by the third of an open block.
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
