//! A block as a source of series.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::BinaryArray;
use arrow::buffer::ScalarBuffer;
use async_trait::async_trait;
use duramen_model::TenantId;
use duramen_source::{Columns, SeriesBatch, SeriesRequest, SeriesSource, SeriesStream};
use futures::{Stream, StreamExt, TryStreamExt, future, stream};

use crate::block::Block;
use crate::decode::Samples;
use crate::error::Error;
use crate::fetch::SparseFile;
use crate::lookup::FoundSeries;
use crate::plan;
use crate::table::Table;
use crate::warm;

/// So many bytes of the series file are looked through at a time.
const SERIES_BYTES: u64 = 1 << 20;
/// A batch ends at so many samples: 16 MiB decoded. A longer series is a batch alone.
const BATCH_SAMPLES: u64 = 1 << 20;
/// The batch that is used, and the one that is got meanwhile.
const READ_AHEAD: usize = 2;

/// One block of one tenant. Of a request that does not name the tenant it answers nothing.
#[derive(Clone, Debug)]
pub struct BlockSource {
    block: Arc<Block>,
    tenant: TenantId,
}

impl BlockSource {
    pub const fn new(block: Arc<Block>, tenant: TenantId) -> Self {
        Self { block, tenant }
    }
}

#[async_trait]
impl SeriesSource for BlockSource {
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, duramen_source::Error> {
        if !request.tenants.contains(&self.tenant) {
            return Ok(Box::pin(stream::empty()));
        }
        Ok(self.block.select(request))
    }
}

/// The answer of `block`.
pub(crate) fn stream(block: Arc<Block>, request: SeriesRequest) -> SeriesStream {
    let part = format!("block {}", block.dir());
    if !block.stats.range().overlaps(request.range) {
        return Box::pin(stream::empty());
    }
    let request = Arc::new(request);
    let (columns, within) = (request.columns, Arc::clone(&block));
    let batches = stream::once(async move { Ok(found(within, request).await) })
        .try_flatten()
        .map(move |batch| {
            let block = Arc::clone(&block);
            async move { read(&block, batch?, columns).await }
        })
        .buffered(READ_AHEAD);
    let failed = move |error: Error| duramen_source::Error::new(part.clone(), error.kind(), error);
    Box::pin(stop_at_error(batches).map_err(failed))
}

/// Ends the stream behind its first error.
fn stop_at_error<T: Send>(
    items: impl Stream<Item = Result<T, Error>> + Send,
) -> impl Stream<Item = Result<T, Error>> + Send {
    items.scan(false, |failed, item| {
        let go_on = !*failed;
        *failed = item.is_err();
        future::ready(go_on.then_some(item))
    })
}

/// Series of one batch.
struct Batch {
    labels: BinaryArray,
    rows: Vec<Range<u64>>,
}

/// The series that pass in batches, from the table in memory or from the file: the same ones.
async fn found(block: Arc<Block>, request: Arc<SeriesRequest>) -> impl Stream<Item = Result<Batch, Error>> + Send {
    let series_max = request.batch_series_max.max(1);
    let groups = block.columns.groups(&block.series, &request.matchers);
    let whole = groups.len() == block.series.parsed.num_row_groups();
    // A selection that the names alone rule out needs neither.
    let table = if groups.is_empty() { None } else { warm::table(&block, whole).await };
    if let Some(table) = table {
        let series = table.select(&request.matchers, request.range);
        return table_batches(table, series, series_max).left_stream();
    }
    batches(find(block, groups, request), series_max).right_stream()
}

/// Cuts `series` of `table` into batches, as [`batches`] does.
fn table_batches(
    table: Arc<Table>,
    series: Vec<u32>,
    series_max: usize,
) -> impl Stream<Item = Result<Batch, Error>> + Send {
    let mut start = 0;
    stream::iter(std::iter::from_fn(move || {
        let waiting = series.get(start..)?;
        let length = batch_length(waiting.iter().map(|series| table.rows(*series)), series_max, true)?;
        let batch = waiting.get(..length)?;
        start += length;
        let rows = batch.iter().map(|series| table.rows(*series)).collect();
        Some(Ok(Batch { labels: table.labels(batch), rows }))
    }))
}

/// The series of `groups` that pass, some row groups at a time.
fn find(
    block: Arc<Block>,
    groups: Vec<usize>,
    request: Arc<SeriesRequest>,
) -> impl Stream<Item = Result<Vec<FoundSeries>, Error>> + Send {
    let parts = block.series_parts(&groups);
    stream::iter(parts)
        .map(move |part| {
            let (block, request) = (Arc::clone(&block), Arc::clone(&request));
            async move { find_in(&block, &part, &request).await }
        })
        .buffered(READ_AHEAD)
}

