//! What large catalogs cost: `cargo run --release --example catalog -p duramen-compact`.
//!
//! One tenant with 100,000 blocks: opening its manifest, finding the blocks of a query, planning
//! its jobs. Then the plans of 1,000 tenants with 100 blocks each. Times are the best of some.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it prints figures, and ends if it cannot"
)]

use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use duramen_bucket::metrics::Op;
use duramen_bucket::{Bucket, WriterIdentity};
use duramen_compact::{Policy, plan};
use duramen_manifest::{Commit, Flushed, Manifests, State};
use duramen_model::{
    BlockEntry, BlockFile, BlockId, BlockStats, Content, Incarnation, NameBounds, Order, TenantId,
    TimeRange, WriterId,
};
use duramen_runtime::{Clock, SystemClock};
use ulid::Ulid;

const BLOCKS: u64 = 100_000;
/// A day of a large tenant has some blocks.
const SIBLINGS: u64 = 20;
const TENANTS: u64 = 1_000;
const BLOCKS_OF_A_TENANT: u64 = 100;
const DAY_MS: i64 = 86_400_000;
const FLUSH_MS: i64 = 900_000;
const START_MS: i64 = 1_600_000_000_000;
const ROUNDS: usize = 5;
const TENANT: TenantId = TenantId(Ulid(1));

const WRITER: WriterIdentity = WriterIdentity {
    writer: WriterId(Ulid(7)),
    epoch: 1,
    incarnation: Incarnation(Ulid(1)),
};

/// The day of a number, in milliseconds.
fn day_ms(day: u64) -> i64 {
    START_MS + i64::try_from(day).unwrap() * DAY_MS
}

/// Block `number` of the large tenant: one of the parts of a day.
fn part_of_a_day(number: u64) -> BlockEntry {
    let min_ts_ms = day_ms(number / SIBLINGS);
    block(number, min_ts_ms, DAY_MS)
}

/// Block `number` of a small tenant: a flush of fifteen minutes.
fn flush(number: u64) -> BlockEntry {
    let min_ts_ms = START_MS + i64::try_from(number).unwrap() * FLUSH_MS;
    block(number, min_ts_ms, FLUSH_MS)
}

fn block(number: u64, min_ts_ms: i64, span_ms: i64) -> BlockEntry {
    let sibling = number % SIBLINGS;
    let start_ms = u64::try_from(min_ts_ms).unwrap();

    let order = Order {
        opened: start_ms << 16,
        writer: WRITER.writer,
        flush: number + 1,
    };

    let file = |name: &str, bytes| BlockFile {
        name: name.to_owned(),
        bytes,
    };

    let stats = BlockStats {
        series: 40_000 + number % 25_000,
        samples: 200_000_000 + number % 100_000,
        histograms: 0,
        exemplars: 0,
        families: 0,
        ttl_max_ms: 0,
        min_ts_ms,
        max_ts_ms: min_ts_ms + span_ms - 15_000,
        names: Some(NameBounds {
            first: format!("http_server_{:03}_seconds_total", sibling * 37),
            last: format!("http_server_{:03}_seconds_total", sibling * 37 + 36),
        }),
        files: vec![
            file("series.parquet", 900_000 + number % 600_000),
            file("samples.parquet", 200_000_000 + number % 68_000_000),
        ],
        meta_bytes: 300_000 + number % 200_000,
        meta_crc32c: u32::try_from(number % 4_000_000_000).unwrap(),
    };

    let id = BlockId(Ulid::from_parts(start_ms, u128::from(number)));
    let content = Content::of_flush(TENANT, order, min_ts_ms);
    BlockEntry::of_flush(id, order, content, stats)
}

