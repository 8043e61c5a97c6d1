//! Each line of the table "Reading" in docs/formats/block.md: GETs, and trips that depend on each
//! other.

use std::sync::Arc;
use std::time::Duration;

use duramen_block::{
    Block, BlockSource, ExtentCache, GetCost, OpenOptions, SeriesIndexPool, WriterOptions,
};
use duramen_model::{BlockStats, Matcher};
use duramen_source::{Columns, GetLimit, Read, Reads, SeriesRequest, SeriesSource};
use duramen_testkit::store::{Hooked, Trips};
use object_store::memory::InMemory;

use crate::cost::{ten_thousand, with_others};
use crate::fixture::{Series, collect, in_memory, in_memory_with, key, request, source};

type Store = Arc<Hooked<Trips>>;

/// The cost of S3.
fn far() -> GetCost {
    GetCost::of(Duration::from_millis(63), 90_000_000)
}

fn options() -> OpenOptions {
    OpenOptions {
        cost: far(),
        cache: Some(Arc::new(ExtentCache::new(64 << 20))),
        ..OpenOptions::default()
    }
}

fn counted(store: Arc<InMemory>) -> Store {
    Arc::new(Hooked::new(store, Trips::default()))
}

async fn open(store: &Store, stats: &BlockStats, options: OpenOptions) -> Arc<Block> {
    let store = Arc::clone(store) as _;
    let opened = Block::open(store, key(), stats, options, &Reads::default()).await;
    opened.unwrap()
}

/// Returns GETs and trips since the last call.
fn spent(store: &Store) -> (usize, u64) {
    store.hook().take().gets_and_trips()
}

fn one_metric(metric: usize) -> SeriesRequest {
    request(vec![Matcher::equal(
        "__name__",
        format!("metric_{metric:02}_total"),
    )])
}

