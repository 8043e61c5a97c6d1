//! The metadata of metric families in requests.

use duramen_model::MetricType;

use crate::Error;
use crate::wire::{Fields, Value};

/// The metadata of one metric family in a request. Texts are as sent and may be invalid UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentMetadata<'a> {
    pub family: &'a [u8],
    pub kind: MetricType,
    pub help: &'a [u8],
    pub unit: &'a [u8],
}

/// Reads a `prometheus.MetricMetadata` message.
pub(super) fn read(message: &[u8]) -> Result<SentMetadata<'_>, Error> {
    let mut sent = SentMetadata {
        family: &[],
        kind: MetricType::Unknown,
        help: &[],
        unit: &[],
    };

    let mut fields = Fields::new("MetricMetadata", message);

    while let Some((number, value)) = fields.next_field()? {
        match (number, value) {
            (1, Value::Varint(kind)) => sent.kind = MetricType::numbered(kind),
            (2, Value::Bytes(family)) => sent.family = family,
            (4, Value::Bytes(help)) => sent.help = help,
            (5, Value::Bytes(unit)) => sent.unit = unit,
            (1 | 2 | 4 | 5, _) => return Err(fields.refused("a field has the wrong wire type")),
            _ => {}
        }
    }

    Ok(sent)
}

/// The family of a series by its metric name. Classic histograms and summaries have several names
/// with suffixes, which are removed.
pub(super) fn family_of(name: &[u8], kind: MetricType) -> &[u8] {
    let suffixes: &[&[u8]] = match kind {
        MetricType::Histogram | MetricType::GaugeHistogram => &[b"_bucket", b"_count", b"_sum"],
        MetricType::Summary => &[b"_count", b"_sum"],
        _ => &[],
    };

    suffixes
        .iter()
        .find_map(|suffix| name.strip_suffix(*suffix))
        .filter(|family| !family.is_empty())
        .unwrap_or(name)
}
