//! Plans that are made once and run several times. Each run only depends on its own context.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion_physical_plan::collect;
use duramen_model::{ErrorKind, FamilyMetadata, Labels, Life, Sample};
use duramen_promql::{
    Answer, Error, PreparedQuery, QueryContext, QueryLimits, QueryStats, QueryTimes, QueryTimings,
};
use duramen_source::{MemorySource, SeriesExemplars, SeriesRequest, SeriesSource, SeriesStream};
use futures::future::join_all;

use crate::engine::{bits, context, engine, labels};

/// At least one query for each kind of node whose partitions share state.
///
/// [`PreparedQuery::evaluate`] runs in its own task. So runs that are awaited together run at the
/// same time.
const QUERIES: &[&str] = &[
    "a",
    "rate(a[1m])",
    "sum by(job) (rate(a[1m]))",
    "quantile_over_time(scalar(q) / 10, a[1m])",
    "clamp(a, scalar(q), 1 + scalar(sum(a)))",
    "info(a)",
    "info(rate(a[1m]), {version=~\".+\"}) + on(job, instance) group_left() a",
    "topk(3, a) or on() vector(time())",
    "count_values(\"v\", a)",
    "max_over_time(sum by(job) (a)[1m:7s])",
    "histogram_quantile(0.5, sum by(le) (rate(b_bucket[1m])))",
    "label_replace(a, \"x\", \"$1\", \"instance\", \"(.).*\")",
    "sum(a @ end()) - absent(nothing)",
    "sort_desc(a)",
    "-{job=\"1\"}",
];

/// Series of several batches, targets, and a scalar. Sources with a different `shift` have
/// different values.
fn source(shift: i32) -> MemorySource {
    let mut source = MemorySource::default();
    let push = |source: &mut MemorySource, text: &str, start: i32| {
        let samples = (0..30_i32).map(|at| {
            let value = f64::from((start + at * 7) % 101);
            Sample::new(i64::from(at) * 10_000, value)
        });

        source.push(labels(text), samples);
    };

    for at in 0..1500_i32 {
        let job = (at + shift) % 5;
        let text = format!("a{{job=\"{job}\",instance=\"{at}\"}}");
        push(&mut source, &text, at + shift);
    }

    for at in 0..40_i32 {
        let job = (at + shift) % 5;
        let text = format!(
            "target_info{{job=\"{job}\",instance=\"{at}\",version=\"{}\"}}",
            at + shift
        );

        push(&mut source, &text, at);
    }

    for at in 0..=10_i32 {
        let bound = match at {
            10 => "+Inf".to_owned(),
            at => at.to_string(),
        };

        let each = (at * shift + 1).min(30);
        let counts =
            (0..30_i32).map(|step| Sample::new(i64::from(step) * 10_000, f64::from(step * each)));
        source.push(labels(&format!("b_bucket{{le=\"{bound}\"}}")), counts);
    }

    push(&mut source, "q", shift);
    source
}

fn range() -> QueryTimes {
    QueryTimes::range(50_000, 250_000, 25_000).unwrap()
}

/// Returns everything that an answer contains, except for durations.
fn said(answer: Result<Answer, Error>) -> (String, Vec<String>, Vec<String>, QueryStats) {
    let answer = answer.unwrap();
    let stats = QueryStats {
        timings: QueryTimings::default(),
        // How many are held at the same time depends on which task is ahead.
        samples_peak: 0,
        ..answer.stats.clone()
    };

    (
        bits(Ok(answer.clone())),
        answer.warnings,
        answer.infos,
        stats,
    )
}

