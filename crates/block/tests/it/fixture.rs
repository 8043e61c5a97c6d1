//! Makes blocks and reads them back.

use std::path::Path;
use std::sync::Arc;

use duramen_block::{
    Block, BlockSource, BlockWriter, META_FILE, OpenOptions, SeriesContents, WriterOptions,
};
use duramen_model::{BlockStats, Exemplar, FamilyMetadata, Labels, Life, Matcher, TimeRange};
use duramen_runtime::{Disk, RealDisk};
use duramen_source::{
    Columns, Error, HistogramRef, Reads, SeriesExemplars, SeriesRequest, SeriesSource,
};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};

/// A series as it is written and read back; values as bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    pub(crate) samples: Vec<(i64, u64)>,
    /// One for each sample; empty if no sample has a life span.
    pub(crate) lives: Vec<Life>,
    pub(crate) histograms: Vec<(i64, Life, Vec<u8>)>,
    pub(crate) exemplars: Vec<Exemplar>,
}

impl Series {
    pub(crate) fn new(
        pairs: &[(&str, &str)],
        samples: impl IntoIterator<Item = (i64, f64)>,
    ) -> Self {
        let labels = Labels::from_pairs(pairs.iter().copied()).unwrap();
        let samples = samples
            .into_iter()
            .map(|(ts, value)| (ts, value.to_bits()))
            .collect();

        Self {
            labels,
            samples,
            lives: vec![],
            histograms: vec![],
            exemplars: vec![],
        }
    }
}

/// Sorts series in the order of a block and removes duplicate label sets.
pub(crate) fn sorted(mut series: Vec<Series>) -> Vec<Series> {
    series.sort_by(|a, b| a.labels.cmp_in_block(&b.labels));
    series.dedup_by(|a, b| a.labels == b.labels);
    series
}

pub(crate) fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

pub(crate) fn write(dir: &Path, series: &[Series], options: WriterOptions) -> BlockStats {
    write_with(dir, series, vec![], options)
}

pub(crate) fn write_with(
    dir: &Path,
    series: &[Series],
    families: Vec<FamilyMetadata>,
    options: WriterOptions,
) -> BlockStats {
    let mut writer = BlockWriter::create(&disk(), dir, options).unwrap();

    for Series {
        labels,
        samples,
        lives,
        histograms,

        exemplars,
    } in series
    {
        let (ts, values): (Vec<_>, Vec<_>) = samples
            .iter()
            .map(|(ts, bits)| (*ts, f64::from_bits(*bits)))
            .unzip();

        let histograms = histograms.iter().map(|(ts_ms, life, bytes)| HistogramRef {
            ts_ms: *ts_ms,
            life: *life,
            bytes,
        });

        let histograms: Vec<_> = histograms.collect();
        let contents = SeriesContents {
            ts_ms: &ts,
            values: &values,
            lives,
            histograms: &histograms,
            exemplars,
            rollups: &[],
        };

        writer.push(labels, &contents).unwrap();
    }

    writer.set_metadata(families).unwrap();
    writer.finish().unwrap()
}

/// The key of the block in the stores of these tests.
pub(crate) fn key() -> Key {
    Key::from("t/01J000000000000000000TENAN/blocks/block=01J00000000000000000000BXK")
}

/// Writes a block and puts its files into a store in memory.
pub(crate) async fn in_memory(
    series: &[Series],
    options: WriterOptions,
) -> (Arc<InMemory>, BlockStats) {
    in_memory_with(series, vec![], options).await
}

pub(crate) async fn in_memory_with(
    series: &[Series],
    families: Vec<FamilyMetadata>,
    options: WriterOptions,
) -> (Arc<InMemory>, BlockStats) {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("block");
    let stats = write_with(&dir, series, families, options);
    let store = Arc::new(InMemory::new());

    for name in names(&stats) {
        let bytes = std::fs::read(dir.join(&name)).unwrap();
        store.put(&key().join(name), bytes.into()).await.unwrap();
    }

    (store, stats)
}

/// Returns the names of all files of a block.
pub(crate) fn names(stats: &BlockStats) -> Vec<String> {
    stats
        .files
        .iter()
        .map(|f| f.name.clone())
        .chain([META_FILE.to_owned()])
        .collect()
}

pub(crate) async fn open(
    store: Arc<dyn ObjectStore>,
    stats: &BlockStats,
) -> Result<Arc<Block>, duramen_block::Error> {
    Block::open(
        store,
        key(),
        stats,
        OpenOptions::default(),
        &Reads::default(),
    )
    .await
}

pub(crate) fn request(matchers: Vec<Matcher>) -> SeriesRequest {
    SeriesRequest {
        matchers: matchers.into(),
        range: TimeRange::ALL,
        columns: Columns::Samples,
        batch_series_max: SeriesRequest::BATCH_SERIES,
        reads: Arc::default(),
    }
}

pub(crate) fn source(block: &Arc<Block>) -> BlockSource {
    BlockSource::new(Arc::clone(block))
}

/// Reads the whole response, whose series must ascend.
pub(crate) async fn collect(
    block: &Arc<Block>,
    request: &SeriesRequest,
) -> Result<Vec<Series>, Error> {
    let mut stream = source(block).select(request).await?;
    let mut all: Vec<Series> = Vec::new();

    while let Some(batch) = stream.try_next().await? {
        assert!(!batch.is_empty() && batch.len() <= request.batch_series_max);

        for row in 0..batch.len() {
            let (ts, values) = batch.samples_at(row);
            let labels =
                Labels::from_encoded(batch.labels_at(row)).expect("the labels are well formed");

            if let Some(last) = all.last() {
                assert!(
                    last.labels.cmp_in_block(&labels).is_lt(),
                    "{labels} is out of order"
                );
            }

            let samples = ts
                .iter()
                .copied()
                .zip(values.iter().map(|value| value.to_bits()))
                .collect();

            let said = |column: Option<&[i64]>, at: usize| column.map_or(0, |column| column[at]);
            let life = |at| Life {
                start_ms: said(batch.starts_at(row), at),
                ttl_ms: said(batch.ttls_at(row), at),
            };

            let lives: Vec<Life> = (0..ts.len()).map(life).collect();
            let lives = if lives.iter().all(|life| *life == Life::NONE) {
                vec![]
            } else {
                lives
            };

            let histograms = batch
                .histograms_at(row)
                .map(|of| (of.ts_ms, of.life, of.bytes.to_vec()))
                .collect();

            all.push(Series {
                labels,
                samples,
                lives,
                histograms,
                exemplars: vec![],
            });
        }
    }

    Ok(all)
}

/// Returns everything in the block: its series with exemplars, the series that have only exemplars,
/// and its families.
pub(crate) async fn collect_all(
    block: &Arc<Block>,
) -> Result<(Vec<Series>, Vec<FamilyMetadata>), Error> {
    let request = SeriesRequest {
        columns: Columns::Everything,
        ..request(vec![])
    };

    let mut all = collect(block, &request).await?;
    let source = source(block);

    for SeriesExemplars { labels, exemplars } in source.exemplars(&request).await? {
        match all.iter_mut().find(|series| series.labels == labels) {
            Some(series) => series.exemplars = exemplars,
            None => all.push(Series {
                labels,
                exemplars,
                ..Series::new(&[], [])
            }),
        }
    }

    Ok((sorted(all), source.metadata().await?))
}
