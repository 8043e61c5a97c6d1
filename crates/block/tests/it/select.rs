//! Selection by matchers, time and columns.

use std::sync::Arc;

use duramen_block::{ExtentCache, OpenOptions, WriterOptions};
use duramen_model::{Matcher, TimeRange};
use duramen_source::{Columns, Reads, SeriesRequest};
use proptest::prelude::*;

use crate::fixture::{Series, collect, in_memory, key, open, request, sorted};
use crate::round_trip::{series, small};

pub(crate) fn matcher() -> impl Strategy<Value = Matcher> {
    let name =
        proptest::sample::select(vec!["__name__", "job", "Job", "le", "nul\0", "absent", "s"]);
    let value = proptest::sample::select(vec!["", "a", "b", "up", "ü", "\0", "zz"]);
    let pattern = proptest::sample::select(vec![
        "", ".*", ".+", "up", "up.*", "a|b", "(a|zz)?", "u.", "[ab]", "x|y",
    ]);

    (name, value, pattern, 0..4).prop_map(|(name, value, pattern, op)| match op {
        0 => Matcher::equal(name, value),
        1 => Matcher::not_equal(name, value),
        2 => Matcher::regex(name, pattern).unwrap(),
        _ => Matcher::not_regex(name, pattern).unwrap(),
    })
}

pub(crate) fn passes(series: &Series, matchers: &[Matcher]) -> bool {
    matchers
        .iter()
        .all(|m| m.matches(series.labels.get(&m.name).unwrap_or("")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn matchers_select_what_a_look_at_each_series_selects(
        series in series(),
        requests in prop::collection::vec(prop::collection::vec(matcher(), 0..3), 8),
    ) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let (store, stats) = in_memory(&series, small()).await;
            let block = open(store, &stats).await.unwrap();

            for matchers in requests {
                let expected: Vec<_> = series.iter().filter(|s| passes(s, &matchers)).cloned().collect();
                let found = collect(&block, &request(matchers.clone())).await.unwrap();

                prop_assert_eq!(found, expected, "{:?}", matchers);
            }

            Ok(())
        })?;
    }
}

/// Series whose names spread over several row groups of the series file.
pub(crate) fn many() -> Vec<Series> {
    let one = |i: i64| {
        let name = format!("metric_{:02}", i % 50);
        let number = i.to_string();
        Series::new(
            &[("__name__", &name), ("i", &number)],
            (0..10).map(|t| (i * 100 + t, 0.25)),
        )
    };

    sorted((0..5000).map(one).collect())
}

#[tokio::test]
async fn row_groups_are_pruned_without_losing_a_series() {
    let series = many();
    let (store, stats) = in_memory(&series, WriterOptions::default()).await;
    let block = open(store, &stats).await.unwrap();
    let name = |pattern| vec![Matcher::regex("__name__", pattern).unwrap()];

    for matchers in [
        vec![Matcher::equal("__name__", "metric_00")],
        vec![
            Matcher::equal("__name__", "metric_49"),
            Matcher::equal("i", "49"),
        ],
        vec![Matcher::equal("__name__", "metric")],
        vec![Matcher::equal("__name__", "")],
        name("metric_(0|4)9"),
        name("metric_1.*"),
        name(".*9"),
        vec![Matcher::not_equal("__name__", "metric_07")],
    ] {
        let expected: Vec<_> = series
            .iter()
            .filter(|s| passes(s, &matchers))
            .cloned()
            .collect();
        assert_eq!(
            collect(&block, &request(matchers.clone())).await.unwrap(),
            expected,
            "{matchers:?}"
        );
    }
}

#[tokio::test]
async fn small_batches_give_the_same_series() {
    let series = many();
    let (store, stats) = in_memory(&series, small()).await;
    let block = open(store, &stats).await.unwrap();

    for batch_series_max in [1, 7, 1000] {
        let request = SeriesRequest {
            batch_series_max,
            ..request(vec![Matcher::regex("i", "[0-4]+").unwrap()])
        };

        let expected: Vec<_> = series
            .iter()
            .filter(|s| passes(s, &request.matchers))
            .cloned()
            .collect();

        assert_eq!(collect(&block, &request).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn series_whose_span_lies_outside_of_the_range_are_left_out() {
    let series = many();
    let (store, stats) = in_memory(&series, WriterOptions::default()).await;
    let block = open(store, &stats).await.unwrap();

    for (start, end, expected) in [
        (0, 1, 1),
        (9, 10, 1),
        (10, 100, 0),
        (0, 101, 2),
        (109, 110, 1),
        (499_909, 499_910, 1),
    ] {
        let request = SeriesRequest {
            range: TimeRange::new(start, end).unwrap(),
            ..request(vec![])
        };
        assert_eq!(
            collect(&block, &request).await.unwrap().len(),
            expected,
            "{start} {end}"
        );
    }
}

#[tokio::test]
async fn labels_alone_come_without_samples() {
    let series = many();
    let (store, stats) = in_memory(&series, WriterOptions::default()).await;
    let block = open(store, &stats).await.unwrap();
    let request = SeriesRequest {
        columns: Columns::Labels,
        ..request(vec![])
    };

    let found = collect(&block, &request).await.unwrap();
    assert!(found.iter().all(|s| s.samples.is_empty()));

    assert!(
        found
            .iter()
            .map(|s| &s.labels)
            .eq(series.iter().map(|s| &s.labels))
    );
}

#[tokio::test]
async fn a_cached_extent_is_not_got_again() {
    let series = many();
    let (memory, stats) = in_memory(&series, WriterOptions::default()).await;
    let store = Arc::new(crate::cost::Counting::new(
        memory,
        crate::cost::GetCounts::default(),
    ));
    let cache = Arc::new(ExtentCache::new(64 << 20));
    let options = OpenOptions {
        cache: Some(Arc::clone(&cache)),
        ..OpenOptions::default()
    };

    let block = duramen_block::Block::open(
        Arc::clone(&store) as _,
        key(),
        &stats,
        options,
        &Reads::default(),
    )
    .await
    .unwrap();

    assert_eq!(collect(&block, &request(vec![])).await.unwrap(), series);

    let first = store.hook().count();
    assert!(cache.bytes() > 0);
    assert_eq!(collect(&block, &request(vec![])).await.unwrap(), series);
    assert_eq!(store.hook().count(), first);
}
