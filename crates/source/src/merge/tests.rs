use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Columns, MemorySource, Reads, SeriesBatch};
use duramen_model::{
    Counts, ErrorKind, Exemplar, Histogram, Labels, Life, MetricType, Order, ResetHint, Sample,
    TimeRange, WriterId,
};
use duramen_qos::{Exceeded, Use};
use futures::executor::block_on;
use proptest::prelude::*;
use ulid::Ulid;

use super::*;

/// The value of a sample: a float or an encoded histogram.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Float(u64),
    Histogram(Vec<u8>),
}

type Samples = BTreeMap<i64, (Value, Life)>;
type Series = Vec<(String, Samples)>;

fn labels(name: u8) -> Labels {
    Labels::from_pairs([("__name__", format!("m{name}").as_str())]).unwrap()
}

fn histogram(count: u8) -> Histogram {
    let counts = Counts::Integer {
        count: count.into(),
        zero_count: count.into(),
        positive: vec![],
        negative: vec![],
    };

    Histogram {
        schema: 0,
        hint: ResetHint::Unknown,
        sum: 0.0,
        zero_threshold: 0.0,
        counts,
        positive_spans: vec![],
        negative_spans: vec![],
        custom_values: vec![],
    }
}

fn part(opened: u64, source: impl SeriesSource + 'static) -> Part {
    let order = Order {
        opened,
        writer: WriterId(Ulid::nil()),
        flush: opened,
    };

    Part {
        order,
        source: Arc::new(source),
        holds_samples: true,
    }
}

fn request(batch_series_max: usize) -> SeriesRequest {
    SeriesRequest {
        matchers: Arc::new([]),
        range: TimeRange::ALL,
        columns: Columns::Everything,
        batch_series_max,
        reads: Arc::default(),
    }
}

/// All series that a merge returns. It fails when a series or a time occurs twice, or times do not
/// ascend.
fn read(merge: &MergeSource, request: &SeriesRequest) -> Series {
    let batches: Vec<SeriesBatch> = block_on(async {
        merge
            .select(request)
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap()
    });

    batches
        .iter()
        .flat_map(|batch| (0..batch.len()).map(|row| series(batch, row)))
        .collect()
}

fn series(batch: &SeriesBatch, row: usize) -> (String, Samples) {
    let (ts, values) = batch.samples_at(row);
    let starts = batch.starts_at(row);
    let ttls = batch.ttls_at(row);

    let floats = ts.iter().zip(values).enumerate().map(|(at, (ts, value))| {
        let life_part = |column: Option<&[i64]>| column.map_or(0, |all| all[at]);
        (
            *ts,
            (
                Value::Float(value.to_bits()),
                Life {
                    start_ms: life_part(starts),
                    ttl_ms: life_part(ttls),
                },
            ),
        )
    });

    let histograms = batch
        .histograms_at(row)
        .map(|h| (h.ts_ms, (Value::Histogram(h.bytes.to_vec()), h.life)));
    assert!(
        ts.is_sorted_by(|a, b| a < b)
            && batch
                .histograms_at(row)
                .is_sorted_by(|a, b| a.ts_ms < b.ts_ms)
    );

    let samples: Samples = floats.chain(histograms).collect();
    assert_eq!(
        samples.len(),
        ts.len() + batch.histograms_at(row).len(),
        "a time stands twice"
    );

    (
        Labels::from_encoded(batch.labels_at(row))
            .unwrap()
            .to_string(),
        samples,
    )
}

/// A part that returns all samples of a series, like one that reads whole pages.
#[derive(Debug)]
struct Generous(MemorySource);

#[async_trait]
impl SeriesSource for Generous {
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, Error> {
        self.0
            .select(&SeriesRequest {
                range: TimeRange::ALL,
                ..request.clone()
            })
            .await
    }

    async fn exemplars(&self, request: &SeriesRequest) -> Result<Vec<SeriesExemplars>, Error> {
        self.0.exemplars(request).await
    }

    async fn metadata(&self) -> Result<Vec<FamilyMetadata>, Error> {
        self.0.metadata().await
    }

    async fn ttl_max_ms(&self) -> Result<i64, Error> {
        self.0.ttl_max_ms().await
    }
}

