//! Where the rows of one series stand in the other files.

use std::ops::Range;

use duramen_model::TimeRange;

/// What the series file says about one series, apart from its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeriesRows {
    pub(crate) samples: Range<u64>,
    pub(crate) histograms: Range<u64>,
    pub(crate) exemplars: Range<u64>,
    /// The first and the last time of floats and histograms. If the series has neither: those of
    /// its exemplars.
    pub(crate) min_ts_ms: i64,
    pub(crate) max_ts_ms: i64,
}

/// What a series must have to be selected, apart from passing the matchers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    /// Floats or histograms, with a span that touches the range.
    Samples(TimeRange),
    /// Exemplars at any time.
    Exemplars,
}

/// A histogram counts as this many floats, which are 256 bytes.
const HISTOGRAM_SAMPLES: u64 = 16;

impl SeriesRows {
    /// The memory that the samples take, counted in floats.
    pub(crate) const fn weight(&self) -> u64 {
        let histograms =
            (self.histograms.end - self.histograms.start).saturating_mul(HISTOGRAM_SAMPLES);
        (self.samples.end - self.samples.start).saturating_add(histograms)
    }

    pub(crate) fn have(&self, wanted: Wanted) -> bool {
        match wanted {
            Wanted::Samples(range) => {
                let any = !self.samples.is_empty() || !self.histograms.is_empty();
                any && self.min_ts_ms < range.end_ms() && self.max_ts_ms >= range.start_ms()
            }
            Wanted::Exemplars => !self.exemplars.is_empty(),
        }
    }
}
