//! The check of the labels of a series.

use duramen_limits::IngestLimits;
use duramen_model::{Labels, LabelsBuilder, METRIC_NAME, METRIC_NAME_BYTES_MAX, Shown};
use duramen_proto::WriteRequest;

use crate::rejection::Rejection;

/// Returns the labels of the series at `at` of a request, except label `without`. They may come
/// unsorted. A label with an empty value counts as absent. `builder` is used for the set.
pub(super) fn check(
    request: &WriteRequest<'_>,
    at: usize,
    without: Option<&str>,
    limits: &IngestLimits,
    builder: &mut LabelsBuilder,
) -> Result<Labels, Rejection> {
    let count = request.labels_count(at);
    let max = limits.labels_per_series_max;

    if count > max {
        return Err(Rejection::TooManyLabels { labels: count, max });
    }

    let pairs = request.labels(at).map_err(Rejection::Unreadable)?;
    let mut labels = Vec::with_capacity(pairs.len());

    for (name, value) in pairs {
        labels.push(check_label(name, value, limits)?);
    }

    labels.sort_unstable_by_key(|(name, _)| *name);
    if let Some(two) = labels.windows(2).find(|two| two[0].0 == two[1].0) {
        return Err(Rejection::RepeatedLabelName {
            label: Shown(two[0].0.as_bytes()).to_string(),
        });
    }

    let mut named = false;

    builder.clear();
    for (name, value) in labels {
        if Some(name) != without && !value.is_empty() {
            named |= name == METRIC_NAME;
            builder.push(name, value);
        }
    }

    named
        .then(|| builder.finish())
        .ok_or(Rejection::NoMetricName)
}

fn check_label<'a>(
    name: &'a [u8],
    value: &'a [u8],
    limits: &IngestLimits,
) -> Result<(&'a str, &'a str), Rejection> {
    if name.len() > limits.label_name_bytes_max {
        return Err(Rejection::LabelNameTooLong {
            bytes: name.len(),
            max: limits.label_name_bytes_max,
        });
    }

    let shown = |bytes| Shown(bytes).to_string();
    let utf8 = |bytes, part| {
        let refused = |_| Rejection::LabelNotUtf8 {
            part,
            label: shown(name),
            text: shown(bytes),
        };

        std::str::from_utf8(bytes).map_err(refused)
    };

    let name_text = utf8(name, "name")?;
    if name.is_empty() {
        return Err(Rejection::EmptyLabelName);
    }

    let max = match name_text {
        METRIC_NAME => limits.label_value_bytes_max.min(METRIC_NAME_BYTES_MAX),
        _ => limits.label_value_bytes_max,
    };

    let bytes = value.len();
    if bytes > max {
        return Err(Rejection::LabelValueTooLong {
            label: shown(name),
            bytes,
            max,
        });
    }

    Ok((name_text, utf8(value, "value")?))
}