/// The samples that are put into one part: series, time, value and life.
type Offered = Vec<(u8, i64, Value, Life)>;

fn source(offered: &Offered) -> MemorySource {
    let mut source = MemorySource::default();

    for (name, ts_ms, value, life) in offered {
        match value {
            Value::Float(bits) => {
                source.push_with_life(
                    labels(*name),
                    Sample::new(*ts_ms, f64::from_bits(*bits)),
                    *life,
                );
            }
            Value::Histogram(bytes) => {
                source.push_histogram(
                    labels(*name),
                    *ts_ms,
                    *life,
                    &Histogram::from_bytes(bytes).unwrap(),
                );
            }
        }
    }

    source
}

/// The expected merge of these samples, and the number of values that lose.
fn model(parts: &[Offered]) -> (Series, u64) {
    let mut merged = BTreeMap::<u8, Samples>::new();
    let mut conflicts = 0;

    for offered in parts {
        // Within one source, a later value replaces an earlier one, as in the memory source.
        let own: BTreeMap<_, _> = offered
            .iter()
            .map(|(name, ts, value, life)| ((*name, *ts), (value, *life)))
            .collect();

        for ((name, ts_ms), (value, life)) in own {
            let winner = merged
                .entry(name)
                .or_default()
                .entry(ts_ms)
                .or_insert_with(|| (value.clone(), life));

            conflicts += u64::from(winner.0 != *value);
        }
    }

    (
        merged
            .into_iter()
            .map(|(name, samples)| (labels(name).to_string(), samples))
            .collect(),
        conflicts,
    )
}

fn float() -> impl Strategy<Value = Value> {
    // Both zeros and two NaNs are different values, because bits are compared.
    let bits = [
        0.0f64.to_bits(),
        (-0.0f64).to_bits(),
        0x7ff8_0000_0000_0001,
        duramen_model::STALE_NAN_BITS,
    ];

    prop::sample::select(bits.to_vec()).prop_map(Value::Float)
}

fn anything() -> impl Strategy<Value = (Value, Life)> {
    let histogram = (0..2u8).prop_map(|count| Value::Histogram(histogram(count).to_bytes()));
    let life = prop_oneof![
        3 => Just(Life::NONE),
        1 => (0..2i64, 0..3i64).prop_map(|(start_ms, ttl_ms)| Life { start_ms, ttl_ms }),
    ];

    (prop_oneof![2 => float(), 1 => histogram], life)
}

fn offered<V: Strategy<Value = (Value, Life)>>(
    value: impl Fn() -> V,
) -> impl Strategy<Value = Vec<Offered>> {
    let sample = (0..4u8, 0..24i64, value())
        .prop_map(|(name, ts_ms, (value, life))| (name, ts_ms, value, life));
    prop::collection::vec(prop::collection::vec(sample, 0..30), 1..5)
}

fn check(parts: &[Offered], batch_series_max: usize) {
    let conflicts = Counter::default();
    let mut sources: Vec<Part> = (0..)
        .zip(parts)
        .map(|(order, offered)| part(order, source(offered)))
        .collect();

    // The merge must use the order of the parts, not their positions.
    sources.reverse();

    let merge = MergeSource::new(sources, conflicts.clone());
    let (expected, lost) = model(parts);

    assert_eq!(read(&merge, &request(batch_series_max)), expected);

    // A single part is passed on as it is, and nothing is compared.
    assert_eq!(conflicts.get(), if parts.len() > 1 { lost } else { 0 });
}

