//! Measures a merge: twelve blocks of two hours become one block of a day, without rollups and
//! with them.
//!
//! `cargo run --release -p duramen-blocks --example merge -- [SERIES]`. Each of 2,000 series (or
//! SERIES) has a sample every 15 s. Most are integers that count up; one in twenty is a float with
//! a full mantissa.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "figures are for people"
)]

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use duramen_block::{BlockWriter, SeriesContents, WriterOptions};
use duramen_blocks::{MergeInput, MergeOptions, MergeTask, RollupTask, merge_into};
use duramen_model::{
    BlockEntry, BlockId, Content, Labels, Order, OrderRange, RolledDay, TenantId, WriterId,
};
use duramen_runtime::{Disk, RealDisk};
use duramen_source::{Read, Reads};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use ulid::Ulid;

const WINDOW_MS: i64 = 2 * 60 * 60 * 1000;
const STEP_MS: i64 = 15_000;
const DAY_MS: i64 = 12 * WINDOW_MS;

/// A series that goes on from block to block.
struct Sender {
    labels: Labels,
    is_float: bool,
    value: f64,
}

fn senders(series: usize) -> Vec<Sender> {
    let sender = |number: usize| {
        let metric = format!("metric_{:03}", number / 20);
        let instance = format!("10.0.{}.{}:9100", number % 20, number / 20);
        let pairs = [
            ("__name__", metric.as_str()),
            ("instance", &instance),
            ("job", "node"),
        ];

        Sender {
            labels: Labels::from_pairs(pairs).unwrap(),
            is_float: number.is_multiple_of(20),
            value: 0.0,
        }
    };

    let mut senders: Vec<_> = (0..series).map(sender).collect();
    senders.sort_by(|a, b| a.labels.cmp_in_block(&b.labels));
    senders
}

fn folder(root: &FilePath, id: BlockId) -> PathBuf {
    root.join(format!("block={id}"))
}

/// Writes the block of window `window`.
fn write(root: &FilePath, window: u64, senders: &mut [Sender], random: &mut StdRng) -> MergeInput {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let id = BlockId(Ulid(u128::from(window) + 1));
    let options = WriterOptions::window(WINDOW_MS);
    let mut writer = BlockWriter::create(&disk, &folder(root, id), options).unwrap();
    let start_ms = i64::try_from(window).unwrap() * WINDOW_MS;

    for sender in senders {
        let mut ts = Vec::new();
        let mut values = Vec::new();

        for at in 0..WINDOW_MS / STEP_MS {
            let is_late = random.random_bool(0.02);
            ts.push(start_ms + at * STEP_MS + i64::from(is_late) * random.random_range(1..8));

            sender.value = if sender.is_float {
                random.random::<f64>()
            } else {
                sender.value + f64::from(random.random_range(0..200_u32))
            };
            values.push(sender.value);
        }

        writer
            .push(&sender.labels, &SeriesContents::floats(&ts, &values))
            .unwrap();
    }

    let order = Order {
        opened: window,
        writer: WriterId(Ulid(2)),
        flush: window,
    };

    let entry = BlockEntry {
        id,
        order: OrderRange {
            min: order,
            max: order,
        },
        level: 1,
        resolution_ms: None,
        retention: String::new(),
        home: None,
        content: Content::of_flush(TenantId(Ulid(1)), order, start_ms),
        rolled: Vec::new(),
        stats: writer.finish().unwrap(),
    };

    MergeInput {
        entry,
        store: Arc::new(LocalFileSystem::new_with_prefix(root).unwrap()),
        directory: Path::from(format!("block={id}")),
        deletions: Vec::new(),
    }
}

/// Returns the CPU time of this process in seconds, from `/proc`.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = |at: usize| -> f64 { fields.split(' ').nth(at).unwrap().parse().unwrap() };

    // utime and stime, in ticks of a hundredth of a second.
    (ticks(11) + ticks(12)) / 100.0
}

/// Returns the largest resident memory so far in MiB, from `/proc`.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));

    kib.unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::main]
async fn main() {
    let series = std::env::args().nth(1);
    let series = series.map_or(2000, |series| series.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_owned();
    let mut random = StdRng::seed_from_u64(7);
    let mut senders = senders(series);

    let inputs: Vec<_> = (0..12)
        .map(|window| write(&root, window, &mut senders, &mut random))
        .collect();

    for rollups in [false, true] {
        measure(&root, inputs.clone(), series, rollups).await;
    }
}

/// Merges the inputs, and makes rollups in the same pass if they are wanted.
async fn measure(root: &FilePath, inputs: Vec<MergeInput>, series: usize, rollups: bool) {
    let before = cpu_seconds();
    let peak_before = peak_mib();
    let reads = Arc::new(Reads::default());
    let mut next = if rollups { 200 } else { 100 };

    let create = {
        let root = root.to_owned();

        move |_| {
            next += 1;
            let id = BlockId(Ulid(next));
            let disk: Arc<dyn Disk> = Arc::new(RealDisk);
            let options = WriterOptions::window(DAY_MS);
            let writer = BlockWriter::create(&disk, &folder(&root, id), options)?;
            Ok((id, writer))
        }
    };

    let contents = inputs.iter().map(|input| input.entry.content);
    let task = MergeTask {
        writes_samples: true,
        rollups: rollups.then(|| RollupTask {
            day: RolledDay {
                start_ms: 0,
                contents: vec![Content::of_merge(contents)],
            },
            resolutions_ms: vec![300_000, 3_600_000],
        }),
    };

    let merged = merge_into(inputs, &task, &MergeOptions::default(), &reads, create)
        .await
        .unwrap();

    let seconds = cpu_seconds() - before;
    let report = &merged.report;
    let samples = report.samples as f64;

    println!(
        "{} blocks of {series} series -> {}: {:.2} M samples in {seconds:.2} s of CPU, {:.1} M/s",
        report.inputs.len(),
        merged.blocks.len(),
        samples / 1e6,
        samples / 1e6 / seconds
    );
    println!(
        "bytes a sample: {:.3} -> {:.3}; {} GETs of {:.1} MiB",
        report.bytes_before() as f64 / samples,
        report.bytes as f64 / samples,
        reads.get(Read::Gets),
        reads.get(Read::GetBytes) as f64 / f64::from(1 << 20)
    );

    for block in &merged.blocks {
        if let Some(resolution_ms) = block.entry.resolution_ms {
            let stats = &block.entry.stats;
            println!(
                "rollup of {} min: {:.3} bytes a sample, {:.2} a row",
                resolution_ms / 60_000,
                stats.bytes() as f64 / samples,
                stats.bytes() as f64 / stats.samples as f64
            );
        }
    }

    println!(
        "resident at most: {peak_before} MiB before, {} MiB after",
        peak_mib()
    );
}
