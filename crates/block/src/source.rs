//! A block as a source of series.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use arrow::array::BinaryArray;
use async_trait::async_trait;
use duramen_model::{FamilyMetadata, TenantId};
use duramen_source::{
    Read, SeriesExemplars, SeriesRequest, SeriesSource, SeriesStream, SeriesSummary, walk,
};
use futures::{Stream, StreamExt, TryStreamExt, future, stream};

use crate::block::Block;
use crate::error::Error;
use crate::lookup::FoundSeries;
use crate::read::{self, Batch};
use crate::rows::{SeriesRows, Wanted};
use crate::series_file::SeriesFile;
use crate::table::Table;
use crate::warm;

/// A batch ends at so many samples: 16 MiB decoded. A longer series is a batch alone.
const BATCH_SAMPLES: u64 = 1 << 20;
/// A histogram counts as so many floats: 256 bytes.
const HISTOGRAM_SAMPLES: u64 = 16;
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

    async fn exemplars(
        &self,
        request: &SeriesRequest,
    ) -> Result<Vec<SeriesExemplars>, duramen_source::Error> {
        if !request.tenants.contains(&self.tenant) {
            return Ok(Vec::new());
        }

        self.block
            .exemplars(request)
            .await
            .map_err(|e| failed(&self.block, e))
    }

    async fn metadata(
        &self,
        tenants: &[TenantId],
    ) -> Result<Vec<FamilyMetadata>, duramen_source::Error> {
        if !tenants.contains(&self.tenant) {
            return Ok(Vec::new());
        }

        self.block
            .metadata()
            .await
            .map_err(|e| failed(&self.block, e))
    }

    async fn summaries(
        &self,
        request: &SeriesRequest,
    ) -> Result<Vec<SeriesSummary>, duramen_source::Error> {
        if !request.tenants.contains(&self.tenant) {
            return Ok(Vec::new());
        }

        self.block
            .summaries(request)
            .await
            .map_err(|e| failed(&self.block, e))
    }

    async fn label_names(
        &self,
        request: &SeriesRequest,
    ) -> Result<BTreeSet<String>, duramen_source::Error> {
        match self.table(request).await {
            Some(table) => Ok(table.names(
                &table
                    .select(&request.matchers, Wanted::Samples(request.range))
                    .await,
            )),
            None => walk::label_names(self, request).await,
        }
    }

    async fn label_values(
        &self,
        request: &SeriesRequest,
        name: &str,
    ) -> Result<BTreeSet<String>, duramen_source::Error> {
        match self.table(request).await {
            Some(table) => Ok(table.values(
                &table
                    .select(&request.matchers, Wanted::Samples(request.range))
                    .await,
                name,
            )),
            None => walk::label_values(self, request, name).await,
        }
    }

    async fn ttl_max_ms(&self, tenants: &[TenantId]) -> Result<i64, duramen_source::Error> {
        Ok(if tenants.contains(&self.tenant) {
            self.block.stats().ttl_max_ms
        } else {
            0
        })
    }
}

impl BlockSource {
    /// The block's series table, when the request is about it and it is in memory.
    async fn table(&self, request: &SeriesRequest) -> Option<Arc<Table>> {
        let is_asked = request.tenants.contains(&self.tenant)
            && self.block.stats.range().overlaps(request.range);
        let file = self.block.series.as_ref().filter(|_| is_asked)?;

        match look_up(&self.block, file, request).await {
            Place::Table(table) => Some(table),
            Place::File(_) => None,
        }
    }
}

fn failed(block: &Block, error: Error) -> duramen_source::Error {
    duramen_source::Error::new(format!("block {}", block.dir()), error.kind(), error)
}

