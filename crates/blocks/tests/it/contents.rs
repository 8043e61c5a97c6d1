//! Everything that a source answers, as values that can be compared bit by bit.

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_model::{Exemplar, FamilyMetadata, Labels, Life, TimeRange};
use duramen_source::{Columns, HistogramRef, SeriesRequest, SeriesSource};
use futures::TryStreamExt;

/// What one series has. Values as bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Series {
    pub(crate) floats: BTreeMap<i64, (u64, Life)>,
    pub(crate) histograms: BTreeMap<i64, (Life, Vec<u8>)>,
    pub(crate) exemplars: Vec<Exemplar>,
}

/// Everything that a source has, by the text of the labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) series: BTreeMap<String, Series>,
    pub(crate) families: Vec<FamilyMetadata>,
}

pub(crate) fn everything() -> SeriesRequest {
    SeriesRequest {
        matchers: Arc::from([]),
        range: TimeRange::ALL,
        columns: Columns::Everything,
        batch_series_max: 3,
        reads: Arc::default(),
    }
}

/// Reads series, samples, histograms and exemplars of a source.
pub(crate) async fn read(source: &dyn SeriesSource) -> Contents {
    let request = everything();
    let mut contents = Contents::default();
    let mut batches = source.select(&request).await.unwrap();

    while let Some(batch) = batches.try_next().await.unwrap() {
        for row in 0..batch.len() {
            let labels = Labels::from_encoded(batch.labels_at(row)).unwrap();
            let series = contents.series.entry(labels.to_string()).or_default();
            assert!(series.floats.is_empty() && series.histograms.is_empty());

            let (ts, values) = batch.samples_at(row);
            let of = |column: Option<&[i64]>, at: usize| column.map_or(0, |all| all[at]);

            for (at, (ts_ms, value)) in ts.iter().zip(values).enumerate() {
                let life = Life {
                    start_ms: of(batch.starts_at(row), at),
                    ttl_ms: of(batch.ttls_at(row), at),
                };
                series.floats.insert(*ts_ms, (value.to_bits(), life));
            }

            let histogram = |h: HistogramRef<'_>| (h.ts_ms, (h.life, h.bytes.to_vec()));
            series
                .histograms
                .extend(batch.histograms_at(row).map(histogram));
        }
    }

    for series in source.exemplars(&request).await.unwrap() {
        let labels = series.labels.to_string();
        contents.series.entry(labels).or_default().exemplars = series.exemplars;
    }

    contents
}
