//! Merges blocks: one streaming merge, series by series, with the rule that queries follow.
//!
//! ```text
//! inputs ──► open, by `budget` ──► duramen_source::MergeSource ──► `output` ──► blocks, entries
//!                 │                                                  ▲
//!                 └──► duramen_source::merge::exemplars ─────────────┘
//! ```
//!
//! - `input`, `options`: what comes in. `block`: the output.
//! - `entry`: what the entry of an output is, from the entries of the inputs. Pure.
//! - `budget`: how the memory is divided. Pure.
//! - `output`: writes merged series and exemplars, on threads that may block.
//! - `task`: what a merge makes. `rolling`: writes rollups that are made in the same pass.
//! - `rollups`: merges rollups.
//! - `report`: what a merge did.
//!
//! A merge of one block writes it again with other options. It changes nothing of what queries
//! read. The inputs are only read. Who makes the outputs live, and when, is decided elsewhere.

mod block;
mod budget;
mod entry;
mod input;
mod options;
mod output;
mod report;
mod rolling;
mod rollups;
mod task;

use std::sync::Arc;

use duramen_block::{BlockSetWriter, BlockWriter};
use duramen_metrics::Counter;
use duramen_model::{BlockEntry, BlockId, FamilyMetadata};
use duramen_source::merge::exemplars::ExemplarMerge;
use duramen_source::{Columns, MergeSource, Reads, SeriesRequest, SeriesSource};
use futures::TryStreamExt;
use parking_lot::Mutex;

use crate::error::Error;
use crate::merge::budget::Budget;
use crate::merge::entry::OutputEntry;
use crate::merge::input::{OpenInput, open};
use crate::merge::output::{Output, Writers};
use crate::merge::rolling::RollupWriters;
use crate::merge::rollups::of_newest;
use crate::metadata;
pub use block::{Merged, MergedBlock};
pub use input::MergeInput;
pub use options::MergeOptions;
pub use report::{InputReport, MergeReport};
pub use rollups::{RollupInput, merge_rollups};
pub use task::{MergeTask, RollupTask};

/// Merges blocks of one tenant: of samples, or rollups of one resolution. `create` makes the writer
/// of each block of the output, and its id.
///
/// A query over the outputs answers as a query over the inputs: series, samples, histograms and
/// exemplars of all inputs, each once, without what the deletions of an input mean. If two inputs
/// have different values for one time of a series, the value of the smaller order counts. The
/// metadata is that of the newest block of each writer; of two entries for one family the one that
/// was sent last counts.
///
/// Requests, for each input: 1 GET of `meta` (and 1 of a small series file at the same time), then
/// those of reading the series file once from front to back, and one trip for each batch of
/// samples and for each batch of exemplars. No file is read twice, apart from pages at the border
/// of two batches.
///
/// # Errors
/// If an input cannot be read, the error names its folder. What was written so far is incomplete,
/// and may be removed.
pub async fn merge(
    inputs: Vec<MergeInput>,
    options: &MergeOptions,
    reads: &Arc<Reads>,
    mut create: impl FnMut() -> Result<(BlockId, BlockWriter), duramen_block::Error> + Send + 'static,
) -> Result<Merged, Error> {
    let is_rollup = |input: &MergeInput| !input.entry.rolled.is_empty();

    if !inputs.is_empty() && inputs.iter().all(is_rollup) {
        return merge_rollups(of_newest(inputs), options, reads, create).await;
    }

    merge_into(inputs, &MergeTask::SAMPLES, options, reads, move |_| {
        create()
    })
    .await
}

