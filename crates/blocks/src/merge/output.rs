//! Writes merged series and their exemplars into blocks.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use duramen_block::{
    BlockLimits, BlockSetWriter, BlockWriter, Error as BlockError, SeriesContents, Sibling,
};
use duramen_model::labels::cmp_encoded_in_block;
use duramen_model::{BlockId, FamilyMetadata};
use duramen_source::merge::exemplars::ExemplarMerge;
use duramen_source::{SeriesBatch, SeriesExemplars};

use crate::error::Error;

/// At most about so many exemplars are in memory at once.
const EXEMPLARS_AT_ONCE: usize = 16_384;

/// The output of a merge while it is written. The writer is on a thread that may block whenever it
/// works.
pub(super) struct Output<C> {
    /// `None` after a failure.
    set: Option<BlockSetWriter<BlockId, C>>,
    exemplars: ExemplarMerge,
}

impl<C> Output<C>
where
    C: FnMut() -> Result<(BlockId, BlockWriter), BlockError> + Send + 'static,
{
    pub(super) fn new(limits: BlockLimits, create: C, exemplars: ExemplarMerge) -> Self {
        Self {
            set: Some(BlockSetWriter::new(limits, create)),
            exemplars,
        }
    }

    /// Writes the series of a batch, and the exemplars of all series up to its last one.
    pub(super) async fn push(&mut self, batch: SeriesBatch) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }

        let batch = Arc::new(batch);
        let mut row = 0;

        while row < batch.len() {
            let last = batch.labels_at(batch.len() - 1);
            let (exemplars, is_all) = self.exemplars_up_to(Some(last)).await?;

            // If more exemplars may follow, only the series whose exemplars are here are written.
            let end = match exemplars.last() {
                Some(last) if !is_all => rows_up_to(&batch, row, last.labels.encoded()),
                _ => batch.len(),
            };

            let rows = row..end;
            let current = Arc::clone(&batch);
            self.write(move |set| push_rows(set, &current, rows, exemplars))
                .await?;
            row = end;
        }

        Ok(())
    }

    /// Writes the series that have exemplars only, behind the last batch. Completes all blocks.
    pub(super) async fn finish(
        mut self,
        families: Vec<FamilyMetadata>,
    ) -> Result<Vec<Sibling<BlockId>>, Error> {
        loop {
            let (exemplars, is_all) = self.exemplars_up_to(None).await?;
            self.write(move |set| {
                exemplars
                    .iter()
                    .try_for_each(|series| push_alone(set, series))
            })
            .await?;

            if is_all {
                break;
            }
        }

        let Some(mut set) = self.set else {
            return Err(Error::Stopped);
        };

        let finishing = tokio::task::spawn_blocking(move || {
            set.set_metadata(families);
            set.finish()
        });
        Ok(finishing.await.map_err(|_| Error::Stopped)??)
    }

    /// Returns the exemplars of the next series, up to the one with the labels `last` or up to
    /// the end, and whether these are all of them.
    async fn exemplars_up_to(
        &mut self,
        last: Option<&[u8]>,
    ) -> Result<(Vec<SeriesExemplars>, bool), Error> {
        let wanted = |series: &SeriesExemplars| {
            last.is_none_or(|last| cmp_encoded_in_block(series.labels.encoded(), last).is_le())
        };

        let mut all = Vec::new();
        let mut count = 0;

        while count < EXEMPLARS_AT_ONCE {
            let Some(series) = self.exemplars.next_if(wanted).await? else {
                return Ok((all, true));
            };

            count += series.exemplars.len();
            all.push(series);
        }

        Ok((all, false))
    }

    /// Lets `work` use the writer.
    async fn write(
        &mut self,
        work: impl FnOnce(&mut BlockSetWriter<BlockId, C>) -> Result<(), BlockError> + Send + 'static,
    ) -> Result<(), Error> {
        let Some(mut set) = self.set.take() else {
            return Err(Error::Stopped);
        };

        let working = tokio::task::spawn_blocking(move || {
            let worked = work(&mut set);
            (set, worked)
        });

        let (set, worked) = working.await.map_err(|_| Error::Stopped)?;
        self.set = Some(set);
        Ok(worked?)
    }
}

/// Returns the first row behind the series with the labels `last`, at `row` or later.
fn rows_up_to(batch: &SeriesBatch, row: usize, last: &[u8]) -> usize {
    let behind = |row: &usize| cmp_encoded_in_block(batch.labels_at(*row), last).is_gt();
    (row..batch.len()).find(behind).unwrap_or(batch.len())
}

/// Writes `rows` of a batch, each with its exemplars, and the series between them that have
/// exemplars only.
fn push_rows<C: FnMut() -> Result<(BlockId, BlockWriter), BlockError>>(
    set: &mut BlockSetWriter<BlockId, C>,
    batch: &SeriesBatch,
    rows: Range<usize>,
    exemplars: Vec<SeriesExemplars>,
) -> Result<(), BlockError> {
    let mut exemplars = exemplars.into_iter().peekable();

    for row in rows {
        let labels = batch.labels_at(row);
        let against = |series: &SeriesExemplars, wanted: Ordering| {
            cmp_encoded_in_block(series.labels.encoded(), labels) == wanted
        };

        while let Some(alone) = exemplars.next_if(|series| against(series, Ordering::Less)) {
            push_alone(set, &alone)?;
        }

        let own = exemplars.next_if(|series| against(series, Ordering::Equal));
        let own = own.map_or_else(Vec::new, |series| series.exemplars);
        set.push_row(batch, row, &own)?;
    }

    exemplars.try_for_each(|alone| push_alone(set, &alone))
}

/// Writes a series that has exemplars only.
fn push_alone<C: FnMut() -> Result<(BlockId, BlockWriter), BlockError>>(
    set: &mut BlockSetWriter<BlockId, C>,
    series: &SeriesExemplars,
) -> Result<(), BlockError> {
    let contents = SeriesContents {
        exemplars: &series.exemplars,
        ..SeriesContents::default()
    };

    set.push(&series.labels, &contents)
}
