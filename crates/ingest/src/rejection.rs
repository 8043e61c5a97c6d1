//! What is refused of a request while the rest of it is stored.

use std::fmt;

use crate::refusal::Refusal;

/// Why. The name is the `reason` of the counter `duramen_ingest_rejected_samples_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    // The series.
    Malformed,
    NoMetricName,
    EmptyLabelName,
    RepeatedLabelName,
    LabelNotUtf8,
    TooManyLabels,
    LabelNameTooLong,
    LabelValueTooLong,
    SeriesLimit,
    SeriesPerMetricLimit,
    SeriesBytesLimit,
    MemoryFull,
    HaClustersLimit,
    // A float or a histogram.
    FarFuture,
    FarPast,
    TooOld,
    Ttl,
    Conflict,
    HistogramInvalid,
    HistogramBuckets,
    // An exemplar.
    ExemplarTime,
    ExemplarLabels,
    ExemplarTooLong,
    // Metadata.
    MetadataInvalid,
    MetadataTooLong,
    MetadataLimit,
}

impl Reason {
    pub const ALL: [Self; 26] = [
        Self::Malformed,
        Self::NoMetricName,
        Self::EmptyLabelName,
        Self::RepeatedLabelName,
        Self::LabelNotUtf8,
        Self::TooManyLabels,
        Self::LabelNameTooLong,
        Self::LabelValueTooLong,
        Self::SeriesLimit,
        Self::SeriesPerMetricLimit,
        Self::SeriesBytesLimit,
        Self::MemoryFull,
        Self::HaClustersLimit,
        Self::FarFuture,
        Self::FarPast,
        Self::TooOld,
        Self::Ttl,
        Self::Conflict,
        Self::HistogramInvalid,
        Self::HistogramBuckets,
        Self::ExemplarTime,
        Self::ExemplarLabels,
        Self::ExemplarTooLong,
        Self::MetadataInvalid,
        Self::MetadataTooLong,
        Self::MetadataLimit,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NoMetricName => "no_metric_name",
            Self::EmptyLabelName => "empty_label_name",
            Self::RepeatedLabelName => "repeated_label_name",
            Self::LabelNotUtf8 => "label_not_utf8",
            Self::TooManyLabels => "too_many_labels",
            Self::LabelNameTooLong => "label_name_too_long",
            Self::LabelValueTooLong => "label_value_too_long",
            Self::SeriesLimit => "series_limit",
            Self::SeriesPerMetricLimit => "series_per_metric_limit",
            Self::SeriesBytesLimit => "series_bytes_limit",
            Self::MemoryFull => "memory_full",
            Self::HaClustersLimit => "ha_clusters_limit",
            Self::FarFuture => "far_future",
            Self::FarPast => "far_past",
            Self::TooOld => "too_old",
            Self::Ttl => "ttl",
            Self::Conflict => "conflict",
            Self::HistogramInvalid => "histogram_invalid",
            Self::HistogramBuckets => "histogram_buckets",
            Self::ExemplarTime => "exemplar_time",
            Self::ExemplarLabels => "exemplar_labels",
            Self::ExemplarTooLong => "exemplar_too_long",
            Self::MetadataInvalid => "metadata_invalid",
            Self::MetadataTooLong => "metadata_too_long",
            Self::MetadataLimit => "metadata_limit",
        }
    }
}

/// The limits for which a whole request is refused. The name is the `limit` of `duramen_ingest_limited_requests_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RequestLimit {
    BodyBytes,
    DecodedBodyBytes,
    SamplesPerSecond,
    SamplesBurst,
}

impl RequestLimit {
    /// As it is called in the settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BodyBytes => "body_bytes_max",
            Self::DecodedBodyBytes => "decoded_body_bytes_max",
            Self::SamplesPerSecond => "samples_per_second",
            Self::SamplesBurst => "samples_burst",
        }
    }
}

/// Texts of one request; of more reasons there are counts only.
const TEXTS_MAX: usize = 10;

/// What of a request was refused: counts by reason, and the first case of each in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejections {
    counts: Vec<(Reason, usize)>,
    texts: Vec<String>,
}

impl Rejections {
    /// Notes `count` samples, histograms, exemplars or families that were refused. `describe` is asked for the first of a reason only.
    pub(crate) fn add(&mut self, reason: Reason, count: usize, describe: impl FnOnce() -> String) {
        if let Some((_, held)) = self.counts.iter_mut().find(|(held, _)| *held == reason) {
            *held += count;
            return;
        }
        self.counts.push((reason, count));
        if self.texts.len() < TEXTS_MAX {
            self.texts.push(describe());
        }
    }

    /// As [`Rejections::add`]; the series of what was refused is asked for its name only when that is told.
    pub(crate) fn add_of<S: fmt::Display>(&mut self, refusal: &Refusal, count: usize, series: impl FnOnce() -> S) {
        self.add(refusal.reason(), count, || format!("{refusal}, series=`{}`", series()));
    }

    pub const fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    pub fn counts(&self) -> &[(Reason, usize)] {
        &self.counts
    }

    /// How many were refused.
    pub fn total(&self) -> usize {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// The first case of each reason in words, one line each; not of all when there are many reasons.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }
}

impl fmt::Display for Rejections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for text in &self.texts {
            writeln!(f, "{text}")?;
        }
        write!(f, "rejected {} samples:", self.total())?;
        for (reason, count) in &self.counts {
            write!(f, " {}={count}", reason.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_reasons_share_a_name() {
        let names: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
    }

    #[test]
    fn the_first_case_of_each_reason_is_told_and_all_are_counted() {
        let mut rejections = Rejections::default();
        rejections.add(Reason::TooOld, 2, || "a".to_owned());
        rejections.add(Reason::SeriesLimit, 1, || "b".to_owned());
        rejections.add(Reason::TooOld, 3, || unreachable!());
        assert_eq!(rejections.to_string(), "a\nb\nrejected 6 samples: too_old=5 series_limit=1");
        for reason in Reason::ALL {
            rejections.add(reason, 1, || reason.as_str().to_owned());
        }
        assert_eq!(rejections.texts().len(), TEXTS_MAX);
        assert_eq!(rejections.counts().len(), Reason::ALL.len());
    }
}
