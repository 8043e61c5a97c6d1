//! How and when operators drop the metric name.

use duramen_model::{Labels, LabelsBuilder, METRIC_NAME, METRIC_TYPE, METRIC_UNIT};

use crate::label_set::{MARK, Projection, is_marked};

/// Which labels name the metric of a series. They are dropped together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameLabels {
    Name,
    NameTypeAndUnit,
}

impl NameLabels {
    /// Returns the projection to all other labels.
    pub(crate) fn others(self) -> Projection {
        match self {
            Self::Name => Projection::drop(&[METRIC_NAME.to_owned()]),
            Self::NameTypeAndUnit => {
                Projection::drop(&[METRIC_NAME, METRIC_TYPE, METRIC_UNIT].map(str::to_owned))
            }
        }
    }
}

/// When the name is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemovalTime {
    /// When an operator's result no longer belongs to the metric.
    AtOnce,
    /// From the answer. Until then the label set has a mark. An operator that writes a new name
    /// takes the mark off.
    AtTheEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NameRemoval {
    pub(crate) labels: NameLabels,
    pub(crate) time: RemovalTime,
}

impl NameRemoval {
    /// Returns a label set as the answer has it: without the name if the set is marked.
    pub(crate) fn in_answer(self, encoded: &[u8]) -> Labels {
        if !is_marked(encoded) {
            return Labels::from_encoded_trusted(encoded);
        }

        let mut out = LabelsBuilder::default();
        self.labels.others().apply(encoded, &mut out);
        out.finish()
    }

    pub(crate) fn nameless(self) -> Nameless {
        Nameless {
            time: self.time,
            others: self.labels.others(),
            builder: LabelsBuilder::default(),
            marked: Vec::new(),
        }
    }
}

/// Drops the metric name from label sets, and reuses its buffers.
#[derive(Debug)]
pub(crate) struct Nameless {
    time: RemovalTime,
    others: Projection,
    builder: LabelsBuilder,
    marked: Vec<u8>,
}

impl Nameless {
    /// Returns the label set without its name, or with a mark that the name is to be dropped.
    pub(crate) fn remove_from<'a>(&'a mut self, encoded: &'a [u8]) -> &'a [u8] {
        match self.time {
            RemovalTime::AtOnce => {
                self.others.apply(encoded, &mut self.builder);
                self.builder.encoded()
            }
            RemovalTime::AtTheEnd if is_marked(encoded) => encoded,
            RemovalTime::AtTheEnd => {
                self.marked.clear();
                self.marked.extend(MARK);
                self.marked.extend(encoded);

                &self.marked
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label_set::{printed, unmarked};

    fn removed(labels: NameLabels, time: RemovalTime) -> Vec<u8> {
        let pairs = [("__name__", "up"), ("__type__", "gauge"), ("job", "a")];
        let set = Labels::from_pairs(pairs).unwrap();
        NameRemoval { labels, time }
            .nameless()
            .remove_from(set.encoded())
            .to_vec()
    }

    #[test]
    fn the_type_goes_with_the_name_only_where_it_is_part_of_it() {
        let alone = removed(NameLabels::Name, RemovalTime::AtOnce);
        assert_eq!(printed(&alone), r#"{__type__="gauge", job="a"}"#);
        assert_eq!(
            printed(&removed(NameLabels::NameTypeAndUnit, RemovalTime::AtOnce)),
            r#"{job="a"}"#
        );
    }

    #[test]
    fn a_name_that_goes_later_is_there_under_a_mark() {
        let later = removed(NameLabels::Name, RemovalTime::AtTheEnd);
        assert!(is_marked(&later) && !is_marked(unmarked(&later)));
        assert_eq!(
            printed(&later),
            r#"{__name__="up", __type__="gauge", job="a"}"#
        );

        let removal = NameRemoval {
            labels: NameLabels::Name,
            time: RemovalTime::AtTheEnd,
        };

        assert_eq!(
            removal.nameless().remove_from(&later),
            later,
            "one mark is enough"
        );
    }
}
