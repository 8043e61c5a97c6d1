//! Own cases. Each is answered with one partition and with four, and the answers are the same to
//! the bit.

use std::sync::Arc;

use duramen_model::histogram::CUSTOM_BUCKETS_SCHEMA;
use duramen_model::{ErrorKind, FloatHistogram, Histogram, Labels, Life, STALE_NAN, Sample};
use duramen_promql::{
    Answer, Engine, EngineConfig, Error, QueryContext, QueryLimits, QueryTimes, RollupChoice,
    SampleValue, Value,
};
use duramen_qos::{Account, Use};
use duramen_runtime::SystemClock;
use duramen_source::MemorySource;
use duramen_syntax::Expr;

pub(crate) fn labels(text: &str) -> Labels {
    let Ok(Expr::VectorSelector(selector)) = &duramen_syntax::parse(text) else {
        panic!("no series: {text}")
    };
    Labels::from_pairs(
        selector
            .matchers
            .iter()
            .map(|m| (m.name.as_str(), m.value.as_str())),
    )
    .unwrap()
}

/// A source with a sample every 10 s from 0. NaN of the stale marker is a stale marker, and `None`
/// is a gap.
pub(crate) fn source(series: &[(&str, &[Option<f64>])]) -> MemorySource {
    let mut source = MemorySource::default();

    for (text, values) in series {
        let samples = values
            .iter()
            .enumerate()
            .filter_map(|(at, value)| Some(Sample::new(at as i64 * 10_000, (*value)?)));

        source.push(labels(text), samples);
    }

    source
}

/// More series than fit in a batch. Some of them alternate.
fn many() -> MemorySource {
    let mut source = MemorySource::default();

    for at in 0..3000_i32 {
        let series = labels(&format!("load{{job=\"{}\",instance=\"{at:04}\"}}", at % 7));
        let value = |step: i64| f64::from(at).sin() * 10f64.powi(at % 30) + step as f64 / 3.0;
        let steps = (0..60).filter(|step| at % 5 != 0 || (step / 20) % 2 == i64::from(at % 2));

        source.push(
            series,
            steps.map(|step| Sample::new(step * 10_000, value(step))),
        );
    }

    source
}

pub(crate) fn context(source: MemorySource) -> QueryContext {
    QueryContext {
        source: Arc::new(source),
        lookback_ms: None,
        first_reads: true,
        limits: QueryLimits::default(),
        rollups: RollupChoice::default(),
    }
}

pub(crate) fn engine(partitions: usize) -> Engine {
    Engine::new(
        EngineConfig {
            partitions,
            ..EngineConfig::default()
        },
        Arc::new(SystemClock::default()),
    )
}

/// Prints an answer with its values as bits.
pub(crate) fn bits(answer: Result<Answer, Error>) -> String {
    let number = |value: f64| format!("{value:?}/{:016x}", value.to_bits());

    match answer.map(|answer| answer.value) {
        Err(error) => error.to_string(),
        Ok(Value::Scalar { value, .. }) => number(value),
        Ok(Value::String { value, .. }) => value,
        Ok(Value::Vector(series)) => series
            .iter()
            .map(|s| match &s.value {
                SampleValue::Float(value) => format!("{} {}\n", s.labels, number(*value)),
                SampleValue::Histogram(histogram) => format!("{} {histogram:?}\n", s.labels),
            })
            .collect(),
        Ok(Value::Matrix(series)) => series
            .iter()
            .map(|s| {
                let points: Vec<_> = s
                    .points
                    .iter()
                    .map(|(ts, value)| format!("{ts}:{}", number(*value)))
                    .collect();

                format!("{} {} {:?}\n", s.labels, points.join(" "), s.histograms)
            })
            .collect(),
    }
}

