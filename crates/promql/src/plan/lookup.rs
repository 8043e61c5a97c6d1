//! Which samples a step looks at, and what is read of them.

use duramen_syntax::PosRange;

use crate::kernels::extended::Ends;
use crate::kernels::range::RangeFunction;

/// The window of a step: `(t - offset - range, t - offset]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lookup {
    pub(crate) range_ms: i64,
    pub(crate) offset_ms: i64,
    /// The time after `@`, which replaces the time of the step.
    pub(crate) at_ms: Option<i64>,
    /// How the values at the ends of the window are found, and how far around the window samples
    /// are used for that.
    pub(crate) ends: Option<(Ends, i64)>,
    /// The longest life span of a sample that the source may hold. Samples are read so far back.
    pub(crate) ttl_max_ms: i64,
}

impl Lookup {
    /// Returns the last time inside the window of a step at `time_ms`.
    pub(crate) fn end_ms(&self, time_ms: i64) -> i64 {
        self.at_ms.unwrap_or(time_ms).saturating_sub(self.offset_ms)
    }

    /// Returns the last time at which a sample is read for a step at `time_ms`.
    pub(crate) fn read_end_ms(&self, time_ms: i64) -> i64 {
        let behind_ms = if let Some((Ends::Smoothed, around_ms)) = self.ends {
            around_ms
        } else {
            0
        };

        self.end_ms(time_ms).saturating_add(behind_ms)
    }

    /// Returns the exclusive start of the times at which samples are read for a step at `time_ms`.
    pub(crate) fn read_start_ms(&self, time_ms: i64) -> i64 {
        let around_ms = self.ends.map_or(0, |(_, around_ms)| around_ms);
        let back_ms = around_ms.max(self.ttl_max_ms.saturating_sub(self.range_ms));
        self.start_ms(time_ms).saturating_sub(back_ms)
    }

    /// Returns the exclusive start of the window of a step at `time_ms`.
    pub(crate) fn start_ms(&self, time_ms: i64) -> i64 {
        self.end_ms(time_ms).saturating_sub(self.range_ms)
    }
}

/// What is computed from the samples of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum StepFunction {
    /// The newest sample, unless it marks the end of the series.
    Latest,
    /// The time of the newest sample, in seconds.
    LatestTime,
    /// The time of the newest sample, in seconds. The metric name is kept.
    NamedTime,
    /// The start time of the newest sample, in seconds.
    LatestStart,
    /// The value at exactly the time of the step, interpolated between the samples around it.
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

/// Which start times are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Starts {
    Ignored,
    Known,
}

/// Which parts of histograms are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum HistogramParts {
    #[default]
    All,
    /// Schema, count and sum only, as in Prometheus where nothing else is needed. Differences
    /// between buckets cannot be reported then. The source still uses the buckets to detect counter
    /// resets and reports them as hints.
    Totals,
}

/// The positions of the function's arguments in the text, for annotations.
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
