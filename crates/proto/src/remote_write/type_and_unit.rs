//! The type and the unit of a metric as labels of its series.

use duramen_model::{METRIC_TYPE, METRIC_UNIT, MetricType};

use super::labels::LabelPair;

/// Where the labels `__type__` and `__unit__` of a series come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TypeAndUnitLabels {
    /// They are labels like others.
    #[default]
    AsSent,
    /// In 2.0, the type and the unit in the metadata of a series replace the labels that were sent.
    /// A series without type and unit keeps the labels that were sent.
    FromMetadata,
}

/// The type and the unit of a series; at least one of them is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct TypeAndUnit {
    kind: MetricType,
    /// The symbol of the unit, which exists. It is the first symbol when there is no unit.
    unit: u32,
}

impl TypeAndUnit {
    /// Returns `None` when neither is known. `unit` is the reference to the symbol `unit_text`.
    pub(super) fn known(kind: MetricType, unit: u32, unit_text: &[u8]) -> Option<Self> {
        (kind != MetricType::Unknown || !unit_text.is_empty()).then_some(Self { kind, unit })
    }

    /// The labels for type and unit: one or two.
    pub(super) fn labels<'a>(self, symbols: &[&'a [u8]]) -> impl Iterator<Item = LabelPair<'a>> {
        let kind = if self.kind == MetricType::Unknown {
            ""
        } else {
            self.kind.as_str()
        };

        let unit = symbols.get(self.unit as usize).copied().unwrap_or_default();
        let both = [
            (METRIC_TYPE.as_bytes(), kind.as_bytes()),
            (METRIC_UNIT.as_bytes(), unit),
        ];

        both.into_iter().filter(|(_, value)| !value.is_empty())
    }

    /// Adds type and unit to the bytes of the series' key. `hashes` has the hash of each symbol.
    /// Different types or units add different bytes.
    pub(super) fn add_to_key(self, hashes: &[u128], key: &mut Vec<u8>) {
        let unit = hashes.get(self.unit as usize).copied().unwrap_or_default();
        key.extend_from_slice(&unit.to_le_bytes());
        key.push(self.kind.number());
    }
}

/// Whether a label of this name is replaced by that of the metadata.
pub(super) fn is_replaced(name: &[u8]) -> bool {
    name == METRIC_TYPE.as_bytes() || name == METRIC_UNIT.as_bytes()
}
