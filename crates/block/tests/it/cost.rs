//! What a selection costs in requests and bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use async_trait::async_trait;
use duramen_block::{
    Block, BlockSource, EXEMPLARS_FILE, GetCost, HISTOGRAMS_FILE, META_FILE, METADATA_FILE,
    OpenOptions, SAMPLES_FILE, SERIES_FILE, WriterOptions,
};
use duramen_model::{BlockStats, Counts, Exemplar, Histogram, Life, Matcher, ResetHint, Span};
use duramen_source::{Columns, Reads, SeriesRequest, SeriesSource};
use duramen_testkit::store::{Hooked, OnGet};
use object_store::path::Path;
use object_store::{GetOptions, GetResult, ObjectStore, ObjectStoreExt, Result};

use crate::fixture::{Series, collect, in_memory, in_memory_with, open, request, sorted};

/// A store that counts GETs and the bytes of their responses.
pub(crate) type Counting = Hooked<GetCounts>;

#[derive(Debug, Default)]
pub(crate) struct GetCounts {
    gets: AtomicU64,
    bytes: AtomicU64,
}

impl GetCounts {
    /// Returns the number of GETs and bytes so far.
    pub(crate) fn count(&self) -> (u64, u64) {
        (self.gets.load(Relaxed), self.bytes.load(Relaxed))
    }
}

#[async_trait]
impl OnGet for GetCounts {
    async fn get(
        &self,
        store: &dyn ObjectStore,
        key: &Path,
        options: GetOptions,
    ) -> Result<GetResult> {
        let result = store.get_opts(key, options).await?;
        self.gets.fetch_add(1, Relaxed);
        self.bytes
            .fetch_add(result.range.end - result.range.start, Relaxed);

        Ok(result)
    }
}

/// Makes 10,000 series of 20 metrics on 500 targets, about as a node is scraped. A third are
/// constants; there are counters, and gauges with two decimals that move slowly; a twentieth are
/// floats with a full mantissa. One scrape in fifty jitters.
pub(crate) fn ten_thousand(samples: i64) -> Vec<Series> {
    let mut random = 7u64;
    let mut next = move |below: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };

    let scrapes: Vec<Vec<i64>> = (0..500)
        .map(|_| {
            let phase = next(15_000).cast_signed();
            let jitter = |late: u64| if late < 8 { late.cast_signed() } else { 0 };
            (0..samples)
                .map(|t| 1_700_000_000_000 + t * 15_000 + phase + jitter(next(400)))
                .collect()
        })
        .collect();

    let mut series = Vec::new();

    for metric in 0..20 {
        for (target, scrapes) in scrapes.iter().enumerate() {
            let mut level = next(1_000_000);
            let values = scrapes.iter().map(|_| match metric {
                0..7 => {
                    level += next(16);
                    level as f64
                }
                7..12 => {
                    level = 5000 + level % 1000 + next(8) - 4;
                    level as f64 / 100.0
                }
                12..19 => 42.0,
                _ => (next(1 << 30) as f64).sqrt(),
            });

            let values: Vec<_> = scrapes
                .iter()
                .copied()
                .zip(values.collect::<Vec<_>>())
                .collect();

            let name = format!("metric_{metric:02}_total");
            let instance = format!("10.0.{}.{}:9100", target / 250, target % 250);

            let pairs = [
                ("__name__", name.as_str()),
                ("instance", &instance),
                ("job", "node"),
                ("cluster", "eu"),
            ];

            series.push(Series::new(&pairs, values));
        }
    }

    sorted(series)
}

/// Opens the block by a GET of `meta` alone, as if its series file were large.
async fn open_without_series(store: Arc<dyn ObjectStore>, stats: &BlockStats) -> Arc<Block> {
    let options = OpenOptions {
        cost: GetCost {
            prefetch_bytes_max: 0,
            ..GetCost::default()
        },
        ..OpenOptions::default()
    };

    Block::open(
        store,
        crate::fixture::key(),
        stats,
        options,
        &Reads::default(),
    )
    .await
    .unwrap()
}

/// Opens the block afresh and selects one series. Returns GETs and bytes.
async fn one_of(store: &Arc<dyn ObjectStore>, stats: &BlockStats, wanted: &Series) -> (u64, u64) {
    let store = Arc::new(Counting::new(Arc::clone(store), GetCounts::default()));
    let block = open_without_series(Arc::clone(&store) as _, stats).await;

    assert_eq!(
        store.hook().count(),
        (1, stats.meta_bytes),
        "a block is opened by one GET of meta"
    );

    let matchers =
        ["__name__", "instance"].map(|name| Matcher::equal(name, wanted.labels.get(name).unwrap()));
    let found = collect(&block, &request(matchers.into())).await.unwrap();

    assert_eq!(found, std::slice::from_ref(wanted));

    store.hook().count()
}

