//! Measures the kernels on series in memory: `cargo run --release -p duramen-promql --example
//! kernels [part of a name]`.
//!
//! The source returns ready batches, so only the engine is measured. Prints milliseconds, the best
//! of several runs.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use duramen_model::{FamilyMetadata, Labels, Sample};
use duramen_promql::{Engine, EngineConfig, QueryContext, QueryLimits, QueryTimes, RollupChoice};
use duramen_runtime::SystemClock;
use duramen_source::{
    Error, MemorySource, SeriesBatch, SeriesBatchBuilder, SeriesExemplars, SeriesRequest,
    SeriesSource, SeriesStream,
};
use futures::stream;

const SAMPLES: i64 = 240;
const SCRAPE_MS: i64 = 15_000;
const RUNS: usize = 7;

/// Returns the same series for every request.
#[derive(Debug)]
struct Ready {
    batches: Vec<SeriesBatch>,
}

impl Ready {
    /// The same series in a source that has to select them.
    fn in_memory(series: usize, samples: i64) -> Arc<dyn SeriesSource> {
        let mut source = MemorySource::default();

        for batch in Self::new(series, samples, 1024).batches {
            for row in 0..batch.len() {
                let (ts, values) = batch.samples_at(row);
                let samples = ts
                    .iter()
                    .zip(values)
                    .map(|(&ts_ms, &value)| Sample::new(ts_ms, value));

                source.push(Labels::from_encoded_trusted(batch.labels_at(row)), samples);
            }
        }

        Arc::new(source)
    }

    fn new(series: usize, samples: i64, batch_series_max: usize) -> Self {
        let mut builder = SeriesBatchBuilder::default();
        let mut batches = Vec::new();
        let mut seed = 1_u64;

        for at in 0..series {
            let instance = format!("10.0.0.{at:06}:9100");
            let job = format!("job-{}", at % 20);

            let pairs = [
                ("__name__", "node_cpu_seconds_total"),
                ("cpu", "3"),
                ("instance", &instance),
                ("job", &job),
                ("mode", "idle"),
                ("zone", "eu-central-1a"),
            ];

            let mut ts = Vec::new();
            let mut values = Vec::new();
            let mut value = 0.0;

            for sample in 0..samples {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                ts.push(sample * SCRAPE_MS + i64::try_from(seed >> 58).unwrap());
                value += (seed >> 40) as f64 / 1e6;
                values.push(value);
            }

            builder.push(&Labels::from_pairs(pairs).unwrap(), &ts, &values);
            if builder.len() == batch_series_max {
                batches.push(builder.finish());
            }
        }

        batches.push(builder.finish());
        Self { batches }
    }
}

#[async_trait]
impl SeriesSource for Ready {
    async fn select(&self, _: &SeriesRequest) -> Result<SeriesStream, Error> {
        let batches: Vec<_> = self.batches.iter().cloned().map(Ok).collect();
        Ok(Box::pin(stream::iter(batches)))
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

struct Bench {
    runtime: tokio::runtime::Runtime,
    wanted: String,
}

impl Bench {
    fn run(
        &self,
        name: &str,
        source: &Arc<dyn SeriesSource>,
        query: &str,
        (start_ms, end_ms, step_ms): (i64, i64, i64),
    ) {
        if !name.contains(&self.wanted) {
            return;
        }

        let expr = duramen_syntax::parse(query).unwrap();
        let context = QueryContext {
            source: Arc::clone(source),
            lookback_ms: None,
            first_reads: false,
            limits: QueryLimits::default(),
            rollups: RollupChoice::default(),
        };

        for partitions in [1, 2] {
            let engine = Engine::new(
                EngineConfig {
                    partitions,
                    memory_bytes_max: 4 << 30,
                    ..EngineConfig::default()
                },
                Arc::new(SystemClock::default()),
            );

            let mut best = Duration::MAX;

            for _ in 0..RUNS {
                let start = Instant::now();
                self.runtime.block_on(async {
                    match step_ms {
                        0 => engine.instant(&context, &expr, start_ms).await.unwrap(),
                        _ => engine
                            .range(
                                &context,
                                &expr,
                                QueryTimes::range(start_ms, end_ms, step_ms).unwrap(),
                            )
                            .await
                            .unwrap(),
                    }
                });

                best = best.min(start.elapsed());
            }

            println!(
                "{name:<28} partitions={partitions} {:8.2} ms",
                best.as_secs_f64() * 1e3
            );
        }
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();

    let bench = Bench {
        runtime,
        wanted: std::env::args().nth(1).unwrap_or_default(),
    };

    let end_ms = SAMPLES * SCRAPE_MS;
    let hour_of_minutes = (0, end_ms, 60_000);
    let hour_of_scrapes = (0, end_ms, SCRAPE_MS);
    let source: Arc<dyn SeriesSource> = Arc::new(Ready::new(10_000, SAMPLES, 1024));

    bench.run(
        "sum by rate, 61 steps",
        &source,
        "sum by (job) (rate(x[5m]))",
        hour_of_minutes,
    );

    bench.run(
        "sum by rate, 241 steps",
        &source,
        "sum by (job) (rate(x[5m]))",
        hour_of_scrapes,
    );

    bench.run(
        "sum by increase, 241 steps",
        &source,
        "sum by (job) (increase(x[5m]))",
        hour_of_scrapes,
    );

    bench.run(
        "avg_over_time, 61 steps",
        &source,
        "count(avg_over_time(x[5m]))",
        hour_of_minutes,
    );

    bench.run(
        "max_over_time, 61 steps",
        &source,
        "count(max_over_time(x[5m]))",
        hour_of_minutes,
    );

    bench.run(
        "sum by, 61 steps",
        &source,
        "sum by (job) (x)",
        hour_of_minutes,
    );

    bench.run(
        "sum by, 241 steps",
        &source,
        "sum by (job) (x)",
        hour_of_scrapes,
    );

    bench.run(
        "sum without, 61 steps",
        &source,
        "sum without (instance) (x)",
        hour_of_minutes,
    );

    bench.run("ratio, 61 steps", &source, "x / x", hour_of_minutes);
    bench.run("selector, 61 steps", &source, "x", hour_of_minutes);

    let source: Arc<dyn SeriesSource> = Arc::new(Ready::new(100_000, 20, 1024));
    let now = (300_000, 0, 0);

    bench.run(
        "count of 100,000",
        &source,
        "count({__name__=~\".+\"})",
        now,
    );

    bench.run(
        "sum by instance of 100,000",
        &source,
        "sum by (instance) ({__name__=~\".+\"})",
        now,
    );

    bench.run(
        "topk of 100,000",
        &source,
        "topk(5, {__name__=~\".+\"})",
        now,
    );

    bench.run("rate of 100,000", &source, "sum(rate(x[5m]))", now);

    let source = Ready::in_memory(100_000, 20);
    bench.run(
        "count, slow source",
        &source,
        "count({__name__=~\".+\"})",
        now,
    );
}
