//! Makes blocks of the blocks of a Prometheus TSDB.

use duramen_block::{BlockLimits, BlockSetWriter, BlockWriter, SeriesContents, Sibling};
use duramen_model::{BlockId, Labels, Life, TimeRange};
use duramen_source::HistogramRef;
use duramen_tsdb::{Samples, SeriesRef, TsdbBlock};

use crate::error::Error;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What an import has read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Series with samples, once for each window.
    pub series: u64,
    pub samples: u64,
    pub histograms: u64,
    /// Samples that tombstones of the TSDB cover. They are left out.
    pub deleted: u64,
    /// Samples at a time that their series has twice, in chunks that overlap. The first one counts.
    pub repeated: u64,
}

impl ImportReport {
    pub const fn add(&mut self, other: &Self) {
        self.series += other.series;
        self.samples += other.samples;
        self.histograms += other.histograms;
        self.deleted += other.deleted;
        self.repeated += other.repeated;
    }
}

/// Cuts the times of a block at the days of UTC, which no block of ours crosses.
pub fn import_windows(range: TimeRange) -> Vec<TimeRange> {
    let mut windows = Vec::new();
    let mut start_ms = range.start_ms();

    while start_ms < range.end_ms() {
        let day = start_ms.div_euclid(DAY_MS);
        let next_ms = day.saturating_add(1).saturating_mul(DAY_MS);
        let end_ms = next_ms.min(range.end_ms());

        windows.extend(TimeRange::new(start_ms, end_ms));
        start_ms = end_ms;
    }

    windows
}

/// Writes the samples in `window` of `series`, which are those of [`TsdbBlock::series`], into one
/// block or into siblings. There is none if no sample is in the window. This call blocks.
///
/// Memory: the samples of one series, and what the writers of blocks take.
pub fn import_window<C>(
    block: &mut TsdbBlock,
    series: &[(Labels, SeriesRef)],
    window: TimeRange,
    limits: BlockLimits,
    create: C,
) -> Result<(Vec<Sibling<BlockId>>, ImportReport), Error>
where
    C: FnMut() -> Result<(BlockId, BlockWriter), duramen_block::Error>,
{
    let mut set = BlockSetWriter::new(limits, create);
    let mut report = ImportReport::default();

    for (labels, reference) in series {
        let samples = block.samples(*reference, window)?;
        report.deleted += samples.deleted;
        report.repeated += samples.repeated;

        if samples.ts_ms.is_empty() && samples.histograms.is_empty() {
            continue;
        }

        push(&mut set, labels, &samples)?;
        report.series += 1;
        report.samples += samples.ts_ms.len() as u64;
        report.histograms += samples.histograms.len() as u64;
    }

    if report.series == 0 {
        return Ok((Vec::new(), report));
    }

    Ok((set.finish()?, report))
}

fn push<C>(
    set: &mut BlockSetWriter<BlockId, C>,
    labels: &Labels,
    samples: &Samples,
) -> Result<(), Error>
where
    C: FnMut() -> Result<(BlockId, BlockWriter), duramen_block::Error>,
{
    let encoded: Vec<(i64, Vec<u8>)> = samples
        .histograms
        .iter()
        .map(|(ts_ms, histogram)| (*ts_ms, histogram.to_bytes()))
        .collect();

    let histograms: Vec<HistogramRef<'_>> = encoded
        .iter()
        .map(|(ts_ms, bytes)| HistogramRef {
            ts_ms: *ts_ms,
            life: Life::default(),
            bytes,
        })
        .collect();

    let contents = SeriesContents {
        histograms: &histograms,
        ..SeriesContents::floats(&samples.ts_ms, &samples.values)
    };

    Ok(set.push(labels, &contents)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(start_ms: i64, end_ms: i64) -> Vec<(i64, i64)> {
        let range = TimeRange::new(start_ms, end_ms).expect("a range");
        let windows = import_windows(range);
        windows.iter().map(|w| (w.start_ms(), w.end_ms())).collect()
    }

    #[test]
    fn no_window_crosses_a_day() {
        assert_eq!(windows(0, 7_200_000), [(0, 7_200_000)]);
        assert_eq!(windows(-1, 1), [(-1, 0), (0, 1)]);
        assert_eq!(
            windows(DAY_MS - 5, 2 * DAY_MS + 1),
            [
                (DAY_MS - 5, DAY_MS),
                (DAY_MS, 2 * DAY_MS),
                (2 * DAY_MS, 2 * DAY_MS + 1)
            ]
        );

        let end = windows(i64::MAX - 10, i64::MAX);
        assert_eq!(end, [(i64::MAX - 10, i64::MAX)]);
    }
}
