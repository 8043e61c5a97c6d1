//! Selections from series indexes in memory.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use duramen_block::{
    Block, ExtentCache, GetCost, MatchedPool, OpenOptions, SeriesIndexPool, WriterOptions,
};
use duramen_model::{BlockStats, Matcher, TimeRange};
use duramen_qos::Account;
use duramen_source::{Columns, Reads, SeriesBatch, SeriesRequest, SeriesSource};
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};
use proptest::prelude::*;

use crate::cost::{Counting, GetCounts, ten_thousand};
use crate::fixture::{collect, in_memory, key, open, request, source};
use crate::round_trip::{series, small};
use crate::select::{many, matcher};

/// Returns an empty pool of answers to matchers.
fn matched() -> Arc<MatchedPool> {
    Arc::new(MatchedPool::within(1 << 20, &Account::unbounded()))
}

/// Opens the block without its series file.
async fn open_with(
    store: Arc<dyn ObjectStore>,
    stats: &BlockStats,
    indexes: &Arc<SeriesIndexPool>,
) -> Arc<Block> {
    open_over(store, stats, indexes, &matched()).await
}

/// Opens the block without its series file.
async fn open_over(
    store: Arc<dyn ObjectStore>,
    stats: &BlockStats,
    indexes: &Arc<SeriesIndexPool>,
    matched: &Arc<MatchedPool>,
) -> Arc<Block> {
    let cache = Some(Arc::new(ExtentCache::new(64 << 20)));
    let options = OpenOptions {
        cache,
        indexes: Some(Arc::clone(indexes)),
        matched: Some(Arc::clone(matched)),
        cost: GetCost {
            prefetch_bytes_max: 0,
            ..GetCost::default()
        },
        ..OpenOptions::default()
    };

    Block::open(store, key(), stats, options, &Reads::default())
        .await
        .unwrap()
}

/// Returns labels and samples of each batch, bit for bit.
async fn batches(block: &Arc<Block>, request: &SeriesRequest) -> Vec<RecordBatch> {
    source(block)
        .select(request)
        .await
        .unwrap()
        .map_ok(SeriesBatch::into_record_batch)
        .try_collect()
        .await
        .unwrap()
}

fn labels(matchers: Vec<Matcher>) -> SeriesRequest {
    SeriesRequest {
        columns: Columns::Labels,
        ..request(matchers)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn an_index_and_the_file_give_the_same_batches(
        series in series(),
        requests in prop::collection::vec((prop::collection::vec(matcher(), 0..4), 1..9usize, -50..50i64, 1..100i64), 12),
    ) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let (store, stats) = in_memory(&series, small()).await;
            let indexes = Arc::new(SeriesIndexPool::new(1 << 20));
            let plain = open(Arc::clone(&store) as _, &stats).await.unwrap();
            let warm = open_with(store, &stats, &indexes).await;

            collect(&warm, &labels(vec![])).await.unwrap();
            prop_assert!(series.is_empty() || indexes.bytes() > 0);

            for (matchers, batch_series_max, start, length) in requests {
                for range in [TimeRange::ALL, TimeRange::new(start, start + length).unwrap()] {
                    let request = SeriesRequest { batch_series_max, range, ..request(matchers.clone()) };
                    prop_assert_eq!(batches(&warm, &request).await, batches(&plain, &request).await, "{:?}", request);
                }
            }

            Ok(())
        })?;
    }
}