#[tokio::test(start_paused = true)]
async fn a_panel_over_one_cold_block_is_three_gets_in_two_trips() {
    let series = ten_thousand(240);
    let (store, stats) = in_memory(&series, WriterOptions::default()).await;
    let store = counted(store);

    for metric in [0, 7, 19] {
        let block = open(&store, &stats, options()).await;
        let found = collect(&block, &one_metric(metric)).await.unwrap();

        assert_eq!(found.len(), 500);
        assert_eq!(spent(&store), (3, 2), "meta and series, then samples");
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_block_answers_in_one_trip_and_a_cached_one_in_none() {
    let series = ten_thousand(240);
    let (store, stats) = in_memory(&series, WriterOptions::default()).await;
    let store = counted(store);
    let block = open(&store, &stats, options()).await;
    assert_eq!(spent(&store), (2, 1), "open");

    collect(&block, &one_metric(3)).await.unwrap();
    assert_eq!(spent(&store), (1, 1), "warm `meta`");

    collect(&block, &one_metric(3)).await.unwrap();
    assert_eq!(spent(&store), (0, 0), "everything cached");

    let labels = request(vec![]).with_columns(Columns::Labels);
    collect(&block, &labels).await.unwrap();
    assert_eq!(spent(&store), (0, 0), "labels only");

    let again = open(
        &store,
        &stats,
        OpenOptions {
            cache: None,
            ..options()
        },
    )
    .await;
    assert_eq!(spent(&store), (2, 1));
    collect(&again, &labels).await.unwrap();
    collect(&again, &labels).await.unwrap();
    assert_eq!(
        spent(&store),
        (0, 0),
        "without a cache the block keeps the series file"
    );
}

#[tokio::test(start_paused = true)]
async fn a_large_series_file_takes_a_trip_of_its_own() {
    let series = ten_thousand(60);
    let (store, stats) = in_memory(&series, WriterOptions::default()).await;
    let store = counted(store);
    let cost = GetCost {
        prefetch_bytes_max: 1000,
        ..far()
    };

    let block = open(&store, &stats, OpenOptions { cost, ..options() }).await;
    assert_eq!(spent(&store), (1, 1), "open");

    collect(&block, &one_metric(3)).await.unwrap();
    assert_eq!(spent(&store), (2, 2), "find series, then samples");
}

#[tokio::test(start_paused = true)]
async fn a_selection_is_at_most_two_gets_and_one_for_each_run() {
    let series = ten_thousand(240);
    let (store, stats) = in_memory(&series, WriterOptions::default()).await;
    let store = counted(store);

    // Three metrics that lie apart are at most three runs.
    let apart = Matcher::regex("__name__", "metric_(00|09|19)_total").unwrap();
    let block = open(&store, &stats, options()).await;
    collect(&block, &request(vec![apart])).await.unwrap();
    let (gets, trips) = spent(&store);
    assert!(gets <= 5 && trips == 2, "{gets} GETs in {trips} trips");

    // A single target is in each of the 20 metrics.
    let target = Matcher::equal("instance", "10.0.1.7:9100");
    let block = open(&store, &stats, options()).await;
    let found = collect(&block, &request(vec![target])).await.unwrap();
    let (gets, trips) = spent(&store);
    assert_eq!(found.len(), 20);
    assert!(gets <= 22 && trips == 2, "{gets} GETs in {trips} trips");
}

#[tokio::test(start_paused = true)]
async fn the_next_batch_is_fetched_while_one_is_in_use() {
    let series: Vec<Series> = ten_thousand(240).into_iter().take(1000).collect();
    let (store, stats) = in_memory(&series, WriterOptions::default()).await;
    let store = counted(store);
    let cost = GetCost {
        gap_bytes_max: 0,
        ..far()
    };

    let block = open(&store, &stats, OpenOptions { cost, ..options() }).await;
    assert_eq!(spent(&store), (2, 1));

    let request = SeriesRequest {
        batch_series_max: 250,
        ..request(vec![])
    };

    // Four batches, two at a time.
    assert_eq!(collect(&block, &request).await.unwrap().len(), 1000);
    assert_eq!(spent(&store).1, 2);
}

#[tokio::test(start_paused = true)]
async fn floats_and_histograms_come_in_the_same_trip() {
    let series = with_others(5);
    let (store, stats) = in_memory(&series, WriterOptions::default()).await;
    let store = counted(store);
    let block = open(&store, &stats, options()).await;

    collect(&block, &request(vec![])).await.unwrap();
    assert_eq!(
        spent(&store),
        (4, 2),
        "meta and series, then samples and histograms"
    );
}

#[tokio::test(start_paused = true)]
async fn exemplars_metadata_and_summaries_read_their_own_files() {
    let series = with_others(5);
    let families = crate::golden::families();
    let (store, stats) = in_memory_with(&series, families, WriterOptions::default()).await;
    let store = counted(store);
    let block = open(&store, &stats, options()).await;
    assert_eq!(spent(&store), (2, 1));

    let source: BlockSource = source(&block);
    let everything = request(vec![]);

    assert_eq!(source.exemplars(&everything).await.unwrap().len(), 66);
    assert_eq!(spent(&store), (1, 1), "exemplars");

    source.metadata().await.unwrap();
    assert_eq!(spent(&store), (1, 1), "metadata");

    source.summaries(&everything).await.unwrap();
    source.label_names(&everything).await.unwrap();
    source.label_values(&everything, "job").await.unwrap();
    source.ttl_max_ms().await.unwrap();
    assert_eq!(spent(&store), (0, 0), "summaries and labels");
}

#[tokio::test(start_paused = true)]
async fn a_series_index_is_filled_in_one_trip() {
    let series = ten_thousand(5);
    let (store, stats) = in_memory(&series, WriterOptions::default()).await;
    let store = counted(store);
    let options = OpenOptions {
        cost: GetCost {
            prefetch_bytes_max: 0,
            ..far()
        },
        indexes: Some(Arc::new(SeriesIndexPool::new(64 << 20))),
        ..options()
    };

    let block = open(&store, &stats, options).await;
    assert_eq!(spent(&store), (1, 1));

    let labels = request(vec![]).with_columns(Columns::Labels);
    collect(&block, &labels).await.unwrap();
    assert_eq!(spent(&store), (1, 1), "fill the index");

    collect(&block, &labels).await.unwrap();
    assert_eq!(spent(&store), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_long_run_is_split_into_gets_side_by_side() {
    let series = ten_thousand(240);
    let (store, stats) = in_memory(&series, WriterOptions::default()).await;
    let store = counted(store);
    let cost = GetCost {
        get_bytes_max: 100_000,
        ..far()
    };

    let block = open(&store, &stats, OpenOptions { cost, ..options() }).await;
    assert_eq!(spent(&store), (2, 1));

    assert_eq!(collect(&block, &one_metric(0)).await.unwrap().len(), 500);
    let (gets, trips) = spent(&store);
    assert!(gets > 1 && trips == 1, "{gets} GETs in {trips} trips");
}

#[tokio::test(start_paused = true)]
async fn thirty_blocks_take_the_same_two_trips() {
    let series: Vec<Series> = ten_thousand(60).into_iter().take(500).collect();
    let (store, stats) = in_memory(&series, WriterOptions::default()).await;
    let store = counted(store);
    let asked = one_metric(0);
    let reads = &asked.reads;
    reads.share_gets(&GetLimit::new(GetLimit::QUERY));

    // The same block 30 times, without anything to share.
    let open = || async {
        let store = Arc::clone(&store) as _;
        let opened = Block::open(store, key(), &stats, options(), reads).await;
        opened.unwrap()
    };

    let blocks = futures::future::join_all((0..30).map(|_| open())).await;
    let all = blocks.iter().map(|block| collect(block, &asked));

    for found in futures::future::join_all(all).await {
        assert_eq!(found.unwrap().len(), 500);
    }

    assert_eq!(spent(&store), (90, 2));
    assert_eq!(reads.gets().free(), GetLimit::QUERY, "all permits are back");
}

#[tokio::test(start_paused = true)]
async fn readers_of_the_same_extents_share_one_get() {
    let series = ten_thousand(240);
    let (store, stats) = in_memory(&series, WriterOptions::default()).await;
    let store = counted(store);
    let block = open(&store, &stats, options()).await;
    assert_eq!(spent(&store), (2, 1));

    let requests: Vec<_> = (0..10).map(|_| one_metric(0)).collect();
    let all = requests.iter().map(|request| collect(&block, request));

    for found in futures::future::join_all(all).await {
        assert_eq!(found.unwrap().len(), 500);
    }

    assert_eq!(spent(&store), (1, 1));

    let total = |what| requests.iter().map(|r| r.reads.get(what)).sum::<u64>();
    assert_eq!((total(Read::Gets), total(Read::Shared)), (1, 9));

    // The second reader finds its extents within the run of the first.
    let matcher = Matcher::regex("__name__", "metric_1[5-7]_total").unwrap();
    let wide = SeriesRequest {
        batch_series_max: 1500,
        ..request(vec![matcher])
    };

    let narrow = one_metric(16);
    let (wide, narrow) = futures::join!(collect(&block, &wide), collect(&block, &narrow));
    assert_eq!((wide.unwrap().len(), narrow.unwrap().len()), (1500, 500));
    assert_eq!(spent(&store), (1, 1));
}
