//! Gets and decodes the samples of one batch of series.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

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

/// Gets the bytes of floats, and histograms, concurrently, in one round trip. Samples outside of
/// the range of the request are left out, except for histograms. The batch is decoded in pieces of
/// about `piece_samples` samples.
pub(crate) async fn fetch(
    block: &Arc<Block>,
    Batch { labels, rows }: Batch,
    request: &SeriesRequest,
    piece_samples: u64,
) -> Result<Fetched, Error> {
    let mut fetched = Fetched {
        block: Arc::clone(block),
        labels,
        rows,
        range: request.range,
        lives: match request.columns {
            Columns::Everything => &[sample::TTL, sample::START_TS],
            Columns::Labels | Columns::Samples => &[sample::TTL],
        },
        floats: None,
        histograms: None,
        pieces: VecDeque::new(),
        scratch: Scratch::default(),
    };

    let rows = &fetched.rows;

    if request.columns == Columns::Labels {
        fetched.pieces.push_back(0..rows.len());
        return Ok(fetched);
    }

    let has_histograms = rows.iter().any(|rows| !rows.histograms.is_empty());
    let (floats, histograms) = futures::try_join!(
        floats(block, rows, fetched.lives, &request.reads),
        histograms(block, rows, &request.reads)
    )?;

    let piece_samples = if has_histograms {
        u64::MAX
    } else {
        piece_samples
    };

    fetched.pieces = pieces_of(rows, piece_samples);

    fetched.floats = floats;
    fetched.histograms = has_histograms.then_some(histograms);
    Ok(fetched)
}

/// Cuts series into pieces of about `piece_samples` samples. There is at least one piece.
fn pieces_of(rows: &[SeriesRows], piece_samples: u64) -> VecDeque<Range<usize>> {
    let mut pieces = VecDeque::new();
    let mut start = 0;
    let mut samples = 0u64;

    for (at, rows) in rows.iter().enumerate() {
        let more = rows.samples.end - rows.samples.start;

        if at > start && samples.saturating_add(more) > piece_samples {
            pieces.push_back(start..at);
            start = at;
            samples = 0;
        }

        samples = samples.saturating_add(more);
    }

    pieces.push_back(start..rows.len());
    pieces
}

/// Gets the pages of floats.
async fn floats(
    block: &Block,
    series: &[SeriesRows],
    lives: &[usize],
    reads: &Reads,
) -> Result<Option<SparseFile>, Error> {
    let rows = series.iter().map(|rows| rows.samples.clone());
    let Some((file, groups)) = pieces(block, block.samples.as_ref(), rows)? else {
        return Ok(None);
    };

    let parsed = &file.file.parsed;
    let wanted: Vec<_> = groups
        .iter()
        .flat_map(|group| plan::pages(parsed, group, lives))
        .collect();

    file.file.remote.fetch(&wanted, reads).await.map(Some)
}

/// A batch whose floats are not decoded.
pub(crate) struct Fetched {
    block: Arc<Block>,
    labels: BinaryArray,
    rows: Vec<SeriesRows>,
    range: TimeRange,
    /// The columns of life spans that are read.
    lives: &'static [usize],
    /// The pages of floats, if the series have any and samples are wanted.
    floats: Option<SparseFile>,
    /// The histograms of the only piece, if the series have any.
    histograms: Option<duramen_source::Histograms>,
    /// The series of the pieces that are left.
    pieces: VecDeque<Range<usize>>,
    scratch: Scratch,
}

impl Fetched {
    pub(crate) fn series(&self) -> usize {
        self.rows.len()
    }

    /// Returns the bytes of the pages that are decoded later.
    pub(crate) fn page_bytes(&self) -> usize {
        self.floats.as_ref().map_or(0, SparseFile::bytes)
    }

    /// Returns how many pieces are left.
    pub(crate) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// Returns the largest number of samples of a piece that is left, where a histogram counts as
    /// several.
    pub(crate) fn piece_weight_max(&self) -> u64 {
        let weight = |piece: &Range<usize>| {
            let rows = self.rows.get(piece.clone()).unwrap_or_default();
            rows.iter().map(SeriesRows::weight).sum()
        };

        self.pieces.iter().map(weight).max().unwrap_or(0)
    }

    /// Decodes the next piece. Behind the last there are pieces without series.
    pub(crate) fn next_piece(&mut self) -> Result<SeriesBatch, Error> {
        let piece = self.pieces.pop_front().unwrap_or(0..0);
        let labels = self.labels.slice(piece.start, piece.len());
        let none = || vec![0; piece.len() + 1];

        self.scratch.go_on(!self.pieces.is_empty());

        let floats = match &self.floats {
            Some(bytes) => decode(
                &self.block,
                &self.rows[piece.clone()],
                (bytes, self.range, self.lives),
                &mut self.scratch,
            )?,
            None => Samples::default().into_columns(none()),
        };

        let histograms = self
            .histograms
            .take()
            .unwrap_or_else(|| Histograms::default().into_columns(none()));
        Ok(SeriesBatch::from_columns(labels, floats, histograms))
    }
}

/// Decodes the floats of `series`, from `bytes` of their pages, in the range, with columns of life
/// spans.
fn decode(
    block: &Block,
    series: &[SeriesRows],
    (bytes, range, lives): (&SparseFile, TimeRange, &[usize]),
    scratch: &mut Scratch,
) -> Result<Floats, Error> {
    let rows = || series.iter().map(|rows| rows.samples.clone());
    let offsets = offsets(block, rows())?;
    let Some((file, groups)) = pieces(block, block.samples.as_ref(), rows())? else {
        return Ok(Samples::default().into_columns(offsets));
    };

    let mut cut = cut(series, range);
    let mut samples = match &cut {
        Some(_) => Samples::default(),
        None => Samples::with_capacity(count(&offsets)),
    };

    for group in &groups {
        samples
            .append(
                &file.file.parsed,
                bytes,
                group,
                lives,
                cut.as_mut(),
                scratch,
            )
            .map_err(|e| Error::decode(&file.file.remote.key, e))?;
    }

    let offsets = cut.map_or(offsets, Cut::into_offsets);
    Ok(samples.into_columns(offsets))
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
    let held = reads.hold(count(&offsets) * SeriesExemplars::EXEMPLAR_BYTES);
    held.map_err(block.no_memory("exemplars"))?;

    let mut all: Vec<Exemplar> = Vec::with_capacity(count(&offsets));

    if let Some((file, groups)) = pieces(block, block.exemplars.as_ref(), rows())? {
        let bytes = file.fetch_groups(&groups, reads).await?;
        file.decode(&bytes, &groups, |batch| exemplars::append(batch, &mut all))?;
    }

    // The list of all is there until those of the series are made.
    let labels: usize = all
        .iter()
        .map(|exemplar| exemplar.labels.encoded().len())
        .sum();
    let held = reads.hold(labels + all.len() * size_of::<Exemplar>());
    held.map_err(block.no_memory("exemplars"))?;

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
