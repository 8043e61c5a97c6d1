//! A generation as a source of series.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use duramen_model::{Exemplar, FamilyMetadata, LabelsBuilder, TimeRange, is_stale};
use duramen_qos::Exceeded;
use duramen_runtime::Pace;
use duramen_source::undecoded::as_undecoded;
use duramen_source::{
    Columns, Error, HistogramRef, LaterLabels, PresenceBatch, PresenceBatchBuilder, PresenceStream,
    RollupSource, SeriesBatch, SeriesBatchBuilder, SeriesExemplars, SeriesRequest, SeriesSource,
    SeriesStream, SeriesSummary, Trace, Tracer, UndecodedStream,
};
use futures::stream;
use parking_lot::RwLockReadGuard;
use roaring::RoaringBitmap;

use super::generation::{Moment, Samples};
use super::registry::{Slot, SlotPin};
use super::series::SeriesAt;
use super::tenant::TenantHead;

/// Series that are read in one step. A write that needs the lock waits for a fraction of a
/// millisecond.
const SERIES_AT_ONCE: usize = 1024;

/// A step ends after this many samples, which take some hundreds of microseconds.
const SAMPLES_AT_ONCE: usize = 64 << 10;

/// One generation of one tenant's head at one moment. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct GenerationSource {
    tenant: Arc<TenantHead>,
    moment: Arc<Moment>,
    /// The series keep their numbers while this is read.
    _pin: SlotPin,
}

impl GenerationSource {
    pub(crate) fn new(tenant: Arc<TenantHead>, moment: Moment, pin: SlotPin) -> Self {
        Self {
            tenant,
            moment: Arc::new(moment),
            _pin: pin,
        }
    }

    /// Returns the samples of the generation. Nothing is added while the guard lives.
    fn samples(&self) -> RwLockReadGuard<'_, Samples> {
        self.moment.generation.read()
    }

    /// Returns the series that pass the matchers and have samples in the range.
    async fn selected(&self, request: &SeriesRequest) -> RoaringBitmap {
        let selected = self.tenant.registry.select(&request.matchers).await;
        self.within(&selected, request.range).await
    }

    /// Returns the series that pass the matchers and have samples in the range, in block order.
    async fn select_slots(&self, request: &SeriesRequest) -> Vec<Slot> {
        let selected = self.selected(request).await;
        self.tenant.registry.in_block_order(&selected).await
    }

    /// Returns the `selected` series whose span of samples overlaps `range`.
    async fn within(&self, selected: &RoaringBitmap, range: TimeRange) -> RoaringBitmap {
        let mut pace = Pace::default();
        let mut found = RoaringBitmap::new();
        let mut slots = selected.iter();

        loop {
            let step: Vec<Slot> = slots.by_ref().take(SERIES_AT_ONCE).collect();
            if step.is_empty() {
                return found;
            }

            {
                let samples = self.samples();
                found.extend(
                    step.into_iter()
                        .filter(|slot| samples.meets(*slot, self.moment.number, range)),
                );
            }

            pace.done(SERIES_AT_ONCE).await;
        }
    }

    /// Returns the next batch of `slots`, and how many slots it took.
    async fn batch(&self, slots: &[Slot], request: &SeriesRequest) -> (SeriesBatch, usize) {
        let mut batch = SeriesBatchBuilder::default();
        let mut taken = 0;
        let mut pace = Pace::default();
        let is_full = |batch: &SeriesBatchBuilder| {
            batch.len() >= request.batch_series_max
                || batch.samples() >= SeriesRequest::BATCH_SAMPLES_MAX
        };

        while taken < slots.len() && !is_full(&batch) {
            let before = batch.samples();
            taken += self.fill(&mut batch, &slots[taken..], request);
            pace.done(batch.samples() - before).await;
        }

        (batch.finish(), taken)
    }

    /// Appends the first of `slots` and returns how many it took. It holds the locks, so it ends
    /// after some series.
    fn fill(
        &self,
        batch: &mut SeriesBatchBuilder,
        slots: &[Slot],
        request: &SeriesRequest,
    ) -> usize {
        let registry = self.tenant.registry.read();
        let samples = self.samples();
        let mut labels = LabelsBuilder::default();
        let mut taken = 0;
        let end = batch.samples() + SAMPLES_AT_ONCE;

        for &slot in slots.iter().take(SERIES_AT_ONCE) {
            if batch.len() >= request.batch_series_max || batch.samples() >= end {
                break;
            }

            taken += 1;

            if request.columns != Columns::Labels {
                let before = batch.samples();
                if let Some(series) = samples.series(slot, self.moment.number) {
                    put_samples(series, request.range, batch);
                }

                if batch.samples() == before {
                    continue;
                }
            }

            registry.labels_into(slot, &mut labels);
            batch.end_series(labels.encoded());
        }

        taken
    }
}

