//! Label sets as maps.

use std::collections::BTreeMap;

use duramen_model::METRIC_NAME;

/// Names and values; no value is empty.
pub type LabelSet = BTreeMap<String, String>;

pub(super) fn unnamed(mut labels: LabelSet) -> LabelSet {
    labels.remove(METRIC_NAME);
    labels
}

/// Those of these names.
pub(super) fn only(labels: &LabelSet, names: &[String]) -> LabelSet {
    labels
        .iter()
        .filter(|(name, _)| names.contains(name))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect()
}

/// All but those of these names and the metric's.
pub(super) fn without(labels: &LabelSet, names: &[String]) -> LabelSet {
    let stays = |name: &String| name != METRIC_NAME && !names.contains(name);
    labels
        .iter()
        .filter(|(name, _)| stays(name))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect()
}

/// Sets a label; an empty value takes it away.
pub(super) fn set(labels: &mut LabelSet, name: &str, value: &str) {
    if value.is_empty() {
        labels.remove(name);
    } else {
        labels.insert(name.to_owned(), value.to_owned());
    }
}