#[tokio::test]
async fn one_of_ten_thousand_series_reads_a_small_part() {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let day = WriterOptions::window(DAY_MS);
    let hours = WriterOptions::default();

    // The pages of a short block are large parts of it.
    for (samples, options, share_max) in [
        (1440, day, 1.0),
        (240, hours.clone(), 3.0),
        (120, hours, 5.0),
    ] {
        let series = ten_thousand(samples);
        let (store, stats) = in_memory(&series, options).await;
        let (store, total): (Arc<dyn ObjectStore>, u64) = (store, stats.bytes());

        for i in [0, 1234, 4321, 6000, 9700, 9999] {
            let (gets, bytes) = one_of(&store, &stats, &series[i]).await;
            let share = 100.0 * bytes as f64 / total as f64;
            println!(
                "{samples} samples, series {i}: {gets} GETs, {bytes} of {total} bytes, {share:.2} %"
            );

            assert!(
                share < share_max,
                "{samples} samples, series {i}: {bytes} of {total} bytes"
            );

            assert!(
                gets <= 6,
                "{gets} GETs: meta, series, and at most four columns"
            );
        }
    }
}

#[tokio::test]
async fn labels_alone_read_nothing_of_the_samples_file() {
    let series = ten_thousand(5);
    let (store, stats) = in_memory(&series, WriterOptions::default()).await;
    store
        .delete(&crate::fixture::key().join(SAMPLES_FILE))
        .await
        .unwrap();

    let block = open(store, &stats).await.unwrap();
    let request = SeriesRequest {
        columns: Columns::Labels,
        ..request(vec![])
    };

    assert_eq!(collect(&block, &request).await.unwrap().len(), series.len());
}

#[tokio::test]
async fn a_small_series_file_comes_with_meta() {
    let series: Vec<_> = ten_thousand(5).into_iter().take(100).collect();
    let (store, stats) = in_memory(&series, WriterOptions::default()).await;
    let store = Arc::new(Counting::new(store, GetCounts::default()));
    let block = open(Arc::clone(&store) as _, &stats).await.unwrap();

    assert_eq!(store.hook().count().0, 2);

    collect(
        &block,
        &SeriesRequest {
            columns: Columns::Labels,
            ..request(vec![])
        },
    )
    .await
    .unwrap();

    assert_eq!(store.hook().count().0, 2);
}

/// Returns a few series of `ten_thousand`, each with histograms and exemplars added.
pub(crate) fn with_others(samples: i64) -> Vec<Series> {
    let mut all: Vec<_> = ten_thousand(samples).into_iter().step_by(100).collect();

    for (series, number) in all.iter_mut().zip(0..) {
        let at = |t: i64| 1_800_000_000_000 + t;
        series.histograms = (0..20)
            .map(|t| (at(t), Life::NONE, histogram(t).to_bytes()))
            .collect();

        let exemplar = |t| Exemplar {
            ts_ms: at(t),
            value: 0.5,
            labels: series.labels.clone(),
        };

        series.exemplars = (0..number % 3).map(exemplar).collect();
    }

    all
}

fn histogram(t: i64) -> Histogram {
    Histogram {
        schema: 0,
        hint: ResetHint::Unknown,
        sum: t as f64,
        zero_threshold: 0.0,
        counts: Counts::Integer {
            count: 2,
            zero_count: 0,
            positive: vec![t, -t, t],
            negative: vec![],
        },
        positive_spans: vec![Span {
            offset: 0,
            length: 3,
        }],
        negative_spans: vec![],
        custom_values: vec![],
    }
}

/// Makes a GET of samples wait until one of histograms is running too, and vice versa.
#[derive(Debug)]
struct Together {
    both: tokio::sync::Barrier,
}

#[async_trait]
impl OnGet for Together {
    async fn get(
        &self,
        store: &dyn ObjectStore,
        key: &Path,
        options: GetOptions,
    ) -> Result<GetResult> {
        let waits = |name| [SAMPLES_FILE, HISTOGRAMS_FILE].contains(&name);

        if key.filename().is_some_and(waits) {
            self.both.wait().await;
        }

        store.get_opts(key, options).await
    }
}

