//! The samples that federation shows.

use duramen_model::{Counts, Histogram, Labels, METRIC_NAME};

/// One sample of one series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Exposed {
    /// Labels that include a metric name.
    pub(crate) labels: Labels,
    pub(crate) ts_ms: i64,
    pub(crate) value: ExposedValue,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ExposedValue {
    Float(f64),
    /// A histogram, which the text format cannot show.
    Histogram(Box<Histogram>),
}

impl ExposedValue {
    /// Returns the approximate size of what the value owns on the heap, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let Self::Histogram(histogram) = self else {
            return 0;
        };
        let buckets = match &histogram.counts {
            Counts::Integer {
                positive, negative, ..
            } => positive.len() + negative.len(),
            Counts::Float {
                positive, negative, ..
            } => positive.len() + negative.len(),
        };

        let spans = histogram.positive_spans.len() + histogram.negative_spans.len();
        size_of::<Histogram>() + 8 * (buckets + spans + histogram.custom_values.len())
    }
}

/// Returns all labels except for the metric name. A series without an instance gets an empty one.
pub(super) fn exposed_labels(labels: &Labels) -> impl Iterator<Item = (&str, &str)> {
    let instance = labels.get("instance").is_none().then_some(("instance", ""));
    labels
        .iter()
        .filter(|(label, _)| *label != METRIC_NAME)
        .chain(instance)
}
