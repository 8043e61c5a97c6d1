//! Samples that are refused while the rest of their request is stored.

use std::fmt;

/// Why. The name is the `reason` of the counter `duramen_ingest_rejected_samples_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    NoMetricName,
    EmptyLabelName,
    RepeatedLabelName,
    LabelNotUtf8,
    TooManyLabels,
    LabelNameTooLong,
    LabelValueTooLong,
    FarFuture,
    FarPast,
    Conflict,
    SeriesLimit,
    NativeHistogram,
}

impl Reason {
    pub const ALL: [Self; 12] = [
        Self::NoMetricName,
        Self::EmptyLabelName,
        Self::RepeatedLabelName,
        Self::LabelNotUtf8,
        Self::TooManyLabels,
        Self::LabelNameTooLong,
        Self::LabelValueTooLong,
        Self::FarFuture,
        Self::FarPast,
        Self::Conflict,
        Self::SeriesLimit,
        Self::NativeHistogram,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoMetricName => "no_metric_name",
            Self::EmptyLabelName => "empty_label_name",
            Self::RepeatedLabelName => "repeated_label_name",
            Self::LabelNotUtf8 => "label_not_utf8",
            Self::TooManyLabels => "too_many_labels",
            Self::LabelNameTooLong => "label_name_too_long",
            Self::LabelValueTooLong => "label_value_too_long",
            Self::FarFuture => "far_future",
            Self::FarPast => "far_past",
            Self::Conflict => "conflict",
            Self::SeriesLimit => "series_limit",
            Self::NativeHistogram => "native_histogram",
        }
    }

    /// Whether the same request can succeed later.
    pub const fn passes_with_time(self) -> bool {
        matches!(self, Self::SeriesLimit)
    }
}

/// What of a request was refused: counts by reason and the first case in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejections {
    counts: Vec<(Reason, usize)>,
    first: Option<String>,
}

impl Rejections {
    /// Notes `samples` refused samples. `describe` is asked for the first rejection only.
    pub(crate) fn add(&mut self, reason: Reason, samples: usize, describe: impl FnOnce() -> String) {
        match self.counts.iter_mut().find(|(held, _)| *held == reason) {
            Some((_, count)) => *count += samples,
            None => self.counts.push((reason, samples)),
        }
        if self.first.is_none() {
            self.first = Some(describe());
        }
    }

    pub const fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    pub fn counts(&self) -> &[(Reason, usize)] {
        &self.counts
    }

    /// How many samples were refused.
    pub fn samples(&self) -> usize {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// Whether all of it may succeed when it is sent again.
    pub fn passes_with_time(&self) -> bool {
        !self.is_empty() && self.counts.iter().all(|(reason, _)| reason.passes_with_time())
    }
}

impl fmt::Display for Rejections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first) = &self.first {
            f.write_str(first)?;
        }
        write!(f, "; rejected {} samples:", self.samples())?;
        for (reason, count) in &self.counts {
            write!(f, " {}={count}", reason.as_str())?;
        }
        Ok(())
    }
}
