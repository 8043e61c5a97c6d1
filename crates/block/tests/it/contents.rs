//! Everything that a series may have is written and read back, bit for bit.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use duramen_block::{
    Block, BlockSource, GetCost, HISTOGRAMS_FILE, OpenOptions, SeriesIndexPool, WriterOptions,
};
use duramen_model::{
    Counts, Exemplar, FamilyMetadata, Histogram, Labels, Life, MetricType, ResetHint, Span,
    TimeRange,
};
use duramen_source::{Columns, Reads, SeriesExemplars, SeriesRequest, SeriesSource, SeriesSummary};
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::fixture::{Series, collect, in_memory_with, key, open, request, sorted};
use crate::round_trip::{labels, small};
use crate::select::{matcher, passes};

fn bits() -> impl Strategy<Value = f64> {
    let odd = [
        0u64,
        1 << 63,
        0x7ff0_0000_0000_0002,
        0x7ff8_0000_0000_0001,
        0xfff8_dead_beef_0001,
    ];

    prop_oneof![
        proptest::sample::select(odd.to_vec()),
        any::<u64>(),
        (0u32..1000).prop_map(|i| f64::from(i).to_bits())
    ]
    .prop_map(f64::from_bits)
}

fn counts() -> impl Strategy<Value = Counts> {
    let ints = || vec(prop_oneof![-9i64..9, any::<i64>()], 0..9);
    let floats = || vec(bits(), 0..9);

    prop_oneof![
        (any::<u64>(), any::<u64>(), ints(), ints()).prop_map(
            |(count, zero_count, positive, negative)| {
                Counts::Integer {
                    count,
                    zero_count,
                    positive,
                    negative,
                }
            }
        ),
        (bits(), bits(), floats(), floats()).prop_map(|(count, zero_count, positive, negative)| {
            Counts::Float {
                count,
                zero_count,
                positive,
                negative,
            }
        }),
    ]
}

fn histogram() -> impl Strategy<Value = Vec<u8>> {
    let hints = vec![
        ResetHint::Unknown,
        ResetHint::Reset,
        ResetHint::NotReset,
        ResetHint::Gauge,
    ];

    let spans = || {
        vec(
            (any::<i32>(), any::<u32>()).prop_map(|(offset, length)| Span { offset, length }),
            0..4,
        )
    };

    let schema = prop_oneof![-4i32..9, Just(-53), any::<i32>()];
    let all = (
        schema,
        proptest::sample::select(hints),
        bits(),
        bits(),
        counts(),
        spans(),
        spans(),
        vec(bits(), 0..4),
    );

    all.prop_map(
        |(
            schema,
            hint,
            sum,
            zero_threshold,
            counts,
            positive_spans,
            negative_spans,
            custom_values,
        )| {
            let histogram = Histogram {
                schema,
                hint,
                sum,
                zero_threshold,
                counts,
                positive_spans,
                negative_spans,
                custom_values,
            };

            histogram.to_bytes()
        },
    )
}

fn life() -> impl Strategy<Value = Life> {
    let number = || prop_oneof![4 => Just(0i64), 1 => 1i64..100_000, 1 => any::<i64>()];
    prop_oneof![3 => Just(Life::NONE), 1 => (number(), number()).prop_map(|(start_ms, ttl_ms)| Life { start_ms, ttl_ms })]
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![8 => -1000i64..1000, 1 => Just(i64::MIN), 1 => Just(i64::MAX - 1)]
}

fn exemplars() -> impl Strategy<Value = Vec<Exemplar>> {
    let one = (time(), bits(), labels()).prop_map(|(ts_ms, value, pairs)| {
        let labels =
            Labels::from_pairs(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))).unwrap();
        Exemplar {
            ts_ms,
            value,
            labels,
        }
    });

    prop_oneof![vec(one, 0..5), Just(vec![])].prop_map(|mut all| {
        all.sort_by(|a, b| {
            (a.ts_ms, a.value.to_bits(), a.labels.encoded()).cmp(&(
                b.ts_ms,
                b.value.to_bits(),
                b.labels.encoded(),
            ))
        });

        all.dedup();
        all
    })
}

/// A float or a histogram.
#[derive(Clone, Debug)]
enum Value {
    Float(f64),
    Histogram(Vec<u8>),
}

/// Generates a series with at least one float, histogram or exemplar.
fn one() -> impl Strategy<Value = Series> {
    let value = prop_oneof![
        bits().prop_map(Value::Float),
        histogram().prop_map(Value::Histogram)
    ];

    let samples =
        prop_oneof![3 => btree_map(time(), (value, life()), 0..30), 1 => Just(BTreeMap::new())];
    let some = |(_, samples, exemplars): &(_, BTreeMap<_, _>, Vec<_>)| {
        !samples.is_empty() || !exemplars.is_empty()
    };

    (labels(), samples, exemplars())
        .prop_filter("empty", some)
        .prop_map(|(pairs, samples, exemplars)| {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str()))
                .collect();

            let mut series = Series {
                exemplars,
                ..Series::new(&pairs, [])
            };

            for (ts, (value, life)) in samples {
                match value {
                    Value::Float(value) => {
                        series.samples.push((ts, value.to_bits()));
                        series.lives.push(life);
                    }
                    Value::Histogram(bytes) => series.histograms.push((ts, life, bytes)),
                }
            }

            if series.lives.iter().all(|life| *life == Life::NONE) {
                series.lives.clear();
            }

            series
        })
}