/// Returns the answer of an instant query as `labels value` lines without bits. It is the same with
/// one partition and with four.
async fn answer(source: &MemorySource, query: &str, time_ms: i64) -> String {
    let expr = duramen_syntax::parse(query).unwrap();
    let context = context(source.clone());
    let one = bits(engine(1).instant(&context, &expr, time_ms).await);

    assert_eq!(
        one,
        bits(engine(4).instant(&context, &expr, time_ms).await),
        "{query}"
    );

    let line = |line: &str| {
        line.rsplit_once('/')
            .map_or(line, |(text, _)| text)
            .to_owned()
    };

    one.lines().map(line).collect::<Vec<_>>().join("; ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_cases_are_answered() {
    let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
    let source = source(&[
        ("a{x=\"1\"}", &some(&[1.0, 2.0, 4.0, 8.0, 16.0])),
        ("a{x=\"2\"}", &some(&[5.0, 4.0, 3.0, 2.0, 1.0])),
        ("b{x=\"1\",y=\"p\"}", &some(&[10.0; 5])),
        ("gone", &some(&[1.0, 2.0, 3.0, STALE_NAN])),
        ("odd", &some(&[1.0, 2.0, 3.0, f64::NAN])),
        ("back", &some(&[1.0, STALE_NAN, 3.0])),
    ]);

    let cases = [
        // Absent, NaN and stale are different.
        ("gone", 30_000, ""),
        ("gone", 29_999, "gone 3.0"),
        ("odd", 40_000, "odd NaN"),
        ("count_over_time(gone[1m])", 40_000, "{} 3.0"),
        ("count_over_time(odd[1m])", 40_000, "{} 4.0"),
        ("count_over_time(back[1m])", 40_000, "{} 2.0"),
        // The start of a window is exclusive.
        ("a{x=\"1\"}", 339_999, "a{x=\"1\"} 16.0"),
        ("a{x=\"1\"}", 340_000, ""),
        ("count_over_time(a{x=\"1\"}[10s])", 20_000, "{x=\"1\"} 1.0"),
        (
            "count_over_time(a{x=\"1\"}[10001ms])",
            20_000,
            "{x=\"1\"} 2.0",
        ),
        // Moved times.
        ("a{x=\"1\"} offset 20s", 40_000, "a{x=\"1\"} 4.0"),
        ("a{x=\"1\"} @ 10", 40_000, "a{x=\"1\"} 2.0"),
        ("a{x=\"1\"} @ 10 offset -10s", 0, "a{x=\"1\"} 4.0"),
        ("a{x=\"1\"} @ start() + time()", 40_000, "{x=\"1\"} 56.0"),
        // Names.
        ("rate(a{x=\"1\"}[20s]) * 10", 40_000, "{x=\"1\"} 8.0"),
        ("last_over_time(a{x=\"2\"}[1m])", 40_000, "a{x=\"2\"} 1.0"),
        ("a > 1", 40_000, "a{x=\"1\"} 16.0"),
        ("a > bool 1", 40_000, "{x=\"1\"} 1.0; {x=\"2\"} 0.0"),
        ("1 < a", 40_000, "a{x=\"1\"} 16.0"),
        // Matching.
        ("a / on(x) b", 40_000, "{x=\"1\"} 1.6"),
        (
            "a * on(x) group_left(y) b",
            40_000,
            "{x=\"1\", y=\"p\"} 160.0",
        ),
        (
            "b - on(x) group_right(y) a",
            40_000,
            "{x=\"1\", y=\"p\"} -6.0",
        ),
        ("a and on(x) b", 40_000, "a{x=\"1\"} 16.0"),
        ("a unless on(x) b", 40_000, "a{x=\"2\"} 1.0"),
        (
            "a{x=\"2\"} or b",
            40_000,
            "a{x=\"2\"} 1.0; b{x=\"1\", y=\"p\"} 10.0",
        ),
        // Scalars.
        ("-5 % 3", 0, "-2.0"),
        ("2 ^ 3 ^ 2 == bool 512", 0, "1.0"),
        ("scalar(b)", 0, "10.0"),
        ("scalar(a)", 0, "NaN"),
        ("\"text\"", 0, "text"),
        // Orders.
        ("sort_desc(a)", 40_000, "a{x=\"1\"} 16.0; a{x=\"2\"} 1.0"),
        ("bottomk(1, a)", 40_000, "a{x=\"2\"} 1.0"),
        ("topk(0, a)", 40_000, ""),
        // The rest.
        ("sum without(x) (a)", 40_000, "{} 17.0"),
        ("avg by(x) (a) + 0 * absent(none)", 40_000, ""),
        ("absent(none{x=\"1\",y=~\"z\"})", 0, "{x=\"1\"} 1.0"),
        (
            "max_over_time((a * 2)[30s:10s])",
            40_000,
            "{x=\"1\"} 32.0; {x=\"2\"} 6.0",
        ),
    ];

    for (query, time_ms, wanted) in cases {
        assert_eq!(
            answer(&source, query, time_ms).await,
            wanted,
            "{query} at {time_ms}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_answered_says_why() {
    let one: &[Option<f64>] = &[Some(1.0)];
    let source = source(&[
        ("a{x=\"1\",y=\"1\"}", one),
        ("a{x=\"1\",y=\"2\"}", one),
        ("b{x=\"1\",z=\"1\"}", one),
        ("b{x=\"1\",z=\"2\"}", one),
        ("c{x=\"1\"}", one),
        ("d{x=\"1\"}", one),
    ]);

    let same = "vector cannot contain metrics with the same labelset";
    let many_left = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
    let duplicate = "found duplicate series for the match group {x=\"1\"} on the right hand-side of the operation: \
                     [{__name__=\"b\", x=\"1\", z=\"1\"}, {__name__=\"b\", x=\"1\", z=\"2\"}];many-to-many matching not \
                     allowed: matching labels must be unique on one side";

    let cases = [
        ("c / on(x) b", ErrorKind::Execution, duplicate.to_owned()),
        ("a + on(x) group_left b", ErrorKind::Execution, duplicate.to_owned()),
        ("b + on(x) group_right c", ErrorKind::Execution, duplicate.replace("the right", "the left")),
        ("a + on(x) c", ErrorKind::Execution, many_left.to_owned()),
        ("a > on(x) c", ErrorKind::Execution, many_left.to_owned()),
        ("-{x=\"1\",y=\"\",z=\"\"}", ErrorKind::Execution, same.to_owned()),
        ("sum(count_over_time({__name__=~\"c|d\"}[1m]))", ErrorKind::Execution, same.to_owned()),
        ("label_replace(a, \"y\", \"\", \"y\", \".*\")", ErrorKind::Execution, same.to_owned()),
        ("limit_ratio(NaN, a)", ErrorKind::Execution, "Ratio value is NaN".to_owned()),
        (
            "irate(a[1m] anchored)",
            ErrorKind::Execution,
            "anchored modifier can only be used with: changes, delta, increase, rate, resets - not with irate"
                .to_owned(),
        ),
        ("topk(NaN, a)", ErrorKind::Execution, "Parameter value is NaN".to_owned()),
    ];

    for (query, kind, text) in cases {
        let expr = duramen_syntax::parse(query).unwrap();
        match engine(4).instant(&context(source.clone()), &expr, 0).await {
            Ok(answer) => panic!("{query}: {answer:?}"),
            Err(error) => assert_eq!((error.kind(), error.to_string()), (kind, text), "{query}"),
        }
    }

    let expr = duramen_syntax::parse("a[1m]").unwrap();
    let error = engine(1)
        .range(
            &context(source),
            &expr,
            QueryTimes::range(0, 10, 1).unwrap(),
        )
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn an_operator_for_histograms_has_no_value_of_floats() {
    let source = source(&[("a", &[Some(1.0)]), ("b", &[Some(2.0)])]);

    for (query, pos) in [
        ("a </ 1", 1),
        ("2 * (1 >/ a)", 6),
        ("a </ on() b", 1),
        ("b </ fill(3) none", 1),
    ] {
        let expr = duramen_syntax::parse(query).unwrap();
        let op = if query.contains("</") { "</" } else { ">/" };
        let text = "incompatible sample types encountered for binary operator";
        let info = format!("PromQL info: {text} {op:?}: float {op} float (1:{pos})");
        let wanted = (Value::Vector(Vec::new()), Vec::new(), vec![info]);
        let answer = engine(2)
            .instant(&context(source.clone()), &expr, 0)
            .await
            .unwrap();
        assert_eq!(
            (answer.value, answer.warnings, answer.infos),
            wanted,
            "{query}"
        );
    }

    for query in ["none </ 1", "{__name__=~\"a|b\"} </ -1"] {
        let expr = duramen_syntax::parse(query).unwrap();
        let answer = engine(2)
            .instant(&context(source.clone()), &expr, 0)
            .await
            .unwrap();

        assert_eq!(
            (answer.value, answer.infos.is_empty()),
            (Value::Vector(Vec::new()), query.starts_with('n'))
        );
    }

    let expr = duramen_syntax::parse("vector(1 </ 2)").unwrap();
    let error = engine(1)
        .instant(&context(source), &expr, 0)
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Execution);
    assert_eq!(
        error.to_string(),
        "operator \"</\" not allowed for Scalar operations"
    );
}

#[tokio::test]
async fn an_annotation_says_line_and_column() {
    let context = context(source(&[("a", &[Some(1.0), Some(2.0)])]));
    let text = "1 +\n  # a remark of the author\n  rate(a[1m])";
    let expr = duramen_syntax::parse(text).unwrap();
    let place = async |engine: Engine| {
        let answer = engine.instant(&context, &expr, 10_000).await.unwrap();
        answer.infos[0].rsplit(' ').next().unwrap().to_owned()
    };

    assert_eq!(place(engine(1).with_text(text)).await, "(3:8)");
    assert_eq!(
        place(engine(1)).await,
        format!("(1:{})", text.find("a[").unwrap() + 1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_are_judged_at_each_step() {
    let (early, late): (&[Option<f64>], &[Option<f64>]) = (
        &[Some(1.0), Some(STALE_NAN)],
        &[None, Some(2.0), Some(2.0), Some(STALE_NAN)],
    );

    let source = source(&[
        ("a{x=\"1\"}", early),
        ("a{x=\"2\"}", late),
        ("b", &[Some(5.0), Some(5.0), Some(5.0)]),
    ]);

    let expr = duramen_syntax::parse("b + on() a").unwrap();
    let answer = engine(2)
        .range(
            &context(source),
            &expr,
            QueryTimes::range(0, 30_000, 10_000).unwrap(),
        )
        .await
        .unwrap();

    let Value::Matrix(series) = answer.value else {
        panic!("no matrix")
    };
    assert_eq!(series.len(), 1);
    assert_eq!(series[0].points, [(0, 6.0), (10_000, 7.0), (20_000, 7.0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_do_not_depend_on_the_number_of_partitions() {
    let source = context(many());

    for query in [
        "sum(load)",
        "avg by(job) (load)",
        "stddev by(job) (rate(load[1m]))",
        "topk by(job) (2, load)",
        "quantile(0.3, load * 2)",
        "sum by(job) (load) / on(job) group_right load",
        "load unless load > 0",
    ] {
        let expr = duramen_syntax::parse(query).unwrap();
        let one = bits(
            engine(1)
                .range(
                    &source,
                    &expr,
                    QueryTimes::range(0, 600_000, 7_000).unwrap(),
                )
                .await,
        );
        assert!(!one.is_empty());
        for partitions in [2, 3, 8] {
            let other = bits(
                engine(partitions)
                    .range(
                        &source,
                        &expr,
                        QueryTimes::range(0, 600_000, 7_000).unwrap(),
                    )
                    .await,
            );

            assert!(one == other, "{query} differs with {partitions} partitions");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_query_is_its_instants() {
    let source = context(many());

    for query in [
        "max by(job) (load)",
        "topk(3, load)",
        "load{instance=\"0005\"} offset 30s",
        "rate(load{instance=~\"00.*\"}[1m]) > 0",
        "-load{instance=~\"000.\"}",
        "max(load @ 100) + time()",
        "load{instance=~\"00..\"} * on(job) group_left max by(job) (load)",
        "load{instance=~\"00[0-4].\"} or load{instance=~\"00..\"}",
        "max_over_time(min by(job)(load)[1m:13s])",
        "count_values(\"v\", round(load{instance=~\"000.\"}))",
    ] {
        let expr = duramen_syntax::parse(query).unwrap();
        let Value::Matrix(range) = engine(2)
            .range(
                &source,
                &expr,
                QueryTimes::range(50_000, 500_000, 45_000).unwrap(),
            )
            .await
            .unwrap()
            .value
        else {
            panic!("no matrix");
        };
        for step in 0..=10 {
            let time_ms = 50_000 + step * 45_000;
            let Value::Vector(mut instant) = engine(2)
                .instant(&source, &expr, time_ms)
                .await
                .unwrap()
                .value
            else {
                panic!("no vector");
            };
            instant.sort_by(|a, b| a.labels.cmp(&b.labels));

            let column = range.iter().filter_map(|series| {
                let point = series.points.iter().find(|(ts, _)| *ts == time_ms)?;
                Some((&series.labels, point.1.to_bits()))
            });

            let instant = instant
                .iter()
                .map(|series| (&series.labels, series.value.float().unwrap().to_bits()));
            assert!(column.eq(instant), "{query} at {time_ms}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_over_its_limits_fails_alone() {
    let source = context(many());
    let expr = duramen_syntax::parse("load * 2").unwrap();

    for config in [
        EngineConfig {
            memory_bytes_max: 100_000,
            ..EngineConfig::default()
        },
        EngineConfig {
            samples_max: 10_000,
            ..EngineConfig::default()
        },
    ] {
        let error = Engine::new(config.clone(), Arc::new(SystemClock::default()))
            .range(
                &source,
                &expr,
                QueryTimes::range(0, 600_000, 10_000).unwrap(),
            )
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooMuch, "{config:?}: {error}");
    }

    // Samples that stream through are not kept: fewer are held at the same time than there are.
    let expr = duramen_syntax::parse("sum(load)").unwrap();
    let config = EngineConfig {
        samples_max: 150_000,
        partitions: 1,
        ..EngineConfig::default()
    };

    assert!(
        Engine::new(config, Arc::new(SystemClock::default()))
            .range(
                &source,
                &expr,
                QueryTimes::range(0, 600_000, 10_000).unwrap()
            )
            .await
            .is_ok()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_draw_from_one_account_and_so_do_their_answers() {
    let memory = Account::new(64 << 20);
    let engine = engine(2).within(Arc::clone(&memory));
    let source = context(many());
    let expr = duramen_syntax::parse("load * 2").unwrap();
    let ask = || {
        engine.range(
            &source,
            &expr,
            QueryTimes::range(0, 600_000, 10_000).unwrap(),
        )
    };

    let answer = ask().await.unwrap();
    let Value::Matrix(series) = &answer.value else {
        panic!("a range has a matrix")
    };
    let points: usize = series.iter().map(|series| series.points.len()).sum();
    let held = memory.used_by(Use::Query);

    assert!(held >= points * 16, "{held} for {points} points");

    drop(answer);
    assert_eq!(memory.used_by(Use::Query), 0);

    // If others use nearly all memory, the same query fails and names what is short.
    let others = memory
        .take(Use::Head, memory.mark(Use::Query) - (1 << 20))
        .unwrap();
    let error = ask().await.unwrap_err();

    assert!(
        matches!(&error, Error::Memory { exceeded, .. } if exceeded.passes()),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.to_string().contains("memory_bytes_max=`67108864`"),
        "{error}"
    );

    drop(others);
    assert!(ask().await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_and_grids_of_any_size_are_survived() {
    let source = context(source(&[("a", &[Some(1.0), Some(3.0)])]));
    let queries = [
        "max_over_time(vector(1)[50000000s:1s])",
        "max_over_time(max_over_time(a[100y:1ms])[100y:1ms])",
        "predict_linear(a[70y] @ 20, 1) + time()",
        "rate(a[70y] offset -70y)",
        "deriv(a[70y:1y])",
        "day_of_year(vector(9e300)) + days_in_month()",
        "a smoothed @ 15",
        "increase(a[70y] anchored)",
    ];

    let times = [
        i64::MIN,
        i64::MIN / 2,
        -1,
        0,
        15_000,
        i64::MAX / 2,
        i64::MAX,
    ];

    for (query, time_ms) in queries
        .iter()
        .flat_map(|query| times.map(|time_ms| (query, time_ms)))
    {
        let expr = duramen_syntax::parse(query).unwrap();
        let config = EngineConfig {
            memory_bytes_max: 10 << 20,
            ..EngineConfig::default()
        };

        if let Err(error) = Engine::new(config, Arc::new(SystemClock::default()))
            .instant(&source, &expr, time_ms)
            .await
        {
            assert!(
                matches!(error.kind(), ErrorKind::TooMuch | ErrorKind::Invalid),
                "{query} at {time_ms}: {error:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_high_tree_is_evaluated() {
    let source = context(source(&[("a", &[Some(1.0)])]));

    for (text, wanted) in [
        (vec!["a"; 500].join(" + "), 500.0),
        (format!("a{}", " + 1".repeat(500)), 501.0),
        (format!("{}a{}", "abs(".repeat(120), ")".repeat(120)), 1.0),
        (format!("{}a{}", "sum(".repeat(120), ")".repeat(120)), 1.0),
    ] {
        let expr = duramen_syntax::parse(&text).unwrap();
        let answer = engine(2).instant(&source, &expr, 0).await.unwrap();
        assert!(
            matches!(answer.value, Value::Vector(series) if series[0].value.float() == Some(wanted)),
            "{text}"
        );
    }
}

#[tokio::test]
async fn the_raw_samples_of_a_range_are_those_of_the_window() {
    let values = [Some(1.0), Some(STALE_NAN), Some(3.0), Some(4.0)];
    let source = context(source(&[("a", &values)]));
    let expr = duramen_syntax::parse("a[30s]").unwrap();
    let answer = engine(4).instant(&source, &expr, 30_000).await.unwrap();
    let Value::Matrix(series) = answer.value else {
        panic!("no matrix")
    };

    assert_eq!(series[0].points, [(20_000, 3.0), (30_000, 4.0)]);

    let expr = duramen_syntax::parse("(a * 2)[30s:10s]").unwrap();
    let answer = engine(4).instant(&source, &expr, 35_000).await.unwrap();
    let Value::Matrix(series) = answer.value else {
        panic!("no matrix")
    };

    assert_eq!(series[0].points, [(20_000, 6.0), (30_000, 8.0)]);
}

#[tokio::test]
async fn an_answer_says_what_was_looked_at() {
    let some: Vec<_> = (0..7).map(|value| Some(f64::from(value))).collect();
    let source = context(source(&[("a{x=\"1\"}", &some), ("a{x=\"2\"}", &some[..3])]));

    let times = QueryTimes::range(0, 60_000, 30_000).unwrap();
    let stats = |query: &str| {
        let expr = duramen_syntax::parse(query).unwrap();
        let source = source.clone();

        async move { engine(1).range(&source, &expr, times).await.unwrap().stats }
    };

    let got = stats("sum(a) + 1").await;
    assert_eq!(
        got.samples_queryable_per_step,
        [(0, 2), (30_000, 2), (60_000, 2)]
    );

    assert_eq!(
        (got.samples_queryable, got.samples_read, got.samples_peak),
        (6, 10, 10)
    );

    let got = stats("sum(count_over_time(a[20s]))").await;
    assert_eq!(
        got.samples_queryable_per_step,
        [(0, 2), (30_000, 3), (60_000, 2)]
    );
}

/// Two series with a sample every ten seconds, from 0 to 60 s.
async fn counts(query: &str, times: QueryTimes) -> [Vec<u64>; 2] {
    let some: Vec<_> = (0..7).map(|value| Some(f64::from(value))).collect();
    let source = context(source(&[("a{x=\"1\"}", &some), ("a{x=\"2\"}", &some)]));
    let expr = duramen_syntax::parse(query).unwrap();
    let engine = engine(2);

    let stats = match times.is_instant() {
        true => engine.instant(&source, &expr, 60_000).await.unwrap().stats,
        false => engine.range(&source, &expr, times).await.unwrap().stats,
    };

    let [samples_seen, read] = [
        &stats.samples_queryable_per_step,
        &stats.samples_read_per_step,
    ]
    .map(|counts| counts.iter().map(|(_, count)| *count).collect::<Vec<_>>());
    assert_eq!(
        samples_seen.iter().sum::<u64>(),
        stats.samples_queryable,
        "{query}"
    );

    assert_eq!(read.iter().sum::<u64>(), stats.samples_read, "{query}");

    [samples_seen, read]
}

#[tokio::test]
async fn samples_count_at_the_steps_that_look_at_them_and_are_read_by_the_first() {
    let range = QueryTimes::range(0, 60_000, 30_000).unwrap();

    for (query, samples_seen, read) in [
        ("a", [2, 2, 2], [2, 6, 6]),
        ("rate(a[45s])", [2, 8, 10], [2, 6, 6]),
        // The points of the subquery count for the function over them. The samples that they are
        // made of do not count.
        ("max_over_time(a[30s:15s])", [2, 4, 4], [2, 6, 6]),
        (
            "max_over_time(max_over_time(a[15s:5s])[30s:15s])",
            [2, 4, 4],
            [2, 6, 6],
        ),
        (
            "sum(max_over_time(a[30s:15s] offset 30s))",
            [0, 2, 4],
            [0, 2, 6],
        ),
        // The value is the same at every step, and the samples are read once.
        ("a @ 20", [2, 2, 2], [6, 0, 0]),
        ("rate(a[25s] @ 20)", [6, 6, 6], [6, 0, 0]),
        ("max_over_time((a @ 20)[30s:15s])", [4, 4, 4], [6, 0, 0]),
        ("max_over_time(a[20s:10s] @ 20)", [4, 4, 4], [6, 0, 0]),
        ("max_over_time(vector(1)[30s:15s])", [2, 2, 2], [0, 0, 0]),
        ("a + a", [4, 4, 4], [4, 12, 12]),
    ] {
        assert_eq!(
            counts(query, range).await,
            [samples_seen.to_vec(), read.to_vec()],
            "{query}"
        );
    }

    for (query, samples_seen) in [
        ("a[35s]", 8),
        ("a[30s:15s]", 4),
        ("rate(a[25s])[30s:15s]", 10),
        ("max_over_time(a[30s:15s])", 4),
    ] {
        assert_eq!(
            counts(query, QueryTimes::at(60_000)).await[0],
            [samples_seen],
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_query_context_limits_its_query() {
    // 2,700 of its series have a sample in the look-back.
    let source = many();
    let expr = duramen_syntax::parse("load").unwrap();

    for (limits, name) in [
        (
            QueryLimits {
                samples_max: Some(1000),
                ..QueryLimits::default()
            },
            "samples_max=`1000`",
        ),
        (
            QueryLimits {
                series_max: Some(2699),
                ..QueryLimits::default()
            },
            "series_max=`2699`",
        ),
        (
            QueryLimits {
                memory_bytes_max: Some(10_000),
                ..QueryLimits::default()
            },
            "memory_bytes_max",
        ),
    ] {
        let limited = QueryContext {
            limits,
            ..context(source.clone())
        };
        let error = engine(2)
            .instant(&limited, &expr, 60_000)
            .await
            .unwrap_err();
        assert!(
            error.kind() == ErrorKind::TooMuch && error.to_string().contains(name),
            "{error}"
        );
    }

    let limits = QueryLimits {
        series_max: Some(2700),
        ..QueryLimits::default()
    };

    let limited = QueryContext {
        limits,
        ..context(source)
    };

    assert!(engine(2).instant(&limited, &expr, 60_000).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn info_reads_the_info_series_of_the_targets_at_hand() {
    let mut all = source(&[
        ("x{instance=\"i.7\",job=\"a\"}", &[Some(1.0)]),
        ("x{instance=\"i+8\"}", &[Some(2.0)]),
    ]);

    for at in 0..1000 {
        let about = labels(&format!(
            "target_info{{instance=\"i.{at}\",job=\"a\",data=\"{at}\"}}"
        ));
        all.push(about, [Sample::new(0, 1.0)]);
    }

    for (series, more) in [
        ("target_info{instance=\"i+8\",data=\"8\"}", 1),
        ("target_info{instance=\"ix7\",job=\"a\"}", 0),
    ] {
        all.push(labels(series), [Sample::new(0, more.into())]);
    }

    let expr = duramen_syntax::parse("info(x)").unwrap();

    for partitions in [1, 3] {
        let answer = engine(partitions)
            .instant(&context(all.clone()), &expr, 0)
            .await
            .unwrap();

        // The two series, and the info series of one. The info series of the other has no job, and
        // if any series has a job, all must have one.
        assert_eq!(answer.stats.samples_read, 3);

        let text = bits(Ok(answer));
        assert!(
            text.contains("data=\"7\"") && !text.contains("data=\"8\""),
            "{text}"
        );
    }

    // If there are more targets than can be looked up, all info series are read. If there are none,
    // none is read.
    let expr = duramen_syntax::parse("info(target_info, {__name__=\"build_info\"})").unwrap();
    let answer = engine(2)
        .instant(&context(all.clone()), &expr, 0)
        .await
        .unwrap();

    assert_eq!(answer.stats.samples_read, 1002);

    let expr = duramen_syntax::parse("info(nothing)").unwrap();
    let answer = engine(2).instant(&context(all), &expr, 0).await.unwrap();

    assert_eq!(answer.stats.samples_read, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_histograms_of_a_batch_count_while_it_is_made() {
    let mut source = MemorySource::default();
    let histogram =
        FloatHistogram::empty(CUSTOM_BUCKETS_SCHEMA, (0..1000).map(f64::from).collect());
    let bytes = histogram.to_bytes().len();

    for at in 0..100 {
        let held = Histogram::from_bytes(&histogram.to_bytes()).unwrap();
        source.push_histogram(labels(&format!("h{{x=\"{at}\"}}")), 0, Life::NONE, &held);
    }

    // A batch of 100 series and 100 steps would be 10,000 histograms.
    let config = EngineConfig {
        memory_bytes_max: 200 * bytes,
        partitions: 1,
        ..EngineConfig::default()
    };

    for query in [
        "h",
        "-h",
        "sum(h)",
        "max_over_time(h[1s:10ms])",
        "count_over_time(h[1s:10ms])",
    ] {
        let expr = duramen_syntax::parse(query).unwrap();
        let engine = Engine::new(config.clone(), Arc::new(SystemClock::default()));
        let error = engine
            .range(
                &context(source.clone()),
                &expr,
                QueryTimes::range(0, 990, 10).unwrap(),
            )
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooMuch, "{query}: {error}");
        assert!(
            error.to_string().contains("StepEvalExec"),
            "{query}: {error}"
        );
    }
}
