//! A block that is written from batches is identical to one that is written series by series.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use duramen_block::{BlockWriter, Error, WriterOptions};
use duramen_model::BlockStats;
use duramen_source::{Columns, SeriesBatch, SeriesRequest, SeriesSource};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;

use crate::fixture::{Series, in_memory_with, key, names, open, request, source};
use crate::golden::{everything, families};
use crate::round_trip::small;

/// Writes a block of those parts of `series` that batches can hold: no exemplars, and no series
/// without samples.
async fn series_by_series(
    series: &[Series],
    options: WriterOptions,
) -> (BlockStats, BTreeMap<String, Bytes>, Arc<InMemory>) {
    let mut series = series.to_vec();
    for series in &mut series {
        series.exemplars.clear();
    }
    series.retain(|series| !series.samples.is_empty() || !series.histograms.is_empty());

    let (store, stats) = in_memory_with(&series, families(), options).await;
    let mut files = BTreeMap::new();

    for name in names(&stats) {
        let file = store.get(&key().join(name.as_str())).await.unwrap();
        files.insert(name, file.bytes().await.unwrap());
    }

    (stats, files, store)
}

/// Returns all series of the block, in batches of at most `series_max`.
async fn batches(store: Arc<InMemory>, stats: &BlockStats, series_max: usize) -> Vec<SeriesBatch> {
    let block = open(store, stats).await.unwrap();
    let request = SeriesRequest {
        columns: Columns::Everything,
        batch_series_max: series_max,
        ..request(vec![])
    };

    let stream = source(&block).select(&request).await.unwrap();
    stream.try_collect().await.unwrap()
}

#[tokio::test]
async fn a_block_written_from_batches_equals_one_written_series_by_series() {
    for options in [WriterOptions::default(), small()] {
        let (stats, files, store) = series_by_series(&everything(), options.clone()).await;

        for series_max in [1, 2, 1000] {
            let mut writer = BlockWriter::in_memory(options.clone());
            for batch in batches(Arc::clone(&store), &stats, series_max).await {
                writer.push_batch(&batch).unwrap();
            }

            writer.set_metadata(families()).unwrap();
            let (written, contents) = writer.finish_in_memory().unwrap();

            assert_eq!(written, stats, "{series_max}");
            assert_eq!(BTreeMap::from_iter(contents), files, "{series_max}");
        }
    }
}

#[tokio::test]
async fn a_batch_that_breaks_the_order_is_refused_at_the_series_that_does() {
    let (stats, _, store) = series_by_series(&everything(), WriterOptions::default()).await;
    let whole = batches(store, &stats, 1000).await;
    let mut writer = BlockWriter::in_memory(WriterOptions::default());

    for batch in &whole {
        writer.push_batch(batch).unwrap();
    }

    let again = writer.push_batch(&whole[0]);
    assert!(matches!(
        again,
        Err(Error::Contract {
            rule: "the series is not behind the one before",
            ..
        })
    ));

    let finished = writer.finish().unwrap();
    let counts = |stats: &BlockStats| (stats.series, stats.samples, stats.histograms);
    assert_eq!(counts(&finished), counts(&stats));
}
