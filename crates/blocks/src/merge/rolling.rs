//! Writes the rollups of merged series, of several resolutions side by side.

use duramen_block::{BlockSetWriter, BlockWriter, Error as BlockError, SeriesContents, Sibling};
use duramen_model::{BlockId, TimeRange};
use duramen_source::SeriesBatch;
use duramen_source::rollup::batch::RollupBatch;
use duramen_source::rollup::made::roll_batch;

/// The rollups of one output while they are written.
pub(super) struct RollupWriters<C> {
    /// The times whose samples count.
    range: TimeRange,
    writers: Vec<RollupWriter<C>>,
}

/// The blocks of one resolution.
pub(super) type RollupBlocks = (i64, Vec<Sibling<BlockId>>);

struct RollupWriter<C> {
    resolution_ms: i64,
    set: BlockSetWriter<BlockId, C>,
}

impl<C> RollupWriters<C>
where
    C: FnMut() -> Result<(BlockId, BlockWriter), BlockError>,
{
    pub(super) fn new(
        range: TimeRange,
        sets: impl IntoIterator<Item = (i64, BlockSetWriter<BlockId, C>)>,
    ) -> Self {
        let writers = sets
            .into_iter()
            .map(|(resolution_ms, set)| RollupWriter { resolution_ms, set });

        Self {
            range,
            writers: writers.collect(),
        }
    }

    /// Writes what the samples of a batch come to. It blocks.
    pub(super) fn push(&mut self, batch: &SeriesBatch) -> Result<(), BlockError> {
        for writer in &mut self.writers {
            let rolled = roll_batch(batch, self.range, writer.resolution_ms);
            push_rollups(&mut writer.set, &rolled)?;
        }

        Ok(())
    }

    /// Completes all blocks, by resolution. It blocks.
    pub(super) fn finish(self) -> Result<Vec<RollupBlocks>, BlockError> {
        let writers = self.writers.into_iter();
        let finish = |writer: RollupWriter<C>| Ok((writer.resolution_ms, writer.set.finish()?));
        writers.map(finish).collect()
    }
}

/// Writes the series of a batch. It blocks.
pub(super) fn push_rollups<C: FnMut() -> Result<(BlockId, BlockWriter), BlockError>>(
    set: &mut BlockSetWriter<BlockId, C>,
    batch: &RollupBatch,
) -> Result<(), BlockError> {
    for (labels, rows) in batch.series() {
        set.push(&labels, &SeriesContents::rollups(rows))?;
    }

    Ok(())
}
