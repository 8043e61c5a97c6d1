//! Writes merged series and their exemplars into blocks.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use duramen_block::{BlockSetWriter, BlockWriter, Error as BlockError, SeriesContents, Sibling};
use duramen_model::labels::cmp_encoded_in_block;
use duramen_model::{BlockId, FamilyMetadata};
use duramen_source::merge::exemplars::ExemplarMerge;
use duramen_source::{SeriesBatch, SeriesExemplars};

use crate::error::Error;
use crate::merge::rolling::{RollupBlocks, RollupWriters};

/// At most about so many exemplars are in memory at once.
const EXEMPLARS_AT_ONCE: usize = 16_384;

/// The output of a merge while it is written. The writer is on a thread that may block whenever it
/// works.
pub(super) struct Output<C> {
    /// `None` after a failure.
    writers: Option<Writers<C>>,
    exemplars: ExemplarMerge,
}

/// The writers of what a merge makes.
pub(super) struct Writers<C> {
    pub(super) samples: Option<BlockSetWriter<BlockId, C>>,
    pub(super) rollups: Option<RollupWriters<C>>,
}

/// The blocks of an output.
pub(super) struct Siblings {
    pub(super) samples: Vec<Sibling<BlockId>>,
    /// By resolution.
    pub(super) rollups: Vec<RollupBlocks>,
}

impl<C> Output<C>
where
    C: FnMut() -> Result<(BlockId, BlockWriter), BlockError> + Send + 'static,
{
    pub(super) const fn new(writers: Writers<C>, exemplars: ExemplarMerge) -> Self {
        Self {
            writers: Some(writers),
            exemplars,
        }
    }

    /// Writes the series of a batch, and the exemplars of all series up to its last one.
    pub(super) async fn push(&mut self, batch: SeriesBatch) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }

        let batch = Arc::new(batch);
        if self.rolls_up() {
            let current = Arc::clone(&batch);
            self.write(move |writers| match &mut writers.rollups {
                Some(rollups) => rollups.push(&current),
                None => Ok(()),
            })
            .await?;
        }

        if !self.writes_samples() {
            return Ok(());
        }

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
            self.write_samples(move |set| push_rows(set, &current, rows, exemplars))
                .await?;
            row = end;
        }

        Ok(())
    }

    /// Writes the series that have exemplars only, behind the last batch. Completes all blocks.
    pub(super) async fn finish(mut self, families: Vec<FamilyMetadata>) -> Result<Siblings, Error> {
        while self.writes_samples() {
            let (exemplars, is_all) = self.exemplars_up_to(None).await?;
            self.write_samples(move |set| {
                exemplars
                    .iter()
                    .try_for_each(|series| push_alone(set, series))
            })
            .await?;

            if is_all {
                break;
            }
        }

        let Some(writers) = self.writers else {
            return Err(Error::Stopped);
        };

        let finishing = tokio::task::spawn_blocking(move || writers.finish(families));
        Ok(finishing.await.map_err(|_| Error::Stopped)??)
    }

    fn rolls_up(&self) -> bool {
        let writers = self.writers.as_ref();
        writers.is_some_and(|writers| writers.rollups.is_some())
    }

    fn writes_samples(&self) -> bool {
        let writers = self.writers.as_ref();
        writers.is_some_and(|writers| writers.samples.is_some())
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

    /// Lets `work` use the writer of samples, if there is one.
    async fn write_samples(
        &mut self,
        work: impl FnOnce(&mut BlockSetWriter<BlockId, C>) -> Result<(), BlockError> + Send + 'static,
    ) -> Result<(), Error> {
        self.write(move |writers| match &mut writers.samples {
            Some(set) => work(set),
            None => Ok(()),
        })
        .await
    }

    /// Lets `work` use the writers.
    async fn write(
        &mut self,
        work: impl FnOnce(&mut Writers<C>) -> Result<(), BlockError> + Send + 'static,
    ) -> Result<(), Error> {
        let Some(mut writers) = self.writers.take() else {
            return Err(Error::Stopped);
        };

        let working = tokio::task::spawn_blocking(move || {
            let worked = work(&mut writers);
            (writers, worked)
        });

        let (writers, worked) = working.await.map_err(|_| Error::Stopped)?;
        self.writers = Some(writers);
        Ok(worked?)
    }
}

impl<C: FnMut() -> Result<(BlockId, BlockWriter), BlockError>> Writers<C> {
    /// Completes all blocks. It blocks.
    fn finish(self, families: Vec<FamilyMetadata>) -> Result<Siblings, BlockError> {
        let samples = match self.samples {
            Some(mut set) => {
                set.set_metadata(families);
                set.finish()?
            }
            None => Vec::new(),
        };

        let rollups = match self.rollups {
            Some(rollups) => rollups.finish()?,
            None => Vec::new(),
        };

        Ok(Siblings { samples, rollups })
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
