//! Measures the memory of `sum by (job) (rate(m[5m]))` over 24 hours of a block:
//! `cargo run --release -p duramen-query --example peak [series] [MiB of the query's budget]`.
//!
//! It writes a block of so many series, one sample a minute, into a temporary folder, and asks the
//! query of it, at one step a minute. It prints the peak above what was held before: as the
//! allocator counts it, as the system counts it, and as the budget of the tenant counts it. No
//! cache is used, so the peak is that of the query.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use duramen_block::{Block, BlockSource, BlockWriter, OpenOptions, SeriesContents, WriterOptions};
use duramen_model::{BlockStats, Labels};
use duramen_promql::{Engine, EngineConfig, QueryContext, QueryLimits, QueryTimes, RollupChoice};
use duramen_qos::{Account, Budget};
use duramen_runtime::{Disk, RealDisk, SystemClock};
use duramen_source::Reads;
use duramen_testkit::allocator::{Counting, Peak};
use object_store::local::LocalFileSystem;

const MINUTE_MS: i64 = 60_000;
const MINUTES: i64 = 24 * 60;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| {
        arguments
            .next()
            .map_or(default, |text| text.parse().unwrap())
    };
    let series: usize = number(100_000);
    let budget = number(1024) << 20;

    let dir = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let stats = write(&dir.path().join("block"), series);
    println!(
        "{} series, {} samples, {} MiB, written in {:?}",
        stats.series,
        stats.samples,
        stats.bytes() >> 20,
        started.elapsed()
    );

    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap()
        .block_on(ask(dir.path(), &stats, budget));
}

fn write(dir: &Path, series: usize) -> BlockStats {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut writer = BlockWriter::create(&disk, dir, WriterOptions::default()).unwrap();
    let ts: Vec<i64> = (0..MINUTES).map(|minute| minute * MINUTE_MS).collect();
    let mut seed = 1_u64;

    for number in 0..series {
        let instance = format!("10.0.0.{number:07}:9100");
        let job = format!("job-{}", number % 20);
        let labels =
            Labels::from_pairs([("__name__", "m"), ("instance", &instance), ("job", &job)]);

        let mut value = 0.0;
        let values: Vec<f64> = ts
            .iter()
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                value += (seed >> 56) as f64;
                value
            })
            .collect();

        let contents = SeriesContents::floats(&ts, &values);
        writer.push(&labels.unwrap(), &contents).unwrap();
    }

    writer.finish().unwrap()
}

async fn ask(dir: &Path, stats: &BlockStats, budget: usize) {
    let store = Arc::new(LocalFileSystem::new_with_prefix(dir).unwrap());
    let options = OpenOptions::default();
    let reads = Reads::default();
    let block = Block::open(store, "block".into(), stats, options, &reads);
    let context = QueryContext {
        source: Arc::new(BlockSource::new(block.await.unwrap())),
        lookback_ms: None,
        first_reads: false,
        limits: QueryLimits::default(),
        rollups: RollupChoice::default(),
    };

    let tenant = Budget::of_tenant(&Account::unbounded(), usize::MAX);
    let config = EngineConfig {
        memory_bytes_max: budget,
        ..EngineConfig::default()
    };

    let engine = Engine::new(config, Arc::new(SystemClock::default())).of_tenant(tenant.clone());
    let expr = duramen_syntax::parse("sum by (job) (rate(m[5m]))").unwrap();
    let times = QueryTimes::range(0, MINUTES * MINUTE_MS, MINUTE_MS).unwrap();

    // Sets the peak that the system counts to what is resident now.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let resident = status_kib("VmRSS:");
    let peak = Peak::start();

    let started = Instant::now();
    let answer = engine.range(&context, &expr, times).await;
    let took = started.elapsed();

    let allocated = peak.bytes();
    let resident = status_kib("VmHWM:") - resident;
    println!(
        "peak above idle: allocator {:.1} MB, resident {:.1} MB, budget {:.1} MB; {took:?}; {}",
        allocated as f64 / 1e6,
        resident as f64 * 1.024 / 1e3,
        tenant.peak() as f64 / 1e6,
        answer.map_or_else(|error| error.to_string(), |_| "answered".to_owned()),
    );
}

/// Reads a number of `/proc/self/status`.
fn status_kib(key: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}