#[test]
fn a_merge_draws_its_batches_from_the_account_and_fails_without_memory() {
    let floats: Offered = (0..4)
        .map(|ts_ms| (0, ts_ms, Value::Float(1.0_f64.to_bits()), Life::NONE))
        .collect();
    let parts = || (0..2).map(|order| part(order, source(&floats))).collect();
    let memory = Account::new(1 << 20);
    let merge = MergeSource::new(parts(), Counter::default()).within(&memory);

    let mut stream = block_on(merge.select(&request(1))).unwrap();
    let batch = block_on(stream.next()).unwrap().unwrap();
    let used = memory.used_by(Use::Query);

    assert!(
        used >= 2 * batch.record_batch().get_array_memory_size(),
        "{used}"
    );

    drop(stream);
    assert_eq!(memory.used(), 0);

    let _others = memory.take(Use::Body, memory.mark(Use::Query)).unwrap();
    let mut stream = block_on(merge.select(&request(1))).unwrap();
    let error = block_on(stream.next()).unwrap().unwrap_err();

    assert!(error.source.is::<Exceeded>(), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn a_merge_draws_from_the_budget_of_its_query_and_fails_alone() {
    let floats: Offered = (0..4)
        .map(|ts_ms| (0, ts_ms, Value::Float(1.0_f64.to_bits()), Life::NONE))
        .collect();
    let parts = (0..2).map(|order| part(order, source(&floats))).collect();
    let merge = MergeSource::new(parts, Counter::default());

    let tenant = Budget::of_tenant(&Account::unbounded(), 1 << 20);
    let narrow = tenant.query(100);
    let wide = tenant.query(1 << 20);
    let within = |budget| SeriesRequest {
        reads: Arc::new(Reads::within(budget)),
        ..request(1)
    };

    let mut of_wide = block_on(merge.select(&within(&wide))).unwrap();
    assert!(block_on(of_wide.next()).unwrap().is_ok());
    assert!(wide.held() > 0);

    let mut of_narrow = block_on(merge.select(&within(&narrow))).unwrap();
    let error = block_on(of_narrow.next()).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooMuch, "{error}");

    drop((of_wide, of_narrow));
    assert_eq!(tenant.held(), 0);
}

proptest! {
    #[test]
    fn a_merge_is_the_union_with_the_first_value_for_each_time(parts in offered(anything), batch in 1..4usize) {
        check(&parts, batch);
    }

    #[test]
    fn a_merge_of_floats_is_the_union_as_well(parts in offered(|| (float(), Just(Life::NONE))), batch in 1..4usize) {
        check(&parts, batch);
    }

    #[test]
    fn samples_around_the_range_do_not_come_through(
        parts in offered(anything), floats in offered(|| (float(), Just(Life::NONE))), start_ms in 0..24i64, len in 1..24i64
    ) {
        for parts in [parts, floats].iter().filter(|parts| parts.len() > 1) {
            let sources = (0..).zip(parts).map(|(order, offered)| part(order, Generous(source(offered))));
            let merge = MergeSource::new(sources.collect(), Counter::default());
            let range = TimeRange::new(start_ms, start_ms + len).unwrap();
            let (mut expected, _) = model(parts);

            expected.iter_mut().for_each(|(_, samples)| samples.retain(|ts_ms, _| range.contains(*ts_ms)));
            prop_assert_eq!(read(&merge, &SeriesRequest { range, ..request(2) }), expected);
        }
    }

    #[test]
    fn merged_exemplars_are_the_union_in_time_with_equal_ones_once(
        parts in prop::collection::vec(prop::collection::vec((0..3u8, 0..5i64, 0..2u8), 0..8), 1..4),
    ) {
        let exemplar = |ts_ms, trace| Exemplar { ts_ms, value: 0.5, labels: labels(trace) };
        let mut sources = Vec::new();

        for (order, pushed) in (0..).zip(&parts) {
            let mut source = MemorySource::default();
            pushed.iter().for_each(|(name, ts_ms, trace)| source.push_exemplar(labels(*name), exemplar(*ts_ms, *trace)));
            sources.push(part(order, source));
        }

        let merge = MergeSource::new(sources, Counter::default());
        let found = block_on(merge.exemplars(&request(1))).unwrap();
        let mut expected = BTreeMap::<u8, BTreeSet<(i64, u8)>>::new();

        for (name, ts_ms, trace) in parts.iter().flatten() {
            expected.entry(*name).or_default().insert((*ts_ms, *trace));
        }

        let expected: Vec<SeriesExemplars> = expected
            .into_iter()
            .map(|(name, of)| SeriesExemplars {
                labels: labels(name),
                exemplars: of.into_iter().map(|(ts_ms, trace)| exemplar(ts_ms, trace)).collect(),
            })
            .collect();

        prop_assert_eq!(found, expected);
    }
}

#[test]
fn equal_samples_are_one_and_the_earlier_order_wins_a_conflict_between_the_kinds_too() {
    let float = |value: f64| Value::Float(value.to_bits());
    let first = histogram(1).to_bytes();
    let second = histogram(2).to_bytes();
    let first = || Value::Histogram(first.clone());
    let second = || Value::Histogram(second.clone());
    let life = Life {
        start_ms: 0,
        ttl_ms: 7,
    };

    for (early, late, conflicts) in [
        (float(1.0), float(1.0), 0),
        (float(1.0), float(2.0), 1),
        (float(0.0), float(-0.0), 1),
        (float(1.0), first(), 1),
        (first(), float(1.0), 1),
        (first(), first(), 0),
        (first(), second(), 1),
    ] {
        let lost = Counter::default();
        let parts = [(2, late, Life::NONE), (1, early.clone(), life)];
        let parts =
            parts.map(|(order, value, life)| part(order, source(&vec![(1, 10, value, life)])));
        let found = read(
            &MergeSource::new(parts.to_vec(), lost.clone()),
            &request(10),
        );
        assert_eq!(
            found,
            [(labels(1).to_string(), Samples::from([(10, (early, life))]))]
        );
        assert_eq!(lost.get(), conflicts);
    }
}

#[test]
fn a_family_is_shown_as_it_was_last_sent() {
    let family = |name: &str, help: &str, last_seen_ms| FamilyMetadata {
        family: name.to_owned(),
        kind: MetricType::Counter,
        help: help.to_owned(),
        unit: String::new(),
        last_seen_ms,
    };

    let sources = [
        (1, vec![family("b", "old", 10), family("a", "only", 1)]),
        (2, vec![family("b", "new", 30)]),
        (3, vec![family("b", "older", 20), family("c", "this", 5)]),
        (4, vec![family("c", "that", 5)]),
    ];

    let parts = sources.map(|(order, families)| {
        let mut source = MemorySource::default();
        families
            .into_iter()
            .for_each(|family| source.push_metadata(family));
        part(order, source)
    });

    let found = block_on(MergeSource::new(parts.to_vec(), Counter::default()).metadata()).unwrap();
    assert_eq!(
        found,
        [
            family("a", "only", 1),
            family("b", "new", 30),
            family("c", "that", 5)
        ]
    );
}

#[test]
fn summaries_are_added_up_for_each_series_and_the_longest_life_span_counts() {
    let sample = |name, ts_ms, value, ttl_ms| {
        (
            name,
            ts_ms,
            value,
            Life {
                start_ms: 0,
                ttl_ms,
            },
        )
    };

    let float = || Value::Float(0);
    let parts = [
        vec![
            sample(1, 10, float(), 0),
            sample(1, 20, float(), 5),
            sample(2, 7, float(), 0),
        ],
        vec![
            sample(1, 5, Value::Histogram(histogram(1).to_bytes()), 9),
            sample(1, 20, float(), 5),
        ],
    ];

    let parts = (0..)
        .zip(&parts)
        .map(|(order, offered)| part(order, source(offered)))
        .collect();

    let merge = MergeSource::new(parts, Counter::default());
    let summary = |name, floats, histograms, first_ms, last_ms| SeriesSummary {
        labels: labels(name),
        floats,
        histograms,
        first_ms,
        last_ms,
    };

    let found = block_on(merge.summaries(&request(1))).unwrap();
    assert_eq!(found, [summary(1, 3, 1, 5, 20), summary(2, 1, 0, 7, 7)]);
    assert_eq!(block_on(merge.ttl_max_ms()).unwrap(), 9);
}

#[test]
fn names_and_values_are_those_of_all_parts_each_once() {
    let parts = [(1, vec![1, 2]), (2, vec![2, 3])].map(|(order, names)| {
        part(
            order,
            source(
                &names
                    .into_iter()
                    .map(|name| (name, 1, Value::Float(0), Life::NONE))
                    .collect(),
            ),
        )
    });

    let merge = MergeSource::new(parts.to_vec(), Counter::default());
    let values = block_on(merge.label_values(&request(1), "__name__")).unwrap();

    assert_eq!(Vec::from_iter(values), ["m1", "m2", "m3"]);
    assert_eq!(
        Vec::from_iter(block_on(merge.label_names(&request(1))).unwrap()),
        ["__name__"]
    );
}
