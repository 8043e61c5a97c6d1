//! The reasons of rejections, as metrics name them.

/// The reason of a rejection. The name is the value of `reason` in
/// `duramen_ingest_rejected_samples_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    // Reasons for a series.
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
    // Reasons for a float or a histogram.
    FarFuture,
    FarPast,
    TooOld,
    Ttl,
    Conflict,
    HistogramInvalid,
    HistogramBuckets,
    // Reasons for an exemplar.
    ExemplarTime,
    ExemplarLabels,
    ExemplarTooLong,
    // Reasons for metadata.
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_reasons_share_a_name() {
        let names: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
    }
}
