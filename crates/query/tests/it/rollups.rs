//! What queries answer from rollups is what samples answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_manifest::Commit;
use duramen_model::{Deletion, Matcher, STALE_NAN, TimeRange};
use duramen_promql::{QueryTimes, RollupChoice};
use duramen_source::{Columns, RetainedSource, Retention, SeriesRequest, SeriesSource};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::world::{
    Answer, DAY_MS, HOUR_MS, MINUTE_MS, SAMPLES_ALONE, Samples, TENANT, World, ask, assert_near,
    context, engine,
};

/// The days of the data are the first of 1970; today is a few days later.
const DAYS: i64 = 3;

/// Three counters and three gauges of these times, with jitter, gaps, resets and stale markers.
fn generated(from_ms: i64, until_ms: i64, seed: u64) -> Samples {
    let mut random = StdRng::seed_from_u64(seed);
    let mut all = Samples::new();

    for number in 0..6 {
        let is_counter = number % 2 == 0;
        let name = match is_counter {
            true => format!("requests_total/{number}"),
            false => format!("load/{number}"),
        };

        let (ts, values) = all.entry(name).or_default();
        let mut at = from_ms + random.random_range(0..15_000);
        let mut value = 0.0;

        while at < until_ms {
            // Some samples are at midnight, to the millisecond.
            let jitter = match number {
                4 => -(at % 15_000),
                _ => random.random_range(0..20),
            };

            ts.push(at + jitter);
            values.push(match random.random_range(0..400) {
                0 => STALE_NAN,
                1 => {
                    value = 0.0;
                    value
                }
                _ if is_counter => {
                    value += f64::from(random.random_range(0..50));
                    value
                }
                _ => f64::from(random.random_range(0..10_000)) / 100.0,
            });

            let gap = match random.random_range(0..300) {
                0 => 40 * MINUTE_MS,
                1 => 3 * MINUTE_MS,
                _ => 15_000,
            };
            at += gap;
        }
    }

    all
}

/// Whether the plan of a query reads rollups.
async fn reads_rollups(source: &Arc<dyn SeriesSource>, text: &str, times: QueryTimes) -> bool {
    let expr = duramen_syntax::parse(text).unwrap();
    let context = context(source, RollupChoice::default());
    let prepared = engine().prepare(&context, &expr, times).await.unwrap();
    let plan = prepared.explain().unwrap();
    let lines = plan.lines();
    lines
        .iter()
        .any(|(_, node)| node.operator == "RollupEvalExec")
}

/// Ranges that a resolution divides, and ranges as dashboards ask for them.
const RANGES: [&str; 6] = ["5m", "10m", "1h", "1h15s", "30m15s", "3h"];

fn texts() -> Vec<String> {
    let functions = [
        "rate",
        "increase",
        "delta",
        "resets",
        "changes",
        "count_over_time",
        "sum_over_time",
        "avg_over_time",
        "min_over_time",
        "max_over_time",
        "first_over_time",
        "last_over_time",
        "present_over_time",
        "absent_over_time",
        "ts_of_last_over_time",
    ];

    let mut texts = vec![
        "requests_total".to_owned(),
        "load".to_owned(),
        "timestamp(load)".to_owned(),
        "sum(load) by (instance)".to_owned(),
        "count(load)".to_owned(),
        "load offset 1h".to_owned(),
        "sum(rate(requests_total[1h])) / sum(rate(requests_total[1h] offset 1d))".to_owned(),
        "max_over_time(rate(requests_total[1h])[6h:1h])".to_owned(),
        "rate(requests_total[1h]) > on(instance) requests_total * 0".to_owned(),
        "rate(requests_total[1h] @ 172800)".to_owned(),
    ];

    for function in functions {
        for range in RANGES {
            texts.push(format!("{function}(requests_total[{range}])"));
            texts.push(format!("{function}(load[{range}])"));
        }
    }

    texts
}

async fn check_all(world: &World, times: QueryTimes) -> usize {
    check(world, times, texts()).await
}

/// Checks a fifth of the queries.
async fn check_some(world: &World, times: QueryTimes) -> usize {
    let texts = texts().into_iter().step_by(5);
    check(world, times, texts.collect()).await
}

