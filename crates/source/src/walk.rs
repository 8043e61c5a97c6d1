//! Answers that walk through the series of a selection: for sources that have no faster way.

use std::collections::{BTreeSet, HashSet};

use duramen_model::labels::LabelsIter;
use futures::StreamExt;

use crate::answer::{SeriesStream, SeriesSummary};
use crate::error::Error;

/// The names of the labels of `batches`, which are a selection of labels alone.
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

/// The values of label `name` in `batches`, which are a selection of labels alone.
pub async fn label_values(batches: SeriesStream, name: &str) -> Result<BTreeSet<String>, Error> {
    let mut found = BTreeSet::new();

    // Series come sorted, so a value often stands in many that follow each other.
    let mut last = String::new();
    each_label_set(batches, |encoded| {
        let value =
            LabelsIter::over(encoded).find_map(|(held, value)| (held == name).then_some(value));
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

/// The summaries of `batches`, which are a selection of samples: those that it has are counted.
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
