//! The operators of queries, as text. `DURAMEN_BLESS=1` rewrites the snapshots.

use std::path::PathBuf;

use duramen_promql::QueryTimes;

use crate::engine::{context, engine};

/// The name of the snapshot, and the query.
const QUERIES: &[(&str, &str)] = &[
    ("selector", "up{job=~\"a|b\"}"),
    ("offset_and_at", "up offset 5m + up @ 1200 offset -1m"),
    ("rate", "rate(up[5m])"),
    ("rate_of_any_name", "rate({job=\"a\"}[5m])"),
    ("sum_of_rate", "sum by(job) (rate(up[5m]))"),
    (
        "sum_of_rate_of_any_name",
        "sum by(job) (rate({job=\"a\"}[5m]))",
    ),
    (
        "ratio",
        "sum without(instance) (rate(a[1m])) / ignoring(code) group_left sum(rate(b[1m]))",
    ),
    ("step_invariant", "up / scalar(sum(up @ end()))"),
    (
        "histogram_quantile",
        "histogram_quantile(0.9, sum by(le) (rate(b_bucket[5m])))",
    ),
    ("subquery", "max_over_time(rate(up[1m])[10m:30s] offset 1m)"),
    (
        "quantile_over_time",
        "quantile_over_time(scalar(q), up[5m])",
    ),
    ("topk", "topk by(job) (3, up)"),
    ("topk_of_count", "topk(3, count by(job) (up offset 5m))"),
    ("sets", "a and on(job) b or c unless d"),
    ("comparison", "up == bool 1"),
    (
        "relabel",
        "label_replace(absent(up{a=\"b\"}), \"x\", \"$1\", \"a\", \"(.*)\")",
    ),
    ("scalars", "vector(time() + 1) - clamp(up, 0, 1)"),
];

#[tokio::test]
async fn plans_are_those_of_the_snapshots() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let mut changed = Vec::new();

    for (name, query) in QUERIES {
        let expr = duramen_syntax::parse(query).unwrap();
        let times = QueryTimes::range(1_000_000, 2_000_000, 10_000).unwrap();

        let plan = engine(2)
            .explain(&context(Default::default()), &expr, times)
            .await
            .unwrap()
            .unwrap();

        let text = format!("{query}\n\n{plan}");
        let path = folder.join(format!("{name}.txt"));

        if std::env::var_os("DURAMEN_BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }

        if std::fs::read_to_string(&path).unwrap_or_default() != text {
            println!("{name} is now\n{text}");
            changed.push(*name);
        }
    }

    assert!(changed.is_empty(), "changed: {changed:?}");
}
