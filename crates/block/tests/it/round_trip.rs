//! Everything that is written is read back, bit for bit.

use std::sync::Arc;

use duramen_block::{Block, OpenOptions, WriterOptions};
use duramen_model::STALE_NAN_BITS;
use duramen_source::Reads;
use object_store::local::LocalFileSystem;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::fixture::{Series, collect, in_memory, open, request, sorted, write};

/// Small row groups and pages, so that little data spans many of them.
pub(crate) fn small() -> WriterOptions {
    WriterOptions {
        ts_page_rows: 64,
        integer_page_values: 32,
        float_page_values: 32,
        row_group_rows_max: 100,
        series_group_rows_max: 20,
        ..WriterOptions::default()
    }
}

/// Values that somebody might send, and values that nobody should.
fn value() -> impl Strategy<Value = u64> {
    let special = [
        0.0,
        -0.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE,
        5e-324,
        f64::MAX,
        0.1,
        1e22,
        1e23,
        9_007_199_254_740_991.0,
        9_007_199_254_740_992.0,
        9_007_199_254_740_994.0,
        -9_007_199_254_740_993.0,
    ];

    prop_oneof![
        proptest::sample::select(special.map(f64::to_bits).to_vec()),
        Just(STALE_NAN_BITS),
        Just(0x7ff8_0000_0000_0001_u64),
        Just(0xfff8_dead_beef_0001_u64),
        (-1_000_000i64..1_000_000).prop_map(|i| (i as f64).to_bits()),
        (-1_000_000i64..1_000_000, 0..8).prop_map(|(i, e)| (i as f64 / 10f64.powi(e)).to_bits()),
        any::<u64>(),
    ]
}

fn samples() -> impl Strategy<Value = Vec<(i64, u64)>> {
    let ts = prop_oneof![
        -1_000_000i64..1_000_000,
        Just(i64::MIN),
        Just(i64::MAX - 1),
        any::<i64>()
    ];

    btree_map(ts, value(), 1..60).prop_map(|samples| samples.into_iter().collect())
}

pub(crate) fn labels() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = proptest::sample::select(vec![
        "__name__", "job", "Job", "le", "x.y", "nul\0", "ünï", "s", "a",
    ]);
    let value =
        proptest::sample::select(vec!["a", "b", "up", "up_total", "\0", "ü", "0.5", "+Inf"]);

    btree_map(name, value, 0..6).prop_map(|pairs| {
        pairs
            .into_iter()
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .collect()
    })
}

pub(crate) fn series() -> impl Strategy<Value = Vec<Series>> {
    vec((labels(), samples()), 1..40).prop_map(|all| {
        let series = all.into_iter().map(|(pairs, samples)| {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str()))
                .collect();

            Series {
                samples,
                ..Series::new(&pairs, [])
            }
        });

        sorted(series.collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_block_gives_back_its_samples(series in series()) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            for options in [small(), WriterOptions::default()] {
                let (store, stats) = in_memory(&series, options).await;
                let block = open(store, &stats).await.unwrap();

                prop_assert_eq!(&collect(&block, &request(vec![])).await.unwrap(), &series);
                prop_assert_eq!(stats.series, series.len() as u64);

                let times = || series.iter().flat_map(|s| s.samples.iter().map(|(ts, _)| *ts));
                prop_assert_eq!((stats.min_ts_ms, stats.max_ts_ms), (times().min().unwrap(), times().max().unwrap()));
            }

            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_block_on_local_disk_gives_back_its_samples() {
    let series = sorted(
        (0..3000)
            .map(|i| Series::new(&[("__name__", "m"), ("i", &i.to_string())], [(i, 0.5)]))
            .collect(),
    );

    let dir = tempfile::tempdir().unwrap();
    let stats = write(&dir.path().join("b"), &series, WriterOptions::default());
    let store = Arc::new(LocalFileSystem::new_with_prefix(dir.path()).unwrap());

    let block = Block::open(
        store,
        "b".into(),
        &stats,
        OpenOptions::default(),
        &Reads::default(),
    )
    .await
    .unwrap();

    assert_eq!(collect(&block, &request(vec![])).await.unwrap(), series);

    block.verify().await.unwrap();
}

#[tokio::test]
async fn more_labels_than_columns_go_into_the_map() {
    let series = (0..100).map(|i| {
        let names: Vec<String> = (0..100)
            .filter(|j| (i + j) % 3 != 0)
            .map(|j| format!("l{j:02}"))
            .collect();

        let pairs: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), "v"))
            .chain([("__name__", "m")])
            .collect();

        let number = i.to_string();
        let pairs: Vec<_> = pairs.into_iter().chain([("i", number.as_str())]).collect();
        Series::new(&pairs, [(1, 1.0)])
    });

    let series = sorted(series.collect());
    let (store, stats) = in_memory(&series, WriterOptions::default()).await;
    let block = open(store, &stats).await.unwrap();

    assert_eq!(collect(&block, &request(vec![])).await.unwrap(), series);
}
