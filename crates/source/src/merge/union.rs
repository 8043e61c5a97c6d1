//! What several parts know beside samples, as one answer.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Error, SeriesExemplars, SeriesSummary};
use duramen_model::{Exemplar, FamilyMetadata};

/// The exemplars of all parts: series in block order, the exemplars of one by time, equal ones
/// once.
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

/// By time; exemplars of one time in an order that does not depend on the parts, so that equal ones
/// are neighbours.
fn in_time(a: &Exemplar, b: &Exemplar) -> std::cmp::Ordering {
    let key = |exemplar: &Exemplar| (exemplar.ts_ms, exemplar.value.to_bits());
    key(a).cmp(&key(b)).then_with(|| a.labels.cmp(&b.labels))
}

/// Each family as it was last sent. Of equal times the later part counts.
pub(super) fn metadata(
    parts: impl IntoIterator<Item = Vec<FamilyMetadata>>,
) -> Vec<FamilyMetadata> {
    let mut families: BTreeMap<String, FamilyMetadata> = BTreeMap::new();

    for family in parts.into_iter().flatten() {
        let newest = families
            .get(&family.family)
            .is_none_or(|held| held.last_seen_ms <= family.last_seen_ms);
        if newest {
            families.insert(family.family.clone(), family);
        }
    }

    families.into_values().collect()
}

/// The summaries of all parts, added up for each series, in block order.
pub(super) fn summaries(parts: impl IntoIterator<Item = Vec<SeriesSummary>>) -> Vec<SeriesSummary> {
    let mut all: Vec<SeriesSummary> = parts.into_iter().flatten().collect();
    all.sort_by(|a, b| a.labels.cmp_in_block(&b.labels));

    all.dedup_by(|later, held| {
        let same = later.labels == held.labels;
        if same {
            held.floats += later.floats;
            held.histograms += later.histograms;
            held.first_ms = held.first_ms.min(later.first_ms);
            held.last_ms = held.last_ms.max(later.last_ms);
        }

        same
    });

    all
}

/// Both sets together; for a fold over the answers of parts.
pub(super) async fn texts(
    mut held: BTreeSet<String>,
    mut more: BTreeSet<String>,
) -> Result<BTreeSet<String>, Error> {
    held.append(&mut more);
    Ok(held)
}
