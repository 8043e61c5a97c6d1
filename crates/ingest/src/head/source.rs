//! A generation as a source of series.

use std::sync::Arc;

use async_trait::async_trait;
use duramen_model::LabelsBuilder;
use duramen_source::{Columns, Error, SeriesBatch, SeriesBatchBuilder, SeriesRequest, SeriesSource, SeriesStream};
use futures::stream;

use super::generation::Generation;
use super::registry::Slot;
use super::tenant::TenantHead;

/// One generation of one tenant's head.
#[derive(Debug)]
pub(crate) struct GenerationSource {
    tenant: Arc<TenantHead>,
    generation: Arc<Generation>,
}

impl GenerationSource {
    pub(crate) const fn new(tenant: Arc<TenantHead>, generation: Arc<Generation>) -> Self {
        Self { tenant, generation }
    }

    /// The series that pass, in block order.
    fn select_slots(&self, request: &SeriesRequest) -> Vec<Slot> {
        if !self.tenant.registry.read().is_ordered() {
            self.tenant.registry.write().sort();
        }
        let registry = self.tenant.registry.read();
        let mut selected = registry.select(&request.matchers);
        selected = self.generation.read().within(&selected, request.range);
        if registry.is_ordered() {
            return registry.in_block_order(&selected);
        }
        // Series came between the two locks: these few are put in order by themselves.
        let mut slots: Vec<Slot> = selected.iter().collect();
        slots.sort_by_cached_key(|&slot| BlockOrder(registry.labels(slot)));
        slots
    }

    /// The next batch of `slots`, and how many of them it took. Locks for that long only.
    fn batch(&self, slots: &[Slot], request: &SeriesRequest) -> (SeriesBatch, usize) {
        let registry = self.tenant.registry.read();
        let samples = self.generation.read();
        let (mut batch, mut labels) = (SeriesBatchBuilder::default(), LabelsBuilder::default());
        let mut taken = 0;
        for &slot in slots {
            if batch.len() >= request.batch_series_max || batch.samples() >= SeriesRequest::BATCH_SAMPLES_MAX {
                break;
            }
            taken += 1;
            if request.columns != Columns::Labels {
                let before = batch.samples();
                batch.samples_mut(|ts, values| {
                    let Some(chunk) = samples.chunk(slot) else { return };
                    chunk.for_each(|ts_ms, value| {
                        if request.range.contains(ts_ms) {
                            ts.push(ts_ms);
                            values.push(value);
                        }
                    });
                });
                if batch.samples() == before {
                    continue;
                }
            }
            registry.labels_into(slot, &mut labels);
            batch.end_series(labels.encoded());
        }
        (batch.finish(), taken)
    }
}

#[async_trait]
impl SeriesSource for GenerationSource {
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, Error> {
        if !request.tenants.contains(&self.tenant.id) {
            return Ok(Box::pin(stream::empty()));
        }
        let slots = self.select_slots(request);
        let source = Self::new(Arc::clone(&self.tenant), Arc::clone(&self.generation));
        let request = request.clone();
        Ok(Box::pin(stream::unfold((source, slots, 0), move |(source, slots, from)| {
            let request = request.clone();
            async move {
                let rest = slots.get(from..).filter(|rest| !rest.is_empty())?;
                let (batch, taken) = source.batch(rest, &request);
                Some((Ok(batch), (source, slots, from + taken)))
            }
        })))
    }
}

/// Labels that compare as in a block.
#[derive(PartialEq, Eq)]
struct BlockOrder(duramen_model::Labels);

impl PartialOrd for BlockOrder {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for BlockOrder {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp_in_block(&other.0)
    }
}