/// Compares the answers over rollups with those over samples. Returns how many queries read rollups.
async fn check(world: &World, times: QueryTimes, texts: Vec<String>) -> usize {
    let source = world.view().await;
    let mut rolled = 0;

    for text in texts {
        let raw = ask(&source, SAMPLES_ALONE, &text, times).await.unwrap();
        let answer = ask(&source, RollupChoice::default(), &text, times).await;
        assert_near(&answer.unwrap(), &raw, &text);
        rolled += usize::from(reads_rollups(&source, &text, times).await);
    }

    rolled
}

/// Days that are over have rollups, today has samples only. Each query over both answers as over
/// samples alone, at steps that rollups divide and at others.
#[tokio::test]
async fn rollups_answer_as_samples_do() {
    let mut world = World::new(DAYS * DAY_MS + 6 * HOUR_MS);
    for day in 0..=DAYS {
        for part in 0..3 {
            let from_ms = day * DAY_MS + part * 8 * HOUR_MS;
            let seed = (day * 3 + part).cast_unsigned();
            world
                .flush(&generated(from_ms, from_ms + 8 * HOUR_MS, seed))
                .await;
        }
    }

    let summary = world.compact().await;
    assert_eq!(summary.lost, 0);
    // A day of six series is cut into two blocks, and so are its rollups.
    let rollups = world.rollups().await;
    assert_eq!(rollups, BTreeMap::from([(300_000, 6), (3_600_000, 6)]));

    let until_ms = DAYS * DAY_MS + 5 * HOUR_MS;
    let hours = QueryTimes::range(DAY_MS, until_ms, HOUR_MS).unwrap();
    let minutes = QueryTimes::range(DAY_MS + HOUR_MS, 2 * DAY_MS, 20 * MINUTE_MS).unwrap();
    let odd = QueryTimes::range(DAY_MS + 1_234, until_ms, 37 * MINUTE_MS).unwrap();

    assert!(check_all(&world, hours).await > 150);
    assert!(check_all(&world, minutes).await > 150);
    // Only the one with `@`, and a subquery, whose steps are multiples of an hour.
    assert_eq!(check_all(&world, odd).await, 2);
}

/// Late samples make the rollup of their day unfit until it is made again.
#[tokio::test]
async fn late_samples_are_in_every_answer() {
    let mut world = World::new(DAYS * DAY_MS + 6 * HOUR_MS);
    world.flush(&generated(0, 2 * DAY_MS, 1)).await;
    world.flush(&generated(2 * DAY_MS, 3 * DAY_MS, 2)).await;
    world.compact().await;

    let times = QueryTimes::range(HOUR_MS, 3 * DAY_MS, HOUR_MS).unwrap();
    assert!(check_some(&world, times).await > 30);

    let late = Samples::from([(
        "requests_total/9".to_owned(),
        (vec![DAY_MS + 5, DAY_MS + 90_000], vec![1.0, 4.0]),
    )]);
    world.flush(&late).await;

    // Before and after it is merged.
    assert!(check_some(&world, times).await > 20);
    world.clock.advance(std::time::Duration::from_hours(25));
    world.compact().await;
    assert!(check_some(&world, times).await > 30);

    let source = world.view().await;
    let text = "increase(requests_total{instance='9'}[1h])";
    assert!(reads_rollups(&source, text, times).await);
    let found = ask(&source, RollupChoice::default(), text, times)
        .await
        .unwrap();
    assert_eq!(found.0.len(), 1);
}

/// What was deleted is in no answer, before and after the rollups are made again.
#[tokio::test]
async fn deleted_samples_are_in_no_answer() {
    let mut world = World::new(DAYS * DAY_MS + 6 * HOUR_MS);
    world.flush(&generated(0, DAY_MS, 1)).await;
    world.flush(&generated(DAY_MS, 2 * DAY_MS, 2)).await;
    world.compact().await;

    let range = TimeRange::new(5 * HOUR_MS + 7, 9 * HOUR_MS + 11).unwrap();
    world
        .delete(Deletion {
            selectors: vec![vec![Matcher::equal("instance", "2")]],
            range,
            value: None,
        })
        .await;
    world.state().await;

    let times = QueryTimes::range(HOUR_MS, 2 * DAY_MS, HOUR_MS).unwrap();
    let source = world.view().await;
    let text = "count_over_time(requests_total{instance='2'}[1h])";
    let at = |answer: &Answer, hour: i64| {
        let mut found = answer.0.iter().filter(|((_, ts), _)| *ts == hour * HOUR_MS);
        found.next().map(|(_, value)| *value)
    };

    let before = ask(&source, RollupChoice::default(), text, times)
        .await
        .unwrap();
    assert_eq!(at(&before, 8), None, "deleted");
    assert!(at(&before, 4).is_some());
    check_some(&world, times).await;

    world.clock.advance(std::time::Duration::from_hours(25));
    world.compact().await;
    assert!(check_some(&world, times).await > 30);

    let source = world.view().await;
    assert!(reads_rollups(&source, text, times).await);
    let after = ask(&source, RollupChoice::default(), text, times)
        .await
        .unwrap();
    assert_near(&after, &before, text);
}

