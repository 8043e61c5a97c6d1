//! A source in memory, for tests of what stands above.

use std::collections::BTreeMap;

use async_trait::async_trait;
use duramen_model::{Labels, Matcher, Sample};
use futures::stream;

use crate::{Columns, Error, SeriesBatchBuilder, SeriesRequest, SeriesSource, SeriesStream};

/// Series of one tenant, whichever tenants a request names.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    series: Vec<(Labels, BTreeMap<i64, f64>)>,
}

impl MemorySource {
    /// Adds samples to a series; a later value for a held time replaces the earlier one.
    pub fn push(&mut self, labels: Labels, samples: impl IntoIterator<Item = Sample>) {
        let at = match self.series.binary_search_by(|(held, _)| held.cmp_in_block(&labels)) {
            Ok(at) => at,
            Err(at) => {
                self.series.insert(at, (labels, BTreeMap::new()));
                at
            }
        };
        self.series[at].1.extend(samples.into_iter().map(|s| (s.ts_ms, s.value)));
    }
}

#[async_trait]
impl SeriesSource for MemorySource {
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, Error> {
        let passes = |labels: &Labels, m: &Matcher| m.matches(labels.get(&m.name).unwrap_or(""));
        let span = request.range.start_ms()..request.range.end_ms();
        let mut batches = Vec::new();
        let mut builder = SeriesBatchBuilder::default();
        for (labels, samples) in &self.series {
            if !request.matchers.iter().all(|m| passes(labels, m)) || samples.range(span.clone()).next().is_none() {
                continue;
            }
            if request.columns != Columns::Labels {
                builder.samples_mut(|ts, values| {
                    ts.extend(samples.range(span.clone()).map(|(ts, _)| *ts));
                    values.extend(samples.range(span.clone()).map(|(_, value)| *value));
                });
            }
            builder.end_series(labels.encoded());
            if builder.len() >= request.batch_series_max {
                batches.push(Ok(builder.finish()));
            }
        }
        if !builder.is_empty() {
            batches.push(Ok(builder.finish()));
        }
        Ok(Box::pin(stream::iter(batches)))
    }
}