#[tokio::test]
async fn an_index_of_several_row_groups_gives_the_same_batches() {
    let (store, stats) = in_memory(&many(), WriterOptions::default()).await;
    let indexes = Arc::new(SeriesIndexPool::new(8 << 20));
    let plain = open(Arc::clone(&store) as _, &stats).await.unwrap();
    let warm = open_with(store, &stats, &indexes).await;

    collect(&warm, &labels(vec![])).await.unwrap();

    let regex = |name, pattern| Matcher::regex(name, pattern).unwrap();

    for matchers in [
        vec![],
        vec![Matcher::equal("__name__", "metric_31")],
        vec![Matcher::equal("i", "4999")],
        vec![
            regex("i", "4.*"),
            regex("__name__", "metric_(0|4)9|metric_1.*"),
        ],
        vec![
            regex("i", ".*7"),
            Matcher::not_equal("__name__", "metric_07"),
        ],
        vec![Matcher::equal("absent", ""), regex("i", "1(2|3)?")],
        vec![Matcher::not_equal("i", "")],
        vec![Matcher::equal("i", "")],
    ] {
        for (start, end) in [(i64::MIN, i64::MAX), (1000, 1001), (150_000, 310_000)] {
            let range = TimeRange::new(start, end).unwrap();
            let request = SeriesRequest {
                range,
                ..request(matchers.clone())
            };

            assert_eq!(
                batches(&warm, &request).await,
                batches(&plain, &request).await,
                "{request:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_passes_the_matchers_is_worked_out_once() {
    let (store, stats) = in_memory(&many(), WriterOptions::default()).await;
    let indexes = Arc::new(SeriesIndexPool::new(8 << 20));
    let pool = matched();
    let block = open_over(store, &stats, &indexes, &pool).await;
    collect(&block, &labels(vec![])).await.unwrap();

    let name = Matcher::equal("__name__", "metric_31");
    let other = Matcher::regex("i", "4.*").unwrap();

    let hits = async |matchers: Vec<Matcher>, end| {
        let before = pool.counts().hits;
        let asked = SeriesRequest {
            range: TimeRange::new(0, end).unwrap(),
            ..labels(matchers)
        };

        batches(&block, &asked).await;
        pool.counts().hits - before
    };

    assert_eq!(hits(vec![name.clone(), other.clone()], 100).await, 0);
    assert_eq!(hits(vec![name.clone(), other.clone()], 100).await, 1);
    assert_eq!(hits(vec![other.clone(), name.clone()], 9000).await, 1);
    assert_eq!(hits(vec![name], 100).await, 0);
    assert_eq!(hits(vec![other], 100).await, 0);
}

#[tokio::test]
async fn an_index_is_made_when_the_file_is_read_as_a_whole_or_by_the_third_selection() {
    let series = ten_thousand(5);
    let (memory, stats) = in_memory(&series, WriterOptions::default()).await;

    let one = || {
        labels(vec![
            Matcher::equal("__name__", "metric_07_total"),
            Matcher::regex("instance", ".*17:.*").unwrap(),
        ])
    };

    let store = Arc::new(Counting::new(
        Arc::clone(&memory) as _,
        GetCounts::default(),
    ));
    let plain = Arc::new(Counting::new(
        Arc::clone(&memory) as _,
        GetCounts::default(),
    ));
    let indexes = Arc::new(SeriesIndexPool::new(64 << 20));
    let warm = open_with(Arc::clone(&store) as _, &stats, &indexes).await;
    let none = Arc::new(SeriesIndexPool::new(0));
    let never = open_with(Arc::clone(&plain) as _, &stats, &none).await;

    for selection in 1..=2 {
        assert_eq!(
            collect(&warm, &one()).await.unwrap(),
            collect(&never, &one()).await.unwrap()
        );

        assert_eq!(
            (store.hook().count(), indexes.bytes()),
            (plain.hook().count(), 0),
            "selection {selection} reads what it needs"
        );
    }

    collect(&warm, &one()).await.unwrap();
    assert!(indexes.bytes() > 0);

    let read = store.hook().count();
    assert_eq!(
        collect(&warm, &labels(vec![])).await.unwrap().len(),
        series.len()
    );

    assert_eq!(store.hook().count(), read, "the table answers alone");
    assert_eq!(none.bytes(), 0);

    let indexes = Arc::new(SeriesIndexPool::new(64 << 20));
    let warm = open_with(memory, &stats, &indexes).await;
    collect(&warm, &labels(vec![Matcher::equal("instance", "nowhere")]))
        .await
        .unwrap();

    assert!(indexes.bytes() > 0, "no name: all row groups are needed");
}

#[tokio::test]
async fn an_index_that_is_too_large_is_never_held() {
    let series = many();
    let (store, stats) = in_memory(&series, WriterOptions::default()).await;
    let exact = Arc::new(SeriesIndexPool::new(8 << 20));

    collect(
        &open_with(Arc::clone(&store) as _, &stats, &exact).await,
        &request(vec![]),
    )
    .await
    .unwrap();

    for (bytes_max, held) in [
        (0, 0),
        (100_000, 0),
        (exact.bytes() - 1, 0),
        (exact.bytes(), exact.bytes()),
    ] {
        let indexes = Arc::new(SeriesIndexPool::new(bytes_max));
        let block = open_with(Arc::clone(&store) as _, &stats, &indexes).await;
        for _ in 0..3 {
            assert_eq!(collect(&block, &request(vec![])).await.unwrap(), series);
            assert_eq!(indexes.bytes(), held, "of {bytes_max}");
        }
    }
}

#[tokio::test]
async fn an_index_is_built_only_with_memory_of_the_account() {
    let series = many();
    let (memory, stats) = in_memory(&series, WriterOptions::default()).await;

    for (bytes_max, is_held) in [(1_000_000, false), (4 << 20, true)] {
        let account = Account::new(bytes_max);
        let indexes = Arc::new(SeriesIndexPool::within(8 << 20, &account));
        let block = open_with(Arc::clone(&memory) as _, &stats, &indexes).await;

        assert_eq!(collect(&block, &request(vec![])).await.unwrap(), series);
        assert_eq!(indexes.bytes() > 0, is_held, "of {bytes_max}");
        assert_eq!(account.used(), indexes.bytes(), "nothing else is left");
    }
}

#[tokio::test]
async fn a_pool_stays_within_its_bound_and_selections_stay_right() {
    let series = many();
    let (memory, stats) = in_memory(&series, WriterOptions::default()).await;
    let exact = Arc::new(SeriesIndexPool::new(8 << 20));

    collect(
        &open_with(Arc::clone(&memory) as _, &stats, &exact).await,
        &labels(vec![]),
    )
    .await
    .unwrap();

    let bytes_max = exact.bytes() * 5 / 2;
    let indexes = Arc::new(SeriesIndexPool::new(bytes_max));
    let mut blocks = Vec::new();

    for i in 0..4 {
        let dir = object_store::path::Path::from(format!("t/{i}/blocks/block"));
        for name in crate::fixture::names(&stats) {
            memory
                .copy(&key().join(name.as_str()), &dir.clone().join(name))
                .await
                .unwrap();
        }

        let options = OpenOptions {
            indexes: Some(Arc::clone(&indexes)),
            ..OpenOptions::default()
        };

        blocks.push(
            Block::open(
                Arc::clone(&memory) as _,
                dir,
                &stats,
                options,
                &Reads::default(),
            )
            .await
            .unwrap(),
        );
    }

    for round in 0..20 {
        for block in &blocks {
            let found = collect(block, &labels(vec![Matcher::equal("i", "4321")]))
                .await
                .unwrap();
            assert_eq!(found.len(), 1, "round {round}");

            assert!(
                indexes.bytes() <= bytes_max,
                "{} of {bytes_max}",
                indexes.bytes()
            );
        }
    }

    assert_eq!(indexes.bytes(), 2 * exact.bytes());
}

#[tokio::test]
async fn damage_elsewhere_in_the_series_file_fails_no_selection_that_does_not_need_it() {
    let options = WriterOptions {
        series_group_rows_max: 500,
        ..WriterOptions::default()
    };

    let (memory, stats) = in_memory(&ten_thousand(5), options).await;
    let at = key().join("series.parquet");

    let mut bytes = memory
        .get(&at)
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap()
        .to_vec();

    bytes[100] ^= 1;
    memory.put(&at, bytes.into()).await.unwrap();

    let indexes = Arc::new(SeriesIndexPool::new(64 << 20));
    let block = open_with(memory, &stats, &indexes).await;

    for _ in 0..5 {
        let last = labels(vec![Matcher::equal("__name__", "metric_19_total")]);
        assert_eq!(collect(&block, &last).await.unwrap().len(), 500);
    }

    assert!(collect(&block, &labels(vec![])).await.is_err());
    assert_eq!(indexes.bytes(), 0);
}