/// The answer of `block`.
pub(crate) fn stream(block: Arc<Block>, request: SeriesRequest) -> SeriesStream {
    let Some(series) = block
        .series
        .clone()
        .filter(|_| block.stats.range().overlaps(request.range))
    else {
        return Box::pin(stream::empty());
    };

    let request = Arc::new(request);
    request.reads.add(Read::Series, block.stats.series);

    let asked = Arc::clone(&request);
    let within = Arc::clone(&block);
    let named = Arc::clone(&block);

    let batches = stream::once(async move { Ok(found(within, series, request).await) })
        .try_flatten()
        .map(move |batch| {
            let block = Arc::clone(&block);
            let asked = Arc::clone(&asked);

            async move {
                let batch = batch?;
                asked.reads.add(Read::SeriesFound, batch.rows.len() as u64);
                read::read(&block, batch, &asked).await
            }
        })
        .buffered(READ_AHEAD);

    Box::pin(stop_at_error(batches).map_err(move |error| failed(&named, error)))
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

/// The series that pass in batches, from the table in memory or from the file: the same ones.
async fn found(
    block: Arc<Block>,
    file: Arc<SeriesFile>,
    request: Arc<SeriesRequest>,
) -> impl Stream<Item = Result<Batch, Error>> + Send {
    let series_max = request.batch_series_max.max(1);
    let wanted = Wanted::Samples(request.range);

    match look_up(&block, &file, &request).await {
        Place::Table(table) => {
            let series = table.select(&request.matchers, wanted).await;
            table_batches(table, series, series_max).left_stream()
        }
        Place::File(groups) => {
            batches(find(file, groups, request, wanted), series_max).right_stream()
        }
    }
}

/// All series that pass and are wanted, in the order of the block.
pub(crate) async fn find_all(
    block: &Block,
    request: &SeriesRequest,
    wanted: Wanted,
) -> Result<Vec<FoundSeries>, Error> {
    let Some(file) = &block.series else {
        return Ok(Vec::new());
    };

    match look_up(block, file, request).await {
        Place::Table(table) => {
            let found = |series: &u32| FoundSeries {
                labels: table.labels_at(*series).into(),
                rows: table.rows(*series),
            };

            Ok(table
                .select(&request.matchers, wanted)
                .await
                .iter()
                .map(found)
                .collect())
        }
        Place::File(groups) => {
            find(Arc::clone(file), groups, Arc::new(request.clone()), wanted)
                .try_concat()
                .await
        }
    }
}

/// Where a selection looks for series.
enum Place {
    Table(Arc<Table>),
    /// These row groups of the series file.
    File(Vec<usize>),
}

async fn look_up(block: &Block, file: &SeriesFile, request: &SeriesRequest) -> Place {
    let groups = file.groups(&request.matchers);

    // A selection that the names alone rule out needs neither.
    let table = if groups.is_empty() {
        None
    } else {
        warm::table(block, file, file.is_whole(&groups), &request.reads).await
    };

    table.map_or(Place::File(groups), Place::Table)
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
        let length = batch_length(
            waiting.iter().map(|series| table.rows(*series)),
            series_max,
            true,
        )?;

        let batch = waiting.get(..length)?;
        start += length;

        let rows = batch.iter().map(|series| table.rows(*series)).collect();
        Some(Ok(Batch {
            labels: table.labels(batch),
            rows,
        }))
    }))
}

/// The series of `groups` that pass, some row groups at a time.
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

/// Cuts what was found into batches of at most `series_max` series and about [`BATCH_SAMPLES`]
/// samples.
fn batches(
    found: impl Stream<Item = Result<Vec<FoundSeries>, Error>> + Send,
    series_max: usize,
) -> impl Stream<Item = Result<Batch, Error>> + Send {
    let state = (Box::pin(found), VecDeque::new(), false);
    stream::try_unfold(
        state,
        move |(mut found, mut waiting, mut ended)| async move {
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
        },
    )
}

/// Takes a batch off the front; `None` when more series would fit and may come.
fn next_batch(
    waiting: &mut VecDeque<FoundSeries>,
    series_max: usize,
    ended: bool,
) -> Option<Batch> {
    let length = batch_length(
        waiting.iter().map(|series| series.rows.clone()),
        series_max,
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

/// How many of the series with the rows `waiting` are the next batch; `None` when more would fit
/// and may come, or there are none.
fn batch_length(
    waiting: impl Iterator<Item = SeriesRows>,
    series_max: usize,
    ended: bool,
) -> Option<usize> {
    let mut samples = 0u64;
    let mut length = 0;
    let mut full = false;

    for rows in waiting {
        samples = samples.saturating_add(weight(&rows));
        full = length > 0 && samples > BATCH_SAMPLES || length >= series_max;

        if full {
            break;
        }

        length += 1;
    }

    let whole = full || length >= series_max || samples >= BATCH_SAMPLES || ended;
    (whole && length > 0).then_some(length)
}

/// What the samples of a series take in memory, in floats.
const fn weight(rows: &SeriesRows) -> u64 {
    let histograms =
        (rows.histograms.end - rows.histograms.start).saturating_mul(HISTOGRAM_SAMPLES);
    (rows.samples.end - rows.samples.start).saturating_add(histograms)
}