fn families() -> impl Strategy<Value = Vec<FamilyMetadata>> {
    let kind = proptest::sample::select(MetricType::ALL.to_vec());
    let one = (kind, ".{0,9}", "[a-z]{0,3}", 0i64..1000);

    btree_map("[a-zé:_]{0,4}", one, 0..6).prop_map(|all| {
        let family = |(family, (kind, help, unit, last_seen_ms))| FamilyMetadata {
            family,
            kind,
            help,
            unit,
            last_seen_ms,
        };

        all.into_iter().map(family).collect()
    })
}

/// Returns the part of the series that `columns` selects, without floats outside of the range.
/// Exemplars are read by another request.
fn seen(series: &Series, columns: Columns, range: TimeRange) -> Series {
    let mut seen = Series {
        exemplars: vec![],
        ..series.clone()
    };

    let inside: Vec<bool> = series
        .samples
        .iter()
        .map(|sample| range.contains(sample.0))
        .collect();
    let mut of_samples = inside.iter();
    let mut of_lives = inside.iter();

    seen.samples.retain(|_| of_samples.next() == Some(&true));
    // Behind the life spans of the floats are those of histograms, which are all read.
    seen.lives.retain(|_| of_lives.next() != Some(&false));
    if seen.lives.iter().all(|life| *life == Life::NONE) {
        seen.lives.clear();
    }

    if columns != Columns::Everything {
        seen.lives.iter_mut().for_each(|life| life.start_ms = 0);
        if seen.lives.iter().all(|life| *life == Life::NONE) {
            seen.lives.clear();
        }
    }

    if columns == Columns::Labels {
        seen = Series {
            labels: seen.labels,
            ..Series::new(&[], [])
        };
    }

    seen
}

fn times(series: &Series) -> Vec<i64> {
    series
        .samples
        .iter()
        .map(|s| s.0)
        .chain(series.histograms.iter().map(|h| h.0))
        .collect()
}

/// Returns the series with samples that pass and whose span touches the range.
fn expected<'a>(
    series: &'a [Series],
    request: &'a SeriesRequest,
) -> impl Iterator<Item = &'a Series> {
    let touches = |series: &Series| {
        let times = times(series);
        let span = times.iter().min().zip(times.iter().max());
        span.is_some_and(|(min, max)| {
            *min < request.range.end_ms() && *max >= request.range.start_ms()
        })
    };

    series
        .iter()
        .filter(move |series| passes(series, &request.matchers) && touches(series))
}

fn summary(series: &Series) -> SeriesSummary {
    let times = times(series);
    SeriesSummary {
        labels: series.labels.clone(),
        floats: series.samples.len() as u64,
        histograms: series.histograms.len() as u64,
        first_ms: times.iter().copied().min().unwrap(),
        last_ms: times.iter().copied().max().unwrap(),
    }
}