/// Does what [`merge`] does, and makes rollups in the same pass, as `task` says. The samples may be
/// only read for the rollups. `create` makes the writer of each block, and its id; its argument is
/// the resolution of a rollup.
///
/// The entries of the rollups are behind those of the samples.
///
/// # Errors
/// Those of [`merge`].
pub async fn merge_into<C>(
    inputs: Vec<MergeInput>,
    task: &MergeTask,
    options: &MergeOptions,
    reads: &Arc<Reads>,
    create: C,
) -> Result<Merged, Error>
where
    C: FnMut(Option<i64>) -> Result<(BlockId, BlockWriter), duramen_block::Error> + Send + 'static,
{
    let entries: Vec<&BlockEntry> = inputs.iter().map(|input| &input.entry).collect();
    let entry = OutputEntry::of(&entries)?;
    let budget = Budget::new(options, inputs.len());
    let inputs = open(inputs, &budget, reads).await?;

    let request = SeriesRequest {
        matchers: Arc::from([]),
        range: task.range(),
        columns: Columns::Everything,
        batch_series_max: SeriesRequest::BATCH_SERIES,
        reads: Arc::clone(reads),
    };

    let families = match task.writes_samples {
        true => families(&inputs).await?,
        false => Vec::new(),
    };

    let exemplars = inputs
        .iter()
        .filter(|_| task.writes_samples)
        .map(|input| input.exemplars(&request))
        .collect();

    let mut samples = samples(&inputs, &budget).select(&request).await?;
    let writers = writers(task, &budget, create);
    let mut output = Output::new(writers, ExemplarMerge::new(exemplars));
    let mut batch = samples.try_next().await?;

    while let Some(current) = batch {
        // The next batch is read while this one is written.
        let (written, next) = futures::join!(output.push(current), samples.try_next());
        written?;
        batch = next?;
    }

    let siblings = output.finish(families).await?;
    let blocks = siblings.samples.into_iter();
    let mut blocks: Vec<MergedBlock> = blocks
        .map(|sibling| MergedBlock::of(&entry, sibling))
        .collect();

    if let Some(RollupTask { day, .. }) = &task.rollups {
        for (resolution_ms, siblings) in siblings.rollups {
            let entry = entry.rolled_up(day.clone(), resolution_ms);
            blocks.extend(
                siblings
                    .into_iter()
                    .map(|sibling| MergedBlock::of(&entry, sibling)),
            );
        }
    }

    let report = MergeReport::new(&inputs, blocks.iter().map(|block| &block.entry));
    Ok(Merged { blocks, report })
}

/// Returns the writers of what a task makes. All of them create their blocks by `create`.
fn writers<C>(
    task: &MergeTask,
    budget: &Budget,
    create: C,
) -> Writers<
    impl FnMut() -> Result<(BlockId, BlockWriter), duramen_block::Error> + Send + 'static + use<C>,
>
where
    C: FnMut(Option<i64>) -> Result<(BlockId, BlockWriter), duramen_block::Error> + Send + 'static,
{
    let create = Arc::new(Mutex::new(create));
    let set = |resolution_ms: Option<i64>| {
        let create = Arc::clone(&create);
        BlockSetWriter::new(budget.limits.clone(), move || create.lock()(resolution_ms))
    };

    let rollups = task.rollups.as_ref().map(|rollups| {
        let resolutions = rollups.resolutions_ms.iter();
        let sets = resolutions.map(|resolution_ms| (*resolution_ms, set(Some(*resolution_ms))));
        RollupWriters::new(rollups.day.range(), sets)
    });

    Writers {
        samples: task.writes_samples.then(|| set(None)),
        rollups,
    }
}

/// Whether one of the inputs has a series that its deletions mean.
///
/// Requests, for each input: those of opening it, and of reading its series file once.
pub async fn holds_deleted(inputs: Vec<MergeInput>, reads: &Arc<Reads>) -> Result<bool, Error> {
    let budget = Budget::new(&MergeOptions::default(), inputs.len());

    for input in open(inputs, &budget, reads).await? {
        if input.holds_deleted(reads).await? {
            return Ok(true);
        }
    }

    Ok(false)
}

/// Returns the merge of the samples of all inputs.
fn samples(inputs: &[OpenInput], budget: &Budget) -> MergeSource {
    let part = |input: &OpenInput| (input.part(), input.conflicts.clone());
    let parts = inputs.iter().map(part).collect();

    MergeSource::counting_each(parts)
        .in_batches_of(budget.output_samples_max)
        .within(&budget.memory)
}

/// Returns the metric families that a query over the inputs finds.
async fn families(inputs: &[OpenInput]) -> Result<Vec<FamilyMetadata>, Error> {
    let entries: Vec<_> = inputs
        .iter()
        .map(|input| Arc::new(input.entry.clone()))
        .collect();

    let newest = metadata::newest(entries.iter());
    let is_newest = |input: &&OpenInput| newest.values().any(|entry| entry.id == input.entry.id);
    let parts = inputs.iter().filter(is_newest).map(OpenInput::part);

    let merged = MergeSource::new(parts.collect(), Counter::default());
    Ok(merged.metadata().await?)
}