async fn prepared(context: &QueryContext, query: &str, times: QueryTimes) -> PreparedQuery {
    let expr = duramen_syntax::parse(query).unwrap();
    engine(2).prepare(context, &expr, times).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_answers_the_same_again_and_beside_itself() {
    let contexts = [3, 4].map(|shift| context(source(shift)));

    for query in QUERIES {
        let expr = duramen_syntax::parse(query).unwrap();

        for times in [range(), QueryTimes::at(200_000)] {
            let [first, second] = &contexts;
            let wanted = [
                said(engine(2).range(first, &expr, times).await),
                said(engine(2).range(second, &expr, times).await),
            ];
            assert_ne!(wanted[0], wanted[1], "{query}");

            let plan = prepared(first, query, times).await;
            let again = async |at: usize| plan.again(&contexts[at % 2]).await.unwrap();

            for at in 0..3 {
                let got = said(again(at).await.evaluate().await);
                assert_eq!(got, wanted[at % 2], "{query}, one after the other");
            }

            let runs = join_all((0..6).map(again)).await;
            let tasks = runs.into_iter().map(PreparedQuery::evaluate);

            for (at, got) in join_all(tasks).await.into_iter().enumerate() {
                assert_eq!(said(got), wanted[at % 2], "{query}, at once");
            }

            assert_eq!(said(plan.evaluate().await), wanted[0], "{query}, at last");
        }
    }
}

/// A source that cannot be read.
#[derive(Debug)]
struct Broken;

#[async_trait]
impl SeriesSource for Broken {
    async fn select(&self, _: &SeriesRequest) -> Result<SeriesStream, duramen_source::Error> {
        Err(duramen_source::Error::new(
            "block 7",
            ErrorKind::Corrupt,
            "damaged",
        ))
    }

    async fn exemplars(
        &self,
        _: &SeriesRequest,
    ) -> Result<Vec<SeriesExemplars>, duramen_source::Error> {
        Ok(Vec::new())
    }

    async fn metadata(&self) -> Result<Vec<FamilyMetadata>, duramen_source::Error> {
        Ok(Vec::new())
    }

    async fn ttl_max_ms(&self) -> Result<i64, duramen_source::Error> {
        Ok(0)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn annotations_and_errors_are_of_the_run_that_they_came_up_in() {
    let query = "quantile_over_time(scalar(q), a[1m]) + rate(a[1m])";
    let of = |quantile: f64| {
        let mut only = MemorySource::default();
        only.push(
            labels("q"),
            (0..30).map(|at| Sample::new(at * 10_000, quantile)),
        );
        only.push(labels("a"), (0..30).map(|at| Sample::new(at * 10_000, 1.0)));
        context(only)
    };

    let contexts = [
        of(0.5),
        of(7.0),
        QueryContext {
            source: Arc::new(Broken),
            ..of(0.5)
        },
        QueryContext {
            limits: QueryLimits {
                samples_max: Some(20),
                ..QueryLimits::default()
            },
            ..of(0.5)
        },
    ];

    let plan = prepared(&contexts[0], query, range()).await;

    for _ in 0..5 {
        let runs = join_all(contexts.iter().map(|context| plan.again(context))).await;
        let tasks = runs.into_iter().map(|run| run.unwrap().evaluate());

        let mut answers = join_all(tasks).await.into_iter();
        let mut next = || answers.next().unwrap();

        let calm = next().unwrap();
        assert!(calm.warnings.is_empty(), "{:?}", calm.warnings);
        assert_eq!(calm.infos.len(), 1, "the counter's name: {:?}", calm.infos);

        let warned = next().unwrap();
        assert_eq!(warned.warnings.len(), 1, "{:?}", warned.warnings);
        assert!(
            warned.warnings[0].contains("got 7"),
            "{:?}",
            warned.warnings
        );

        assert!(matches!(next(), Err(Error::Source(_))));
        assert!(matches!(next(), Err(Error::Samples { limit: 20, .. })));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_runs_outside_of_the_engine_and_its_context_has_the_counts() {
    let first = context(source(3));
    let query = "sum by(job) (rate(a[1m]))";
    let prepared = prepared(&first, query, range()).await;
    let other = prepared.again(&first).await.unwrap();

    let before = prepared.memory_pool().reserved();
    let plan = Arc::clone(prepared.plan().unwrap());
    let batches = collect(plan, Arc::clone(other.task_context()))
        .await
        .unwrap();

    let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
    assert_eq!(rows, 5, "a row for each job");
    assert_eq!(batches[0].schema().field(0).name(), "labels");

    let counted = other.explain().unwrap();
    assert_eq!(counted.work.rows, 5);

    let lines = counted.lines();
    let (_, scan) = lines.last().unwrap();
    assert_eq!(
        (scan.operator.as_str(), scan.work.rows),
        ("SeriesScanExec", 1500)
    );

    // Nothing has run in the context of the query that the plan was made for.
    assert_eq!(prepared.memory_pool().reserved(), before);
    let untouched = prepared.explain().unwrap();
    assert!(
        untouched
            .lines()
            .iter()
            .all(|(_, node)| node.work.rows == 0)
    );
    assert_eq!(untouched.to_string(), counted.to_string());
}

#[tokio::test]
async fn a_plan_runs_in_no_context_but_a_querys() {
    let prepared = prepared(&context(source(1)), "a", range()).await;
    let plan = Arc::clone(prepared.plan().unwrap());

    let error = collect(plan, Arc::default()).await.unwrap_err();
    assert!(error.to_string().contains("context of a query"), "{error}");
}

#[tokio::test]
async fn a_plan_is_not_for_samples_that_live_longer_than_it_looks_back() {
    let short = context(source(1));
    let mut long = MemorySource::default();
    let life = Life {
        start_ms: 0,
        ttl_ms: 3_600_000,
    };

    long.push_with_life(
        Labels::from_pairs([("__name__", "a")]).unwrap(),
        Sample::new(0, 1.0),
        life,
    );

    let long = context(long);
    let plan = prepared(&short, "a", range()).await;
    let refused = plan.again(&long).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");

    // The other way round, the plan looks further back than necessary.
    let plan = prepared(&long, "a", range()).await;
    let expr = duramen_syntax::parse("a").unwrap();
    assert_eq!(
        bits(plan.again(&short).await.unwrap().evaluate().await),
        bits(engine(2).range(&short, &expr, range()).await)
    );
}
