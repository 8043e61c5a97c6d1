//! Where the rows of one series stand in the other files.

use std::ops::Range;

use duramen_model::TimeRange;

/// What the series file says of one series beside its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeriesRows {
    pub(crate) samples: Range<u64>,
    pub(crate) histograms: Range<u64>,
    pub(crate) exemplars: Range<u64>,
    /// The first and the last time of floats and histograms; of exemplars where the series has
    /// nothing else.
    pub(crate) min_ts_ms: i64,
    pub(crate) max_ts_ms: i64,
}

/// Which series are asked for beside the matchers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    /// Those with floats or histograms whose span touches the range.
    Samples(TimeRange),
    /// Those with exemplars, whenever.
    Exemplars,
}

impl SeriesRows {
    pub(crate) fn are(&self, wanted: Wanted) -> bool {
        match wanted {
            Wanted::Samples(range) => {
                let any = !self.samples.is_empty() || !self.histograms.is_empty();
                any && self.min_ts_ms < range.end_ms() && self.max_ts_ms >= range.start_ms()
            }
            Wanted::Exemplars => !self.exemplars.is_empty(),
        }
    }
}
