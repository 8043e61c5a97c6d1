//! The cause of one rejection.

use duramen_model::histogram::InvalidHistogram;
use duramen_proto::SeriesFault;

use super::reason::Reason;

/// A cause with its facts. If a limit is the cause, its name and value are among them.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Rejection {
    #[error(transparent)]
    Unreadable(duramen_proto::Error),
    #[error(transparent)]
    Series(SeriesFault),
    #[error("a series has no metric name (the label __name__)")]
    NoMetricName,
    #[error("a label name is empty")]
    EmptyLabelName,
    #[error("a label name stands twice in one series. label=`{label}`")]
    RepeatedLabelName { label: String },
    #[error("a label {part} is not UTF-8. label=`{label}`, {part}=`{text}`")]
    LabelNotUtf8 {
        part: &'static str,
        label: String,
        text: String,
    },
    #[error("a series has too many labels. labels=`{labels}`, labels_per_series_max=`{max}`")]
    TooManyLabels { labels: usize, max: usize },
    #[error("a label name is too long. bytes=`{bytes}`, label_name_bytes_max=`{max}`")]
    LabelNameTooLong { bytes: usize, max: usize },
    #[error(
        "a label value is too long. label=`{label}`, bytes=`{bytes}`, label_value_bytes_max=`{max}`"
    )]
    LabelValueTooLong {
        label: String,
        bytes: usize,
        max: usize,
    },
    #[error("the tenant has too many series in memory. series_max=`{max}`")]
    SeriesLimit { max: usize },
    #[error("the labels of the tenant's series take too much memory. series_bytes_max=`{max}`")]
    SeriesBytesLimit { max: usize },
    #[error("the series of all tenants take too much memory. head.series_bytes_max=`{max}`")]
    HeadSeriesBytes { max: usize },
    #[error("there is no memory for a new series: {0}")]
    MemoryFull(duramen_qos::Full),
    #[error("the tenant has too many pairs of replicas. cluster=`{cluster}`, clusters_max=`{max}`")]
    HaClustersLimit { cluster: String, max: usize },
    #[error("the metric has too many series in memory. series_per_metric_max=`{max}`")]
    SeriesPerMetricLimit { max: usize },
    #[error(
        "a sample is too far in the future. ts_ms=`{ts_ms}`, ts_ms_max=`{latest_ms}`, future_max_ms=`{future_max_ms}`"
    )]
    FarFuture {
        ts_ms: i64,
        latest_ms: i64,
        future_max_ms: i64,
    },
    #[error("a sample is before the year 1. ts_ms=`{ts_ms}`, ts_ms_min=`{earliest_ms}`")]
    FarPast { ts_ms: i64, earliest_ms: i64 },
    #[error(
        "a sample is too old. ts_ms=`{ts_ms}`, ts_ms_min=`{earliest_ms}`, age_max_ms=`{age_max_ms}`"
    )]
    TooOld {
        ts_ms: i64,
        earliest_ms: i64,
        age_max_ms: i64,
    },
    #[error(
        "the life span of a sample is negative or too long. ttl_ms=`{ttl_ms}`, ttl_max_ms=`{max_ms}`"
    )]
    Ttl { ttl_ms: i64, max_ms: i64 },
    #[error("another value is held for this time; it stays. ts_ms=`{ts_ms}`")]
    Conflict { ts_ms: i64 },
    #[error("a histogram is not valid: {fault}{}ts_ms=`{ts_ms}`", joint(&.fault.to_string()))]
    HistogramInvalid { ts_ms: i64, fault: InvalidHistogram },
    #[error("a histogram cannot be read: {fault}{}ts_ms=`{ts_ms}`", joint(&.fault.to_string()))]
    HistogramUnreadable {
        ts_ms: i64,
        fault: duramen_proto::Error,
    },
    #[error(
        "a histogram has too many buckets. ts_ms=`{ts_ms}`, buckets=`{buckets}`, histogram_buckets_max=`{max}`"
    )]
    HistogramBuckets {
        ts_ms: i64,
        buckets: usize,
        max: usize,
    },
    #[error("an exemplar is too old or too far in the future. ts_ms=`{ts_ms}`")]
    ExemplarTime { ts_ms: i64 },
    #[error(
        "the labels of an exemplar are not UTF-8, or a name is empty or stands twice. ts_ms=`{ts_ms}`"
    )]
    ExemplarLabels { ts_ms: i64 },
    #[error(
        "the labels of an exemplar are too long. ts_ms=`{ts_ms}`, chars=`{chars}`, exemplar_label_chars_max=`{max}`"
    )]
    ExemplarTooLong {
        ts_ms: i64,
        chars: usize,
        max: usize,
    },
    #[error("metadata has no name, or text that is not UTF-8. family=`{family}`")]
    MetadataInvalid { family: String },
    #[error("metadata is too long. family=`{family}`, bytes=`{bytes}`, metadata_bytes_max=`{max}`")]
    MetadataTooLong {
        family: String,
        bytes: usize,
        max: usize,
    },
    #[error(
        "the tenant's series and metadata take too much memory. family=`{family}`, series_bytes_max=`{max}`"
    )]
    MetadataBytesLimit { family: String, max: usize },
    #[error(
        "the tenant has metadata of too many families. family=`{family}`, metadata_families_max=`{max}`"
    )]
    MetadataLimit { family: String, max: usize },
}

