//! Computes answers from all series of a selection, for sources that have no faster way.

use std::collections::BTreeSet;

use duramen_model::labels::LabelsIter;
use duramen_qos::Exceeded;
use futures::StreamExt;

use crate::answer::{SeriesStream, SeriesSummary};
use crate::error::Error;
use crate::reads::Reads;
use crate::texts::Texts;

/// The label names in `batches`, a selection of only labels.
pub async fn label_names(batches: SeriesStream, reads: &Reads) -> Result<BTreeSet<String>, Error> {
    let mut found = Texts::within(reads);

    each_label_set(batches, |encoded| {
        found.extend(LabelsIter::over(encoded).map(|(name, _)| name))
    })
    .await?;

    Ok(found.finish())
}

/// The values of label `name` in `batches`, a selection of only labels.
pub async fn label_values(
    batches: SeriesStream,
    name: &str,
    reads: &Reads,
) -> Result<BTreeSet<String>, Error> {
    let mut found = Texts::within(reads);

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
            found.insert(value)?;
        }

        Ok(())
    })
    .await?;

    Ok(found.finish())
}

/// The summaries of `batches`, a selection of samples. They count the samples in it.
pub async fn summaries(
    mut batches: SeriesStream,
    reads: &Reads,
) -> Result<Vec<SeriesSummary>, Error> {
    let mut summaries = Vec::new();

    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let labels: usize = (0..batch.len()).map(|row| batch.labels_at(row).len()).sum();
        reads
            .hold(labels + batch.len() * SeriesSummary::BYTES)
            .map_err(refused)?;

        summaries.extend((0..batch.len()).filter_map(|row| SeriesSummary::of(&batch, row)));
    }

    Ok(summaries)
}

async fn each_label_set(
    mut batches: SeriesStream,
    mut visit: impl FnMut(&[u8]) -> Result<(), Exceeded> + Send,
) -> Result<(), Error> {
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        (0..batch.len())
            .try_for_each(|row| visit(batch.labels_at(row)))
            .map_err(refused)?;
    }

    Ok(())
}

/// The error when memory was refused.
fn refused(exceeded: Exceeded) -> Error {
    Error::memory("the labels of all series", exceeded)
}
