//! Finds the series of a request and reads their samples, batch by batch.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::BinaryArray;
use duramen_model::TimeRange;
use duramen_qos::{Budget, Reservation};
use duramen_source::{Read, SeriesExemplars, SeriesRequest, SeriesSummary, UndecodedBatch};
use futures::{Stream, StreamExt, TryStreamExt, future, stream};

use crate::error::Error;
use crate::layout::rows::{SeriesRows, Wanted};
use crate::read::batch::{self, Batch, Fetched};
use crate::read::block::Block;
use crate::series::file::SeriesFile;
use crate::series::found::FoundSeries;
use crate::series::index::SeriesIndex;
use crate::series::matched::MatchedKey;

/// The size of a time and a value.
const SAMPLE_BYTES: usize = 16;
/// A batch of exemplars ends at this many. A series with more is a batch alone.
const BATCH_EXEMPLARS: u64 = 4096;
/// The version of the tombstones of a block that has none.
const NO_TOMBSTONES: u64 = 0;
/// The batch that is in use, and the next one, which is fetched meanwhile.
pub(crate) const READ_AHEAD: usize = 2;

/// Returns the series of `block` that pass, with their samples, in the order of the block. Their
/// receiver decodes them. `file` is the series file of the block.
///
/// This takes one round trip for the series pages, and one for the samples and histograms of each
/// batch. The next batch is fetched while one is in use. The stream ends after its first error.
///
/// What is fetched together is shared among several batches, which their receivers may decode at the
/// same time. Each has memory for one piece, until the last of them is dropped.
pub(crate) fn stream(
    block: Arc<Block>,
    file: Arc<SeriesFile>,
    request: SeriesRequest,
) -> impl Stream<Item = Result<UndecodedBatch, Error>> + Send {
    let batches = fetch(block, file, request)
        .map_ok(|fetched| UndecodedBatch::shared(Arc::new(fetched)))
        .map_ok(|shares| stream::iter(shares.into_iter().map(Ok)))
        .try_flatten();

    stop_at_error(batches)
}

/// Returns the batches of series that pass.
fn fetch(
    block: Arc<Block>,
    file: Arc<SeriesFile>,
    request: SeriesRequest,
) -> impl Stream<Item = Result<Fetched, Error>> + Send {
    let request = Arc::new(request);
    request.reads.add(Read::Series, block.stats.series);

    let asked = Arc::clone(&request);
    let within = Arc::clone(&block);

    let size = size(&block, &request);

    stream::once(found(within, file, request, size))
        .flatten()
        .map(move |batch| {
            let block = Arc::clone(&block);
            let asked = Arc::clone(&asked);

            async move {
                let batch = batch?;
                let whole = batch.rows.iter().map(SeriesRows::weight);
                let reserved = reserve(&block, &asked, whole.fold(0, u64::saturating_add))?;
                asked.reads.add(Read::SeriesFound, batch.rows.len() as u64);

                let mut fetched = batch::fetch(&block, batch, &asked, reserved).await?;
                // What belongs to no query has room for the pages beside its account.
                let pages = asked.reads.budget().map_or(0, |_| fetched.page_bytes());
                let kept = fetched.keep_memory(pages, memory);
                kept.map_err(block.no_memory("the pages of a batch"))?;
                Ok(fetched)
            }
        })
        .buffered(READ_AHEAD)
}

/// Reserves memory for so many decoded samples, where a histogram counts as sixteen, in the budget
/// of the request. A request without one takes it from the account of the block.
pub(crate) fn reserve(
    block: &Block,
    request: &SeriesRequest,
    samples: u64,
) -> Result<Reservation, Error> {
    reserve_bytes(block, request, memory(samples))
}

/// Reserves so many bytes, as [`reserve`] does.
pub(crate) fn reserve_bytes(
    block: &Block,
    request: &SeriesRequest,
    bytes: usize,
) -> Result<Reservation, Error> {
    let reserved = match request.reads.budget() {
        Some(budget) => budget.reserve(bytes),
        None => Budget::of_query(&block.batches.memory, usize::MAX).reserve(bytes),
    };

    reserved.map_err(block.no_memory("a batch of samples"))
}

fn memory(samples: u64) -> usize {
    usize::try_from(samples)
        .unwrap_or(usize::MAX)
        .saturating_mul(SAMPLE_BYTES)
}

/// Returns the exemplars of the series that pass, in the order of the block, a few series at a
/// time. Exemplars outside the range are left out.
///
/// This takes one round trip for the series pages, and one for the exemplars of each batch.
pub(crate) fn exemplars(
    block: Arc<Block>,
    file: Arc<SeriesFile>,
    request: SeriesRequest,
) -> impl Stream<Item = Result<Vec<SeriesExemplars>, Error>> + Send {
    let groups = file.groups(&request.matchers);
    let request = Arc::new(request);
    let found = find(file, groups, Arc::clone(&request), Wanted::Exemplars);

    let batches = found
        .map_ok(|series| stream::iter(exemplar_batches(series).into_iter().map(Ok)))
        .try_flatten()
        .and_then(move |series| {
            let block = Arc::clone(&block);
            let request = Arc::clone(&request);

            async move {
                let mut all = batch::exemplars(&block, series, &request.reads).await?;
                keep_in(request.range, &mut all);
                Ok(all)
            }
        });

    stop_at_error(batches)
}