/// Commits the blocks of a tenant in some flushes.
async fn commit(manifests: &Manifests, tenant: TenantId, blocks: u64, flushes: u64) {
    let of_flush = blocks.div_ceil(flushes);

    for flush in 0..flushes {
        let numbers = flush * of_flush..blocks.min((flush + 1) * of_flush);
        let flushed = Flushed {
            writer: WRITER.writer,
            epoch: WRITER.epoch,
            incarnation: WRITER.incarnation,
            position: flush + 1,
            flush: flush + 1,
        };

        let commit = Commit::flush(numbers.map(part_of_a_day).collect(), flushed);
        manifests.commit(tenant, commit).await.unwrap();
    }
}

/// Returns the shortest time of some rounds, in milliseconds.
fn best_ms(clock: &dyn Clock, mut work: impl FnMut()) -> f64 {
    let mut best = Duration::MAX;

    for _ in 0..ROUNDS {
        let started = clock.monotonic();
        work();
        best = best.min(clock.monotonic().saturating_sub(started));
    }

    best.as_secs_f64() * 1e3
}

async fn print_opening(bucket: &Bucket, clock: &Arc<dyn Clock>) -> Arc<State> {
    let metrics = bucket.metrics();
    let mut best = Duration::MAX;
    let mut state = Arc::default();
    let mut requests = 0;
    let mut bytes = 0;

    for _ in 0..ROUNDS {
        let before = (metrics.requests_total(), metrics.bytes(Op::Get));
        let started = clock.monotonic();
        let reader = Manifests::new(bucket.clone(), Arc::clone(clock), WRITER);
        state = reader.refresh(TENANT).await.unwrap();

        best = best.min(clock.monotonic().saturating_sub(started));
        requests = metrics.requests_total() - before.0;
        bytes = metrics.bytes(Op::Get) - before.1;
    }

    let ms = best.as_secs_f64() * 1e3;
    println!("open: {requests} requests, {bytes} bytes, {ms:.0} ms");
    state
}

fn print_search(clock: &dyn Clock, state: &State) {
    let last_ms = day_ms(BLOCKS / SIBLINGS);

    for (span, days) in [("1 d", 1), ("30 d", 30), ("10 y", 3_650)] {
        let range = TimeRange::new(last_ms - days * DAY_MS, last_ms).unwrap();
        let mut found = 0;

        let ms = best_ms(clock, || {
            let blocks: Vec<_> = state.blocks_overlapping(range).cloned().collect();
            found = black_box(blocks).len();
        });

        println!(
            "blocks of the last {span}: {found} of {}, {ms:.2} ms",
            state.blocks.len()
        );
    }
}

fn print_plans(clock: &dyn Clock, state: &State) {
    let policy = Policy::default();
    let held = BTreeSet::new();
    let now_ms = day_ms(BLOCKS / SIBLINGS + 2);
    let mut jobs = 0;

    let ms = best_ms(clock, || {
        jobs = plan(state.blocks.values(), &held, &policy, now_ms).len();
    });

    println!(
        "plan of {} blocks: {jobs} jobs, {ms:.0} ms",
        state.blocks.len()
    );

    let entries: Vec<Vec<Arc<BlockEntry>>> = (0..TENANTS)
        .map(|_| (0..BLOCKS_OF_A_TENANT).map(flush).map(Arc::new).collect())
        .collect();

    let ms = best_ms(clock, || {
        let plans = entries
            .iter()
            .map(|blocks| plan(blocks, &held, &policy, now_ms));
        jobs = plans.map(|jobs| jobs.len()).sum();
    });

    println!("plans of {TENANTS} tenants of {BLOCKS_OF_A_TENANT} blocks: {jobs} jobs, {ms:.0} ms");
}

#[tokio::main]
async fn main() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let bucket = Bucket::memory(Arc::clone(&clock));
    let manifests = Manifests::new(bucket.clone(), Arc::clone(&clock), WRITER);
    commit(&manifests, TENANT, BLOCKS, 70).await;

    let state = print_opening(&bucket, &clock).await;
    print_search(&*clock, &state);
    print_plans(&*clock, &state);
}
