//! A block that is merged, before and after it is opened.

use std::collections::BTreeSet;
use std::sync::Arc;

use duramen_block::{Block, BlockSource, OpenOptions};
use duramen_metrics::Counter;
use duramen_model::{BlockEntry, Deletion};
use duramen_source::masked::exemplars_left;
use duramen_source::merge::exemplars::ExemplarStream;
use duramen_source::rollup::RowParts;
use duramen_source::rollup::hidden::{of_days, without_deleted};
use duramen_source::{
    Columns, Error as SourceError, MaskedSource, Part, Reads, RollupStream, SeriesRequest,
    SeriesSource,
};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;
use object_store::path::Path;

use crate::error::Error;
use crate::merge::budget::Budget;

/// How many blocks are opened at the same time.
const OPENS_AT_ONCE: usize = 16;

/// A block to merge, and where its files are.
#[derive(Clone, Debug)]
pub struct MergeInput {
    pub entry: BlockEntry,
    pub store: Arc<dyn ObjectStore>,
    pub directory: Path,
    /// What the output must not have of it.
    pub deletions: Vec<Arc<Deletion>>,
}

/// An input that is open.
pub(super) struct OpenInput {
    pub(super) entry: BlockEntry,
    pub(super) source: BlockSource,
    pub(super) deletions: Vec<Arc<Deletion>>,
    /// The samples of the block that lost against a different value.
    pub(super) conflicts: Counter,
}

impl OpenInput {
    /// Returns the samples of the block with their order.
    pub(super) fn part(&self) -> Part {
        let all: Arc<dyn SeriesSource> = Arc::new(self.source.clone());
        let source = match self.deletions.is_empty() {
            true => all,
            false => Arc::new(MaskedSource::new(
                all,
                self.deletions.clone(),
                self.entry.stats.range(),
            )),
        };

        Part {
            order: self.entry.order.min,
            source,
            holds_samples: true,
        }
    }

    /// Returns the rows of a rollup of these days.
    pub(super) fn rollups(&self, request: &SeriesRequest, days: BTreeSet<i64>) -> RollupStream {
        let rows = of_days(self.source.rollup_stream(request, RowParts::ALL), days);

        match self.deletions.is_empty() {
            true => rows,
            false => without_deleted(rows, self.deletions.clone()),
        }
    }

    /// Returns the exemplars of the block.
    pub(super) fn exemplars(&self, request: &SeriesRequest) -> ExemplarStream {
        let all = self.source.exemplar_stream(request);
        match self.deletions.is_empty() {
            true => all,
            false => exemplars_left(all, self.deletions.clone(), self.entry.stats.range()),
        }
    }

    /// Whether the block has a series that a deletion means.
    pub(super) async fn holds_deleted(&self, reads: &Arc<Reads>) -> Result<bool, SourceError> {
        for deletion in &self.deletions {
            for matchers in &deletion.selectors {
                let request = SeriesRequest {
                    matchers: Arc::from(&matchers[..]),
                    range: deletion.range,
                    columns: Columns::Labels,
                    batch_series_max: SeriesRequest::BATCH_SERIES,
                    reads: Arc::clone(reads),
                };

                let mut batches = self.source.select(&request).await?;
                while let Some(batch) = batches.try_next().await? {
                    if !batch.is_empty() {
                        return Ok(true);
                    }
                }

                let has_any = self.entry.stats.exemplars > 0;
                if has_any && !self.source.exemplars(&request).await?.is_empty() {
                    return Ok(true);
                }
            }
        }

        Ok(false)
    }
}

/// Opens the inputs, ascending by order.
pub(super) async fn open(
    mut inputs: Vec<MergeInput>,
    budget: &Budget,
    reads: &Reads,
) -> Result<Vec<OpenInput>, Error> {
    inputs.sort_by_key(|input| (input.entry.order.min, input.entry.id));

    let open = |input: MergeInput| async move {
        let options = OpenOptions {
            batches: budget.batches(),
            ..OpenOptions::default()
        };

        let directory = input.directory.clone();
        let opened = Block::open(
            input.store,
            input.directory,
            &input.entry.stats,
            options,
            reads,
        )
        .await;
        let block = opened.map_err(|error| error.of_block(&directory))?;

        Ok(OpenInput {
            entry: input.entry,
            source: BlockSource::new(block),
            deletions: input.deletions,
            conflicts: Counter::default(),
        })
    };

    stream::iter(inputs)
        .map(open)
        .buffered(OPENS_AT_ONCE)
        .try_collect()
        .await
}