/// Samples go behind their rollups only. What these cannot answer is an error then, never a gap.
#[tokio::test]
async fn samples_go_behind_their_rollups() {
    let mut world = World::new(DAYS * DAY_MS + 6 * HOUR_MS);
    world.flush(&generated(0, DAY_MS, 1)).await;
    world.flush(&generated(DAY_MS, 2 * DAY_MS, 2)).await;
    world
        .flush(&generated(3 * DAY_MS, 3 * DAY_MS + HOUR_MS, 3))
        .await;
    world.state().await;

    let retention = Retention::new(Vec::new(), 2 * DAY_MS)
        .with_rollups(vec![(300_000, i64::MIN), (3_600_000, i64::MIN)]);

    // There are no rollups yet.
    assert_eq!(world.compactor.expire(TENANT, &retention).await.unwrap(), 0);

    world.compact().await;
    let times = QueryTimes::range(HOUR_MS, 2 * DAY_MS, HOUR_MS).unwrap();
    let source = world.view().await;
    let mut before = BTreeMap::new();

    for text in texts() {
        if reads_rollups(&source, &text, times).await {
            let answer = ask(&source, SAMPLES_ALONE, &text, times).await.unwrap();
            before.insert(text, answer);
        }
    }
    assert!(before.len() > 150);

    let whole = |text: &str| !text.contains("15s");

    // As soon as they are beyond retention, the samples are gone for queries.
    let retained: Arc<dyn SeriesSource> = Arc::new(RetainedSource::new(
        world.view().await,
        Arc::new(retention.clone()),
    ));
    for (text, expected) in before.iter().filter(|(text, _)| whole(text)) {
        let answer = ask(&retained, RollupChoice::default(), text, times).await;
        assert_near(&answer.unwrap(), expected, text);
    }

    let expired = world.compactor.expire(TENANT, &retention).await.unwrap();
    assert_eq!(expired, 2, "two days");

    let source = world.view().await;
    for (text, expected) in before.iter().filter(|(text, _)| whole(text)) {
        let answer = ask(&source, RollupChoice::default(), text, times).await;
        assert_near(&answer.unwrap(), expected, text);
    }

    // The names are still there.
    let request = SeriesRequest {
        matchers: Arc::from([]),
        range: TimeRange::new(0, DAY_MS).unwrap(),
        columns: Columns::Labels,
        batch_series_max: 100,
        reads: Arc::default(),
    };
    for source in [&source, &retained] {
        let instances = source.label_values(&request, "instance").await.unwrap();
        assert_eq!(instances.len(), 6);
        assert_eq!(source.label_names(&request).await.unwrap().len(), 2);
        assert_eq!(source.summaries(&request).await.unwrap().len(), 6);
    }

    // Who wants samples is told that they are gone.
    let samples = SeriesRequest {
        columns: Columns::Samples,
        ..request.clone()
    };
    let error = source.select(&samples).await.err().unwrap();
    let why = error.source.to_string();
    assert!(why.contains("samples of this time are gone"), "{why}");

    let refused = async |text: &str, choice| {
        let error = ask(&source, choice, text, times).await.unwrap_err();
        error.to_string()
    };
    let default = RollupChoice::default();
    let error = refused("quantile_over_time(0.9, load[1h])", default).await;
    assert!(error.contains("`quantile_over_time`"), "{error}");
    let error = refused("rate(requests_total[1h])", SAMPLES_ALONE).await;
    assert!(error.contains("max_source_resolution"), "{error}");

    // Times that no bucket ends at: whole buckets, and the answer says so.
    let odd = QueryTimes::range(HOUR_MS + 7, 2 * DAY_MS, HOUR_MS).unwrap();
    let text = "rate(requests_total[1h])";
    let (values, infos) = ask(&source, default, text, odd).await.unwrap();
    assert!(values.len() > 100);
    assert!(
        infos.iter().any(|info| info.contains("rollups of 5m")),
        "{infos:?}"
    );

    // An edit that would remove samples without rollups is illegal.
    let late = generated(DAY_MS, DAY_MS + HOUR_MS, 77);
    world.flush(&late).await;
    let state = world.state().await;
    let raw = state
        .blocks
        .values()
        .find(|entry| entry.resolution_ms.is_none() && entry.stats.max_ts_ms < 2 * DAY_MS);
    let commit = Commit::expire(vec![raw.unwrap().id], vec![300_000]);
    let error = world.manifests.commit(TENANT, commit).await.unwrap_err();
    assert!(
        error.to_string().contains("no rollup stands for"),
        "{error}"
    );
}

