//! Measures the engines of the disk cache beside each other.
//!
//! `cargo run --release -p duramen-cache --example disk -- FOLDER`
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example that measures"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use duramen_cache::{DiskCache, EngineKind, Expected, Host, Key, Options, Wanted};
use duramen_qos::Account;
use duramen_runtime::{RealDisk, SystemClock, Tasks};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

const ENTRY_BYTES: usize = 16 << 10;
const ENTRIES: u32 = 16_384;
const OPTIONS: Options = Options {
    disk_bytes_max: 400 << 20,
    free_bytes_min: 0,
};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let folder = std::env::args().nth(1).unwrap();

    for kind in [
        EngineKind::Files,
        EngineKind::Foyer,
        EngineKind::Files,
        EngineKind::Foyer,
    ] {
        let folder = Path::new(&folder).join("disk-cache");
        let _ = std::fs::remove_dir_all(&folder);
        measure(&folder, kind).await;
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

async fn measure(folder: &Path, kind: EngineKind) {
    let mut payload = vec![0; ENTRY_BYTES];
    StdRng::seed_from_u64(1).fill_bytes(&mut payload);
    let payload = Bytes::from(payload);

    println!("{kind:?}");
    let cache = open(folder, kind).await;

    let before = Used::now();
    fill(&cache, 0, &payload).await;
    before.print("insert 256 MiB into an empty cache");

    let before = Used::now();
    fill(&cache, ENTRIES, &payload).await;
    fill(&cache, 2 * ENTRIES, &payload).await;
    before.print("insert 512 MiB more, into a full one");

    let kept: Vec<u32> = (0..3 * ENTRIES)
        .filter(|part| cache.held().entries > 0 && *part >= 2 * ENTRIES)
        .collect();

    let before = Used::now();
    let one = latencies(&cache, &kept, 1, 5000, &payload).await;
    before.print(&format!("get one: {one}"));

    let before = Used::now();
    let many = latencies(&cache, &kept, 64, 200, &payload).await;
    before.print(&format!("get 64: {many}"));

    println!("  {:?}", cache.held());
    cache.close().await;
    let weak = Arc::downgrade(&cache);
    drop(cache);
    while weak.strong_count() > 0 {
        tokio::task::yield_now().await;
    }

    let before = Used::now();
    let cache = open(folder, kind).await;
    before.print("open again");

    let again = latencies(&cache, &kept, 1, 1000, &payload).await;
    println!("  get one after that: {again}");
    cache.close().await;
}

async fn open(folder: &Path, kind: EngineKind) -> Arc<DiskCache> {
    let host = Host {
        disk: Arc::new(RealDisk),
        clock: Arc::new(SystemClock::default()),
        tasks: Tasks::default(),
        memory: Account::unbounded(),
    };

    DiskCache::open(host, folder, kind, OPTIONS).await.unwrap()
}

fn key(part: u32) -> Key {
    Key::new(
        "t/01J0000000000000000000000A/blocks/block=01J0000000000000000000000B",
        1,
        part,
    )
}

async fn fill(cache: &Arc<DiskCache>, first: u32, payload: &Bytes) {
    let crc = Expected::of(payload).crc;
    for part in first..first + ENTRIES {
        cache.insert(&key(part), crc, payload);
        if part % 64 == 63 {
            cache.settle().await;
        }
    }

    cache.settle().await;
}

/// Gets `batch` entries at a time, `times` times.
async fn latencies(
    cache: &DiskCache,
    kept: &[u32],
    batch: usize,
    times: usize,
    payload: &Bytes,
) -> String {
    let mut random = StdRng::seed_from_u64(7);
    let expected = Expected::of(payload);
    let mut taken = Vec::new();
    let mut hits = 0;

    for _ in 0..times {
        let first = random.random_range(0..kept.len() - batch);
        let wanted: Vec<Wanted> = kept[first..first + batch]
            .iter()
            .map(|part| Wanted {
                key: key(*part),
                expected,
            })
            .collect();

        let start = Instant::now();
        hits += cache.get(&wanted).await.iter().flatten().count();
        taken.push(start.elapsed());
    }

    taken.sort_unstable();
    let at = |percent: usize| taken[(taken.len() - 1) * percent / 100];
    let share = 100 * hits / (batch * times);
    format!("p50 {:?}, p99 {:?}, hits {share} %", at(50), at(99))
}

/// What the process has used so far.
struct Used {
    at: Instant,
    cpu: Duration,
    written: u64,
    resident: u64,
}

impl Used {
    fn now() -> Self {
        let read = |file: &str| std::fs::read_to_string(file).unwrap();
        let stat = read("/proc/self/stat");
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        let ticks = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        let number = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            let digits: String = line.chars().filter(char::is_ascii_digit).collect();
            digits.parse::<u64>().unwrap()
        };

        Self {
            at: Instant::now(),
            cpu: Duration::from_millis(ticks * 10),
            written: number(&read("/proc/self/io"), "wchar"),
            resident: number(&read("/proc/self/status"), "VmRSS"),
        }
    }

    fn print(&self, what: &str) {
        let now = Self::now();
        println!(
            "  {what}: {:?}, CPU {:?}, written {} MiB, resident {} MiB",
            now.at - self.at,
            now.cpu - self.cpu,
            (now.written - self.written) >> 20,
            now.resident >> 10,
        );
    }
}