impl GenerationSource {
    /// Returns the traces of `slots`, without those of series that have no samples in the range.
    fn traced(&self, slots: &[Slot], range: TimeRange, from_ms: i64) -> PresenceBatch {
        let mut batch = PresenceBatchBuilder::default();
        let mut traced = Vec::with_capacity(slots.len());
        let mut tracer = Tracer::default();

        {
            let samples = self.samples();

            // All series are looked up before the first is read: so the processor waits for the
            // memory of many of them at once.
            let find = |slot: &Slot| samples.series(*slot, self.moment.number);
            let found: Vec<_> = slots.iter().map(find).collect();

            for (&slot, series) in slots.iter().zip(found) {
                let traces =
                    series.map_or(&[][..], |series| trace(series, range, from_ms, &mut tracer));

                if !traces.is_empty() {
                    batch.push(traces);
                    batch.end_unnamed();
                    traced.push(slot);
                }
            }
        }

        batch.finish_with(SlotLabels {
            source: self.clone(),
            slots: traced,
        })
    }
}

/// The labels of some series of a generation.
#[derive(Debug)]
struct SlotLabels {
    source: GenerationSource,
    slots: Vec<Slot>,
}

impl LaterLabels for SlotLabels {
    fn all(&self, put: &mut dyn FnMut(&[u8])) {
        let registry = self.source.tenant.registry.read();
        let mut labels = LabelsBuilder::default();

        for slot in &self.slots {
            registry.labels_into(*slot, &mut labels);
            put(labels.encoded());
        }
    }

    fn with_names(&self, names: &[String], put: &mut dyn FnMut(&[u8])) {
        let registry = self.source.tenant.registry.read();
        registry.labels_with(&self.slots, names, put);
    }
}