/// Splits series into batches of about [`BATCH_EXEMPLARS`] exemplars.
fn exemplar_batches(series: Vec<FoundSeries>) -> Vec<Vec<FoundSeries>> {
    let mut batches: Vec<Vec<FoundSeries>> = Vec::new();
    let mut exemplars = u64::MAX;

    for series in series {
        let rows = &series.rows.exemplars;
        exemplars = exemplars.saturating_add(rows.end - rows.start);

        match batches.last_mut().filter(|_| exemplars <= BATCH_EXEMPLARS) {
            Some(batch) => batch.push(series),
            None => {
                exemplars = rows.end - rows.start;
                batches.push(vec![series]);
            }
        }
    }

    batches
}

/// Drops exemplars outside the range, and series without any.
pub(crate) fn keep_in(range: TimeRange, all: &mut Vec<SeriesExemplars>) {
    for series in &mut *all {
        series
            .exemplars
            .retain(|exemplar| range.contains(exemplar.ts_ms));
    }

    all.retain(|series| !series.exemplars.is_empty());
}

/// Ends the stream after its first error.
pub(crate) fn stop_at_error<T: Send>(
    items: impl Stream<Item = Result<T, Error>> + Send,
) -> impl Stream<Item = Result<T, Error>> + Send {
    items.scan(false, |failed, item| {
        let go_on = !*failed;
        *failed = item.is_err();
        future::ready(go_on.then_some(item))
    })
}

/// Returns the series that pass, in batches. The index and the file give the same batches.
pub(crate) async fn found(
    block: Arc<Block>,
    file: Arc<SeriesFile>,
    request: Arc<SeriesRequest>,
    size: BatchSize,
) -> impl Stream<Item = Result<Batch, Error>> + Send {
    let wanted = Wanted::Samples(request.range);

    match look_up(&block, &file, &request).await {
        Place::Index(index) => {
            let series = pass(&block, &index, &request, wanted).await;
            index_batches(index, series, size).left_stream()
        }
        Place::File(groups) => batches(find(file, groups, request, wanted), size).right_stream(),
    }
}

/// Returns all series that pass the matchers and have what is `wanted`, in the order of the block.
/// Their memory is held in the budget of the request, with that of the answer that is made of them.
pub(crate) async fn find_all(
    block: &Block,
    request: &SeriesRequest,
    wanted: Wanted,
) -> Result<Vec<FoundSeries>, Error> {
    let Some(file) = &block.series else {
        return Ok(Vec::new());
    };

    match look_up(block, file, request).await {
        Place::Index(index) => {
            let found = |series: &u32| FoundSeries {
                labels: index.labels_at(*series).into(),
                rows: index.rows(*series),
            };

            let series = pass(block, &index, request, wanted).await;
            let labels = series.iter().map(|series| index.labels_at(*series).len());
            hold(block, request, series.len(), labels.sum())?;
            Ok(series.iter().map(found).collect())
        }
        Place::File(groups) => {
            find(Arc::clone(file), groups, Arc::new(request.clone()), wanted)
                .and_then(|some| {
                    let labels = some.iter().map(|series| series.labels.len()).sum();
                    future::ready(hold(block, request, some.len(), labels).map(|()| some))
                })
                .try_concat()
                .await
        }
    }
}

/// Holds the memory of found series with so many bytes of labels.
fn hold(block: &Block, request: &SeriesRequest, series: usize, labels: usize) -> Result<(), Error> {
    // The labels are copied when the answer is made.
    let bytes = series * (size_of::<FoundSeries>() + SeriesSummary::BYTES) + 2 * labels;
    let held = request.reads.hold(bytes);
    held.map_err(block.no_memory("the series that were found"))
}

/// Returns the series of `index`, the index of `block`, that pass the matchers and have what is
/// `wanted`, ascending. What passes the matchers is kept for later selections.
pub(crate) async fn pass(
    block: &Block,
    index: &SeriesIndex,
    request: &SeriesRequest,
    wanted: Wanted,
) -> Vec<u32> {
    let key = MatchedKey::of(&block.dir, &request.matchers, NO_TOMBSTONES);
    let Some((pool, key)) = block.matched.as_ref().zip(key) else {
        return index.with(&index.passing(&request.matchers).await, wanted);
    };

    let series = match pool.get(&key) {
        Some(series) => {
            request.reads.add(Read::MatcherHits, 1);
            series
        }
        None => {
            let series = Arc::new(index.passing(&request.matchers).await);
            pool.insert(key, &series);
            series
        }
    };

    index.with(&series, wanted)
}

