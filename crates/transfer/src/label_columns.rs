//! Labels as columns of a table, or as one column of JSON.
//!
//! The columns beside labels are `time`, `value`, `histogram` and, for the one column, `labels`. A
//! label with such a name, or with a name that begins as an escaped one, has the name of its column
//! behind `label:`.

use duramen_model::{Labels, METRIC_NAME};
use serde_json::Value as Json;

use crate::error::Error;

pub(crate) const TIME: &str = "time";
pub(crate) const VALUE: &str = "value";
pub(crate) const HISTOGRAM: &str = "histogram";
pub(crate) const LABELS: &str = "labels";

const RESERVED: [&str; 4] = [TIME, VALUE, HISTOGRAM, LABELS];
const ESCAPE: &str = "label:";

/// A table with more columns is hard to read for others.
const COLUMNS_MAX: usize = 1000;

/// Returns the column of a label.
pub(crate) fn column_of(label: &str) -> String {
    if RESERVED.contains(&label) || label.starts_with(ESCAPE) {
        format!("{ESCAPE}{label}")
    } else {
        label.to_owned()
    }
}

/// Returns the label of a column; `None` for a reserved name.
pub(crate) fn label_of(column: &str) -> Option<&str> {
    match column.strip_prefix(ESCAPE) {
        Some(label) => Some(label),
        None => (!RESERVED.contains(&column)).then_some(column),
    }
}

/// Returns the labels in the order of their columns: the metric name comes first, also if no series
/// has one.
pub(crate) fn ordered(mut names: Vec<String>) -> Result<Vec<String>, Error> {
    let count = names.len();
    if count > COLUMNS_MAX {
        return Err(Error::unfit(format!(
            "{count} label names are too many for columns, of which there are at most \
             {COLUMNS_MAX}: --labels map puts all labels into one"
        )));
    }

    if !names.iter().any(|name| name == METRIC_NAME) {
        names.push(METRIC_NAME.to_owned());
    }

    names.sort_by(|a, b| (a != METRIC_NAME, a).cmp(&(b != METRIC_NAME, b)));
    Ok(names)
}

/// Returns all labels as one JSON object, in the order of their names.
pub(crate) fn to_json(labels: &Labels) -> String {
    let mut text = String::from("{");

    for (name, value) in labels {
        if text.len() > 1 {
            text.push(',');
        }

        text.push_str(&Json::from(name).to_string());
        text.push(':');
        text.push_str(&Json::from(value).to_string());
    }

    text.push('}');
    text
}

/// Reads labels of [`to_json`]. `None` if it is no object of texts.
pub(crate) fn from_json(text: &[u8]) -> Option<Vec<(String, String)>> {
    let object: serde_json::Map<String, Json> = serde_json::from_slice(text).ok()?;
    let mut pairs = Vec::with_capacity(object.len());

    for (name, value) in object {
        match value {
            Json::String(value) => pairs.push((name, value)),
            _ => return None,
        }
    }

    Some(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_label_has_a_column_of_its_own() {
        for label in ["job", "time", "label:time", "label:", "labels"] {
            let column = column_of(label);
            assert!(!RESERVED.contains(&&*column), "{column}");
            assert_eq!(label_of(&column), Some(label));
        }

        assert_eq!(label_of("value"), None);
    }

    #[test]
    fn labels_come_back_from_json() {
        let labels = Labels::from_pairs([("__name__", "up"), ("a\"\n", "\u{1f600}\\")]);
        let labels = labels.expect("labels");
        let pairs = from_json(to_json(&labels).as_bytes()).expect("an object");
        let pairs = pairs.iter().map(|(name, value)| (&**name, &**value));

        assert_eq!(Labels::from_pairs(pairs), Some(labels));
        assert_eq!(from_json(b"{\"a\":1}"), None);
    }
}