/// Returns the traces of the samples of `series` in `range`.
fn trace<'a>(
    series: SeriesAt<'_>,
    range: TimeRange,
    from_ms: i64,
    tracer: &'a mut Tracer,
) -> &'a [Trace] {
    let floats = series.floats();
    tracer.clear();

    if floats.has_lives() || series.histogram_count() > 0 {
        return &[Trace::UNKNOWN];
    }

    match floats.newest() {
        Some((ts_ms, _)) if ts_ms < range.start_ms() => return &[],
        Some((ts_ms, value)) if ts_ms <= from_ms => tracer.push(ts_ms, is_stale(value)),
        _ => floats.for_each(|ts_ms, value, _| {
            if range.contains(ts_ms) {
                tracer.push(ts_ms, is_stale(value));
            }
        }),
    }

    tracer.end_series()
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SeriesSource for GenerationSource {
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, Error> {
        let slots = self.select_slots(request).await;
        let source = self.clone();
        let request = request.clone();

        Ok(Box::pin(stream::unfold(
            (source, slots, 0),
            move |(source, slots, from)| {
                let request = request.clone();
                async move {
                    let rest = slots.get(from..).filter(|rest| !rest.is_empty())?;
                    let (batch, taken) = source.batch(rest, &request).await;
                    Some((Ok(batch), (source, slots, from + taken)))
                }
            },
        )))
    }

    /// A head has no bytes to decode later.
    async fn select_undecoded(&self, request: &SeriesRequest) -> Result<UndecodedStream, Error> {
        self.select(request).await.map(as_undecoded)
    }

    /// No sample is read of a series of plain floats whose newest sample is not after `from_ms`.
    async fn presence(
        &self,
        request: &SeriesRequest,
        from_ms: i64,
    ) -> Result<Option<PresenceStream>, Error> {
        let registry = &self.tenant.registry;
        let selected = registry.select(&request.matchers).await;
        let slots = registry.in_block_order(&selected).await;
        let source = self.clone();
        let range = request.range;

        let batches = stream::unfold(
            (source, slots, 0),
            move |(source, slots, from)| async move {
                let step = slots.get(from..).filter(|rest| !rest.is_empty())?;
                let step = &step[..step.len().min(SERIES_AT_ONCE)];
                let next = from + step.len();

                let mut pace = Pace::default();
                let batch = source.traced(step, range, from_ms);
                pace.done(SERIES_AT_ONCE).await;

                Some((Ok(batch), (source, slots, next)))
            },
        );

        Ok(Some(Box::pin(batches)))
    }

    async fn exemplars(&self, request: &SeriesRequest) -> Result<Vec<SeriesExemplars>, Error> {
        let with_exemplars = self.samples().exemplars.slots();
        let selected = with_exemplars & self.tenant.registry.select(&request.matchers).await;
        let slots = self.tenant.registry.in_block_order(&selected).await;
        let labels = self.tenant.registry.labels_of(&slots).await;

        let mut found = Vec::new();
        let mut pace = Pace::default();

        for (slot, labels) in slots.into_iter().zip(labels) {
            let exemplars: Vec<Exemplar> = self
                .samples()
                .exemplars
                .of(slot, self.moment.number, request.range)
                .collect();

            pace.done(16 + exemplars.len()).await;
            if !exemplars.is_empty() {
                let series = SeriesExemplars { labels, exemplars };
                request.reads.hold(series.bytes()).map_err(refused)?;
                found.push(series);
            }
        }

        Ok(found)
    }

    /// Returns all current metadata of the tenant's head. Metadata is not bound to a generation or
    /// a moment.
    async fn metadata(&self) -> Result<Vec<FamilyMetadata>, Error> {
        Ok(self.tenant.all_families())
    }

    async fn summaries(&self, request: &SeriesRequest) -> Result<Vec<SeriesSummary>, Error> {
        let slots = self.select_slots(request).await;
        let labels = self.tenant.registry.labels_of(&slots).await;

        let mut found = Vec::with_capacity(slots.len());
        let mut pace = Pace::default();
        let mut labels = labels.into_iter();

        for step in slots.chunks(SERIES_AT_ONCE) {
            let bytes = step.len() * SeriesSummary::BYTES;
            request.reads.hold(bytes).map_err(refused)?;

            {
                let samples = self.samples();
                let series = step.iter().zip(labels.by_ref());
                let summary =
                    |(slot, labels): (&Slot, _)| samples.summary(*slot, self.moment.number, labels);

                found.extend(series.filter_map(summary));
            }

            pace.done(SERIES_AT_ONCE).await;
        }

        Ok(found)
    }

    async fn label_names(&self, request: &SeriesRequest) -> Result<BTreeSet<String>, Error> {
        let selected = self.selected(request).await;
        let names = self.tenant.registry.names_of(&selected, &request.reads);
        names.await.map_err(refused)
    }

    async fn label_values(
        &self,
        request: &SeriesRequest,
        name: &str,
    ) -> Result<BTreeSet<String>, Error> {
        let selected = self.selected(request).await;
        let values = self
            .tenant
            .registry
            .values_of(&selected, name, &request.reads);
        values.await.map_err(refused)
    }

    async fn ttl_max_ms(&self) -> Result<i64, Error> {
        Ok(self.moment.ttl_max_ms)
    }

    fn rollups(&self) -> Option<&dyn RollupSource> {
        None
    }
}

/// The error when memory was refused.
fn refused(exceeded: Exceeded) -> Error {
    Error::memory("a head", exceeded)
}

/// Appends the samples of `series` in `range`, without ending the series.
fn put_samples(series: SeriesAt<'_>, range: TimeRange, batch: &mut SeriesBatchBuilder) {
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
            batch.push_histogram(HistogramRef {
                ts_ms,
                life: histogram.life,
                bytes: &histogram.bytes,
            });
        }
    }
}
