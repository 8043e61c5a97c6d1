//! A source in memory, for tests of the crates above.

use std::collections::BTreeMap;

use async_trait::async_trait;
use duramen_model::{Exemplar, FamilyMetadata, Histogram, Labels, Life, Matcher, Sample, is_stale};
use futures::stream;

use crate::{
    Columns, Error, HistogramRef, PresenceBatchBuilder, PresenceStream, SeriesBatchBuilder,
    SeriesExemplars, SeriesRequest, SeriesSource, SeriesStream, Trace, Tracer,
};

/// Series in memory.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    /// The series in block order.
    series: Vec<Series>,
    metadata: BTreeMap<String, FamilyMetadata>,
}

#[derive(Clone, Debug)]
struct Series {
    labels: Labels,
    samples: BTreeMap<i64, (Value, Life)>,
    /// Ascending by time.
    exemplars: Vec<Exemplar>,
}

#[derive(Clone, Debug)]
enum Value {
    Float(f64),
    /// An encoded histogram.
    Histogram(Vec<u8>),
}

impl MemorySource {
    /// Adds floats to a series. A new value replaces an earlier float or histogram of the same
    /// time.
    pub fn push(&mut self, labels: Labels, samples: impl IntoIterator<Item = Sample>) {
        let series = self.series_mut(labels);
        series.samples.extend(
            samples
                .into_iter()
                .map(|s| (s.ts_ms, (Value::Float(s.value), Life::NONE))),
        );
    }

    /// Adds a float with its life.
    pub fn push_with_life(&mut self, labels: Labels, sample: Sample, life: Life) {
        self.series_mut(labels)
            .samples
            .insert(sample.ts_ms, (Value::Float(sample.value), life));
    }

    /// Adds a histogram. It replaces an earlier float or histogram of the same time.
    pub fn push_histogram(
        &mut self,
        labels: Labels,
        ts_ms: i64,
        life: Life,
        histogram: &Histogram,
    ) {
        self.series_mut(labels)
            .samples
            .insert(ts_ms, (Value::Histogram(histogram.to_bytes()), life));
    }

    /// Adds an exemplar after those of the same time, unless the series has an equal one.
    pub fn push_exemplar(&mut self, labels: Labels, exemplar: Exemplar) {
        let exemplars = &mut self.series_mut(labels).exemplars;
        if !exemplars.contains(&exemplar) {
            let at = exemplars.partition_point(|other| other.ts_ms <= exemplar.ts_ms);
            exemplars.insert(at, exemplar);
        }
    }

    /// Replaces the metadata of the family.
    pub fn push_metadata(&mut self, family: FamilyMetadata) {
        self.metadata.insert(family.family.clone(), family);
    }

    fn series_mut(&mut self, labels: Labels) -> &mut Series {
        let at = match self
            .series
            .binary_search_by(|series| series.labels.cmp_in_block(&labels))
        {
            Ok(at) => at,
            Err(at) => {
                self.series.insert(
                    at,
                    Series {
                        labels,
                        samples: BTreeMap::new(),
                        exemplars: Vec::new(),
                    },
                );

                at
            }
        };

        &mut self.series[at]
    }

    fn passing<'a>(&'a self, matchers: &'a [Matcher]) -> impl Iterator<Item = &'a Series> {
        let passes = |labels: &Labels, m: &Matcher| m.matches(labels.get(&m.name).unwrap_or(""));
        self.series
            .iter()
            .filter(move |series| matchers.iter().all(|m| passes(&series.labels, m)))
    }
}

impl Series {
    fn traces<'a>(&self, tracer: &'a mut Tracer) -> &'a [Trace] {
        tracer.clear();

        for (ts_ms, (value, life)) in &self.samples {
            match value {
                Value::Float(value) if life.ttl_ms == 0 => {
                    tracer.push(*ts_ms, is_stale(*value));
                }
                _ => return &[Trace::UNKNOWN],
            }
        }

        tracer.end_series()
    }
}

