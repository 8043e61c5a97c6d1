//! The context of a single query: which series it reads, and its limits.

use std::sync::Arc;

use duramen_source::SeriesSource;

use crate::plan::rollup::RollupChoice;

/// Which series a query reads, and its limits.
#[derive(Clone, Debug)]
pub struct QueryContext {
    /// What the query reads: usually a view of one tenant, or of several.
    pub source: Arc<dyn SeriesSource>,
    /// Replaces the engine's look-back.
    pub lookback_ms: Option<i64>,
    /// Whether to count at which step each sample is read first, for
    /// [`QueryStats::samples_read_per_step`](crate::QueryStats). Without it, all samples count at
    /// the first step.
    pub first_reads: bool,
    pub limits: QueryLimits,
    /// Which rollups of the source are read in place of its samples.
    pub rollups: RollupChoice,
}

/// The limits of a single query. `None` means the limit of the engine's configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryLimits {
    /// The maximum number of samples that the query holds at the same time.
    pub samples_max: Option<usize>,
    /// The maximum memory for the vectors that the query holds at the same time.
    pub memory_bytes_max: Option<usize>,
    /// The maximum number of series that one selector reads. `None` means no limit.
    pub series_max: Option<usize>,
}
