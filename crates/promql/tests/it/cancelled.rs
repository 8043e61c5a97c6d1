//! Queries that are cancelled while they compute. They must end soon, whatever they are doing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use duramen_model::{FamilyMetadata, Labels, Sample};
use duramen_promql::{QueryContext, QueryLimits, QueryTimes, RollupChoice};
use duramen_source::{
    Error, MemorySource, SeriesExemplars, SeriesRequest, SeriesSource, SeriesStream,
};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::engine::engine;

/// When the query is cancelled. To finish, it would take much longer.
const PATIENCE: Duration = Duration::from_millis(50);

/// How soon all of its tasks must have ended then.
const END_MAX: Duration = Duration::from_secs(1);

/// A source that reports when its last owner is gone.
#[derive(Debug)]
struct Watched {
    inner: MemorySource,
    _held: Mutex<oneshot::Sender<()>>,
}

#[async_trait]
impl SeriesSource for Watched {
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, Error> {
        self.inner.select(request).await
    }

    async fn exemplars(&self, request: &SeriesRequest) -> Result<Vec<SeriesExemplars>, Error> {
        self.inner.exemplars(request).await
    }

    async fn metadata(&self) -> Result<Vec<FamilyMetadata>, Error> {
        self.inner.metadata().await
    }

    async fn ttl_max_ms(&self) -> Result<i64, Error> {
        self.inner.ttl_max_ms().await
    }
}

/// `x`: 500 series of one sample. `long`: one series of 10,001 samples. `target_info`: one series
/// for each of `x`.
fn source() -> MemorySource {
    let mut source = MemorySource::default();

    for at in 0..500_u32 {
        let le = at.to_string();
        let job = (at % 7).to_string();

        let pairs = [
            ("__name__", "x"),
            ("le", le.as_str()),
            ("instance", le.as_str()),
            ("job", job.as_str()),
        ];

        source.push(
            Labels::from_pairs(pairs).unwrap(),
            [Sample::new(0, f64::from(at))],
        );

        let pairs = [
            ("__name__", "target_info"),
            ("instance", le.as_str()),
            ("job", job.as_str()),
        ];

        source.push(Labels::from_pairs(pairs).unwrap(), [Sample::new(0, 1.0)]);
    }

    let long = (0..10_001_i32).map(|at| Sample::new(i64::from(at), f64::from(at % 1009)));
    source.push(Labels::from_pairs([("__name__", "long")]).unwrap(), long);
    source
}

/// Cancels `query`, which runs over steps of a millisecond. All steps look at the samples at 0.
async fn check(source: &MemorySource, query: &str, steps: i64) {
    let (held, gone) = oneshot::channel();
    let expr = duramen_syntax::parse(query).unwrap();
    let source = Arc::new(Watched {
        inner: source.clone(),
        _held: Mutex::new(held),
    });

    let context = QueryContext {
        source,
        lookback_ms: None,
        first_reads: true,
        limits: QueryLimits::default(),
        rollups: RollupChoice::default(),
    };

    let engine = engine(2);
    let given_up = match steps {
        1 => timeout(PATIENCE, engine.instant(&context, &expr, 300_000))
            .await
            .map(drop),
        steps => timeout(
            PATIENCE,
            engine.range(&context, &expr, QueryTimes::range(0, steps - 1, 1).unwrap()),
        )
        .await
        .map(drop),
    };

    assert!(given_up.is_err(), "{query:.60} is no heavy query");

    drop(context);
    assert!(
        timeout(END_MAX, gone).await.is_ok(),
        "{query:.60} goes on after it was given up"
    );
}

/// Nests calls in each other.
fn nested(open: &str, inner: &str, close: &str) -> String {
    format!("{}{inner}{}", open.repeat(60), close.repeat(60))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_query_is_at_it_ends_when_it_is_given_up() {
    let source = source();

    for query in [
        nested("sin(", "x", ")"),
        nested("sum by(instance) (", "x", ")"),
        nested("quantile by(job) (0.5, ", "x", ")"),
        nested("topk(400, ", "x", ")"),
        nested("limit_ratio(1, ", "x", ")"),
        "count_values(\"v\", x)".to_owned(),
        nested(
            "label_replace(",
            "x",
            ", \"to\", \"$1\", \"instance\", \"(.*)\")",
        ),
        nested("max_over_time(", "x", "[100ms:1ms])"),
        nested("absent(", "x", ")"),
        nested("vector(scalar(", "x", "))"),
        nested("x + on(instance) (", "x", ")"),
        nested("x * on(job) group_left() max by(job) (", "x", ")"),
        nested("x and on(job) (", "x", ")"),
        nested("x or (", "-x", ")"),
        nested("histogram_quantile(0.5, x) or (", "x", ")"),
        nested("info(", "x", ")"),
        "quantile_over_time(0.5, long[5m])".to_owned(),
        "rate(long[5m] anchored)".to_owned(),
        "deriv(long[5m])".to_owned(),
        "sum(sum_over_time(x[4h:5ms]))".to_owned(),
        "quantile_over_time(0.5, x[4h:5ms])".to_owned(),
        "rate(x[4h:5ms])".to_owned(),
    ] {
        check(&source, &query, 10_000).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sort_of_many_series_ends_when_it_is_given_up() {
    let mut source = MemorySource::default();

    for at in 0..30_000_u32 {
        let instance = format!("{:05}-{}", at.wrapping_mul(7919) % 99_991, "x".repeat(60));
        let number = at.to_string();

        let pairs = [
            ("__name__", "x"),
            ("instance", instance.as_str()),
            ("number", number.as_str()),
        ];

        source.push(
            Labels::from_pairs(pairs).unwrap(),
            [Sample::new(300_000, 1.0)],
        );
    }

    check(
        &source,
        &nested("sort_by_label(", "x", ", \"instance\", \"number\")"),
        1,
    )
    .await;
}
