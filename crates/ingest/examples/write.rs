//! Measures the CPU of each part of a write, from the compressed body to the answer.
//!
//! ```text
//! cargo run --release -p duramen-ingest --example write -- [series=10000] [request=2000] [rounds=20]
//! ```
//!
//! The data is made up: scrapes of targets with some 260 series each, with twelve labels of 230
//! bytes. The log is on the disk of the temporary folder (`TMPDIR`), and the bucket is in memory.
//! The times are CPU times of this process, because the machine may be busy with other work.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring program for people"
)]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use duramen_blocks::Staging;
use duramen_bucket::{Bucket, DataDir, Tenants};
use duramen_ingest::{Config, Ingester, Metrics, Parts};
use duramen_limits::{IngestLimits, Limits, LimitsHandle};
use duramen_manifest::Manifests;
use duramen_model::TenantName;
use duramen_proto::{Version, WriteLimits, WriteRequest, WriteRequestEncoder, snappy};
use duramen_qos::Account;
use duramen_runtime::{Clock, Disk, RealDisk, SystemClock, Tasks};

/// The series of one target.
const PER_TARGET: usize = 260;

/// The CPU time of all threads of this process.
#[derive(Clone, Copy)]
struct Cpu(Duration);

impl Cpu {
    fn now() -> Self {
        let threads = std::fs::read_dir("/proc/self/task").unwrap();
        let ran = threads.filter_map(|thread| {
            let stat = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).ok()?;
            stat.split(' ').next()?.parse::<u64>().ok()
        });

        Self(Duration::from_nanos(ran.sum()))
    }

    fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

struct Options {
    series: usize,
    request: usize,
    rounds: usize,
}

fn main() {
    let value = |key: &str, default: usize| {
        let given = std::env::args().find_map(|word| word.strip_prefix(key)?.parse().ok());
        given.unwrap_or(default)
    };

    let options = Options {
        series: value("series=", 10_000),
        request: value("request=", 2_000),
        rounds: value("rounds=", 20),
    };

    let now_ms = SystemClock::default().now_ms();
    let first_ms = now_ms - 15_000 * i64::try_from(options.rounds + 3).unwrap();
    let rounds: Vec<Vec<Vec<u8>>> = (0..options.rounds)
        .map(|round| scrape(&options, round, first_ms))
        .collect();

    parts(&options, &rounds);

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(whole(&options, &rounds));
}

/// The parts that need no ingester, each alone.
fn parts(options: &Options, rounds: &[Vec<Vec<u8>>]) {
    let bodies: Vec<&Vec<u8>> = rounds.iter().flatten().collect();
    let samples = options.series * rounds.len();
    let sent: usize = bodies.iter().map(|body| body.len()).sum();
    let mut buffer = Vec::new();
    let mut messages = Vec::new();

    let cpu = Cpu::now();
    for body in &bodies {
        let len = snappy::decompress_into(body, 32 << 20, &mut buffer).unwrap();
        std::hint::black_box(&buffer[..len]);
    }
    say("snappy", cpu.elapsed(), samples);

    for body in &bodies {
        messages.push(snappy::decompress(body, 32 << 20).unwrap());
    }

    let decoded: usize = messages.iter().map(Vec::len).sum();
    println!(
        "  {:.0} bytes a sample sent, {:.0} decompressed",
        sent as f64 / samples as f64,
        decoded as f64 / samples as f64
    );

    let cpu = Cpu::now();
    for message in &messages {
        let limits = WriteLimits::of_body(message.len());
        std::hint::black_box(WriteRequest::decode_v1(message, &limits).unwrap());
    }
    say("decode", cpu.elapsed(), samples);

    let requests: Vec<WriteRequest<'_>> = messages
        .iter()
        .map(|message| {
            WriteRequest::decode_v1(message, &WriteLimits::of_body(message.len())).unwrap()
        })
        .collect();

    let cpu = Cpu::now();
    for request in &requests {
        let mut keys = request.keys(7);
        for at in 0..request.series.len() {
            std::hint::black_box(keys.of(at));
        }
    }
    say("keys of series", cpu.elapsed(), samples);
}

