//! Laws that hold for every answer: tested over random worlds with floats and histograms.

use duramen_promqltest::random::{Dialect, World, Writer, environment, seeded};
use duramen_promqltest::reference::Times;
use duramen_syntax::Expr;

use super::answers::{Order, difference};
use super::asked::Asked;
use super::random_times;

/// The number of expressions for each law.
const EXPRESSIONS: usize = 60;

/// Returns a world, and expressions for it that `fits` accepts, each with its times.
async fn expressions(seed: u64, fits: impl Fn(&str) -> bool) -> (Asked, Vec<(Expr, Times)>) {
    let mut random = seeded(environment("DURAMEN_SEED", seed));
    let asked = Asked::new(&World::new(&mut random))
        .await
        .expect("a world that can be stored");
    let mut found = Vec::new();

    while found.len() < EXPRESSIONS {
        let text = Writer {
            random: &mut random,
            dialect: Dialect::Whole,
            origin: 0,
        }
        .expression();

        let times = random_times(&mut random);
        if fits(&text) {
            found.push((duramen_syntax::parse(&text).expect("an expression"), times));
        }
    }

    (asked, found)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_is_its_instants() {
    // These are left out: functions of the query's times have another value at each instant, and
    // `topk` may choose any of several equal series.
    let asks = ["start()", "end()", "step()", "range()", "topk", "bottomk"];
    let (asked, expressions) =
        expressions(3, |text| !asks.iter().any(|asks| text.contains(asks))).await;
    let mut compared = 0;

    for (expr, times) in expressions {
        // A range query fails as a whole if any of its steps does.
        let Some(range) = asked.range(&expr, times).await else {
            continue;
        };

        for (time_ms, at_step) in range {
            let instant = asked.instant(&expr, time_ms).await;
            let differs = difference(&at_step, &instant, Order::Any);

            assert!(
                differs.is_none(),
                "{expr} at {time_ms}: {}",
                differs.unwrap_or_default()
            );

            compared += usize::from(!instant.is_empty());
        }
    }

    assert!(compared > 100, "{compared}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_blocks_and_both_answer_alike() {
    let (asked, expressions) = expressions(4, |_| true).await;
    for (expr, times) in expressions {
        let differs = asked.stored(&expr, times).await;
        assert!(differs.is_none(), "{expr}: {}", differs.unwrap_or_default());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_partition_answers_as_many() {
    let (asked, expressions) = expressions(5, |_| true).await;
    for (expr, times) in expressions {
        let [one, many] = asked.partitioned(&expr, times).await;
        assert_eq!(one, many, "{expr} {times:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_groups_add_up_to_is_what_all_add_up_to() {
    let asked = Asked::new(&World::new(&mut seeded(environment("DURAMEN_SEED", 7))))
        .await
        .unwrap();
    let floats = [
        "requests_total",
        "rate(requests_total[2m])",
        "max_over_time(requests_total[90s])",
        "temperature",
    ];

    let histograms = ["duration", "size", "rate(duration[5m])", "spread"];
    let laws = [
        ("sum", "sum"),
        ("count", "sum"),
        ("max", "max"),
        ("min", "min"),
        ("group", "group"),
    ];

    let mut compared = 0;

    for by in [
        "by(job)",
        "by(instance)",
        "without(job)",
        "by(job, instance)",
        "by()",
    ] {
        let mut pairs = Vec::new();
        for (of, (op, outer)) in floats.iter().flat_map(|of| laws.map(|law| (of, law))) {
            pairs.push((format!("{op}({of})"), format!("{outer}({op} {by} ({of}))")));
        }
        for of in histograms {
            pairs.push((format!("count({of})"), format!("sum(count {by} ({of}))")));

            // If zero buckets cut other buckets, the buckets of a sum depend on the order. So
            // compare only the count and the sum.
            for part in ["histogram_count", "histogram_sum"] {
                pairs.push((
                    format!("{part}(sum({of}))"),
                    format!("{part}(sum(sum {by} ({of})))"),
                ));
            }
        }
        for (all, groups) in pairs {
            let [all, groups] = [all, groups].map(|text| duramen_syntax::parse(&text).unwrap());

            for time_ms in [120_000, 500_000, 1_000_000] {
                let [a, b] = [
                    asked.instant(&all, time_ms).await,
                    asked.instant(&groups, time_ms).await,
                ];

                let differs = difference(&a, &b, Order::Any);
                assert!(
                    differs.is_none(),
                    "{all} and {groups} at {time_ms}: {}",
                    differs.unwrap_or_default()
                );

                compared += a.len();
            }
        }
    }

    assert!(compared > 300, "{compared}");
}
