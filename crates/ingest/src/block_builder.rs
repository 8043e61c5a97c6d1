//! Builds blocks from a frozen generation, in the staging directory or in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_block::{BlockWriter, SeriesContents, WriterOptions};
use duramen_blocks::{MemoryBlock, Staging, StagingDir};
use duramen_model::{
    BlockEntry, BlockId, BlockStats, Content, Exemplar, FamilyMetadata, Labels, Life, OrderRange,
    TimeRange,
};
use duramen_runtime::Clock;
use duramen_source::HistogramRef;

use crate::error::Error;
use crate::head::{Generation, NOW, Samples, SeriesAt, Slot, TenantHead};
use crate::windows::{Windows, window_start};

/// Writes one block for each time window with samples. `families` go into the latest of them; if
/// there is none, into a block without samples.
///
/// Blocks the thread, and reads the samples twice.
pub(crate) fn build(
    head: &TenantHead,
    generation: &Generation,
    families: Vec<FamilyMetadata>,
    clock: &dyn Clock,
    staging: &Staging,
) -> Result<Vec<(BlockEntry, Arc<StagingDir>)>, Error> {
    let create = |id| {
        let directory = staging.place(id);
        let writer =
            BlockWriter::create(staging.disk(), directory.path(), WriterOptions::default())?;

        Ok((writer, directory))
    };

    let written = write(head, generation, families, clock, create)?;
    let finish = |written: Writer<Arc<StagingDir>>| {
        let stats = written.writer.finish()?;
        let entry = entry(head, generation, written.id, written.start_ms, stats);
        Ok((entry, written.place))
    };
    written.into_iter().map(finish).collect()
}

/// Builds like [`build`], for a staging directory without space. The blocks are in memory as a
/// whole, beside the generation.
pub(crate) fn build_in_memory(
    head: &TenantHead,
    generation: &Generation,
    families: Vec<FamilyMetadata>,
    clock: &dyn Clock,
) -> Result<Vec<MemoryBlock>, Error> {
    let create = |_| Ok((BlockWriter::in_memory(WriterOptions::default()), ()));
    let written = write(head, generation, families, clock, create)?;

    let finish = |written: Writer<()>| {
        let (stats, files) = written.writer.finish_in_memory()?;
        Ok(MemoryBlock {
            entry: entry(head, generation, written.id, written.start_ms, stats),
            files,
        })
    };

    written.into_iter().map(finish).collect()
}

/// Makes the entry of the block of the window that begins at `start_ms`.
fn entry(
    head: &TenantHead,
    generation: &Generation,
    id: BlockId,
    start_ms: i64,
    stats: BlockStats,
) -> BlockEntry {
    let order = OrderRange {
        min: generation.order,
        max: generation.order,
    };

    BlockEntry {
        id,
        order,
        level: 0,
        resolution_ms: None,
        retention: String::new(),
        home: None,
        content: Content::of_flush(head.id, generation.order, start_ms),
        stats,
    }
}

/// Writes the generation into blocks that `create` makes. The blocks are not finished.
fn write<P>(
    head: &TenantHead,
    generation: &Generation,
    families: Vec<FamilyMetadata>,
    clock: &dyn Clock,
    create: impl Fn(BlockId) -> Result<(BlockWriter, P), Error>,
) -> Result<Vec<Writer<P>>, Error> {
    let samples = generation.read();
    let slots = futures::executor::block_on(head.registry.in_block_order(&samples.slots()));
    let windows = plan(&samples, &slots, clock.now_ms());
    let blocks = windows.blocks().max(usize::from(!families.is_empty()));
    let mut writers = Vec::with_capacity(blocks);

    for block in 0..blocks {
        let id = BlockId(clock.new_ulid());
        let (writer, place) = create(id)?;
        writers.push(Writer {
            id,
            start_ms: windows.start_of(block),
            writer,
            place,
        });
    }

    let mut columns = Columns::default();

    for slot in slots {
        // The lock is short: writes of new series wait for the registry.
        let labels = head.labels(slot);
        columns.fill(samples.series(slot, NOW));

        let exemplars: Vec<Exemplar> = samples.exemplars.of(slot, NOW, TimeRange::ALL).collect();
        let histograms = histograms(samples.series(slot, NOW));

        let contents = SeriesContents {
            histograms: &histograms,
            exemplars: &exemplars,
            ..columns.contents()
        };

        cut(&windows, &labels, &contents, &mut writers)?;
    }

    if let Some(latest) = writers.last_mut()
        && !families.is_empty()
    {
        latest.writer.set_metadata(families)?;
    }
    Ok(writers)
}