/// Whole writes: new series, known ones, and known ones in another order.
async fn whole(options: &Options, rounds: &[Vec<Vec<u8>>]) {
    let folder = tempfile::tempdir().unwrap();
    let tasks = Tasks::default();
    let ingester = start(folder.path(), &tasks).await;
    let (first, later) = rounds.split_first().unwrap();

    let cpu = Cpu::now();
    send(&ingester, first).await;
    say("write of new series", cpu.elapsed(), options.series);

    let cpu = Cpu::now();
    for round in later {
        send(&ingester, round).await;
    }
    say(
        "write of known series",
        cpu.elapsed(),
        options.series * later.len(),
    );

    let turned: Vec<Vec<Vec<u8>>> = (0..4)
        .map(|round| {
            let first_ms = SystemClock::default().now_ms() - 15_000 * 3;
            scrape_in(options, round, first_ms, true)
        })
        .collect();

    let cpu = Cpu::now();
    for round in &turned {
        send(&ingester, round).await;
    }
    say(
        "write of known series, another order",
        cpu.elapsed(),
        options.series * turned.len(),
    );
}

fn say(what: &str, cpu: Duration, count: usize) {
    println!("{:>8.1} ns  {what}", cpu.as_nanos() as f64 / count as f64);
}

async fn send(ingester: &Ingester, bodies: &[Vec<u8>]) {
    let tenant = TenantName::parse("anonymous").unwrap();
    let limits = IngestLimits::default();

    for body in bodies {
        let body = ingester.intake().decompress(&tenant, &limits, body).await;
        let report = ingester
            .write_body(&tenant, Version::One, body.unwrap())
            .await
            .unwrap();
        assert!(report.rejected.is_empty(), "{report:?}");
    }
}

fn scrape(options: &Options, round: usize, first_ms: i64) -> Vec<Vec<u8>> {
    scrape_in(options, round, first_ms, false)
}

/// The compressed bodies of one scrape of all series.
fn scrape_in(options: &Options, round: usize, first_ms: i64, turned: bool) -> Vec<Vec<u8>> {
    let ts_ms = first_ms + 15_000 * i64::try_from(round).unwrap();
    let mut series: Vec<usize> = (0..options.series).collect();
    if turned {
        series.reverse();
    }

    series
        .chunks(options.request)
        .map(|series| {
            let mut encoder = WriteRequestEncoder::default();
            for &at in series {
                push(&mut encoder, at, round, ts_ms);
            }

            snappy::compress(&encoder.finish())
        })
        .collect()
}

fn push(encoder: &mut WriteRequestEncoder, at: usize, round: usize, ts_ms: i64) {
    let target = at / PER_TARGET;
    let metric = at % PER_TARGET;
    let name = format!("http_request_duration_seconds_{}_bucket", metric / 13);
    let instance = format!("10.32.{}.{}:9102", target / 250, target % 250);
    let pod = format!("checkout-7d9f8b6c5-{target:05}");
    let node = format!("ip-10-32-{}.eu-central-1", target / 9);
    let handler = format!("/api/v1/items/{}", metric % 7);
    let bound = format!("{}", metric % 13);

    let labels = [
        ("__name__", name.as_str()),
        ("cluster", "production-eu-1"),
        ("code", "200"),
        ("container", "checkout"),
        ("handler", handler.as_str()),
        ("instance", instance.as_str()),
        ("job", "checkout"),
        ("le", bound.as_str()),
        ("method", "GET"),
        ("namespace", "shop"),
        ("node", node.as_str()),
        ("pod", pod.as_str()),
    ];

    let value = (at * 7 + round * (1 + at % 50)) as f64;
    encoder.push(labels, [(ts_ms, value)]);
}

async fn start(folder: &Path, tasks: &Tasks) -> Ingester {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let bucket = Bucket::memory(Arc::clone(&clock));
    let writer = DataDir::open_unlocked(Arc::clone(&disk), folder, &*clock)
        .unwrap()
        .identity();
    let register = Tenants::open(bucket.clone(), writer.writer).await.unwrap();
    let staging = Staging::open(Arc::clone(&disk), folder.join("staging")).unwrap();

    let parts = Parts {
        wal_dir: folder.join("wal"),
        disk,
        staging,
        ballast: None,
        clock: Arc::clone(&clock),
        bucket: bucket.clone(),
        register: Arc::new(register),
        manifests: Manifests::new(bucket, clock, writer),
        writer,
        log: writer.writer,
        limits: LimitsHandle::new(Limits::default(), std::collections::HashMap::new()),
        metrics: Metrics::default(),
        memory: Account::unbounded(),
        hash_seed: 1,
    };

    Ingester::start(parts, Config::default(), tasks)
        .await
        .unwrap()
        .0
}
