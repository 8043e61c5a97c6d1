//! What is asked of a source.

use std::sync::Arc;

use duramen_model::{Matcher, TenantId, TimeRange};

use crate::reads::Reads;

/// One selector's need.
#[derive(Clone, Debug)]
pub struct SeriesRequest {
    /// Whose series. More than one comes with federation; a source answers for each that it knows,
    /// and none it does not.
    pub tenants: Arc<[TenantId]>,
    /// All must pass. No matcher at all selects every series.
    pub matchers: Arc<[Matcher]>,
    /// Half-open, absolute.
    pub range: TimeRange,
    pub columns: Columns,
    /// The size of a batch that is asked for, in series. A source cuts a batch earlier when it
    /// grows past [`SeriesRequest::BATCH_SAMPLES_MAX`] samples; it never splits a series.
    pub batch_series_max: usize,
    /// Where those who answer count what it took.
    pub reads: Arc<Reads>,
}

impl SeriesRequest {
    /// The same request for other columns.
    #[must_use]
    pub fn with_columns(&self, columns: Columns) -> Self {
        Self {
            columns,
            ..self.clone()
        }
    }

    /// 8 Mi samples of 16 bytes: 128 MiB, the most that one batch of many series may hold.
    pub const BATCH_SAMPLES_MAX: usize = 8 << 20;
    /// The default of [`SeriesRequest::batch_series_max`].
    pub const BATCH_SERIES: usize = 1024;
}

/// Which part of a series is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    /// Labels only; every series comes with zero samples. A source may judge the range by the
    /// series' first and last time.
    Labels,
    /// Labels, floats and histograms, and how long each stands. When what they count began may be
    /// left out.
    Samples,
    /// All columns.
    Everything,
}
