//! What a single query is about, and what it may use.

use std::sync::Arc;

use duramen_model::TenantId;
use duramen_source::SeriesSource;

/// Whose series a query is about.
#[derive(Clone, Debug)]
pub struct QueryContext {
    pub source: Arc<dyn SeriesSource>,
    pub tenants: Arc<[TenantId]>,
    /// Instead of the engine's.
    pub lookback_ms: Option<i64>,
    pub limits: QueryLimits,
}

/// What this query may use, where that is not what the engine's configuration says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryLimits {
    /// The most samples that the query holds at once.
    pub samples_max: Option<usize>,
    /// The most memory for the vectors that the query holds at once.
    pub memory_bytes_max: Option<usize>,
    /// The most series that one selector reads; without it there is no such limit.
    pub series_max: Option<usize>,
}
