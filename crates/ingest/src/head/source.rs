//! A generation as a source of series.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use duramen_model::{Exemplar, FamilyMetadata, LabelsBuilder, TenantId, TimeRange};
use duramen_source::{
    Columns, Error, HistogramRef, SeriesBatch, SeriesBatchBuilder, SeriesExemplars, SeriesRequest, SeriesSource,
    SeriesStream, SeriesSummary,
};
use futures::stream;
use roaring::RoaringBitmap;

use super::generation::{Generation, Samples};
use super::registry::Slot;
use super::series::SeriesSamples;
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

    /// The series that pass and have samples in the range.
    fn selected(&self, request: &SeriesRequest) -> RoaringBitmap {
        if !request.tenants.contains(&self.tenant.id) {
            return RoaringBitmap::new();
        }
        let selected = self.tenant.registry.read().select(&request.matchers);
        self.generation.read().within(&selected, request.range)
    }

    /// The series that pass and have samples in the range, in block order.
    fn select_slots(&self, request: &SeriesRequest) -> Vec<Slot> {
        self.matching(request, |samples, selected| samples.within(selected, request.range))
    }

    /// The series that pass all matchers and are among those that `narrow` leaves, in block order.
    fn matching(
        &self,
        request: &SeriesRequest,
        narrow: impl FnOnce(&Samples, &RoaringBitmap) -> RoaringBitmap,
    ) -> Vec<Slot> {
        if !request.tenants.contains(&self.tenant.id) {
            return Vec::new();
        }
        if !self.tenant.registry.read().is_ordered() {
            self.tenant.registry.write().sort();
        }
        let registry = self.tenant.registry.read();
        let mut selected = registry.select(&request.matchers);
        selected = narrow(&self.generation.read(), &selected);
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
                if let Some(series) = samples.series(slot) {
                    put_samples(series, request.range, &mut batch);
                }
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

    async fn exemplars(&self, request: &SeriesRequest) -> Result<Vec<SeriesExemplars>, Error> {
        let slots = self.matching(request, |samples, selected| selected & samples.exemplars.slots());
        let (registry, samples) = (self.tenant.registry.read(), self.generation.read());
        let of = |slot: Slot| {
            let exemplars: Vec<Exemplar> = samples.exemplars.of(slot, request.range).collect();
            (!exemplars.is_empty()).then(|| SeriesExemplars { labels: registry.labels(slot), exemplars })
        };
        Ok(slots.into_iter().filter_map(of).collect())
    }

    /// All that the tenant's head knows: metadata is not bound to a generation.
    async fn metadata(&self, tenants: &[TenantId]) -> Result<Vec<FamilyMetadata>, Error> {
        if !tenants.contains(&self.tenant.id) {
            return Ok(Vec::new());
        }
        Ok(self.tenant.families.read().all())
    }

    async fn summaries(&self, request: &SeriesRequest) -> Result<Vec<SeriesSummary>, Error> {
        let slots = self.select_slots(request);
        let (registry, samples) = (self.tenant.registry.read(), self.generation.read());
        let of = |slot: Slot| {
            let series = samples.series(slot)?;
            let (first_ms, last_ms) = series.span()?;
            Some(SeriesSummary {
                labels: registry.labels(slot),
                floats: series.floats().len() as u64,
                histograms: series.histogram_count() as u64,
                first_ms,
                last_ms,
            })
        };
        Ok(slots.into_iter().filter_map(of).collect())
    }

    async fn label_names(&self, request: &SeriesRequest) -> Result<BTreeSet<String>, Error> {
        let selected = self.selected(request);
        Ok(self.tenant.registry.read().names_of(&selected))
    }

    async fn label_values(&self, request: &SeriesRequest, name: &str) -> Result<BTreeSet<String>, Error> {
        let selected = self.selected(request);
        Ok(self.tenant.registry.read().values_of(&selected, name))
    }

    async fn ttl_max_ms(&self, tenants: &[TenantId]) -> Result<i64, Error> {
        Ok(if tenants.contains(&self.tenant.id) { self.generation.ttl_max_ms() } else { 0 })
    }
}

/// Appends what `series` has in `range`, without ending the series.
fn put_samples(series: &SeriesSamples, range: TimeRange, batch: &mut SeriesBatchBuilder) {
    let floats = series.floats();
    if floats.has_lives() {
        floats.for_each(|ts_ms, value, life| {
            if range.contains(ts_ms) {
                batch.push_sample(ts_ms, value, life);
            }
        });
    } else {
        batch.samples_mut(|ts, values| {
            floats.for_each(|ts_ms, value, _| {
                if range.contains(ts_ms) {
                    ts.push(ts_ms);
                    values.push(value);
                }
            });
        });
    }
    for (ts_ms, histogram) in series.histograms() {
        if range.contains(ts_ms) {
            batch.push_histogram(HistogramRef { ts_ms, life: histogram.life, bytes: &histogram.bytes });
        }
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