fn exemplars_in(series: &Series, range: TimeRange) -> Option<SeriesExemplars> {
    let exemplars: Vec<_> = series
        .exemplars
        .iter()
        .filter(|e| range.contains(e.ts_ms))
        .cloned()
        .collect();

    (!exemplars.is_empty()).then(|| SeriesExemplars {
        labels: series.labels.clone(),
        exemplars,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_block_gives_back_all_that_a_series_may_have(
        series in vec(one(), 1..30).prop_map(sorted),
        families in families(),
        requests in vec((vec(matcher(), 0..3), time(), 1i64..2000), 2),
    ) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            for options in [small(), WriterOptions::default()] {
                let (store, stats) = in_memory_with(&series, families.clone(), options).await;
                let count = |of: fn(&Series) -> usize| series.iter().map(|s| of(s) as u64).sum::<u64>();

                prop_assert_eq!(stats.series, series.len() as u64);
                prop_assert_eq!(stats.samples, count(|s| s.samples.len()));
                prop_assert_eq!(stats.histograms, count(|s| s.histograms.len()));
                prop_assert_eq!(stats.exemplars, count(|s| s.exemplars.len()));
                prop_assert_eq!(stats.families, families.len() as u64);

                let lives = series.iter().flat_map(|s| s.lives.iter().chain(s.histograms.iter().map(|h| &h.1)));
                prop_assert_eq!(stats.ttl_max_ms, lives.map(|life| life.ttl_ms).max().unwrap_or(0).max(0));

                let indexes = Arc::new(SeriesIndexPool::new(1 << 20));

                for indexes in [None, Some(indexes)] {
                    let options = OpenOptions { indexes, cost: GetCost { prefetch_bytes_max: 0, ..GetCost::default() }, ..OpenOptions::default() };
                    let block = Block::open(Arc::clone(&store) as _, key(), &stats, options, &Reads::default()).await.unwrap();
                    let source = BlockSource::new(Arc::clone(&block));

                    prop_assert_eq!(source.metadata().await.unwrap(), families.clone());
                    prop_assert_eq!(source.ttl_max_ms().await.unwrap(), stats.ttl_max_ms);

                    for (matchers, start, length) in &requests {
                        let some = TimeRange::new(*start, start.saturating_add(*length)).unwrap();

                        for (range, batch_series_max) in [(TimeRange::ALL, 1000), (some, 1000), (some, 2)] {
                            let asked = SeriesRequest { range, batch_series_max, ..request(matchers.clone()) };

                            for columns in [Columns::Labels, Columns::Samples, Columns::Everything] {
                                let asked = SeriesRequest { columns, ..asked.clone() };
                                let expected: Vec<_> = expected(&series, &asked).map(|s| seen(s, columns, asked.range)).collect();
                                let found: Vec<_> = collect(&block, &asked).await.unwrap();
                                let found: Vec<_> = found.iter().map(|s| seen(s, columns, TimeRange::ALL)).collect();

                                prop_assert_eq!(found, expected, "{:?}", asked);
                            }

                            let summaries: Vec<_> = expected(&series, &asked).map(summary).collect();
                            prop_assert_eq!(source.summaries(&asked).await.unwrap(), summaries);

                            let passing = series.iter().filter(|s| passes(s, matchers));
                            let expected: Vec<_> = passing.filter_map(|s| exemplars_in(s, range)).collect();

                            prop_assert_eq!(source.exemplars(&asked).await.unwrap(), expected);
                        }
                    }

                    block.verify().await.unwrap();
                }
            }

            Ok(())
        })?;
    }
}

/// Returns the integers in a column of `histograms.parquet`, as any reader of Parquet sees them.
async fn integers(store: &dyn ObjectStore, column: &str) -> Vec<i64> {
    let file = store.get(&key().join(HISTOGRAMS_FILE)).await.unwrap();
    let bytes = file.bytes().await.unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();

    let batches = reader.build().unwrap().map(Result::unwrap);
    let of_batch = |batch: RecordBatch| {
        let column = batch.column_by_name(column).unwrap();
        column.as_primitive::<Int64Type>().values().to_vec()
    };

    batches.flat_map(of_batch).collect()
}

#[tokio::test]
async fn counts_of_2_to_the_63_and_more_are_negative_in_the_file_and_come_back() {
    let edges = [0, 1, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, u64::MAX];
    let pairs = edges.iter().flat_map(|a| edges.map(|b| (*a, b)));
    let pairs: Vec<(u64, u64)> = pairs.collect();

    let histogram = |(count, zero_count): (u64, u64)| Histogram {
        schema: 0,
        hint: ResetHint::Unknown,
        sum: 1.0,
        zero_threshold: 0.5,
        counts: Counts::Integer {
            count,
            zero_count,
            positive: vec![i64::MIN, i64::MAX, -1, 1],
            negative: vec![i64::MAX, i64::MIN],
        },
        positive_spans: vec![Span {
            offset: i32::MIN,
            length: u32::MAX,
        }],
        negative_spans: vec![Span {
            offset: i32::MAX,
            length: 1 << 31,
        }],
        custom_values: vec![],
    };

    let histograms = (0..).zip(&pairs);
    let histograms = histograms.map(|(t, pair)| (t, Life::NONE, histogram(*pair).to_bytes()));
    let series = Series {
        histograms: histograms.collect(),
        ..Series::new(&[("__name__", "m")], [])
    };

    for options in [small(), WriterOptions::default()] {
        let all = [series.clone()];
        let (store, stats) = in_memory_with(&all, vec![], options).await;
        let block = open(Arc::clone(&store) as _, &stats).await.unwrap();
        let everything = SeriesRequest {
            columns: Columns::Everything,
            ..request(vec![])
        };

        let found = collect(&block, &everything).await.unwrap();
        assert!(found == all);

        for ((_, _, bytes), pair) in found[0].histograms.iter().zip(&pairs) {
            assert_eq!(Histogram::from_bytes(bytes), Some(histogram(*pair)));
        }

        let counts = pairs.iter().map(|(count, _)| count.cast_signed());
        assert!(integers(&*store, "count_int").await.into_iter().eq(counts));

        let zeros = pairs.iter().map(|(_, zeros)| zeros.cast_signed());
        assert!(
            integers(&*store, "zero_count_int")
                .await
                .into_iter()
                .eq(zeros)
        );
    }
}
