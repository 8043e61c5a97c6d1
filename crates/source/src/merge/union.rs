//! Combines the answers of several parts that are not samples.

use std::collections::BTreeMap;

use crate::{SeriesExemplars, SeriesSummary};
use duramen_model::{Exemplar, FamilyMetadata};

/// The exemplars of all parts. Series are in block order, and the exemplars of a series in time
/// order. Equal exemplars occur once.
pub fn exemplars(parts: impl IntoIterator<Item = Vec<SeriesExemplars>>) -> Vec<SeriesExemplars> {
    let mut all: Vec<SeriesExemplars> = parts.into_iter().flatten().collect();
    all.sort_by(|a, b| a.labels.cmp_in_block(&b.labels));

    let mut merged: Vec<SeriesExemplars> = Vec::new();

    for series in all {
        match merged
            .last_mut()
            .filter(|last| last.labels == series.labels)
        {
            Some(last) => last.exemplars.extend(series.exemplars),
            None => merged.push(series),
        }
    }

    for series in &mut merged {
        series.exemplars.sort_by(in_time);
        series.exemplars.dedup();
    }

    merged
}

/// The order by time. Exemplars of the same time have an order that does not depend on the parts,
/// so that equal ones are neighbours.
fn in_time(a: &Exemplar, b: &Exemplar) -> std::cmp::Ordering {
    let key = |exemplar: &Exemplar| (exemplar.ts_ms, exemplar.value.to_bits());
    key(a).cmp(&key(b)).then_with(|| a.labels.cmp(&b.labels))
}

/// The metadata of each family that was sent last. If the times are equal, the later part counts.
pub(super) fn metadata(
    parts: impl IntoIterator<Item = Vec<FamilyMetadata>>,
) -> Vec<FamilyMetadata> {
    let mut families: BTreeMap<String, FamilyMetadata> = BTreeMap::new();

    for family in parts.into_iter().flatten() {
        let newest = families
            .get(&family.family)
            .is_none_or(|known| known.last_seen_ms <= family.last_seen_ms);
        if newest {
            families.insert(family.family.clone(), family);
        }
    }

    families.into_values().collect()
}

/// The summaries of all parts in block order. Those of the same series are added up.
pub(super) fn summaries(parts: impl IntoIterator<Item = Vec<SeriesSummary>>) -> Vec<SeriesSummary> {
    let mut all: Vec<SeriesSummary> = parts.into_iter().flatten().collect();
    all.sort_by(|a, b| a.labels.cmp_in_block(&b.labels));

    all.dedup_by(|later, first| {
        let same = later.labels == first.labels;
        if same {
            first.floats += later.floats;
            first.histograms += later.histograms;
            first.first_ms = first.first_ms.min(later.first_ms);
            first.last_ms = first.last_ms.max(later.last_ms);
        }

        same
    });

    all
}
