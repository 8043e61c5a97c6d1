//! Queries and data that are made to cost too much. Each query ends with the name of the limit that
//! it exceeds, long before memory or time runs out.

use std::sync::Arc;

use async_trait::async_trait;
use duramen_model::{ErrorKind, FamilyMetadata, Labels, Sample};
use duramen_promql::{
    Engine, EngineConfig, QueryContext, QueryLimits, QueryTimes, RollupChoice, Value,
};
use duramen_runtime::SystemClock;
use duramen_source::{
    Error, MemorySource, SeriesBatchBuilder, SeriesExemplars, SeriesRequest, SeriesSource,
    SeriesStream,
};
use futures::{StreamExt, stream};

use crate::engine::{context, engine};

/// An infinite number of series, each with a sample at 0.
#[derive(Debug)]
struct Endless;

#[async_trait]
impl SeriesSource for Endless {
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, Error> {
        let series = request.batch_series_max;
        let batch = move |first: usize| {
            let mut builder = SeriesBatchBuilder::default();
            for at in first..first + series {
                builder.push(
                    &Labels::from_pairs([("x", format!("{at:012}").as_str())]).unwrap(),
                    &[0],
                    &[1.0],
                );
            }

            Ok(builder.finish())
        };

        Ok(stream::iter((0..).step_by(series)).map(batch).boxed())
    }

    async fn exemplars(&self, _: &SeriesRequest) -> Result<Vec<SeriesExemplars>, Error> {
        Ok(Vec::new())
    }

    async fn metadata(&self) -> Result<Vec<FamilyMetadata>, Error> {
        Ok(Vec::new())
    }

