//! Changes to label sets in their encoded form.

use duramen_model::labels::{EncodedLabels, LabelsIter};
use duramen_model::{Labels, LabelsBuilder, METRIC_NAME};
use duramen_syntax::ast::Grouping;

/// Which labels of a series are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Projection {
    /// Keeps these names. Sorted.
    Keep(Vec<String>),
    /// Drops these names. Sorted.
    Drop(Vec<String>),
}

impl Projection {
    /// Returns the projection of an aggregation. `without` also drops the metric name.
    pub(crate) fn of_grouping(grouping: Option<&Grouping>) -> Self {
        match grouping {
            None => Self::keep(&[]),
            Some(Grouping::By(names)) => Self::keep(names),
            Some(Grouping::Without(names)) => Self::drop_with_name(names),
        }
    }

    pub(crate) fn keep(names: &[String]) -> Self {
        Self::Keep(sorted(names.to_vec()))
    }

    pub(crate) fn drop(names: &[String]) -> Self {
        Self::Drop(sorted(names.to_vec()))
    }

    pub(crate) fn drop_with_name(names: &[String]) -> Self {
        let mut names = names.to_vec();
        names.push(METRIC_NAME.to_owned());
        Self::Drop(sorted(names))
    }

    fn keeps(&self, name: &[u8]) -> bool {
        let is_listed = |names: &[String]| {
            names
                .binary_search_by(|listed| listed.as_bytes().cmp(name))
                .is_ok()
        };

        match self {
            Self::Keep(names) => is_listed(names),
            Self::Drop(names) => !is_listed(names),
        }
    }

    /// Returns the names that are kept, if they have a list.
    pub(crate) fn kept(&self) -> Option<&[String]> {
        match self {
            Self::Keep(names) => Some(names),
            Self::Drop(_) => None,
        }
    }

    /// Returns whether the metric name is kept.
    pub(crate) fn keeps_name(&self) -> bool {
        self.keeps(METRIC_NAME.as_bytes())
    }

    /// Clears `out` and writes the labels of `encoded` that are kept into it. The mark is not kept.
    pub(crate) fn apply(&self, encoded: &[u8], out: &mut LabelsBuilder) {
        out.clear();
        let labels = EncodedLabels::over(unmarked(encoded));

        match self {
            Self::Keep(names) => {
                // Both are in order, so the labels behind the last name need not be looked at.
                let Some(last) = names.last() else {
                    return;
                };

                labels
                    .take_while(|label| label.name <= last.as_bytes())
                    .filter(|label| self.keeps(label.name))
                    .for_each(|label| out.push_encoded(label));
            }
            Self::Drop(_) => labels
                .filter(|label| self.keeps(label.name))
                .for_each(|label| out.push_encoded(label)),
        }
    }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names.dedup();
    names
}

/// The mark in front of a label set whose name is dropped at the end. It is a label with an empty
/// name, which no series has.
pub(crate) const MARK: [u8; 2] = [0, 0];

pub(crate) fn is_marked(encoded: &[u8]) -> bool {
    encoded.starts_with(&MARK)
}

/// Returns the label set without the mark, if it has one.
pub(crate) fn unmarked(encoded: &[u8]) -> &[u8] {
    encoded.strip_prefix(&MARK).unwrap_or(encoded)
}

/// Returns the label set with a mark in front. `encoded` must not have one yet.
pub(crate) fn marked(encoded: &[u8]) -> Box<[u8]> {
    [&MARK, encoded].concat().into()
}

/// Returns the label set, with a mark if `other` has one.
pub(crate) fn marked_as(other: &[u8], encoded: &[u8]) -> Box<[u8]> {
    if is_marked(other) {
        marked(encoded)
    } else {
        encoded.into()
    }
}

/// Returns the value of a label, or "" if the label is absent.
pub(crate) fn value_of<'a>(encoded: &'a [u8], name: &str) -> &'a str {
    let found = EncodedLabels::over(encoded).find(|label| label.name == name.as_bytes());
    found.map_or("", |label| {
        std::str::from_utf8(label.value).expect("labels are UTF-8")
    })
}

/// Returns the label set with one label changed. An empty value drops the label. A mark stays.
pub(crate) fn with_label(encoded: &[u8], name: &str, value: &str) -> Box<[u8]> {
    let others = LabelsIter::over(unmarked(encoded)).filter(|(n, _)| *n != name);
    let labels = Labels::from_pairs(others.chain([(name, value)]))
        .expect("the names of a label set are distinct");
    marked_as(encoded, labels.encoded())
}

/// Returns the hash that Prometheus computes of a label set in its default build: over names and
/// values, each after its length.
pub(crate) fn prometheus_hash(encoded: &[u8]) -> u64 {
    let mut bytes = Vec::new();

    for text in LabelsIter::over(unmarked(encoded)).flat_map(|(name, value)| [name, value]) {
        match u8::try_from(text.len()) {
            Ok(short @ 0..=254) => bytes.push(short),
            _ => {
                bytes.push(255);
                bytes.extend_from_slice(&text.len().to_le_bytes()[..3]);
            }
        }

        bytes.extend_from_slice(text.as_bytes());
    }

    xxhash_rust::xxh64::xxh64(&bytes, 0)
}

/// Prints a label set as Prometheus' messages do: `{__name__="up", job="node"}`.
pub(crate) fn printed(encoded: &[u8]) -> String {
    format!("{:?}", Labels::from_encoded_trusted(unmarked(encoded)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(projection: &Projection, wanted: &[(&str, &str)]) {
        let labels =
            Labels::from_pairs([("__name__", "up"), ("instance", "1"), ("job", "a")]).unwrap();
        let mut out = LabelsBuilder::default();
        projection.apply(labels.encoded(), &mut out);

        assert_eq!(
            out.finish().iter().collect::<Vec<_>>(),
            wanted,
            "{projection:?}"
        );
    }

    #[test]
    fn by_keeps_and_without_drops_the_name_too() {
        let names = vec!["job".to_owned(), "none".to_owned(), "job".to_owned()];
        check(&Projection::of_grouping(None), &[]);
        check(
            &Projection::of_grouping(Some(&Grouping::By(names.clone()))),
            &[("job", "a")],
        );

        check(
            &Projection::of_grouping(Some(&Grouping::Without(names.clone()))),
            &[("instance", "1")],
        );

        check(
            &Projection::drop(&names),
            &[("__name__", "up"), ("instance", "1")],
        );

        assert!(
            Projection::drop(&names).keeps_name()
                && !Projection::drop_with_name(&names).keeps_name()
        );
    }

    #[test]
    fn a_label_is_set_and_taken_away() {
        let labels = Labels::from_pairs([("a", "1"), ("c", "3")]).unwrap();
        assert_eq!(
            printed(&with_label(labels.encoded(), "b", "2")),
            r#"{a="1", b="2", c="3"}"#
        );

        assert_eq!(
            printed(&with_label(labels.encoded(), "a", "")),
            r#"{c="3"}"#
        );

        let changed = with_label(&marked(labels.encoded()), "a", "2");
        assert!(is_marked(&changed) && printed(&changed) == r#"{a="2", c="3"}"#);

        assert_eq!(
            (
                value_of(labels.encoded(), "c"),
                value_of(labels.encoded(), "b")
            ),
            ("3", "")
        );
    }
}