/// Where a selection looks for series.
pub(crate) enum Place {
    Index(Arc<SeriesIndex>),
    /// The row groups of the series file to read.
    File(Vec<usize>),
}

/// Returns the index of the block if it is in memory or worth building; otherwise the row groups to
/// read.
pub(crate) async fn look_up(block: &Block, file: &SeriesFile, request: &SeriesRequest) -> Place {
    let groups = file.groups(&request.matchers);

    // If the statistics rule out every row group, no index is needed.
    let pool = block.indexes.as_ref().filter(|_| !groups.is_empty());

    let index = match pool {
        Some(pool) => {
            let warmth = &block.warmth;
            warmth.index(pool, file, &groups, &request.reads).await
        }
        None => None,
    };

    index.map_or(Place::File(groups), Place::Index)
}

/// Returns the size of the batches of a request: as the block says, and smaller if the budget of
/// the query asks for it.
pub(crate) fn size(block: &Block, request: &SeriesRequest) -> BatchSize {
    let within = request
        .reads
        .batch_bytes_max()
        .map_or(u64::MAX, |bytes| (bytes / SAMPLE_BYTES) as u64);

    BatchSize {
        series_max: request.batch_series_max.max(1),
        samples_max: block.batches.samples_max.min(within),
    }
}

/// The size at which a batch ends.
#[derive(Clone, Copy)]
pub(crate) struct BatchSize {
    series_max: usize,
    samples_max: u64,
}

impl BatchSize {
    /// A batch of so many rows, of any number of series.
    pub(crate) const fn of_rows(rows: usize) -> Self {
        Self {
            series_max: rows,
            samples_max: rows as u64,
        }
    }
}

/// Splits `series` of `index` into batches, as [`batches`] does.
pub(crate) fn index_batches(
    index: Arc<SeriesIndex>,
    series: Vec<u32>,
    size: BatchSize,
) -> impl Stream<Item = Result<Batch, Error>> + Send {
    let mut start = 0;
    stream::iter(std::iter::from_fn(move || {
        let waiting = series.get(start..)?;
        let length = batch_length(waiting.iter().map(|series| index.rows(*series)), size, true)?;

        let batch = waiting.get(..length)?;
        start += length;

        let rows = batch.iter().map(|series| index.rows(*series)).collect();
        Some(Ok(Batch {
            labels: index.labels(batch),
            rows,
        }))
    }))
}

/// Returns the series of `groups` that pass, a few row groups at a time.
fn find(
    file: Arc<SeriesFile>,
    groups: Vec<usize>,
    request: Arc<SeriesRequest>,
    wanted: Wanted,
) -> impl Stream<Item = Result<Vec<FoundSeries>, Error>> + Send {
    stream::iter(file.parts(&groups))
        .map(move |part| {
            let file = Arc::clone(&file);
            let request = Arc::clone(&request);

            async move {
                file.find(&part, &request.matchers, wanted, &request.reads)
                    .await
            }
        })
        .buffered(READ_AHEAD)
}

/// Splits `found` into batches of at most this size. A series that is larger is a batch alone.
fn batches(
    found: impl Stream<Item = Result<Vec<FoundSeries>, Error>> + Send,
    size: BatchSize,
) -> impl Stream<Item = Result<Batch, Error>> + Send {
    let state = (Box::pin(found), VecDeque::new(), false);
    stream::try_unfold(
        state,
        move |(mut found, mut waiting, mut ended)| async move {
            loop {
                if let Some(batch) = next_batch(&mut waiting, size, ended) {
                    return Ok(Some((batch, (found, waiting, ended))));
                }

                if ended {
                    return Ok(None);
                }

                match found.try_next().await? {
                    Some(more) => waiting.extend(more),
                    None => ended = true,
                }
            }
        },
    )
}

/// Takes a batch off the front. Returns `None` if the batch has room and more series may come.
fn next_batch(waiting: &mut VecDeque<FoundSeries>, size: BatchSize, ended: bool) -> Option<Batch> {
    let length = batch_length(
        waiting.iter().map(|series| series.rows.clone()),
        size,
        ended,
    )?;

    let (labels, rows): (Vec<_>, Vec<_>) = waiting
        .drain(..length)
        .map(|series| (series.labels, series.rows))
        .unzip();

    Some(Batch {
        labels: BinaryArray::from_iter_values(labels),
        rows,
    })
}

/// How many of the series with the rows `waiting` make up the next batch. `None` if the batch has
/// room and more series may come, or if there are none.
fn batch_length(
    waiting: impl Iterator<Item = SeriesRows>,
    size: BatchSize,
    ended: bool,
) -> Option<usize> {
    let mut samples = 0u64;
    let mut length = 0;
    let mut full = false;

    for rows in waiting {
        samples = samples.saturating_add(rows.weight());
        full = length > 0 && samples > size.samples_max || length >= size.series_max;

        if full {
            break;
        }

        length += 1;
    }

    let whole = full || length >= size.series_max || samples >= size.samples_max || ended;
    (whole && length > 0).then_some(length)
}