/// A block that is being written.
struct Writer<P> {
    id: BlockId,
    /// The start of its window.
    start_ms: i64,
    writer: BlockWriter,
    place: P,
}

fn plan(samples: &Samples, slots: &[Slot], now_ms: i64) -> Windows {
    let mut touched = BTreeMap::new();
    let mut touch = |ts_ms| *touched.entry(window_start(ts_ms, now_ms)).or_default() += 1;

    for &slot in slots {
        if let Some(series) = samples.series(slot, NOW) {
            series.floats().for_each(|ts_ms, _, _| touch(ts_ms));
            series.histograms().for_each(|(ts_ms, _)| touch(ts_ms));
        }

        samples
            .exemplars
            .of(slot, NOW, TimeRange::ALL)
            .for_each(|exemplar| touch(exemplar.ts_ms));
    }

    Windows::plan(&touched, now_ms)
}

/// Pushes the contents of a series, each part to the block of its window.
fn cut<P>(
    windows: &Windows,
    labels: &Labels,
    all: &SeriesContents<'_>,
    writers: &mut [Writer<P>],
) -> Result<(), Error> {
    let SeriesContents {
        mut ts_ms,
        mut values,
        mut lives,
        mut histograms,
        mut exemplars,
    } = *all;

    loop {
        let firsts = [
            ts_ms.first().copied(),
            histograms.first().map(|histogram| histogram.ts_ms),
            exemplars.first().map(|exemplar| exemplar.ts_ms),
        ];

        let Some(first_ms) = firsts.into_iter().flatten().min() else {
            return Ok(());
        };
        let block = windows.block_of(first_ms);
        let times = windows.take(block, &mut ts_ms, |ts_ms| *ts_ms);

        let contents = SeriesContents {
            ts_ms: times,
            values: split_off(&mut values, times.len()),
            lives: split_off(&mut lives, times.len()),
            histograms: windows.take(block, &mut histograms, |histogram| histogram.ts_ms),
            exemplars: windows.take(block, &mut exemplars, |exemplar| exemplar.ts_ms),
        };

        writers[block].writer.push(labels, &contents)?;
    }
}

/// Takes the first `count` items of `rest`, or all if there are fewer: the lives may be missing.
fn split_off<'a, T>(rest: &mut &'a [T], count: usize) -> &'a [T] {
    let (taken, left) = rest.split_at(count.min(rest.len()));
    *rest = left;
    taken
}

/// The floats of one series. The buffers are used again for the next series.
#[derive(Default)]
struct Columns {
    ts_ms: Vec<i64>,
    values: Vec<f64>,
    /// As many as there are times, or none.
    lives: Vec<Life>,
}

impl Columns {
    fn fill(&mut self, series: Option<SeriesAt<'_>>) {
        self.ts_ms.clear();
        self.values.clear();
        self.lives.clear();

        let Some(floats) = series.map(SeriesAt::floats) else {
            return;
        };
        let has_lives = floats.has_lives();

        floats.for_each(|ts_ms, value, life| {
            self.ts_ms.push(ts_ms);
            self.values.push(value);

            if has_lives {
                self.lives.push(life);
            }
        });
    }

    fn contents(&self) -> SeriesContents<'_> {
        SeriesContents {
            lives: &self.lives,
            ..SeriesContents::floats(&self.ts_ms, &self.values)
        }
    }
}

fn histograms(series: Option<SeriesAt<'_>>) -> Vec<HistogramRef<'_>> {
    let all = series.into_iter().flat_map(SeriesAt::histograms);
    all.map(|(ts_ms, histogram)| HistogramRef {
        ts_ms,
        life: histogram.life,
        bytes: &histogram.bytes,
    })
    .collect()
}
