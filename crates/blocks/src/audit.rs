//! Reads a whole block, and compares everything in it with what its entry says.
//!
//! - The bytes: the length of each file, and the checksums of all its extents.
//! - The series: in order, each once, with the metric names between the bounds of the entry.
//! - The samples of each series: decoded, in order of time, as many as the series file says, from
//!   the first to the last time that it says.
//! - The rows of a rollup: decoded, in order, each with times and values that go together.
//! - Exemplars and metric families: decoded, as many as the entry says.

use std::sync::Arc;

use duramen_block::{
    Block, BlockChecks, BlockSource, META_FILE, OpenOptions, ROLLUPS_FILE, SAMPLES_FILE,
    SERIES_FILE,
};
use duramen_model::{BlockStats, FloatHistogram, Labels, METRIC_NAME, NameBounds, TimeRange};
use duramen_source::rollup::RowParts;
use duramen_source::rollup::row::RollupRow;
use duramen_source::{Columns, Reads, SeriesBatch, SeriesRequest, SeriesSource, SeriesSummary};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;

use crate::error::Error;
use crate::merge::MergeInput;

/// What was read of a block that has no fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audited {
    pub series: u64,
    pub samples: u64,
    pub histograms: u64,
    pub exemplars: u64,
    pub families: u64,
    pub bytes: u64,
}

/// Reads all of `block`. Memory: the series file, and one batch of samples.
///
/// Requests: one GET of each file for its bytes; then those of a selection of everything, and one
/// for exemplars and one for metadata if the block has them.
///
/// # Errors
/// The first fault. It names the file or the series.
pub async fn audit(block: &MergeInput) -> Result<Audited, Error> {
    let stats = &block.entry.stats;
    let bytes = read_bytes(block).await?;

    let reads = Arc::new(Reads::default());
    let store = Arc::clone(&block.store);
    let opened = Block::open(
        store,
        block.directory.clone(),
        stats,
        OpenOptions::default(),
        &reads,
    )
    .await?;
    let source = BlockSource::new(opened);

    let request = SeriesRequest {
        matchers: Arc::default(),
        range: TimeRange::ALL,
        columns: Columns::Everything,
        batch_series_max: SeriesRequest::BATCH_SERIES,
        reads,
    };

    let summaries = source.summaries(&request).await?;
    check_order(&summaries)?;

    let (samples, histograms) = match block.entry.resolution_ms {
        None => read_samples(&source, &request, &summaries).await?,
        Some(resolution_ms) => {
            let rows = read_rollups(&source, &request, &summaries, resolution_ms).await?;
            (rows, 0)
        }
    };
    let (exemplars, without_samples) = read_exemplars(&source, &request, &summaries).await?;
    let families = match stats.families {
        0 => 0,
        _ => source.metadata().await?.len() as u64,
    };

    let audited = Audited {
        series: summaries.len() as u64 + without_samples,
        samples,
        histograms,
        exemplars,
        families,
        bytes,
    };

    check_totals(&audited, stats)?;
    check_span(&summaries, stats)?;
    Ok(audited)
}

fn fault(what: impl Into<String>) -> Error {
    Error::Fault { what: what.into() }
}

/// Compares the bytes of all files with their checksums. Returns how many there are.
async fn read_bytes(block: &MergeInput) -> Result<u64, Error> {
    let stats = &block.entry.stats;
    let key = |name: &str| block.directory.clone().join(name);
    let failed = |name: &str, source| Error::Store {
        key: key(name),
        source,
    };

    let answer = block.store.get(&key(META_FILE)).await;
    let answer = answer.map_err(|error| failed(META_FILE, error))?;

    if answer.meta.size != stats.meta_bytes {
        let held = answer.meta.size;
        return Err(fault(format!(
            "{META_FILE} has {held} bytes, not {}",
            stats.meta_bytes
        )));
    }

    let meta = answer.bytes().await;
    let meta = meta.map_err(|error| failed(META_FILE, error))?;
    let checks = BlockChecks::new(&meta, stats)?;
    let mut bytes = meta.len() as u64;

    for file in &stats.files {
        let name = file.name.as_str();
        let unknown = || fault(format!("{META_FILE} does not know the file {name}"));
        let mut check = checks.file(name).ok_or_else(unknown)?;
        let answer = block.store.get(&key(name)).await;
        let mut pieces = answer.map_err(|error| failed(name, error))?.into_stream();
        let mut read = 0;

        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| failed(name, error))?;
            read += piece.len() as u64;
            check.push(&piece)?;
        }

        if read != check.bytes() || read != file.bytes {
            return Err(fault(format!(
                "{name} has {read} bytes, not {}",
                check.bytes()
            )));
        }

        bytes += read;
    }

    Ok(bytes)
}

/// Checks that series ascend, and that each has a first time that is not behind its last.
fn check_order(summaries: &[SeriesSummary]) -> Result<(), Error> {
    for two in summaries.windows(2) {
        if two[0].labels.cmp_in_block(&two[1].labels).is_ge() {
            let series = &two[1].labels;
            return Err(fault(format!("{SERIES_FILE} is not in order at {series}")));
        }
    }

    Ok(())
}

