//! Gets and decodes the samples of one batch of series.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::BinaryArray;
use duramen_model::{Exemplar, TimeRange};
use duramen_qos::{Exceeded, Reservation};
use duramen_source::undecoded::{piece_weight_max, pieces, shares};
use duramen_source::{
    Columns, Floats, Reads, SeriesBatch, SeriesDecoder, SeriesExemplars, SeriesRequest,
    UndecodedSeries,
};

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
use crate::read::samples::{Depth, Samples, Scratch};
use crate::series::found::FoundSeries;

/// The series of one batch.
pub(crate) struct Batch {
    pub(crate) labels: BinaryArray,
    pub(crate) rows: Vec<SeriesRows>,
}

/// Gets the bytes of floats, and histograms, concurrently, in one round trip. Samples outside of
/// the range of the request are left out, except for histograms. `memory` is held as long as the
/// series.
pub(crate) async fn fetch(
    block: &Arc<Block>,
    Batch { labels, rows }: Batch,
    request: &SeriesRequest,
    memory: Reservation,
) -> Result<Fetched, Error> {
    let mut fetched = Fetched {
        block: Arc::clone(block),
        labels,
        rows,
        range: request.range,
        columns: request.columns,
        floats: None,
        histograms: None,
        depth: Depth::Values,
        memory,
    };

    if request.columns == Columns::Labels {
        return Ok(fetched);
    }

    let rows = &fetched.rows;
    let has_histograms = rows.iter().any(|rows| !rows.histograms.is_empty());
    let (floats, histograms) = futures::try_join!(
        floats(block, rows, fetched.lives(), &request.reads),
        histograms(block, rows, &request.reads)
    )?;

    if has_histograms {
        let no_floats = Samples::default().into_columns(vec![0; rows.len() + 1]);
        let labels = fetched.labels.clone();
        fetched.histograms = Some(SeriesBatch::from_columns(labels, no_floats, histograms));
    }

    fetched.floats = floats;
    Ok(fetched)
}

/// Gets the pages of floats.
async fn floats(
    block: &Block,
    series: &[SeriesRows],
    lives: &[usize],
    reads: &Reads,
) -> Result<Option<SparseFile>, Error> {
    let rows = series.iter().map(|rows| rows.samples.clone());
    let Some((file, groups)) = groups_of(block, block.samples.as_ref(), rows)? else {
        return Ok(None);
    };

    let parsed = &file.file.parsed;
    let wanted: Vec<_> = groups
        .iter()
        .flat_map(|group| plan::pages(parsed, group, lives))
        .collect();

    file.file.remote.fetch(&wanted, reads).await.map(Some)
}

/// Series whose floats are not decoded.
#[derive(Debug)]
pub(crate) struct Fetched {
    block: Arc<Block>,
    labels: BinaryArray,
    rows: Vec<SeriesRows>,
    range: TimeRange,
    columns: Columns,
    /// The pages of floats, if the series have any and samples are wanted.
    floats: Option<SparseFile>,
    /// The histograms, if the series have any.
    histograms: Option<SeriesBatch>,
    depth: Depth,
    /// The memory of the samples that are decoded at once.
    memory: Reservation,
}

impl Fetched {
    /// The same series, of whose values so much is read.
    pub(crate) fn read_to(self, depth: Depth) -> Self {
        Self { depth, ..self }
    }

    /// Returns the bytes of the pages that are decoded later.
    pub(crate) fn page_bytes(&self) -> usize {
        self.floats.as_ref().map_or(0, SparseFile::bytes)
    }

    /// Keeps the memory that decoders need: of one piece for each share, of histograms as a whole,
    /// and of `page_bytes` bytes of pages.
    pub(crate) fn keep_memory(
        &mut self,
        page_bytes: usize,
        bytes: impl Fn(u64) -> usize,
    ) -> Result<(), Exceeded> {
        let weights = self.rows.iter().map(SeriesRows::weight);
        let all = weights.fold(0, u64::saturating_add);
        let needed = match self.histograms {
            Some(_) => all,
            None => all.min(piece_weight_max(self).saturating_mul(shares(self).len() as u64)),
        };

        let held = bytes(needed).saturating_add(page_bytes);
        self.memory.shrink_to(held);
        self.memory.grow_to(held)
    }

