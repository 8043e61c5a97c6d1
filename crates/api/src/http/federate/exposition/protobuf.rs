//! Samples as protocol buffers.

use duramen_proto::exposition::{FamilyEncoder, FamilyType, MetricValue};

use super::escaping::Escaping;
use super::sample::{Exposed, ExposedValue, exposed_labels};

/// Returns the families of `samples`, which are sorted by metric name. Each change of type within a
/// name begins a new family. Histograms with custom buckets are left out: the message has no place
/// for their bounds.
pub(crate) fn families(samples: &[Exposed], escaping: Escaping) -> Vec<u8> {
    let mut out = Vec::new();
    let mut open = None::<(&str, FamilyType, FamilyEncoder)>;

    for sample in samples {
        let (family_type, value) = match &sample.value {
            ExposedValue::Float(value) => (FamilyType::Untyped, MetricValue::Float(*value)),
            ExposedValue::Histogram(histogram) if !histogram.custom_values.is_empty() => continue,
            ExposedValue::Histogram(histogram) => {
                (FamilyType::of(histogram), MetricValue::Histogram(histogram))
            }
        };

        let name = sample.labels.metric_name();
        if open
            .as_ref()
            .is_none_or(|(last, last_type, _)| (*last, *last_type) != (name, family_type))
        {
            let encoder = FamilyEncoder::new(&escaping.apply(name), family_type);
            let fresh = (name, family_type, encoder);
            if let Some((_, _, family)) = open.replace(fresh) {
                family.finish(&mut out);
            }
        }

        let Some((_, _, family)) = &mut open else {
            continue;
        };
        let labels: Vec<_> = exposed_labels(&sample.labels)
            .map(|(name, value)| (escaping.apply(name), value))
            .collect();

        family.push(
            labels.iter().map(|(name, value)| (name.as_str(), *value)),
            sample.ts_ms,
            value,
        );
    }

    if let Some((_, _, family)) = open {
        family.finish(&mut out);
    }

    out
}