/// Returns the text between an error and one more variable. The first variable follows a full stop,
/// later ones a comma.
pub(super) fn joint(text: &str) -> &'static str {
    if text.ends_with('`') { ", " } else { ". " }
}

impl Rejection {
    pub(crate) const fn reason(&self) -> Reason {
        match self {
            Self::Unreadable(_) | Self::Series(_) => Reason::Malformed,
            Self::NoMetricName => Reason::NoMetricName,
            Self::EmptyLabelName => Reason::EmptyLabelName,
            Self::RepeatedLabelName { .. } => Reason::RepeatedLabelName,
            Self::LabelNotUtf8 { .. } => Reason::LabelNotUtf8,
            Self::TooManyLabels { .. } => Reason::TooManyLabels,
            Self::LabelNameTooLong { .. } => Reason::LabelNameTooLong,
            Self::LabelValueTooLong { .. } => Reason::LabelValueTooLong,
            Self::SeriesLimit { .. } => Reason::SeriesLimit,
            Self::SeriesBytesLimit { .. } | Self::MetadataBytesLimit { .. } => {
                Reason::SeriesBytesLimit
            }
            Self::HeadSeriesBytes { .. } | Self::MemoryFull(_) => Reason::MemoryFull,
            Self::HaClustersLimit { .. } => Reason::HaClustersLimit,
            Self::SeriesPerMetricLimit { .. } => Reason::SeriesPerMetricLimit,
            Self::FarFuture { .. } => Reason::FarFuture,
            Self::FarPast { .. } => Reason::FarPast,
            Self::TooOld { .. } => Reason::TooOld,
            Self::Ttl { .. } => Reason::Ttl,
            Self::Conflict { .. } => Reason::Conflict,
            Self::HistogramInvalid { .. } | Self::HistogramUnreadable { .. } => {
                Reason::HistogramInvalid
            }
            Self::HistogramBuckets { .. } => Reason::HistogramBuckets,
            Self::ExemplarTime { .. } => Reason::ExemplarTime,
            Self::ExemplarLabels { .. } => Reason::ExemplarLabels,
            Self::ExemplarTooLong { .. } => Reason::ExemplarTooLong,
            Self::MetadataInvalid { .. } => Reason::MetadataInvalid,
            Self::MetadataTooLong { .. } => Reason::MetadataTooLong,
            Self::MetadataLimit { .. } => Reason::MetadataLimit,
        }
    }
}
