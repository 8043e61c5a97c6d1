//! Deep trees, on the stack of a worker thread.

use std::sync::Arc;

use duramen_promql::{Engine, EngineConfig, QueryTimes};
use duramen_runtime::SystemClock;
use duramen_syntax::DURATION_HEIGHT_MAX;

use crate::engine::{context, source};

/// Deep enough to overflow a stack that does not grow, in any build. A build without optimization
/// still evaluates it quickly.
const NESTING_DEPTH: usize = 128;
const TREE_HEIGHT: usize = 1000;

/// Half of the stack of a Tokio worker. The other half is for the callers.
const STACK_BYTES: usize = 1 << 20;

/// Parses, plans, evaluates and prints on a separate thread.
fn check(query: String) {
    let name: String = query.chars().take(12).collect();
    let work = move || {
        let expr = duramen_syntax::parse(&query).unwrap();
        assert!(duramen_syntax::parse(&expr.to_string()).is_ok());

        let engine = Engine::new(
            EngineConfig {
                partitions: 3,
                ..EngineConfig::default()
            },
            Arc::new(SystemClock::default()),
        );

        let context = context(source(&[("a", &[Some(1.0), Some(2.0)])]));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();

        runtime.block_on(async {
            let times = QueryTimes::range(0, 10_000, 10_000).unwrap();
            assert!(
                !engine
                    .explain(&context, &expr, times)
                    .await
                    .unwrap()
                    .unwrap()
                    .to_string()
                    .is_empty()
            );

            engine.instant(&context, &expr, 10_000).await.unwrap();
            engine
                .range(
                    &context,
                    &expr,
                    QueryTimes::range(0, 10_000, 10_000).unwrap(),
                )
                .await
                .unwrap();
        });
    };

    std::thread::Builder::new()
        .name(name)
        .stack_size(STACK_BYTES)
        .spawn(work)
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn the_highest_trees_fit_the_stack_of_a_worker() {
    let nested = |open: &str, inner: &str, close: &str, depth: usize| {
        format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
    };
    let deep = NESTING_DEPTH;
    check(nested("(", "a", ")", deep));

    for call in [
        "abs(",
        "sum(",
        "sum by (x) (",
        "round(",
        "sort(",
        "absent(",
        "-(",
        "1 + (",
        "2 * abs(",
        "a + (",
    ] {
        check(nested(
            call,
            "a",
            ")",
            deep - usize::from(call.contains("by")),
        ));
    }

    check(nested("topk(1, ", "a", ")", deep));
    check(nested("histogram_quantile(0.5, ", "a", ")", deep));

    check(nested(
        "label_replace(",
        "a",
        ", \"x\", \"$1\", \"y\", \"(.*)\")",
        deep,
    ));

    check(nested("vector(scalar(", "a", "))", deep / 2));
    check(nested("max_of(1, ", "1", ")", deep));
    check(nested("1 - (1 + ", "time()", ")", deep - 1));
    check(nested("avg_over_time((", "a", ")[10s:10s])", deep / 2));
    check(nested("sum(rate((", "a", ")[20s:10s]))", deep / 3 - 1));

    for link in [
        " + a",
        " or a",
        " + 1",
        " > 0",
        " ^ a",
        " and on() a",
        " </ 1",
        " * on() group_left a",
    ] {
        check(format!("a{}", link.repeat(TREE_HEIGHT - 1)));
    }

    check(format!("{}a", "a ^ ".repeat(TREE_HEIGHT - 1)));
    check(format!("{}a", "- 1 ^ ".repeat((TREE_HEIGHT - 1) / 2)));
    check(format!("{}a", "-".repeat(TREE_HEIGHT - 1)));
    check(format!("1{}", " - 1".repeat(TREE_HEIGHT - 1)));
    check(
        format!("a[1m{}]", " + 1".repeat(DURATION_HEIGHT_MAX - 2)).replace("a[", "rate(a[") + ")",
    );

    check(format!(
        "rate(a[{}10{}])",
        "(".repeat(deep - 2),
        ")".repeat(deep - 2)
    ));
}
