//! Computes answers from all series of a selection, for sources that have no faster way.

use std::collections::{BTreeSet, HashSet};

use duramen_model::labels::LabelsIter;
use futures::StreamExt;

use crate::answer::{SeriesStream, SeriesSummary};
use crate::error::Error;

/// The label names in `batches`, a selection of only labels.
pub async fn label_names(batches: SeriesStream) -> Result<BTreeSet<String>, Error> {
    let mut found = HashSet::new();
    each_label_set(batches, |encoded| {
        for (name, _) in LabelsIter::over(encoded) {
            if !found.contains(name) {
                found.insert(name.to_owned());
            }
        }
    })
    .await?;
    Ok(found.into_iter().collect())
}

/// The values of label `name` in `batches`, a selection of only labels.
pub async fn label_values(batches: SeriesStream, name: &str) -> Result<BTreeSet<String>, Error> {
    let mut found = BTreeSet::new();

    // Series are sorted, so consecutive series often have the same value.
    let mut last = String::new();
    each_label_set(batches, |encoded| {
        let value =
            LabelsIter::over(encoded).find_map(|(other, value)| (other == name).then_some(value));
        if let Some(value) = value
            && value != last
        {
            last.clear();
            last.push_str(value);

            if !found.contains(value) {
                found.insert(value.to_owned());
            }
        }
    })
    .await?;
    Ok(found)
}

/// The summaries of `batches`, a selection of samples. They count the samples in it.
pub async fn summaries(mut batches: SeriesStream) -> Result<Vec<SeriesSummary>, Error> {
    let mut summaries = Vec::new();
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        summaries.extend((0..batch.len()).filter_map(|row| SeriesSummary::of(&batch, row)));
    }

    Ok(summaries)
}

async fn each_label_set(
    mut batches: SeriesStream,
    mut visit: impl FnMut(&[u8]) + Send,
) -> Result<(), Error> {
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        (0..batch.len()).for_each(|row| visit(batch.labels_at(row)));
    }

    Ok(())
}
