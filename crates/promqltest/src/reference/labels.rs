//! Label sets as maps from name to value.

use std::collections::BTreeMap;

use duramen_model::METRIC_NAME;

/// Maps names to values. No value is empty.
pub type LabelSet = BTreeMap<String, String>;

pub(super) fn unnamed(mut labels: LabelSet) -> LabelSet {
    labels.remove(METRIC_NAME);
    labels
}

/// Keeps only the labels with these names.
pub(super) fn only(labels: &LabelSet, names: &[String]) -> LabelSet {
    labels
        .iter()
        .filter(|(name, _)| names.contains(name))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect()
}

/// Removes the labels with these names, and the metric name.
pub(super) fn without(labels: &LabelSet, names: &[String]) -> LabelSet {
    let stays = |name: &String| name != METRIC_NAME && !names.contains(name);
    labels
        .iter()
        .filter(|(name, _)| stays(name))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect()
}

/// Sets a label. An empty value removes it.
pub(super) fn set(labels: &mut LabelSet, name: &str, value: &str) {
    if value.is_empty() {
        labels.remove(name);
    } else {
        labels.insert(name.to_owned(), value.to_owned());
    }
}