/// Reads the samples of all series. Returns how many floats and histograms there are.
async fn read_samples(
    source: &BlockSource,
    request: &SeriesRequest,
    summaries: &[SeriesSummary],
) -> Result<(u64, u64), Error> {
    let mut batches = source.select(request).await?;
    let mut known = summaries.iter();
    let mut floats = 0;
    let mut histograms = 0;

    while let Some(batch) = batches.try_next().await? {
        for row in 0..batch.len() {
            let labels = Labels::from_encoded_trusted(batch.labels_at(row));
            let summary = known.next().filter(|summary| summary.labels == labels);
            let summary = summary.ok_or_else(|| {
                fault(format!("{SERIES_FILE} has another series before {labels}"))
            })?;

            check_series(&batch, row, summary)?;
            floats += summary.floats;
            histograms += summary.histograms;
        }
    }

    match known.next() {
        None => Ok((floats, histograms)),
        Some(summary) => Err(fault(format!("{} was not read", summary.labels))),
    }
}

/// Reads the rows of all series of a rollup. Returns how many there are.
async fn read_rollups(
    source: &BlockSource,
    request: &SeriesRequest,
    summaries: &[SeriesSummary],
    resolution_ms: i64,
) -> Result<u64, Error> {
    let mut batches = source.rollup_stream(request, RowParts::ALL);
    let mut known = summaries.iter();
    let mut count = 0;

    while let Some(batch) = batches.try_next().await? {
        for (labels, rows) in batch.series() {
            let summary = known.next().filter(|summary| summary.labels == labels);
            let summary = summary.ok_or_else(|| {
                fault(format!("{SERIES_FILE} has another series before {labels}"))
            })?;

            if let Some(what) = rollup_fault(rows, summary, resolution_ms) {
                return Err(fault(format!("{ROLLUPS_FILE}: {what}: {labels}")));
            }

            count += rows.len() as u64;
        }
    }

    match known.next() {
        None => Ok(count),
        Some(summary) => Err(fault(format!("{} was not read", summary.labels))),
    }
}

/// Returns what is wrong with the rows of a series.
fn rollup_fault(
    rows: &[RollupRow],
    summary: &SeriesSummary,
    resolution_ms: i64,
) -> Option<&'static str> {
    if rows.len() as u64 != summary.floats {
        return Some("a series has another number of rows than the series file says");
    }
    if !rows.is_sorted_by_key(RollupRow::place) {
        return Some("the rows of a series are not in the order of time");
    }

    rows.iter().find_map(|row| row.fault(resolution_ms))
}

/// Compares the samples of one series with its row in the series file.
fn check_series(batch: &SeriesBatch, row: usize, summary: &SeriesSummary) -> Result<(), Error> {
    let at = |what: &str| fault(format!("{SAMPLES_FILE}: {what}: {}", summary.labels));
    let (ts, _) = batch.samples_at(row);
    let mut times = ts.to_vec();

    if ts.len() as u64 != summary.floats {
        return Err(at(
            "a series has another number of samples than its row says",
        ));
    }

    if !ts.is_sorted_by(|a, b| a < b) {
        return Err(at("the samples of a series are not in the order of time"));
    }

    let mut count = 0;
    let mut last_ms = None;

    for histogram in batch.histograms_at(row) {
        if last_ms.is_some_and(|last_ms| histogram.ts_ms <= last_ms) {
            return Err(at(
                "the histograms of a series are not in the order of time",
            ));
        }

        if FloatHistogram::from_bytes(histogram.bytes).is_none() {
            return Err(at("a histogram cannot be decoded"));
        }

        count += 1;
        last_ms = Some(histogram.ts_ms);
        times.push(histogram.ts_ms);
    }

    if count != summary.histograms {
        return Err(at(
            "a series has another number of histograms than its row says",
        ));
    }

    times.sort_unstable();

    if times.windows(2).any(|two| two[0] == two[1]) {
        return Err(at("a series has a float and a histogram at one time"));
    }

    let span = times.first().copied().zip(times.last().copied());

    if span.is_some_and(|span| span != (summary.first_ms, summary.last_ms)) {
        return Err(at("the times of a series are not those that its row says"));
    }

    Ok(())
}

/// Returns how many exemplars there are, and how many series have exemplars and no samples.
async fn read_exemplars(
    source: &BlockSource,
    request: &SeriesRequest,
    summaries: &[SeriesSummary],
) -> Result<(u64, u64), Error> {
    let mut stream = source.exemplar_stream(request);
    let mut exemplars = 0;
    let mut without_samples = 0;

    while let Some(series) = stream.try_next().await? {
        for held in series {
            exemplars += held.exemplars.len() as u64;

            let place = summaries.binary_search_by(|known| known.labels.cmp_in_block(&held.labels));
            without_samples += u64::from(place.is_err());
        }
    }

    Ok((exemplars, without_samples))
}

