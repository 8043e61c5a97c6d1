//! Which samples a step looks at, and what is read out of them.

use duramen_syntax::PosRange;

use crate::kernels::extended::Ends;
use crate::kernels::range::RangeFunction;

/// Where the window of a step lies: `(t - offset - range, t - offset]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lookup {
    pub(crate) range_ms: i64,
    pub(crate) offset_ms: i64,
    /// `@`: this instead of the time of the step.
    pub(crate) at_ms: Option<i64>,
    /// How the ends of the window are settled, and how far around it samples count for that.
    pub(crate) ends: Option<(Ends, i64)>,
    /// The longest life span of a sample that may be met; it is read so far back.
    pub(crate) ttl_max_ms: i64,
}

impl Lookup {
    /// The last time inside the window of a step at `time_ms`.
    pub(crate) fn end_ms(&self, time_ms: i64) -> i64 {
        self.at_ms.unwrap_or(time_ms).saturating_sub(self.offset_ms)
    }

    /// The last time at which a sample is read for a step at `time_ms`.
    pub(crate) fn read_end_ms(&self, time_ms: i64) -> i64 {
        let behind_ms = if let Some((Ends::Smoothed, around_ms)) = self.ends {
            around_ms
        } else {
            0
        };

        self.end_ms(time_ms).saturating_add(behind_ms)
    }

    /// The last time before the samples that are read for a step at `time_ms`.
    pub(crate) fn read_start_ms(&self, time_ms: i64) -> i64 {
        let around_ms = self.ends.map_or(0, |(_, around_ms)| around_ms);
        let back_ms = around_ms.max(self.ttl_max_ms.saturating_sub(self.range_ms));
        self.start_ms(time_ms).saturating_sub(back_ms)
    }

    /// The last time before the window of a step at `time_ms`.
    pub(crate) fn start_ms(&self, time_ms: i64) -> i64 {
        self.end_ms(time_ms).saturating_sub(self.range_ms)
    }
}

/// What is read out of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum StepFunction {
    /// The newest sample, unless it says that the series ended.
    Latest,
    /// Its time, in seconds.
    LatestTime,
    /// Its time, in seconds, under the name of the metric.
    NamedTime,
    /// When what it counts began, in seconds.
    LatestStart,
    /// The value at the very time, interpolated between the samples around it.
    Smoothed,
    Range(RangeFunction),
}

impl StepFunction {
    pub(crate) fn keeps_name(self) -> bool {
        match self {
            Self::Latest | Self::NamedTime | Self::Smoothed => true,
            Self::LatestTime | Self::LatestStart => false,
            Self::Range(function) => function.keeps_name(),
        }
    }
}

/// Which times of a start are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Starts {
    Ignored,
    Known,
}

/// What is read of histograms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum HistogramParts {
    #[default]
    All,
    /// Schema, count and sum alone, as Prometheus does where nothing else is asked for: nothing can
    /// be said of buckets that differ. The buckets still tell where a counter began anew, and that
    /// becomes the hint.
    Totals,
}

/// Where the arguments of the function stand in the text, for annotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StepPos {
    pub(crate) samples: PosRange,
    /// The scalar that an annotation may be about.
    pub(crate) argument: PosRange,
}

impl From<PosRange> for StepPos {
    fn from(samples: PosRange) -> Self {
        Self {
            samples,
            argument: samples,
        }
    }
}