    async fn ttl_max_ms(&self) -> Result<i64, Error> {
        Ok(0)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_series_than_fit_the_memory_end_the_query() {
    let config = EngineConfig {
        memory_bytes_max: 4 << 20,
        ..EngineConfig::default()
    };

    let engine = Engine::new(config, Arc::new(SystemClock::default()));
    let limits = QueryLimits::default();

    let context = QueryContext {
        source: Arc::new(Endless),
        lookback_ms: None,
        first_reads: true,
        limits,
        rollups: RollupChoice::default(),
    };

    for query in [
        "{x=~\".+\"}",
        "sort({x=~\".+\"})",
        "sum by(x) ({x=~\".+\"})",
        "topk(1, {x=~\".+\"})",
        "quantile(0.5, {x=~\".+\"})",
        "count_values(\"v\", {x=~\".+\"})",
        "{x=~\".+\"} or {x=~\".+\"}",
        "{x=~\".+\"} * on(x) {x=~\".+\"}",
        "label_replace({x=~\".+\"}, \"y\", \"$1\", \"x\", \"(.*)\")",
        "histogram_quantile(0.5, {x=~\".+\"})",
        "absent({x=~\".+\"})",
        "scalar({x=~\".+\"})",
        "max_over_time({x=~\".+\"}[1m:1s])",
        "{x=~\".+\"}[1m]",
    ] {
        let expr = duramen_syntax::parse(query).unwrap();
        let error = engine.instant(&context, &expr, 0).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooMuch, "{query}: {error:?}");
        assert!(
            error.to_string().contains("memory_bytes_max=`4194304`"),
            "{query}: {error}"
        );
    }

    // An operator that keeps nothing is limited by the number of series.
    let limits = QueryLimits {
        series_max: Some(5000),
        ..QueryLimits::default()
    };

    let expr = duramen_syntax::parse("count({x=~\".+\"})").unwrap();
    let error = engine
        .instant(&QueryContext { limits, ..context }, &expr, 0)
        .await
        .unwrap_err();

    assert!(error.to_string().contains("series_max=`5000`"), "{error}");
}

/// `many` and `one`: 10,000 series each, with no labels in common except `job`.
fn crossed() -> MemorySource {
    let mut source = MemorySource::default();
    for (name, at) in ["many", "one"]
        .into_iter()
        .flat_map(|name| (0..10_000).map(move |at| (name, at)))
    {
        let instance = format!("{at:05}");
        let pairs = [
            ("__name__", name),
            ("instance", instance.as_str()),
            ("job", "a"),
        ];

        source.push(Labels::from_pairs(pairs).unwrap(), [Sample::new(0, 1.0)]);
    }

    source
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cross_join_is_refused_and_a_set_of_it_is_not_one() {
    let context = context(crossed());

    for query in [
        "many * on(job) one",
        "many * on(job) group_left() one",
        "many + on() group_right() one",
    ] {
        let expr = duramen_syntax::parse(query).unwrap();
        let error = engine(2)
            .range(&context, &expr, QueryTimes::range(0, 10_000, 1000).unwrap())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Execution, "{query}: {error}");
        assert!(
            error
                .to_string()
                .contains("many-to-many matching not allowed"),
            "{query}: {error}"
        );
    }

    for (query, count) in [
        ("many and on(job) one", 10_000),
        ("many unless on() one", 0),
        ("many or on(job) one", 10_000),
    ] {
        let expr = duramen_syntax::parse(query).unwrap();
        let answer = engine(2)
            .range(&context, &expr, QueryTimes::range(0, 10_000, 1000).unwrap())
            .await
            .unwrap();
        assert!(
            matches!(answer.value, Value::Matrix(series) if series.len() == count),
            "{query}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sides_that_take_turns_are_joined_step_by_step() {
    // At each second, the "one" side has a different series: 2,000 series, and as many steps.
    let mut source = MemorySource::default();

    for at in 0..2000_i64 {
        let instance = at.to_string();
        let pairs = [("__name__", "one"), ("instance", instance.as_str())];
        let end = Sample::new(at * 1000 + 500, duramen_model::STALE_NAN);

        source.push(
            Labels::from_pairs(pairs).unwrap(),
            [Sample::new(at * 1000, at as f64), end],
        );
    }

    for at in 0..50 {
        let instance = at.to_string();
        let pairs = [("__name__", "many"), ("instance", instance.as_str())];
        let samples = (0..200).map(|minute| Sample::new(minute * 10_000, 1.0));

        source.push(Labels::from_pairs(pairs).unwrap(), samples);
    }

    let expr = duramen_syntax::parse("sum(many * on() group_left() one)").unwrap();
    let answer = engine(2)
        .range(
            &context(source),
            &expr,
            QueryTimes::range(0, 1_999_000, 1000).unwrap(),
        )
        .await
        .unwrap();

    let Value::Matrix(series) = answer.value else {
        panic!("no matrix")
    };
    assert!(
        series[0]
            .points
            .iter()
            .enumerate()
            .all(|(at, point)| point.1 == 50.0 * at as f64)
    );

    assert_eq!(series[0].points.len(), 2000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_that_are_written_longer_and_longer_end_the_query_before_they_are_there() {
    let mut source = MemorySource::default();
    let value = "x".repeat(2000);
    source.push(
        Labels::from_pairs([("__name__", "m"), ("v", value.as_str())]).unwrap(),
        [Sample::new(0, 1.0)],
    );

    let context = context(source);
    let config = EngineConfig {
        memory_bytes_max: 64 << 20,
        ..EngineConfig::default()
    };

    let engine = Engine::new(config, Arc::new(SystemClock::default()));
    let nested = |open: &str, times: usize, close: &str| {
        format!("{}m{}", open.repeat(times), close.repeat(times))
    };

    let replace = |times| {
        nested(
            "label_replace(",
            times,
            &format!(", \"v\", \"{}\", \"v\", \"(.*)\")", "$1".repeat(60)),
        )
    };

    let join = |times| nested("label_join(", times, ", \"v\", \"-\", \"v\", \"v\")");

    // 120 kB by 60, and 2 kB by 2 and by 2.
    for (query, length) in [(replace(1), 120_000), (join(4), 32_015)] {
        let expr = duramen_syntax::parse(&query).unwrap();
        let Value::Vector(series) = engine.instant(&context, &expr, 0).await.unwrap().value else {
            panic!("no vector")
        };

        assert_eq!(
            series[0].labels.get("v").map(str::len),
            Some(length),
            "{query}"
        );
    }

    for query in [replace(3), join(20), format!("sum by(v) ({})", replace(4))] {
        let expr = duramen_syntax::parse(&query).unwrap();
        let error = engine.instant(&context, &expr, 0).await.unwrap_err();

        assert!(
            error.to_string().contains("memory_bytes_max=`67108864`"),
            "{query}: {error}"
        );

        assert_eq!(error.kind(), ErrorKind::TooMuch, "{query}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_years_of_seconds_and_bombs_of_repetitions_are_refused_before_they_are_read() {
    let limits = QueryLimits::default();
    let source = Arc::new(Endless);

    let context = QueryContext {
        source,
        lookback_ms: None,
        first_reads: true,
        limits,
        rollups: RollupChoice::default(),
    };

    for (query, text) in [
        ("max_over_time(vector(1)[10y:1s])", "samples_max=`"),
        (
            "label_replace(vector(1), \"a\", \"$1\", \"b\", \"((a{1000}){1000}){1000}\")",
            "invalid regular expression",
        ),
        (
            "label_replace(vector(1), \"a\", \"$1\", \"b\", \"(a{1000}){1000}\")",
            "invalid regular expression",
        ),
    ] {
        let expr = duramen_syntax::parse(query).unwrap();
        let error = engine(2).instant(&context, &expr, 0).await.unwrap_err();
        assert!(error.to_string().contains(text), "{query}: {error}");
    }

    let expr = duramen_syntax::parse("{x=~\".+\"}").unwrap();
    let error = engine(2)
        .range(
            &context,
            &expr,
            QueryTimes::range(0, 315_360_000_000, 1000).unwrap(),
        )
        .await
        .unwrap_err();

    assert!(error.to_string().contains("samples_max=`"), "{error}");
}
