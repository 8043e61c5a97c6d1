//! Merges rollups.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duramen_block::{BlockSetWriter, BlockWriter};
use duramen_model::{BlockEntry, BlockId, Content, TimeRange};
use duramen_source::rollup::joined::joined;
use duramen_source::{Columns, Reads, SeriesRequest};
use futures::TryStreamExt;

use crate::error::Error;
use crate::merge::block::{Merged, MergedBlock};
use crate::merge::budget::Budget;
use crate::merge::entry::OutputEntry;
use crate::merge::input::{MergeInput, open};
use crate::merge::options::MergeOptions;
use crate::merge::report::MergeReport;
use crate::merge::rolling::push_rollups;

/// A rollup to merge, and the starts of the days that are taken of it.
#[derive(Clone, Debug)]
pub struct RollupInput {
    pub input: MergeInput,
    pub days: BTreeSet<i64>,
}

/// Merges rollups of one resolution: the rows of the days that are taken of each, without what the
/// deletions of an input mean. No day may be taken of two outputs. `create` makes the writer of
/// each block, and its id.
///
/// Requests, for each input: 1 GET of `meta` (and 1 of a small series file at the same time), those
/// of reading the series file once, and one trip for each batch of rows.
///
/// # Errors
/// Those of [`super::merge`].
pub async fn merge_rollups(
    inputs: Vec<RollupInput>,
    options: &MergeOptions,
    reads: &Arc<Reads>,
    create: impl FnMut() -> Result<(BlockId, BlockWriter), duramen_block::Error> + Send + 'static,
) -> Result<Merged, Error> {
    let parts = inputs
        .iter()
        .map(|one| (&one.input.entry, &one.days))
        .collect();
    let entry = OutputEntry::of_rollups(parts)?;
    let days: BTreeMap<BlockId, BTreeSet<i64>> = inputs
        .iter()
        .map(|one| (one.input.entry.id, one.days.clone()))
        .collect();

    let budget = Budget::new(options, inputs.len());
    let inputs = inputs.into_iter().map(|one| one.input).collect();
    let inputs = open(inputs, &budget, reads).await?;

    let request = SeriesRequest {
        matchers: Arc::from([]),
        range: TimeRange::ALL,
        columns: Columns::Everything,
        batch_series_max: SeriesRequest::BATCH_SERIES,
        reads: Arc::clone(reads),
    };

    let rows = inputs.iter().map(|input| {
        let days = days.get(&input.entry.id).cloned().unwrap_or_default();
        input.rollups(&request, days)
    });

    let mut rows = joined(rows.collect());
    let mut set = BlockSetWriter::new(budget.limits.clone(), create);

    while let Some(batch) = rows.try_next().await? {
        let writing = tokio::task::spawn_blocking(move || {
            let pushed = push_rollups(&mut set, &batch);
            (set, pushed)
        });

        let (written, pushed) = writing.await.map_err(|_| Error::Stopped)?;
        pushed?;
        set = written;
    }

    let finishing = tokio::task::spawn_blocking(move || set.finish());
    let siblings = finishing.await.map_err(|_| Error::Stopped)??;
    let blocks = siblings.into_iter();
    let blocks: Vec<MergedBlock> = blocks
        .map(|sibling| MergedBlock::of(&entry, sibling))
        .collect();

    let report = MergeReport::new(&inputs, blocks.iter().map(|block| &block.entry));
    Ok(Merged { blocks, report })
}

/// Takes each day of the rollup that was made last of it.
pub(super) fn of_newest(inputs: Vec<MergeInput>) -> Vec<RollupInput> {
    let mut newest: BTreeMap<i64, (BlockId, Content)> = BTreeMap::new();

    for MergeInput { entry, .. } in &inputs {
        for day in &entry.rolled {
            let this = (entry.id, entry.content);
            let known = newest.entry(day.start_ms).or_insert(this);
            *known = (*known).max(this);
        }
    }

    let taken = |entry: &BlockEntry| {
        let days = entry.rolled.iter().map(|day| day.start_ms);
        let is_newest = |day: &i64| newest.get(day).is_some_and(|(_, of)| *of == entry.content);
        days.filter(is_newest).collect()
    };

    inputs
        .into_iter()
        .map(|input| RollupInput {
            days: taken(&input.entry),
            input,
        })
        .collect()
}
