//! What the features of the engine change, beyond Prometheus' scripts.

use std::sync::Arc;

use duramen_promql::{Answer, Engine, EngineConfig, Error, Features};

use crate::engine::{bits, context, source};
use duramen_runtime::SystemClock;

const DELAYED: Features = Features {
    delayed_name_removal: true,
    start_timestamps: false,
    type_and_unit_labels: false,
};
const TYPED: Features = Features {
    delayed_name_removal: false,
    type_and_unit_labels: true,
    ..DELAYED
};
const BOTH: Features = Features {
    type_and_unit_labels: true,
    ..DELAYED
};

/// Answers at 60 s, with one partition and with three.
async fn answers(features: Features, query: &str) -> [Result<Answer, Error>; 2] {
    let rising: Vec<_> = (0..7).map(|value| Some(f64::from(value))).collect();
    let source = source(&[
        ("a_total{__type__=\"counter\",x=\"1\"}", &rising),
        ("b_total{__type__=\"counter\",x=\"1\"}", &rising),
        ("c{__type__=\"gauge\",x=\"1\"}", &rising[..1]),
        ("c{__type__=\"gauge\",x=\"2\"}", &rising),
        ("c{__type__=\"counter\",x=\"2\"}", &rising),
    ]);

    let expr = duramen_syntax::parse(query).unwrap();
    let answer = async |partitions| {
        let config = EngineConfig {
            partitions,
            features,
            ..EngineConfig::default()
        };

        let engine = Engine::new(config, Arc::new(SystemClock::default()));
        engine
            .instant(&context(source.clone()), &expr, 60_000)
            .await
    };

    [answer(1).await, answer(3).await]
}

async fn check(features: Features, query: &str, wanted: &str) {
    for answer in answers(features, query).await {
        let line = |line: &str| {
            line.rsplit_once('/')
                .map_or(line, |(text, _)| text)
                .to_owned()
        };

        let text = bits(answer)
            .lines()
            .map(line)
            .collect::<Vec<_>>()
            .join("; ");

        assert_eq!(text, wanted, "{query}");
    }
}

const SAME: &str = "vector cannot contain metrics with the same labelset";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_goes_at_the_end_is_there_before() {
    // A query can still use the name of a result, but the answer does not have it.
    check(
        DELAYED,
        "sum by(__name__) (-{x=\"1\",__name__=~\"._total\"} < 0)",
        SAME,
    )
    .await;
    check(
        DELAYED,
        "-a_total > -9",
        "{__type__=\"counter\", x=\"1\"} -6.0",
    )
    .await;
    check(
        DELAYED,
        "sort_desc(-a_total) and on(__name__) a_total",
        "{__type__=\"counter\", x=\"1\"} -6.0",
    )
    .await;
    check(
        DELAYED,
        "topk(1, abs(a_total))",
        "{__type__=\"counter\", x=\"1\"} 6.0",
    )
    .await;
    check(DELAYED, "a_total >= bool on(x) b_total", "{x=\"1\"} 1.0").await;
    check(DELAYED, "count_values(\"v\", -a_total)", "{v=\"-6\"} 1.0").await;

    check(
        DELAYED,
        "limit_ratio(1, -a_total)",
        "{__type__=\"counter\", x=\"1\"} -6.0",
    )
    .await;
    check(
        DELAYED,
        "last_over_time(rate(a_total[20s])[20s:10s])",
        "{__type__=\"counter\", x=\"1\"} 0.1",
    )
    .await;
    check(DELAYED, "quantile by(__name__) (1, -a_total)", "{} -6.0").await;

    check(
        DELAYED,
        "sum without(x) (-a_total)",
        "{__type__=\"counter\"} -6.0",
    )
    .await;

    // A name that is written is new, so it is not dropped.
    let renamed = "label_replace(-a_total, \"__name__\", \"minus_$1\", \"__name__\", \"(.*)\")";
    check(
        DELAYED,
        renamed,
        "minus_a_total{__type__=\"counter\", x=\"1\"} -6.0",
    )
    .await;
    check(
        DELAYED,
        &format!("-({renamed})"),
        "{__type__=\"counter\", x=\"1\"} 6.0",
    )
    .await;
    check(
        DELAYED,
        "label_replace(-a_total, \"y\", \"$1\", \"x\", \"(.*)\")",
        "{__type__=\"counter\", x=\"1\", y=\"1\"} -6.0",
    )
    .await;

    // Series that become equal are reported only at the end.
    check(DELAYED, "-{__name__=~\"._total\"}", SAME).await;
    check(DELAYED, "count(-{__name__=~\"._total\"})", "{} 2.0").await;
    check(Features::default(), "count(-{__name__=~\"._total\"})", SAME).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_samples_of_a_subquery_lose_their_names_too() {
    let minus = |points: &str| format!("{{__type__=\"counter\", x=\"1\"}} {points} []");

    for answer in answers(DELAYED, "(-a_total)[20s:10s]").await {
        let text = bits(answer);
        assert!(
            text.starts_with("{__type__=\"counter\", x=\"1\"} 50000:-5.0"),
            "{text}: {}",
            minus("")
        );
    }

    for answer in answers(DELAYED, "(-{__name__=~\"._total\"})[20s:10s]").await {
        assert_eq!(answer.unwrap_err().to_string(), SAME);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_and_units_go_with_the_name() {
    check(TYPED, "-a_total", "{x=\"1\"} -6.0").await;
    check(BOTH, "-a_total", "{x=\"1\"} -6.0").await;
    check(BOTH, "sum by(__type__) (-a_total)", "{} -6.0").await;

    // Series with the same name may differ only in their types.
    check(TYPED, "-c{x=\"2\"}", SAME).await;
    check(BOTH, "-c{x=\"2\"}", SAME).await;
    check(Features::default(), "count(-c{x=\"2\"})", "{} 2.0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_a_counter_is_said_by_its_type_where_there_are_types() {
    for (features, query, wanted) in [
        (TYPED, "rate(a_total[1m])", None),
        (
            TYPED,
            "rate(c{__type__=\"gauge\"}[1m])",
            Some("__type__ label is not set to \"counter\" or \"histogram\", got \"gauge\": \"c\""),
        ),
        (
            Features::default(),
            "rate(c{__type__=\"gauge\"}[1m])",
            Some("name does not end in _total/_sum/_count/_bucket: \"c\""),
        ),
    ] {
        for answer in answers(features, query).await {
            let infos = answer.map(|answer| answer.infos).unwrap_or_default();
            assert_eq!(
                infos
                    .first()
                    .is_some_and(|info| info.contains(wanted.unwrap_or(""))),
                wanted.is_some(),
                "{infos:?}"
            );
        }
    }
}