/// Compares what was read with the counts of the entry.
fn check_totals(audited: &Audited, stats: &BlockStats) -> Result<(), Error> {
    let counts = [
        ("series", audited.series, stats.series),
        ("samples", audited.samples, stats.samples),
        ("histograms", audited.histograms, stats.histograms),
        ("exemplars", audited.exemplars, stats.exemplars),
        ("metric families", audited.families, stats.families),
        ("bytes", audited.bytes, stats.bytes()),
    ];

    match counts.iter().find(|(_, read, named)| read != named) {
        None => Ok(()),
        Some((what, read, named)) => Err(fault(format!(
            "the block has {read} {what}, and its entry says {named}"
        ))),
    }
}

/// Compares the times and metric names of all series with the bounds of the entry.
fn check_span(summaries: &[SeriesSummary], stats: &BlockStats) -> Result<(), Error> {
    let first_ms = summaries.iter().map(|summary| summary.first_ms).min();
    let last_ms = summaries.iter().map(|summary| summary.last_ms).max();
    let in_range = |ms: Option<i64>| ms.is_none_or(|ms| stats.range().contains(ms));

    if !in_range(first_ms) || !in_range(last_ms) {
        return Err(fault("a sample is outside of the times of the entry"));
    }

    let name = |summary: &SeriesSummary| summary.labels.get(METRIC_NAME).unwrap_or("").to_owned();
    let within = |bounds: &NameBounds, name: String| bounds.first <= name && name <= bounds.last;

    let outside = summaries.iter().find(|summary| {
        stats
            .names
            .as_ref()
            .is_none_or(|names| !within(names, name(summary)))
    });

    match outside {
        None => Ok(()),
        Some(summary) => Err(fault(format!(
            "a metric name is outside of the bounds of the entry: {}",
            summary.labels
        ))),
    }
}

#[cfg(test)]
mod tests {
    use duramen_model::Life;
    use duramen_source::{HistogramRef, SeriesBatchBuilder};

    use super::*;

    fn labels(name: &str) -> Labels {
        Labels::from_pairs([(METRIC_NAME, name)]).expect("a label set")
    }

    /// A series with floats at `ts`, and as many histograms at `histogram_ts`, of `bytes`.
    fn batch(ts: &[i64], histogram_ts: &[i64], bytes: &[u8]) -> SeriesBatch {
        let mut builder = SeriesBatchBuilder::default();

        for &ts_ms in ts {
            builder.push_sample(ts_ms, 1.0, Life::default());
        }

        for &ts_ms in histogram_ts {
            builder.push_histogram(HistogramRef {
                ts_ms,
                life: Life::default(),
                bytes,
            });
        }

        builder.end_series(labels("m").encoded());
        builder.finish()
    }

    fn summary(floats: u64, histograms: u64, first_ms: i64, last_ms: i64) -> SeriesSummary {
        SeriesSummary {
            labels: labels("m"),
            floats,
            histograms,
            first_ms,
            last_ms,
        }
    }

    #[test]
    fn a_series_is_what_its_row_says() {
        let empty = FloatHistogram::empty(0, Vec::new()).to_bytes();

        let good = [
            (batch(&[1, 2, 9], &[], &[]), summary(3, 0, 1, 9)),
            (batch(&[2], &[1, 3], &empty), summary(1, 2, 1, 3)),
        ];

        for (batch, summary) in good {
            check_series(&batch, 0, &summary).expect("no fault");
        }

        let bad = [
            (
                "number of samples",
                batch(&[1, 2], &[], &[]),
                summary(3, 0, 1, 2),
            ),
            (
                "samples of a series are not",
                batch(&[2, 1], &[], &[]),
                summary(2, 0, 1, 2),
            ),
            (
                "samples of a series are not",
                batch(&[1, 1], &[], &[]),
                summary(2, 0, 1, 1),
            ),
            (
                "histograms of a series are not",
                batch(&[], &[2, 1], &empty),
                summary(0, 2, 1, 2),
            ),
            (
                "cannot be decoded",
                batch(&[], &[1], b"x"),
                summary(0, 1, 1, 1),
            ),
            (
                "number of histograms",
                batch(&[], &[1], &empty),
                summary(0, 2, 1, 1),
            ),
            (
                "at one time",
                batch(&[1], &[1], &empty),
                summary(1, 1, 1, 1),
            ),
            (
                "the times of a series",
                batch(&[1, 2], &[], &[]),
                summary(2, 0, 0, 2),
            ),
            (
                "the times of a series",
                batch(&[1, 2], &[], &[]),
                summary(2, 0, 1, 3),
            ),
        ];

        for (what, batch, summary) in bad {
            let error = check_series(&batch, 0, &summary).expect_err(what);
            assert!(error.to_string().contains(what), "{what}: {error}");
        }
    }

    #[test]
    fn series_ascend_and_none_comes_twice() {
        let named = |name: &str| SeriesSummary {
            labels: labels(name),
            ..summary(1, 0, 0, 0)
        };

        check_order(&[named("a"), named("b")]).expect("in order");

        for (first, second) in [("b", "a"), ("a", "a")] {
            let error = check_order(&[named(first), named(second)]).expect_err("not in order");
            assert!(error.to_string().contains("not in order"), "{error}");
        }
    }
}
