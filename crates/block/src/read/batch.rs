//! Gets and decodes the samples of one batch of series.

use std::ops::Range;

use arrow::array::BinaryArray;
use duramen_model::{Exemplar, TimeRange};
use duramen_source::{Columns, Floats, Reads, SeriesBatch, SeriesExemplars, SeriesRequest};

use crate::error::Error;
use crate::layout::rows::SeriesRows;
use crate::layout::schema::sample;
use crate::read::block::Block;
use crate::read::cut::Cut;
use crate::read::exemplars;
use crate::read::fetch::SparseFile;
use crate::read::histograms::Histograms;
use crate::read::parquet_file::RowsFile;
use crate::read::plan::{self, GroupRows};
use crate::read::samples::{Samples, Scratch};
use crate::series::found::FoundSeries;

/// The series of one batch.
pub(crate) struct Batch {
    pub(crate) labels: BinaryArray,
    pub(crate) rows: Vec<SeriesRows>,
}

/// Reads floats and histograms concurrently, in one round trip. Samples outside of the range of the
/// request are left out, except for histograms.
pub(crate) async fn read(
    block: &Block,
    Batch { labels, rows }: Batch,
    request: &SeriesRequest,
) -> Result<SeriesBatch, Error> {
    let none = || vec![0; rows.len() + 1];

    if request.columns == Columns::Labels {
        let floats = Samples::default().into_columns(none());
        return Ok(SeriesBatch::from_columns(
            labels,
            floats,
            Histograms::default().into_columns(none()),
        ));
    }

    let (floats, histograms) = futures::try_join!(
        floats(block, &rows, request),
        histograms(block, &rows, &request.reads)
    )?;

    Ok(SeriesBatch::from_columns(labels, floats, histograms))
}

async fn floats(
    block: &Block,
    series: &[SeriesRows],
    request: &SeriesRequest,
) -> Result<Floats, Error> {
    let rows = || series.iter().map(|rows| rows.samples.clone());
    let lives: &[usize] = match request.columns {
        Columns::Everything => &[sample::TTL, sample::START_TS],
        Columns::Labels | Columns::Samples => &[sample::TTL],
    };

    let offsets = offsets(block, rows())?;
    let Some((file, groups)) = pieces(block, block.samples.as_ref(), rows())? else {
        return Ok(Samples::default().into_columns(offsets));
    };

    let parsed = &file.file.parsed;
    let wanted: Vec<_> = groups
        .iter()
        .flat_map(|group| plan::pages(parsed, group, lives))
        .collect();

    let bytes = file.file.remote.fetch(&wanted, &request.reads).await?;
    let fetched = Fetched {
        cut: cut(series, request.range),
        offsets,
        groups,
        bytes,
        lives,
    };

    fetched.decode(file)
}

/// Returns what to cut off, if any of the series has samples outside of the range.
fn cut(series: &[SeriesRows], range: TimeRange) -> Option<Cut> {
    let is_whole = |rows: &SeriesRows| {
        rows.samples.is_empty() || range.contains(rows.min_ts_ms) && range.contains(rows.max_ts_ms)
    };

    let lengths = series
        .iter()
        .map(|rows| rows.samples.end - rows.samples.start);
    (!series.iter().all(is_whole)).then(|| Cut::new(lengths, range))
}

/// The floats of a batch before they are decoded.
struct Fetched {
    /// The first row of each series within the batch, followed by the number of rows.
    offsets: Vec<i32>,
    groups: Vec<GroupRows>,
    bytes: SparseFile,
    lives: &'static [usize],
    cut: Option<Cut>,
}

impl Fetched {
    fn decode(self, file: &RowsFile) -> Result<Floats, Error> {
        let Self {
            offsets,
            groups,
            bytes,
            lives,
            mut cut,
        } = self;

        let mut samples = match &cut {
            Some(_) => Samples::default(),
            None => Samples::with_capacity(count(&offsets)),
        };

        let mut scratch = Scratch::default();

        for group in &groups {
            samples
                .append(
                    &file.file.parsed,
                    &bytes,
                    group,
                    lives,
                    cut.as_mut(),
                    &mut scratch,
                )
                .map_err(|e| Error::decode(&file.file.remote.key, e))?;
        }

        let offsets = cut.map_or(offsets, Cut::into_offsets);
        Ok(samples.into_columns(offsets))
    }
}

async fn histograms(
    block: &Block,
    series: &[SeriesRows],
    reads: &Reads,
) -> Result<duramen_source::Histograms, Error> {
    let rows = || series.iter().map(|rows| rows.histograms.clone());
    let offsets = offsets(block, rows())?;
    let mut histograms = Histograms::default();

    if let Some((file, groups)) = pieces(block, block.histograms.as_ref(), rows())? {
        let bytes = file.fetch_groups(&groups, reads).await?;
        file.decode(&bytes, &groups, |batch| histograms.append(batch))?;
    }

    Ok(histograms.into_columns(offsets))
}

/// Returns the exemplars of `series`, one list for each series.
pub(crate) async fn exemplars(
    block: &Block,
    series: Vec<FoundSeries>,
    reads: &Reads,
) -> Result<Vec<SeriesExemplars>, Error> {
    let rows = || series.iter().map(|series| series.rows.exemplars.clone());
    let offsets = offsets(block, rows())?;
    let mut all: Vec<Exemplar> = Vec::with_capacity(count(&offsets));

    if let Some((file, groups)) = pieces(block, block.exemplars.as_ref(), rows())? {
        let bytes = file.fetch_groups(&groups, reads).await?;
        file.decode(&bytes, &groups, |batch| exemplars::append(batch, &mut all))?;
    }

    let mut all = all.into_iter();
    let exemplars = series.into_iter().map(|series| {
        let length = usize::try_from(series.rows.exemplars.end - series.rows.exemplars.start)
            .unwrap_or(usize::MAX);
        SeriesExemplars {
            labels: series.labels(),
            exemplars: all.by_ref().take(length).collect(),
        }
    });

    Ok(exemplars.collect())
}

/// Returns the row groups of `file` that hold `rows`, or `None` if there are no rows.
fn pieces<'a>(
    block: &Block,
    file: Option<&'a RowsFile>,
    rows: impl Iterator<Item = Range<u64>>,
) -> Result<Option<(&'a RowsFile, Vec<GroupRows>)>, Error> {
    let mut rows = rows.filter(|rows| !rows.is_empty()).peekable();
    if rows.peek().is_none() {
        return Ok(None);
    }

    let pieces = file.and_then(|file| Some((file, file.by_group(rows)?)));
    pieces
        .map(Some)
        .ok_or_else(|| block.malformed_series("a series points at rows that are not there"))
}

/// Returns the first row of each series within the batch, followed by the number of rows.
fn offsets(block: &Block, rows: impl Iterator<Item = Range<u64>>) -> Result<Vec<i32>, Error> {
    let mut end = 0i32;
    let mut offsets = vec![0];

    for rows in rows {
        let next = i32::try_from(rows.end - rows.start)
            .ok()
            .and_then(|length| end.checked_add(length));
        end = next.ok_or_else(|| block.malformed_series("the series of a batch have 2^31 rows"))?;
        offsets.push(end);
    }

    Ok(offsets)
}

fn count(offsets: &[i32]) -> usize {
    offsets
        .last()
        .and_then(|last| usize::try_from(*last).ok())
        .unwrap_or(0)
}
