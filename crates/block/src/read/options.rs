//! How a block is read.

use std::sync::Arc;

use duramen_qos::Account;

use crate::read::cache::ExtentCache;
use crate::read::cost::GetCost;
use crate::read::fetcher::Fetcher;
use crate::series::matched::MatchedPool;
use crate::series::pool::SeriesIndexPool;

/// How a block is read.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// What a GET costs on the store of the block.
    pub cost: GetCost,
    /// Where verified extents are kept. `None`: every selection fetches them again.
    pub cache: Option<Arc<ExtentCache>>,
    /// Where decoded series indexes are kept. `None`: every selection decodes the columns that it
    /// needs.
    ///
    /// The first selection that reads the whole series file anyway builds the index. Otherwise the
    /// third selection of an open block does.
    pub indexes: Option<Arc<SeriesIndexPool>>,
    /// Where the answers of indexes to matchers are kept. `None`: every selection works them out.
    pub matched: Option<Arc<MatchedPool>>,
    /// The batches in which samples are read.
    pub batches: BatchOptions,
    /// Sends the GETs. Blocks that share it share the GETs that are under way.
    pub fetcher: Arc<Fetcher>,
}

/// How large the batches of a selection are, and where their memory comes from.
#[derive(Clone, Debug)]
pub struct BatchOptions {
    /// A batch ends at this many samples, which take 16 bytes each, or 32 with life spans. A
    /// longer series is a batch alone.
    pub samples_max: u64,
    /// The account that must have room for the decoded samples of a batch before the batch is
    /// fetched. If its receiver decodes it, only the memory of a piece is kept until then. Once
    /// samples are decoded, their receiver accounts for them.
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