/// Rollups of days become rollups of ten and of thirty days, with the same answers.
#[tokio::test]
async fn rollups_of_days_become_longer_ones() {
    let days = 31;
    let mut world = World::new((days + 1) * DAY_MS);

    for day in 0..days {
        let mut samples = generated(day * DAY_MS, (day + 1) * DAY_MS, day.cast_unsigned());
        samples.retain(|name, _| name.ends_with('4') || name.ends_with('1'));
        world.flush(&samples).await;
    }

    let times = QueryTimes::range(HOUR_MS, days * DAY_MS, 6 * HOUR_MS).unwrap();
    world.compact().await;
    let rollups = world.rollups().await;
    assert_eq!(rollups, BTreeMap::from([(300_000, 4), (3_600_000, 2)]));
    assert!(check_some(&world, times).await > 30);

    // A late sample in the middle of a long rollup.
    let late = Samples::from([(
        "requests_total/9".to_owned(),
        (vec![15 * DAY_MS + 5, 15 * DAY_MS + 90_000], vec![1.0, 4.0]),
    )]);
    world.flush(&late).await;
    assert!(check_some(&world, times).await > 30);

    world.clock.advance(std::time::Duration::from_hours(25));
    world.compact().await;
    assert!(check_some(&world, times).await > 30);
    // Day 31 is over now as well, and has no samples.
    assert_eq!(
        world.rollups().await,
        BTreeMap::from([(300_000, 4), (3_600_000, 2)])
    );
}

/// A period of 30 days that goes on has few rollups of an hour, and those of 5 minutes stay apart.
#[tokio::test]
async fn rollups_of_hours_are_merged_while_their_period_lasts() {
    let days = 5;
    let mut world = World::new(days * DAY_MS + HOUR_MS);

    for day in 0..days {
        let mut samples = generated(day * DAY_MS, (day + 1) * DAY_MS, day.cast_unsigned());
        samples.retain(|name, _| name.ends_with('4'));
        world.flush(&samples).await;
    }

    world.compact().await;
    assert_eq!(
        world.rollups().await,
        BTreeMap::from([(300_000, 5), (3_600_000, 1)])
    );

    let times = QueryTimes::range(HOUR_MS, days * DAY_MS, HOUR_MS).unwrap();
    assert!(check_some(&world, times).await > 30);
}

/// Rollups that are not kept any more answer nothing: longer ones take their place.
#[tokio::test]
async fn the_rollups_that_are_kept_answer() {
    let mut world = World::new(DAYS * DAY_MS + 6 * HOUR_MS);
    world.flush(&generated(0, DAY_MS, 1)).await;
    world.compact().await;

    let retention = Retention::new(Vec::new(), 2 * DAY_MS)
        .with_rollups(vec![(300_000, 2 * DAY_MS), (3_600_000, i64::MIN)]);
    let retained: Arc<dyn SeriesSource> =
        Arc::new(RetainedSource::new(world.view().await, Arc::new(retention)));

    // Buckets of 5 minutes end at these times, and those of an hour do not.
    let times = QueryTimes::range(HOUR_MS, DAY_MS, 5 * MINUTE_MS).unwrap();
    let text = "rate(requests_total[1h])";
    let answer = ask(&retained, RollupChoice::default(), text, times).await;
    let (values, infos) = answer.unwrap();

    assert!(values.len() > 100, "{}", values.len());
    assert!(
        infos.iter().any(|info| info.contains("rollups of 1h")),
        "{infos:?}"
    );
}
