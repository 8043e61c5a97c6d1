//! Builds blocks from a frozen generation, in the staging directory or in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use duramen_block::{
    BlockLimits, BlockSetWriter, BlockWriter, SeriesContents, Sibling, WriterOptions,
};
use duramen_blocks::{MemoryBlock, Staging, StagingDir};
use duramen_model::{
    BlockEntry, BlockId, BlockStats, Content, Exemplar, FamilyMetadata, Labels, Life, TimeRange,
};
use duramen_runtime::Clock;
use duramen_source::HistogramRef;

use crate::error::Error;
use crate::head::{Generation, NOW, Samples, SeriesAt, Slot, TenantHead};
use crate::windows::{Windows, window_start};

/// Writes one block, or several siblings, for each time window with samples. `families` go into the
/// last block of the latest window; if there is no window, into a block without samples.
///
/// Blocks the thread. Reads the samples of a series twice if they are in several windows.
pub(crate) fn build(
    head: &TenantHead,
    generation: &Generation,
    families: Vec<FamilyMetadata>,
    limits: &BlockLimits,
    clock: &dyn Clock,
    staging: &Staging,
) -> Result<Vec<(BlockEntry, Arc<StagingDir>)>, Error> {
    let create = |content| {
        let id = BlockId(clock.new_ulid());
        let directory = staging.place(id);
        let writer = BlockWriter::create(staging.disk(), directory.path(), WriterOptions::flush())?;

        Ok(((id, content, directory), writer))
    };

    let written = write(head, generation, families, limits, clock, create)?;
    let staged = |sibling: Sibling<(BlockId, Content, Arc<StagingDir>)>| {
        let (id, content, directory) = sibling.place;
        (entry(id, generation, content, sibling.stats), directory)
    };

    Ok(written.into_iter().map(staged).collect())
}

/// Builds like [`build`], for a staging directory without space. The blocks are in memory as a
/// whole, beside the generation.
pub(crate) fn build_in_memory(
    head: &TenantHead,
    generation: &Generation,
    families: Vec<FamilyMetadata>,
    limits: &BlockLimits,
    clock: &dyn Clock,
) -> Result<Vec<MemoryBlock>, Error> {
    let create = |content| {
        let place = (BlockId(clock.new_ulid()), content);
        Ok((place, BlockWriter::in_memory(WriterOptions::flush())))
    };

    let written = write(head, generation, families, limits, clock, create)?;
    let in_memory = |sibling: Sibling<(BlockId, Content)>| {
        let (id, content) = sibling.place;
        MemoryBlock {
            entry: entry(id, generation, content, sibling.stats),
            files: sibling.files,
        }
    };

    Ok(written.into_iter().map(in_memory).collect())
}

fn entry(id: BlockId, generation: &Generation, content: Content, stats: BlockStats) -> BlockEntry {
    BlockEntry::of_flush(id, generation.order, content, stats)
}

/// Writes the generation into blocks that `create` makes for a content. The blocks are complete.
fn write<P>(
    head: &TenantHead,
    generation: &Generation,
    families: Vec<FamilyMetadata>,
    limits: &BlockLimits,
    clock: &dyn Clock,
    create: impl Fn(Content) -> Result<(P, BlockWriter), duramen_block::Error>,
) -> Result<Vec<Sibling<P>>, Error> {
    let samples = generation.read();
    let slots = futures::executor::block_on(head.registry.in_block_order(&samples.slots()));
    let windows = plan(&samples, &slots, clock.now_ms());
    let outputs = windows.blocks().max(usize::from(!families.is_empty()));

    let set = |window| {
        let content = Content::of_flush(head.id, generation.order, windows.start_of(window));
        let create = &create;
        BlockSetWriter::new(limits.clone(), move || create(content))
    };
    let mut sets: Vec<_> = (0..outputs).map(set).collect();
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

        cut(&windows, &labels, &contents, &mut sets)?;
    }

    if let Some(latest) = sets.last_mut() {
        latest.set_metadata(families);
    }

    let mut complete = Vec::new();

    for set in sets {
        complete.extend(set.finish()?);
    }

    Ok(complete)
}

fn plan(samples: &Samples, slots: &[Slot], now_ms: i64) -> Windows {
    let mut touched = BTreeSet::new();
    let mut touch = |ts_ms| _ = touched.insert(window_start(ts_ms, now_ms));

    for &slot in slots {
        if let Some(series) = samples.series(slot, NOW) {
            // Most series have one window, which their span tells without their samples.
            match series.span() {
                Some((first_ms, last_ms))
                    if window_start(first_ms, now_ms) == window_start(last_ms, now_ms) =>
                {
                    touch(first_ms);
                }
                _ => {
                    series.floats().for_each(|ts_ms, _, _| touch(ts_ms));
                    series.histograms().for_each(|(ts_ms, _)| touch(ts_ms));
                }
            }
        }

        samples
            .exemplars
            .of(slot, NOW, TimeRange::ALL)
            .for_each(|exemplar| touch(exemplar.ts_ms));
    }

    Windows::plan(&touched, now_ms)
}

/// Pushes the contents of a series, each part to the set of its window.
fn cut<P, C: FnMut() -> Result<(P, BlockWriter), duramen_block::Error>>(
    windows: &Windows,
    labels: &Labels,
    all: &SeriesContents<'_>,
    sets: &mut [BlockSetWriter<P, C>],
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
        let window = windows.block_of(first_ms);
        let times = windows.take(window, &mut ts_ms, |ts_ms| *ts_ms);

        let contents = SeriesContents {
            ts_ms: times,
            values: split_off(&mut values, times.len()),
            lives: split_off(&mut lives, times.len()),
            histograms: windows.take(window, &mut histograms, |histogram| histogram.ts_ms),
            exemplars: windows.take(window, &mut exemplars, |exemplar| exemplar.ts_ms),
        };

        sets[window].push(labels, &contents)?;
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
