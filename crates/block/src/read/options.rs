//! How a block is read.

use std::sync::Arc;

use duramen_qos::Account;

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
    /// The batches in which samples are read.
    pub batches: BatchOptions,
}

/// How large the batches of a selection are, and where their memory comes from.
#[derive(Clone, Debug)]
pub struct BatchOptions {
    /// A batch ends at this many samples, which take 16 bytes each, or 32 with life spans. A
    /// longer series is a batch alone.
    pub samples_max: u64,
    /// The account that must have room for the decoded samples of a batch before the batch is
    /// fetched. Once a batch is decoded, its receiver accounts for it.
    pub memory: Arc<Account>,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            samples_max: 1 << 20,
            memory: Account::unbounded(),
        }
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            gap_bytes_max: 8 << 10,
            series_prefetch_bytes_max: 64 << 10,
            cache: None,
            indexes: None,
            batches: BatchOptions::default(),
        }
    }
}