#[async_trait]
impl SeriesSource for MemorySource {
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, Error> {
        let span = request.range.start_ms()..request.range.end_ms();
        let mut batches = Vec::new();
        let mut builder = SeriesBatchBuilder::default();

        for series in self.passing(&request.matchers) {
            let mut samples = series.samples.range(span.clone()).peekable();
            if samples.peek().is_none() {
                continue;
            }

            if request.columns != Columns::Labels {
                samples.for_each(|(ts_ms, (value, life))| {
                    push(&mut builder, *ts_ms, value, *life, request.columns)
                });
            }

            builder.end_series(series.labels.encoded());
            if builder.len() >= request.batch_series_max {
                batches.push(Ok(builder.finish()));
            }
        }

        if !builder.is_empty() {
            batches.push(Ok(builder.finish()));
        }

        Ok(Box::pin(stream::iter(batches)))
    }

    async fn presence(
        &self,
        request: &SeriesRequest,
        _: i64,
    ) -> Result<Option<PresenceStream>, Error> {
        let span = request.range.start_ms()..request.range.end_ms();
        let mut batch = PresenceBatchBuilder::default();
        let mut tracer = Tracer::default();

        for series in self.passing(&request.matchers) {
            if series.samples.range(span.clone()).next().is_some() {
                batch.push(series.traces(&mut tracer));
                batch.end_series(series.labels.encoded());
            }
        }

        let batch = batch.finish();
        Ok(Some(Box::pin(stream::once(async { Ok(batch) }))))
    }

    async fn exemplars(&self, request: &SeriesRequest) -> Result<Vec<SeriesExemplars>, Error> {
        let within = self.passing(&request.matchers).map(|series| {
            let exemplars = series
                .exemplars
                .iter()
                .filter(|exemplar| request.range.contains(exemplar.ts_ms));

            SeriesExemplars {
                labels: series.labels.clone(),
                exemplars: exemplars.cloned().collect(),
            }
        });

        let found: Vec<_> = within
            .filter(|series| !series.exemplars.is_empty())
            .collect();

        let bytes = found.iter().map(SeriesExemplars::bytes).sum();
        let held = request.reads.hold(bytes);
        held.map_err(|e| Error::memory("the exemplars", e))?;
        Ok(found)
    }

    async fn metadata(&self) -> Result<Vec<FamilyMetadata>, Error> {
        Ok(self.metadata.values().cloned().collect())
    }

    async fn ttl_max_ms(&self) -> Result<i64, Error> {
        let lives = self
            .series
            .iter()
            .flat_map(|series| series.samples.values().map(|(_, life)| life.ttl_ms));

        Ok(lives.max().unwrap_or(0))
    }
}