#[tokio::test]
async fn floats_and_histograms_come_in_one_round_trip_of_two_gets() {
    let series = with_others(5);
    let (store, stats) = in_memory(&series, WriterOptions::default()).await;
    let counting = Arc::new(Counting::new(Arc::clone(&store) as _, GetCounts::default()));
    let block = open(Arc::clone(&counting) as _, &stats).await.unwrap();
    let (opened, _) = counting.hook().count();
    let found = collect(&block, &request(vec![])).await.unwrap();

    assert_eq!(
        found,
        series
            .into_iter()
            .map(|series| Series {
                exemplars: vec![],
                ..series
            })
            .collect::<Vec<_>>()
    );

    assert_eq!(
        (opened, counting.hook().count().0),
        (2, 4),
        "meta and series, then samples and histograms"
    );

    let together = Together {
        both: tokio::sync::Barrier::new(2),
    };

    let together = Hooked::new(store as _, together);
    let block = open(Arc::new(together), &stats).await.unwrap();
    let request = request(vec![]);
    let read = tokio::time::timeout(
        std::time::Duration::from_secs(60),
        collect(&block, &request),
    );

    assert_eq!(
        read.await.expect("one waits for the other").unwrap().len(),
        found.len()
    );
}

#[tokio::test]
async fn each_question_reads_its_own_files() {
    let series = with_others(5);
    let families = crate::golden::families();
    let (store, stats) = in_memory_with(&series, families.clone(), WriterOptions::default()).await;
    let everything = SeriesRequest { ..request(vec![]) };

    for (kept, gets) in [(EXEMPLARS_FILE, 1), (METADATA_FILE, 1), (SERIES_FILE, 0)] {
        let copy = Arc::new(object_store::memory::InMemory::new());
        for name in [META_FILE, SERIES_FILE, kept] {
            let at = crate::fixture::key().join(name);
            let bytes = store.get(&at).await.unwrap().bytes().await.unwrap();
            copy.put(&at, bytes.into()).await.unwrap();
        }

        let counting = Arc::new(Counting::new(copy, GetCounts::default()));
        let block = open(Arc::clone(&counting) as _, &stats).await.unwrap();
        let (opened, _) = counting.hook().count();
        let source = BlockSource::new(block);

        match kept {
            EXEMPLARS_FILE => assert_eq!(source.exemplars(&everything).await.unwrap().len(), 66),
            METADATA_FILE => assert_eq!(source.metadata().await.unwrap(), families),
            _ => assert_eq!(
                source.summaries(&everything).await.unwrap().len(),
                series.len()
            ),
        }

        assert_eq!(source.ttl_max_ms().await.unwrap(), 0);
        assert_eq!(counting.hook().count().0 - opened, gets, "{kept}");
    }
}

#[tokio::test]
async fn pages_of_life_spans_are_read_where_they_say_something() {
    let count = 20_000i64;
    let mut random = 7i64;

    let mut next = || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 44).abs() + 1
    };

    let plain = Series::new(&[("__name__", "m")], (0..count).map(|t| (t, 1.0)));
    let life = |start_ms, ttl_ms| Life { start_ms, ttl_ms };
    let starts = Series {
        lives: (0..count).map(|_| life(next(), 0)).collect(),
        ..plain.clone()
    };

    let ttls = Series {
        lives: (0..count).map(|_| life(0, next())).collect(),
        ..plain.clone()
    };

    let mut read = Vec::new();

    for series in [&plain, &starts, &ttls] {
        for columns in [Columns::Samples, Columns::Everything] {
            let (store, stats) =
                in_memory(std::slice::from_ref(series), WriterOptions::default()).await;
            let store = Arc::new(Counting::new(store, GetCounts::default()));
            let block = open(Arc::clone(&store) as _, &stats).await.unwrap();
            let (_, opened) = store.hook().count();

            collect(
                &block,
                &SeriesRequest {
                    columns,
                    ..request(vec![])
                },
            )
            .await
            .unwrap();
            read.push(store.hook().count().1 - opened);
        }
    }

    let &[plain, plain_all, starts, starts_all, ttls, ttls_all] = &read[..] else {
        panic!("six selections")
    };
    assert_eq!((plain, ttls), (plain_all, ttls_all), "{read:?}");
    assert!(
        starts <= plain && starts_all > starts + 30_000 && ttls > plain + 30_000,
        "{read:?}"
    );
}
