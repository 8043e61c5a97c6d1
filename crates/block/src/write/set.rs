//! Writes one output, of a flush or of a merge, into one block or several siblings.

use bytes::Bytes;
use duramen_model::labels::cmp_encoded_in_block;
use duramen_model::{BlockStats, Exemplar, FamilyMetadata, Labels};
use duramen_source::SeriesBatch;

use crate::error::Error;
use crate::write::block::BlockWriter;
use crate::write::contents::{OwnedContents, SeriesContents};

/// When a block is full. The next series then begins a sibling, if its metric name is a new one. A
/// metric that runs on to twice a limit is cut inside.
#[derive(Clone, Debug)]
pub struct BlockLimits {
    /// The number of series. A reader of a block may read the table of all its series at once.
    pub series_max: usize,
    /// The encoded bytes of samples, histograms and exemplars that are in the files.
    pub rows_bytes_max: u64,
    /// The bytes of all labels, which the writer keeps in memory until the block is complete. 512
    /// bytes for each of 64 Ki series, so only long labels reach it.
    pub labels_bytes_max: usize,
}

impl Default for BlockLimits {
    fn default() -> Self {
        Self {
            series_max: 64 << 10,
            rows_bytes_max: 256 << 20,
            labels_bytes_max: 32 << 20,
        }
    }
}

/// How far a block is towards its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fill {
    Room,
    /// The block ends where the metric ends.
    Full,
    /// The block ends here.
    Over,
}

impl BlockLimits {
    fn fill(&self, block: &BlockWriter) -> Fill {
        let series = fill(block.series() as u64, self.series_max as u64);
        let rows = fill(block.rows_bytes(), self.rows_bytes_max);
        let labels = fill(block.labels_bytes() as u64, self.labels_bytes_max as u64);

        series.max(rows).max(labels)
    }
}

fn fill(held: u64, max: u64) -> Fill {
    if held >= max.saturating_mul(2) {
        Fill::Over
    } else if held >= max {
        Fill::Full
    } else {
        Fill::Room
    }
}

/// A complete block of a set. `P` is its place, which the creator of its writer chose.
#[derive(Debug)]
pub struct Sibling<P> {
    pub place: P,
    pub stats: BlockStats,
    /// The files by name, `meta` last. Empty for a block in a folder.
    pub files: Vec<(String, Bytes)>,
}

/// Takes the series of one output in the order of a block, and writes them into one block or
/// several *siblings*. The metric names of siblings ascend and do not overlap, except that a metric
/// which is too large for one block goes on in the next. It blocks, so use it on a thread that may
/// block.
///
/// `create` makes the writer of the next block. It is called when there is a series for that block,
/// so no block is empty. A set that is dropped before [`BlockSetWriter::finish`] leaves complete
/// blocks and an incomplete one.
pub struct BlockSetWriter<P, C> {
    limits: BlockLimits,
    create: C,
    open: Option<Open<P>>,
    complete: Vec<Sibling<P>>,
    families: Vec<FamilyMetadata>,
    /// The labels of the last series of the last complete block.
    behind: Option<Labels>,
}

struct Open<P> {
    place: P,
    writer: BlockWriter,
}

impl<P, C> std::fmt::Debug for BlockSetWriter<P, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockSetWriter")
            .field("limits", &self.limits)
            .field("complete", &self.complete.len())
            .finish_non_exhaustive()
    }
}

impl<P, C: FnMut() -> Result<(P, BlockWriter), Error>> BlockSetWriter<P, C> {
    pub const fn new(limits: BlockLimits, create: C) -> Self {
        Self {
            limits,
            create,
            open: None,
            complete: Vec::new(),
            families: Vec::new(),
            behind: None,
        }
    }

    /// Appends a series, under the rules of [`BlockWriter::push`], which hold over all siblings.
    pub fn push(&mut self, labels: &Labels, contents: &SeriesContents<'_>) -> Result<(), Error> {
        if let Some(open) = self.open.take() {
            self.open = self.keep_or_complete(open, labels)?;
        }

        self.check_order(labels)?;
        self.block()?.push(labels, contents)
    }

    /// Appends series `row` of `batch`, with its exemplars.
    pub fn push_row(
        &mut self,
        batch: &SeriesBatch,
        row: usize,
        exemplars: &[Exemplar],
    ) -> Result<(), Error> {
        let labels = Labels::from_encoded_trusted(batch.labels_at(row));
        let owned = OwnedContents::of(batch, row);
        self.push(&labels, &owned.contents(batch, row, exemplars))
    }

    /// Sets the metadata of metric families, which goes into the last sibling. Without any series
    /// there is a block for it alone.
    pub fn set_metadata(&mut self, families: Vec<FamilyMetadata>) {
        self.families = families;
    }

    /// How many series were pushed.
    pub fn series(&self) -> u64 {
        let complete: u64 = self.complete.iter().map(|block| block.stats.series).sum();
        let open = self
            .open
            .as_ref()
            .map_or(0, |open| open.writer.series() as u64);

        complete + open
    }

    /// Completes all blocks, as [`BlockWriter::finish`] does, and returns them in order. There are
    /// none if nothing was pushed and set.
    pub fn finish(mut self) -> Result<Vec<Sibling<P>>, Error> {
        let families = std::mem::take(&mut self.families);
        if !families.is_empty() {
            self.block()?.set_metadata(families)?;
        }

        if let Some(open) = self.open.take() {
            self.complete(open)?;
        }

        Ok(self.complete)
    }

    /// Returns the open block if the series belongs to it. Otherwise completes the block.
    fn keep_or_complete(
        &mut self,
        open: Open<P>,
        labels: &Labels,
    ) -> Result<Option<Open<P>>, Error> {
        let ends = match self.limits.fill(&open.writer) {
            Fill::Room => false,
            Fill::Full => open.writer.last_name() != Some(labels.metric_name()),
            Fill::Over => true,
        };

        if !ends {
            return Ok(Some(open));
        }

        self.behind = open
            .writer
            .last_labels()
            .map(Labels::from_encoded_trusted)
            .or_else(|| self.behind.take());
        self.complete(open)?;
        Ok(None)
    }

    fn complete(&mut self, open: Open<P>) -> Result<(), Error> {
        let Open { place, writer } = open;
        let (stats, files) = writer.finish_in_memory()?;

        self.complete.push(Sibling {
            place,
            stats,
            files,
        });
        Ok(())
    }

    /// Checks that the first series of a block is behind the last series of the block before. Each
    /// block checks the others.
    fn check_order(&self, labels: &Labels) -> Result<(), Error> {
        let ascends = self
            .behind
            .as_ref()
            .is_none_or(|behind| cmp_encoded_in_block(behind.encoded(), labels.encoded()).is_lt());

        if ascends {
            return Ok(());
        }

        Err(Error::Contract {
            rule: "the series is not behind the one before",
            series: labels.to_string(),
        })
    }

    /// Returns the open block. Creates it if there is none.
    fn block(&mut self) -> Result<&mut BlockWriter, Error> {
        let open = match &mut self.open {
            Some(open) => open,
            none => {
                let (place, writer) = (self.create)()?;
                none.insert(Open { place, writer })
            }
        };

        Ok(&mut open.writer)
    }
}