/// Appends a sample. Values that the request does not need are left out, so that no caller relies
/// on them.
fn push(builder: &mut SeriesBatchBuilder, ts_ms: i64, value: &Value, life: Life, columns: Columns) {
    let start_ms = if columns == Columns::Everything {
        life.start_ms
    } else {
        0
    };

    let life = Life { start_ms, ..life };
    match value {
        Value::Float(value) => builder.push_sample(ts_ms, *value, life),
        Value::Histogram(bytes) => builder.push_histogram(HistogramRef { ts_ms, life, bytes }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use duramen_model::{Counts, ResetHint, TimeRange};
    use futures::StreamExt;
    use futures::executor::block_on;

    use super::*;
    use crate::SeriesBatch;

    fn labels(name: &str) -> Labels {
        Labels::from_pairs([("__name__", name)]).unwrap()
    }

    fn histogram(count: u64) -> Histogram {
        Histogram {
            schema: 0,
            hint: ResetHint::Unknown,
            sum: 1.5,
            zero_threshold: 0.0,
            counts: Counts::Integer {
                count,
                zero_count: count,
                positive: vec![],
                negative: vec![],
            },
            positive_spans: vec![],
            negative_spans: vec![],
            custom_values: vec![],
        }
    }

    fn request(columns: Columns) -> SeriesRequest {
        let range = TimeRange::new(0, 100).unwrap();
        SeriesRequest {
            matchers: Arc::new([]),
            range,
            columns,
            batch_series_max: 10,
            reads: Arc::default(),
        }
    }

    fn only_batch(source: &MemorySource, columns: Columns) -> SeriesBatch {
        let batches: Vec<_> = block_on(async {
            source
                .select(&request(columns))
                .await
                .unwrap()
                .collect()
                .await
        });

        let [batch]: [_; 1] = batches.try_into().unwrap();
        batch.unwrap()
    }

    #[test]
    fn floats_and_histograms_are_read_with_their_lives_and_the_last_value_of_a_time_stays() {
        let mut source = MemorySource::default();
        let life = Life {
            start_ms: 3,
            ttl_ms: 60_000,
        };

        source.push(
            labels("a"),
            [
                Sample::new(10, 1.0),
                Sample::new(20, 2.0),
                Sample::new(30, 3.0),
            ],
        );

        source.push_with_life(labels("a"), Sample::new(20, 2.5), life);
        source.push_histogram(labels("a"), 30, life, &histogram(7));

        let batch = only_batch(&source, Columns::Everything);
        assert_eq!(
            batch.samples_at(0),
            ([10, 20].as_slice(), [1.0, 2.5].as_slice())
        );

        assert_eq!(
            (batch.starts_at(0), batch.ttls_at(0)),
            (Some([0, 3].as_slice()), Some([0, 60_000].as_slice()))
        );

        let bytes = histogram(7).to_bytes();
        let expected = HistogramRef {
            ts_ms: 30,
            life,
            bytes: &bytes,
        };

        assert_eq!(batch.histograms_at(0).collect::<Vec<_>>(), [expected]);
        assert_eq!(only_batch(&source, Columns::Samples).starts_at(0), None);
        assert_eq!(only_batch(&source, Columns::Labels).samples(), 0);
        assert_eq!(block_on(source.ttl_max_ms()).unwrap(), 60_000);
    }

    #[test]
    fn exemplars_are_those_of_the_range_and_a_series_of_exemplars_alone_is_not_selected() {
        let mut source = MemorySource::default();
        let exemplar = |ts_ms| Exemplar {
            ts_ms,
            value: 0.5,
            labels: labels("trace"),
        };

        for ts_ms in [50, 20, 100, 20] {
            source.push_exemplar(labels("a"), exemplar(ts_ms));
        }

        source.push_exemplar(labels("b"), exemplar(100));

        let found = block_on(source.exemplars(&request(Columns::Labels))).unwrap();
        assert_eq!(
            found,
            [SeriesExemplars {
                labels: labels("a"),
                exemplars: vec![exemplar(20), exemplar(50)]
            }]
        );

        let selected = block_on(async {
            source
                .select(&request(Columns::Samples))
                .await
                .unwrap()
                .count()
                .await
        });

        assert_eq!(selected, 0);
    }

    #[test]
    fn a_summary_counts_both_kinds_of_samples() {
        let mut source = MemorySource::default();
        source.push(labels("a"), [Sample::new(10, 1.0), Sample::new(20, 2.0)]);
        source.push_histogram(labels("a"), 5, Life::NONE, &histogram(1));

        let found = block_on(source.summaries(&request(Columns::Labels))).unwrap();
        let counted = |s: &crate::SeriesSummary| (s.floats, s.histograms, s.first_ms, s.last_ms);

        assert_eq!(
            found.iter().map(counted).collect::<Vec<_>>(),
            [(2, 1, 5, 20)]
        );
    }
    #[test]
    fn names_and_values_are_those_of_the_selected_series() {
        let mut source = MemorySource::default();

        for (name, job, ts_ms) in [
            ("a", "x", 1),
            ("a", "y", 1),
            ("b", "x", 1),
            ("c", "late", 100),
        ] {
            let labels = Labels::from_pairs([("__name__", name), ("job", job)]).unwrap();
            source.push(labels, [Sample::new(ts_ms, 0.0)]);
        }

        source.push(
            Labels::from_pairs([("d", "x")]).unwrap(),
            [Sample::new(1, 0.0)],
        );

        let all = request(Columns::Samples);
        let of_a = SeriesRequest {
            matchers: Arc::new([Matcher::equal("__name__", "a")]),
            ..all.clone()
        };

        let names = |request| Vec::from_iter(block_on(source.label_names(request)).unwrap());
        let values =
            |request, name| Vec::from_iter(block_on(source.label_values(request, name)).unwrap());

        assert_eq!(
            (names(&all), names(&of_a)),
            (
                vec!["__name__".into(), "d".into(), "job".into()],
                vec!["__name__".into(), "job".into()]
            )
        );

        assert_eq!(
            (values(&all, "__name__"), values(&of_a, "job")),
            (vec!["a".into(), "b".into()], vec!["x".into(), "y".into()])
        );

        assert_eq!(values(&all, "nothing"), Vec::<String>::new());
    }
}