/// Row groups in parts of about [`SERIES_BYTES`].
fn in_parts(groups: &[usize], bytes: impl Fn(usize) -> Range<u64>) -> Vec<Vec<usize>> {
    let mut parts: Vec<Vec<usize>> = Vec::new();
    let mut size = u64::MAX;
    for &group in groups {
        let range = bytes(group);
        let length = range.end.saturating_sub(range.start);
        size = size.saturating_add(length);
        if size > SERIES_BYTES {
            parts.push(Vec::new());
            size = length;
        }
        if let Some(part) = parts.last_mut() {
            part.push(group);
        }
    }
    parts
}

impl Block {
    /// Row groups of the series file, in parts that are read one at a time.
    pub(crate) fn series_parts(&self, groups: &[usize]) -> Vec<Vec<usize>> {
        in_parts(groups, |group| self.columns.bytes(&self.series, group))
    }

    /// The bytes of `groups` of the series file.
    pub(crate) async fn series_file(&self, groups: &[usize]) -> Result<SparseFile, Error> {
        if let Some(file) = &self.prefetched {
            return Ok(file.clone());
        }
        let wanted: Vec<_> = groups.iter().map(|group| self.columns.bytes(&self.series, *group)).collect();
        self.series.remote.fetch(&wanted).await
    }
}

async fn find_in(block: &Block, groups: &[usize], request: &SeriesRequest) -> Result<Vec<FoundSeries>, Error> {
    let file = block.series_file(groups).await?;
    let mut found = Vec::new();
    for &group in groups {
        let series = block.columns.find(&file, group, &request.matchers, request.range);
        found.append(&mut series.map_err(|e| Error::decode(&block.series.remote.key, e))?);
    }
    Ok(found)
}

/// Cuts what was found into batches of at most `series_max` series and about [`BATCH_SAMPLES`] samples.
fn batches(
    found: impl Stream<Item = Result<Vec<FoundSeries>, Error>> + Send,
    series_max: usize,
) -> impl Stream<Item = Result<Batch, Error>> + Send {
    let state = (Box::pin(found), VecDeque::new(), false);
    stream::try_unfold(state, move |(mut found, mut waiting, mut ended)| async move {
        loop {
            if let Some(batch) = next_batch(&mut waiting, series_max, ended) {
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
    })
}

/// Takes a batch off the front; `None` when more series would fit and may come.
fn next_batch(waiting: &mut VecDeque<FoundSeries>, series_max: usize, ended: bool) -> Option<Batch> {
    let length = batch_length(waiting.iter().map(|series| series.rows.clone()), series_max, ended)?;
    let (labels, rows): (Vec<_>, Vec<_>) = waiting.drain(..length).map(|series| (series.labels, series.rows)).unzip();
    Some(Batch { labels: BinaryArray::from_iter_values(labels), rows })
}

/// How many of the series with the samples `waiting` are the next batch; `None` when more would fit and may come, or there are none.
fn batch_length(waiting: impl Iterator<Item = Range<u64>>, series_max: usize, ended: bool) -> Option<usize> {
    let mut samples = 0u64;
    let mut length = 0;
    let mut full = false;
    for rows in waiting {
        samples = samples.saturating_add(rows.end - rows.start);
        full = length > 0 && samples > BATCH_SAMPLES || length >= series_max;
        if full {
            break;
        }
        length += 1;
    }
    let whole = full || length >= series_max || samples >= BATCH_SAMPLES || ended;
    (whole && length > 0).then_some(length)
}

/// Gets and decodes the samples of one batch.
async fn read(block: &Block, Batch { labels, rows }: Batch, columns: Columns) -> Result<SeriesBatch, Error> {
    if columns == Columns::Labels {
        let offsets = vec![0; rows.len() + 1];
        return Ok(SeriesBatch::from_parts(labels, offsets, ScalarBuffer::default(), ScalarBuffer::default()));
    }
    let remote = &block.samples.remote;
    let malformed = || Error::Malformed {
        key: block.series.remote.key.clone(),
        offset: 0,
        what: "a series points at samples that are not there",
    };
    let groups = plan::by_group(rows.iter().cloned(), &block.sample_group_rows).ok_or_else(malformed)?;
    let wanted: Vec<_> = groups.iter().flat_map(|group| plan::pages(&block.samples.parsed, group)).collect();
    let file = remote.fetch(&wanted).await?;
    let offsets = offsets(&rows).ok_or_else(malformed)?;
    let count = offsets.last().and_then(|last| usize::try_from(*last).ok()).unwrap_or(0);
    let mut samples = Samples::with_capacity(count);
    for group in &groups {
        samples.append(&block.samples.parsed, &file, group).map_err(|e| Error::decode(&remote.key, e))?;
    }
    Ok(SeriesBatch::from_parts(labels, offsets, samples.ts.into(), samples.values.into()))
}

/// Where the samples of each series begin in the batch, and behind them their number; `None` when it is 2^31 or more.
fn offsets(rows: &[Range<u64>]) -> Option<Vec<i32>> {
    let mut end = 0i32;
    let mut offsets = vec![0];
    for rows in rows {
        end = end.checked_add(i32::try_from(rows.end - rows.start).ok()?)?;
        offsets.push(end);
    }
    Some(offsets)
}
