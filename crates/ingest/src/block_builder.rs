//! Builds blocks from a frozen generation, in the staging directory or in memory.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::Builder;

use duramen_block::{
    BlockLimits, BlockSetWriter, BlockWriter, SeriesContents, Sibling, WriterOptions,
};
use duramen_blocks::{MemoryBlock, Staging, StagingDir};
use duramen_model::{
    BlockEntry, BlockId, BlockStats, Content, Exemplar, FamilyMetadata, Labels, Life, TimeRange,
};
use duramen_runtime::Clock;
use duramen_runtime::priority::step_back;
use duramen_source::HistogramRef;
use roaring::RoaringBitmap;

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
///
/// Several threads write a part of the series each, with a lower priority than those that serve and
/// write. A thread holds one series beside what its open blocks hold.
fn write<P: Send>(
    head: &TenantHead,
    generation: &Generation,
    families: Vec<FamilyMetadata>,
    limits: &BlockLimits,
    clock: &dyn Clock,
    create: impl Fn(Content) -> Result<(P, BlockWriter), duramen_block::Error> + Sync,
) -> Result<Vec<Sibling<P>>, Error> {
    let samples = generation.read();
    let selected = samples.slots();
    let slots = futures::executor::block_on(head.registry.in_block_order(&selected));
    let windows = plan(&samples, &selected, clock.now_ms());
    let outputs = windows.blocks().max(usize::from(!families.is_empty()));

    let sets_of_a_part = || {
        let set = |window| {
            let content = Content::of_flush(head.id, generation.order, windows.start_of(window));
            let create = &create;
            BlockSetWriter::new(limits.clone(), move || create(content))
        };
        (0..outputs).map(set).collect::<Vec<_>>()
    };

    let source = Source {
        head,
        samples: &samples,
        windows: &windows,
    };

    let written: Vec<_> = std::thread::scope(|scope| {
        let start = |part| {
            let sets = sets_of_a_part();
            let source = &source;

            Builder::new()
                .name("flush".to_owned())
                .spawn_scoped(scope, move || source.write(part, sets))
                .map_err(|source| Error::Disk {
                    path: PathBuf::from("thread"),
                    source,
                })
        };

        let threads: Vec<_> = parts(head, &slots, limits.series_max)
            .into_iter()
            .map(start)
            .collect::<Result<_, _>>()?;

        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| Error::Stopped)?)
            .collect::<Result<_, _>>()
    })?;

    complete(written, families)
}

/// Completes the sets of the latest window. `families` go into the last of them that has series, so
/// that they need no block of their own.
fn complete<P, C: FnMut() -> Result<(P, BlockWriter), duramen_block::Error>>(
    mut written: Vec<Part<P, C>>,
    families: Vec<FamilyMetadata>,
) -> Result<Vec<Sibling<P>>, Error> {
    let has_series = |part: &Part<P, C>| part.latest.as_ref().is_some_and(|set| set.series() > 0);
    let last = written.iter().rposition(has_series).unwrap_or_default();

    if let Some(latest) = written.get_mut(last).and_then(|part| part.latest.as_mut()) {
        latest.set_metadata(families);
    }

    let mut complete = Vec::new();

    for part in written {
        complete.extend(part.complete);
        if let Some(latest) = part.latest {
            complete.extend(latest.finish()?);
        }
    }

    Ok(complete)
}

/// What all threads of a flush read.
struct Source<'a> {
    head: &'a TenantHead,
    samples: &'a Samples,
    windows: &'a Windows,
}

/// What a thread has written.
struct Part<P, C> {
    /// The blocks of all windows but the latest.
    complete: Vec<Sibling<P>>,
    /// The set of the latest window; `None` if there is no window.
    latest: Option<BlockSetWriter<P, C>>,
}

impl Source<'_> {
    /// Writes `slots` into the sets of their windows.
    fn write<P, C: FnMut() -> Result<(P, BlockWriter), duramen_block::Error>>(
        &self,
        slots: &[Slot],
        mut sets: Vec<BlockSetWriter<P, C>>,
    ) -> Result<Part<P, C>, Error> {
        step_back();

        let samples = self.samples;
        let mut columns = Columns::default();

        for &slot in slots {
            // The lock is short: writes of new series wait for the registry.
            let labels = self.head.labels(slot);
            columns.fill(samples.series(slot, NOW));

            let exemplars: Vec<Exemplar> =
                samples.exemplars.of(slot, NOW, TimeRange::ALL).collect();
            let histograms = histograms(samples.series(slot, NOW));

            let contents = SeriesContents {
                histograms: &histograms,
                exemplars: &exemplars,
                ..columns.contents()
            };

            cut(self.windows, &labels, &contents, &mut sets)?;
        }

        let latest = sets.pop();
        let mut complete = Vec::new();

        for set in sets {
            complete.extend(set.finish()?);
        }

        Ok(Part { complete, latest })
    }
}

/// The most threads of one flush. More would only wait for the disk and for memory.
const PARTS_MAX: usize = 4;

/// A part has at least the series of so many full blocks, so that few blocks are small.
const PART_BLOCKS_MIN: usize = 2;

/// Cuts the series into parts, one for each thread. Each part begins with a metric name of its own,
/// as siblings do.
fn parts<'s>(head: &TenantHead, slots: &'s [Slot], series_max: usize) -> Vec<&'s [Slot]> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let worth = slots.len() / series_max.saturating_mul(PART_BLOCKS_MIN).max(1);
    let name_of = |slot: Slot| head.labels(slot).metric_name().to_owned();

    cut_by_name(slots, cores.min(PARTS_MAX).min(worth), name_of)
}

/// Cuts `slots`, which are in order of their names, into at most `count` parts of about equal size,
/// where the name changes. Returns one part at least.
fn cut_by_name(slots: &[Slot], count: usize, name_of: impl Fn(Slot) -> String) -> Vec<&[Slot]> {
    let mut parts = Vec::new();
    let mut rest = slots;

    for left in (2..=count).rev() {
        let Some(last) = (rest.len() / left).checked_sub(1) else {
            break;
        };

        let name = name_of(rest[last]);
        let end = last + rest[last..].partition_point(|slot| name_of(*slot) == name);

        let (part, behind) = rest.split_at(end);
        if behind.is_empty() {
            break;
        }

        parts.push(part);
        rest = behind;
    }

    parts.push(rest);
    parts
}

/// Plans the windows of `slots`, in the order of their numbers, which is about that in memory.
fn plan(samples: &Samples, slots: &RoaringBitmap, now_ms: i64) -> Windows {
    let mut touched = BTreeSet::new();
    let mut touch = |ts_ms| _ = touched.insert(window_start(ts_ms, now_ms));

    for slot in slots {
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
        rollups: _,
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
            rollups: &[],
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_cut_where_the_name_changes() {
        // Ten series of each of the names 0 to 3, then thirty of name 4.
        let slots: Vec<Slot> = (0..70).collect();
        let name_of = |slot: Slot| (slot / 10).min(4).to_string();
        let lengths = |count| {
            let parts = cut_by_name(&slots, count, name_of);
            assert_eq!(parts.concat(), slots);
            parts.iter().map(|part| part.len()).collect::<Vec<_>>()
        };

        assert_eq!(lengths(0), [70]);
        assert_eq!(lengths(1), [70]);
        assert_eq!(lengths(2), [40, 30]);

        // Behind the last cut the name does not change any more before the end.
        assert_eq!(lengths(3), [30, 40]);
        assert_eq!(lengths(4), [20, 20, 30]);
        assert_eq!(cut_by_name(&[], 3, name_of), [&[] as &[Slot]]);
    }
}
