//! The request to a source.

use std::sync::Arc;

use duramen_model::{Matcher, TimeRange};

use crate::reads::Reads;

/// The request of one selector.
#[derive(Clone, Debug)]
pub struct SeriesRequest {
    /// A series must pass all of them. Without matchers, every series is selected.
    pub matchers: Arc<[Matcher]>,
    /// The time range: half-open, in absolute time.
    pub range: TimeRange,
    pub columns: Columns,
    /// The maximum number of series in a batch. A source ends a batch earlier when it exceeds
    /// [`SeriesRequest::BATCH_SAMPLES_MAX`] samples. It never splits a series.
    pub batch_series_max: usize,
    /// The counters for the work of answering the request.
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

    /// The maximum number of samples in a batch of many series: 8 Mi samples of 16 bytes are 128
    /// MiB.
    pub const BATCH_SAMPLES_MAX: usize = 8 << 20;
    /// The default of [`SeriesRequest::batch_series_max`].
    pub const BATCH_SERIES: usize = 1024;
}

/// Which part of a series is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    /// Only labels: every series comes without samples. A source may compare the range with only
    /// the first and the last time of a series.
    Labels,
    /// Labels, floats and histograms, and their life spans. Start times may be left out.
    Samples,
    /// All columns.
    Everything,
}
