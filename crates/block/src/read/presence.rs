//! Tells when the series of a block are present, from its index and what is derived once from its
//! samples.

use std::sync::Arc;

use duramen_model::TimeRange;
use duramen_source::{
    Columns, LaterLabels, PresenceBatch, PresenceBatchBuilder, Read, SeriesRequest, Trace, Tracer,
};
use futures::{Stream, StreamExt, TryStreamExt, stream};

use crate::error::Error;
use crate::layout::rows::{SeriesRows, Wanted};
use crate::read::batch;
use crate::read::block::Block;
use crate::read::samples::Depth;
use crate::read::select::{self, Place};
use crate::series::file::SeriesFile;
use crate::series::index::SeriesIndex;

/// Returns the traces of the series of `block` that pass, in its order. `file` is its series file.
/// Returns `None` if the index is not in memory and not worth building.
///
/// No request is made for series whose traces are known. The samples of the others are read once,
/// as [`select::stream`] reads them, but their values are not decoded.
pub(crate) async fn stream(
    block: Arc<Block>,
    file: &SeriesFile,
    request: SeriesRequest,
) -> Result<Option<impl Stream<Item = Result<PresenceBatch, Error>> + Send + use<>>, Error> {
    let Place::Index(index) = select::look_up(&block, file, &request).await else {
        return Ok(None);
    };

    let series = select::pass(&block, &index, &request, Wanted::Samples(request.range)).await;
    request.reads.add(Read::Series, block.stats.series);
    request.reads.add(Read::SeriesFound, series.len() as u64);
    derive(&block, &index, &series, &request).await?;

    let mut start = 0;
    let batches = std::iter::from_fn(move || {
        let waiting = series.get(start..).filter(|waiting| !waiting.is_empty())?;
        let some = &waiting[..waiting.len().min(SeriesRequest::BATCH_SERIES)];
        start += some.len();

        let mut batch = PresenceBatchBuilder::default();
        for series in some {
            index
                .traces
                .append(*series, &index.rows(*series), &mut batch);
            batch.end_unnamed();
        }

        Some(Ok(batch.finish_with(IndexLabels {
            index: Arc::clone(&index),
            series: some.to_vec(),
        })))
    });

    Ok(Some(stream::iter(batches)))
}

/// The labels of series of an index. A count over all of them copies none.
#[derive(Debug)]
struct IndexLabels {
    index: Arc<SeriesIndex>,
    series: Vec<u32>,
}

impl LaterLabels for IndexLabels {
    fn all(&self, put: &mut dyn FnMut(&[u8])) {
        for series in &self.series {
            put(self.index.labels_at(*series));
        }
    }

    /// It costs more to take some labels out than to copy all.
    fn with_names(&self, names: &[String], put: &mut dyn FnMut(&[u8])) {
        match names {
            [] => self.series.iter().for_each(|_| put(&[])),
            _ => self.all(put),
        }
    }
}

/// Reads the samples of those of `series` whose traces are not known yet, and keeps their traces.
async fn derive(
    block: &Arc<Block>,
    index: &Arc<SeriesIndex>,
    series: &[u32],
    request: &SeriesRequest,
) -> Result<(), Error> {
    let others = series
        .iter()
        .copied()
        .filter(|series| !index.traces.knows(*series));

    let (with_histograms, others): (Vec<u32>, Vec<u32>) =
        others.partition(|series| !index.rows(*series).histograms.is_empty());

    for series in with_histograms {
        let unknown = [Trace::UNKNOWN];
        index.traces.keep(series, &index.rows(series), &unknown);
    }

    // What is kept must not depend on the range of this request.
    let asked = Arc::new(SeriesRequest {
        range: TimeRange::ALL,
        ..request.with_columns(Columns::Samples)
    });

    let mut tracer = Tracer::default();
    let mut next = others.iter();

    let batches = select::index_batches(
        Arc::clone(index),
        others.clone(),
        select::size(block, request),
    );
    let mut batches = batches
        .map(|batch| {
            let asked = Arc::clone(&asked);
            async move {
                let batch = batch?;
                let weight = batch.rows.iter().map(SeriesRows::weight);
                let weight = weight.fold(0, u64::saturating_add);
                let reserved = select::reserve(block, &asked, weight)?;
                let fetched = batch::fetch(block, batch, &asked, reserved).await?;
                Ok::<_, Error>(fetched.read_to(Depth::StaleMarkers))
            }
        })
        .buffered(select::READ_AHEAD);

    while let Some(fetched) = batches.try_next().await? {
        fetched.each_piece(|piece| {
            for (row, series) in (0..piece.len()).zip(next.by_ref()) {
                let traces = tracer.of(&piece, row);
                index.traces.keep(*series, &index.rows(*series), traces);
            }
        })?;
    }

    Ok(())
}