    /// Returns the columns of life spans that are read.
    const fn lives(&self) -> &'static [usize] {
        match self.columns {
            Columns::Everything => &[sample::TTL, sample::START_TS],
            Columns::Labels | Columns::Samples => &[sample::TTL],
        }
    }

    /// Decodes all series and passes them to `visit`, piece by piece.
    pub(crate) fn each_piece(&self, mut visit: impl FnMut(SeriesBatch)) -> Result<(), Error> {
        let mut scratch = Scratch::default();

        for rows in pieces(self) {
            scratch.go_on(rows.end < self.rows.len());
            visit(self.decode(rows, &mut scratch)?);
        }

        Ok(())
    }

    /// Decodes the series at `rows`.
    fn decode(&self, rows: Range<usize>, scratch: &mut Scratch) -> Result<SeriesBatch, Error> {
        let labels = self.labels.slice(rows.start, rows.len());
        let none = || vec![0; rows.len() + 1];

        let floats = match &self.floats {
            Some(bytes) => self.decode_floats(bytes, &self.rows[rows.clone()], scratch)?,
            None => Samples::default().into_columns(none()),
        };

        let no_histograms = Histograms::default().into_columns(none());
        let series = SeriesBatch::from_columns(labels, floats, no_histograms);

        Ok(match &self.histograms {
            Some(histograms) => series.with_histograms_of(&histograms.slice(rows)),
            None => series,
        })
    }
}

impl Fetched {
    /// Decodes the floats of `series`, from `bytes` of their pages, in the range.
    fn decode_floats(
        &self,
        bytes: &SparseFile,
        series: &[SeriesRows],
        scratch: &mut Scratch,
    ) -> Result<Floats, Error> {
        let block = &self.block;
        let rows = || series.iter().map(|rows| rows.samples.clone());
        let offsets = offsets(block, rows())?;
        let Some((file, groups)) = groups_of(block, block.samples.as_ref(), rows())? else {
            return Ok(Samples::default().into_columns(offsets));
        };

        let mut cut = cut(series, self.range);
        let samples = match &cut {
            Some(_) => Samples::default(),
            None => Samples::with_capacity(count(&offsets)),
        };

        let mut samples = samples.read_to(self.depth);
        let parsed = &file.file.parsed;

        for group in &groups {
            samples
                .append(parsed, bytes, group, self.lives(), cut.as_mut(), scratch)
                .map_err(|e| Error::decode(&file.file.remote.key, e))?;
        }

        let offsets = cut.map_or(offsets, Cut::into_offsets);
        Ok(samples.into_columns(offsets))
    }
}

impl UndecodedSeries for Fetched {
    fn labels(&self) -> &BinaryArray {
        &self.labels
    }

    fn weight(&self, row: usize) -> u64 {
        match self.columns {
            Columns::Labels => 0,
            Columns::Samples | Columns::Everything => self.rows[row].weight(),
        }
    }

    fn untaken_bytes(&self) -> usize {
        0
    }

    fn decoder(self: Arc<Self>) -> Box<dyn SeriesDecoder> {
        Box::new(FetchedDecoder {
            series: self,
            scratch: Scratch::default(),
        })
    }
}

struct FetchedDecoder {
    series: Arc<Fetched>,
    scratch: Scratch,
}

impl SeriesDecoder for FetchedDecoder {
    fn decode(
        &mut self,
        rows: Range<usize>,
        goes_on: bool,
    ) -> Result<SeriesBatch, duramen_source::Error> {
        self.scratch.go_on(goes_on);
        let series = self.series.decode(rows, &mut self.scratch);
        series.map_err(|e| e.of_block(&self.series.block.dir))
    }
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

    if let Some((file, groups)) = groups_of(block, block.histograms.as_ref(), rows())? {
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

    if let Some((file, groups)) = groups_of(block, block.exemplars.as_ref(), rows())? {
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
pub(crate) fn groups_of<'a>(
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
