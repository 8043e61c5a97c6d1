//! A run in the order of our blocks, and how it becomes blocks: one for each day of UTC, or
//! siblings.

use std::ops::Range;

use duramen_block::{BlockLimits, BlockSetWriter, BlockWriter, SeriesContents, Sibling};
use duramen_model::{BlockId, Exemplar, FamilyMetadata, Labels, Life, TimeRange};
use duramen_source::HistogramRef;

use crate::error::Error;
use crate::run::{ExemplarRow, Float, HistogramRow, Run};
use crate::window::DAY_MS;

/// What was written of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunReport {
    /// Series, once for each day.
    pub series: u64,
    pub samples: u64,
    pub histograms: u64,
    pub exemplars: u64,
    pub families: u64,
    /// Samples at a time that their series has already. The first one counts.
    pub repeated: u64,
}

impl RunReport {
    pub const fn add(&mut self, other: &Self) {
        self.series += other.series;
        self.samples += other.samples;
        self.histograms += other.histograms;
        self.exemplars += other.exemplars;
        self.families += other.families;
        self.repeated += other.repeated;
    }
}

/// A run whose rows are sorted by day, series and time, each time once.
#[derive(Debug)]
pub struct SortedRun {
    /// In the order of our blocks.
    labels: Vec<Labels>,
    floats: Vec<Float>,
    histograms: Vec<HistogramRow>,
    exemplars: Vec<ExemplarRow>,
    families: Vec<FamilyMetadata>,
    /// The first day, counted from 1970. The others are counted from it.
    first_day: i64,
    repeated: u64,
}

/// The day of a row, the place of its series, and its time.
type Key = (u32, u32, i64);

impl Float {
    const fn key(&self) -> Key {
        (self.day, self.series, self.ts_ms)
    }
}

impl HistogramRow {
    const fn key(&self) -> Key {
        (self.day, self.series, self.ts_ms)
    }
}

impl ExemplarRow {
    const fn key(&self) -> Key {
        (self.day, self.series, self.exemplar.ts_ms)
    }
}

impl SortedRun {
    /// Sorts a run. Of two samples of a series at one time the first counts, and a float counts
    /// before a histogram.
    pub fn of(run: Run) -> Result<Self, Error> {
        let Run {
            labels,
            mut floats,
            mut histograms,
            mut exemplars,
            families,
            ..
        } = run;

        let (labels, ranks) = in_order(labels);
        let before = floats.len() + histograms.len();
        let rank = |series: u32| ranks.get(series as usize).copied().unwrap_or(0);

        let times = || {
            let of_histograms = histograms.iter().map(|row| row.ts_ms);
            let of_exemplars = exemplars.iter().map(|row| row.exemplar.ts_ms);
            let of_floats = floats.iter().map(|row| row.ts_ms);
            of_floats.chain(of_histograms).chain(of_exemplars)
        };

        let first_day = times().min().unwrap_or(0).div_euclid(DAY_MS);
        let last_day = times().max().unwrap_or(0).div_euclid(DAY_MS);

        if u32::try_from(last_day - first_day).is_err() {
            return Err(Error::unfit("the times of a run are too far apart"));
        }

        let day = |ts_ms: i64| u32::try_from(ts_ms.div_euclid(DAY_MS) - first_day).unwrap_or(0);

        for row in &mut floats {
            (row.day, row.series) = (day(row.ts_ms), rank(row.series));
        }

        for row in &mut histograms {
            (row.day, row.series) = (day(row.ts_ms), rank(row.series));
        }

        for row in &mut exemplars {
            (row.day, row.series) = (day(row.exemplar.ts_ms), rank(row.series));
        }

        // The sorts are stable, so the first of equal times stays the first.
        floats.sort_by_key(Float::key);
        floats.dedup_by_key(|row| row.key());
        histograms.sort_by_key(HistogramRow::key);
        histograms.dedup_by_key(|row| row.key());
        exemplars.sort_by_key(ExemplarRow::key);
        exemplars.dedup_by(|a, b| a.key() == b.key() && a.exemplar == b.exemplar);

        if !floats.is_empty() {
            let is_new = |row: &HistogramRow| floats.binary_search_by_key(&row.key(), Float::key);
            histograms.retain(|row| is_new(row).is_err());
        }

        let repeated = before - floats.len() - histograms.len();
        Ok(Self {
            labels,
            floats,
            histograms,
            exemplars,
            families,
            first_day,
            repeated: repeated as u64,
        })
    }

    /// Returns the days that have rows, the oldest first.
    pub fn days(&self) -> Vec<u32> {
        let of_floats = self.floats.chunk_by(|a, b| a.day == b.day);
        let of_histograms = self.histograms.chunk_by(|a, b| a.day == b.day);
        let of_exemplars = self.exemplars.chunk_by(|a, b| a.day == b.day);

        let mut days: Vec<u32> = of_floats
            .filter_map(|rows| Some(rows.first()?.day))
            .collect();
        days.extend(of_histograms.filter_map(|rows| Some(rows.first()?.day)));
        days.extend(of_exemplars.filter_map(|rows| Some(rows.first()?.day)));
        days.sort_unstable();
        days.dedup();
        days
    }

