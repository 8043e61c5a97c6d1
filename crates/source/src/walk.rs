//! Answers that walk through the series of a selection: for sources that have no faster way.

use std::collections::{BTreeSet, HashSet};

use duramen_model::labels::LabelsIter;
use futures::StreamExt;

use crate::{Columns, Error, SeriesRequest, SeriesSource, SeriesSummary};

/// [`SeriesSource::label_names`], at the cost of reading the labels of all series.
pub async fn label_names<S: SeriesSource + ?Sized>(
    source: &S,
    request: &SeriesRequest,
) -> Result<BTreeSet<String>, Error> {
    let mut found = HashSet::new();
    each_label_set(source, request, |encoded| {
        for (name, _) in LabelsIter::over(encoded) {
            if !found.contains(name) {
                found.insert(name.to_owned());
            }
        }
    })
    .await?;
    Ok(found.into_iter().collect())
}

/// [`SeriesSource::label_values`], at the cost of reading the labels of all series.
pub async fn label_values<S: SeriesSource + ?Sized>(
    source: &S,
    request: &SeriesRequest,
    name: &str,
) -> Result<BTreeSet<String>, Error> {
    let mut found = BTreeSet::new();

    // Series come sorted, so a value often stands in many that follow each other.
    let mut last = String::new();
    each_label_set(source, request, |encoded| {
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

/// [`SeriesSource::summaries`], at the cost of reading all samples: only those of the range are
/// counted then.
pub async fn summaries<S: SeriesSource + ?Sized>(
    source: &S,
    request: &SeriesRequest,
) -> Result<Vec<SeriesSummary>, Error> {
    let mut summaries = Vec::new();
    let mut batches = source
        .select(&SeriesRequest {
            columns: Columns::Samples,
            ..request.clone()
        })
        .await?;

    while let Some(batch) = batches.next().await {
        let batch = batch?;
        summaries.extend((0..batch.len()).filter_map(|row| SeriesSummary::of(&batch, row)));
    }

    Ok(summaries)
}

async fn each_label_set<S: SeriesSource + ?Sized>(
    source: &S,
    request: &SeriesRequest,
    mut visit: impl FnMut(&[u8]) + Send,
) -> Result<(), Error> {
    let mut batches = source
        .select(&SeriesRequest {
            columns: Columns::Labels,
            ..request.clone()
        })
        .await?;

    while let Some(batch) = batches.next().await {
        let batch = batch?;
        (0..batch.len()).for_each(|row| visit(batch.labels_at(row)));
    }

    Ok(())
}