    /// The window of a day.
    pub fn window(&self, day: u32) -> TimeRange {
        let start_ms = self.first_day.saturating_add(i64::from(day));
        let start_ms = start_ms.saturating_mul(DAY_MS);
        let end_ms = start_ms.saturating_add(DAY_MS);

        TimeRange::new(start_ms, end_ms).unwrap_or(TimeRange::ALL)
    }

    /// Writes the rows of a day into one block or into siblings. The last day has the metadata.
    /// This call blocks.
    pub fn write<C>(
        &self,
        day: u32,
        limits: BlockLimits,
        create: C,
    ) -> Result<(Vec<Sibling<BlockId>>, RunReport), Error>
    where
        C: FnMut() -> Result<(BlockId, BlockWriter), duramen_block::Error>,
    {
        let mut set = BlockSetWriter::new(limits, create);
        let mut report = RunReport::default();
        let is_last = self.days().last() == Some(&day);

        let mut floats = of_day(&self.floats, day, |row| row.day);
        let mut histograms = of_day(&self.histograms, day, |row| row.day);
        let mut exemplars = of_day(&self.exemplars, day, |row| row.day);
        let mut columns = Columns::default();

        loop {
            let next = [
                floats.first().map(|row| row.series),
                histograms.first().map(|row| row.series),
                exemplars.first().map(|row| row.series),
            ];

            let Some(series) = next.into_iter().flatten().min() else {
                break;
            };

            let floats = take(&mut floats, |row| row.series == series);
            let histograms = take(&mut histograms, |row| row.series == series);
            let exemplars = take(&mut exemplars, |row| row.series == series);
            columns.fill(floats, exemplars);

            if let Some(labels) = self.labels.get(series as usize) {
                set.push(labels, &columns.contents(&refs(histograms)))?;
            }

            report.series += 1;
            report.samples += floats.len() as u64;
            report.histograms += histograms.len() as u64;
            report.exemplars += exemplars.len() as u64;
        }

        if is_last {
            report.families = self.families.len() as u64;
            report.repeated = self.repeated;
            set.set_metadata(self.families.clone());
        }

        Ok((set.finish()?, report))
    }
}

/// Sorts label sets. Returns them, and the new place of each.
fn in_order(labels: Vec<Labels>) -> (Vec<Labels>, Vec<u32>) {
    let mut order: Vec<u32> = (0..).take(labels.len()).collect();
    let empty = Labels::empty();
    let at = |place: u32| labels.get(place as usize).unwrap_or(&empty);
    order.sort_unstable_by(|a, b| at(*a).cmp_in_block(at(*b)));

    let mut ranks = vec![0; labels.len()];
    for (rank, place) in (0..).zip(&order) {
        if let Some(held) = ranks.get_mut(*place as usize) {
            *held = rank;
        }
    }

    let sorted = order.iter().map(|place| at(*place).clone()).collect();
    (sorted, ranks)
}

/// Returns the rows of a day, of all rows.
fn of_day<T>(rows: &[T], day: u32, day_of: impl Fn(&T) -> u32) -> &[T] {
    let start = rows.partition_point(|row| day_of(row) < day);
    let end = rows.partition_point(|row| day_of(row) <= day);

    let span: Range<usize> = start..end;
    rows.get(span).unwrap_or_default()
}

/// Takes rows from the front.
fn take<'a, T>(rows: &mut &'a [T], is_wanted: impl Fn(&T) -> bool) -> &'a [T] {
    let count = rows.iter().take_while(|row| is_wanted(row)).count();
    let (taken, rest) = rows.split_at(count);

    *rows = rest;
    taken
}

fn refs(histograms: &[HistogramRow]) -> Vec<HistogramRef<'_>> {
    let times = histograms.iter().map(|row| row.ts_ms);
    let bytes = histograms.iter().map(|row| &*row.bytes);

    times
        .zip(bytes)
        .map(|(ts_ms, bytes)| HistogramRef {
            ts_ms,
            life: Life::NONE,
            bytes,
        })
        .collect()
}

/// The rows of one series as columns.
#[derive(Debug, Default)]
struct Columns {
    ts_ms: Vec<i64>,
    values: Vec<f64>,
    exemplars: Vec<Exemplar>,
}

impl Columns {
    fn fill(&mut self, floats: &[Float], exemplars: &[ExemplarRow]) {
        self.ts_ms.clear();
        self.values.clear();
        self.exemplars.clear();

        self.ts_ms.extend(floats.iter().map(|row| row.ts_ms));
        self.values.extend(floats.iter().map(|row| row.value));
        self.exemplars
            .extend(exemplars.iter().map(|row| row.exemplar.clone()));
    }

    fn contents<'a>(&'a self, histograms: &'a [HistogramRef<'a>]) -> SeriesContents<'a> {
        SeriesContents {
            histograms,
            exemplars: &self.exemplars,
            ..SeriesContents::floats(&self.ts_ms, &self.values)
        }
    }
}
