//! Measures bytes and time per sample for writing and replaying a log on a real disk.
//!
//! Run `cargo bench -p duramen-wal`. By default the data are generated. `DURAMEN_WAL_BENCH_DATA`
//! names a file of requests to use instead: for each request a count u32, then so many of
//! (reference u32, time i64, value f64), all little-endian.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops at the first fault"
)]

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use duramen_model::{TenantId, WriterId};
use duramen_runtime::{Clock, Disk, RealDisk, SystemClock};
use duramen_wal::{Config, Wal, WriteRecord};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const SERIES: u32 = 10_000;
const SCRAPES: usize = 40;
const SAMPLES_PER_REQUEST: usize = 2_000;

#[derive(Default)]
struct Request {
    refs: Vec<u32>,
    ts_ms: Vec<i64>,
    values: Vec<f64>,
}

fn main() {
    let requests = std::env::var_os("DURAMEN_WAL_BENCH_DATA")
        .map_or_else(made, |path| read(&std::fs::read(path).unwrap()));
    let samples: usize = requests.iter().map(|request| request.refs.len()).sum();
    println!("{} requests, {samples} samples", requests.len());

    let folder = tempfile::tempdir().unwrap();
    let clock = SystemClock::default();
    let writer = WriterId(1.into());
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);

    let open = |handed_over: &mut usize| {
        let apply = |_, _, record: duramen_wal::OwnedRecord| {
            *handed_over += record.values.len();
            Ok(())
        };

        Wal::open(
            Arc::clone(&disk),
            folder.path(),
            writer,
            Config::default(),
            apply,
        )
        .unwrap()
        .0
    };

    let mut wal = open(&mut 0);

    let defining = write_round(&mut wal, &clock, &requests, Round::DefinesSeries);
    println!("first (series defined): {defining}");

    for name in ["second", "third"] {
        let round = write_round(&mut wal, &clock, &requests, Round::KnowsSeries);
        println!("{name}: {round}");
    }

    let bytes = wal.bytes();
    let start = clock.monotonic();
    let mut handed_over = 0;

    drop(wal);
    open(&mut handed_over);

    let seconds = (clock.monotonic() - start).as_secs_f64();
    println!(
        "replay: {handed_over} samples, {:.1} ns/sample, {:.2} s per GB",
        seconds * 1e9 / handed_over as f64,
        seconds * 1e9 / bytes as f64
    );
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    DefinesSeries,
    KnowsSeries,
}

/// Writes all requests with one sync each, and returns the cost of a sample as text.
fn write_round(wal: &mut Wal, clock: &SystemClock, requests: &[Request], round: Round) -> String {
    let samples: usize = requests.iter().map(|request| request.refs.len()).sum();
    let before = wal.bytes();
    let mut appending = Duration::ZERO;
    let mut syncing = Duration::ZERO;
    let mut defined = HashSet::new();

    for request in requests {
        let labels = match round {
            Round::DefinesSeries => definitions(&mut defined, request),
            Round::KnowsSeries => vec![],
        };

        let series: Vec<_> = labels
            .iter()
            .map(|(series_ref, labels)| (*series_ref, labels.as_bytes()))
            .collect();

        let record = WriteRecord {
            series: &series,
            refs: &request.refs,
            ts_ms: &request.ts_ms,
            values: &request.values,
            ..WriteRecord::empty(TenantId(1.into()))
        };

        let start = clock.monotonic();
        wal.append(&record).unwrap();

        let appended = clock.monotonic();
        wal.sync().unwrap();

        appending += appended - start;
        syncing += clock.monotonic() - appended;
    }

    let bytes = wal.bytes() - before;
    let per_sample = |time: Duration| time.as_secs_f64() * 1e9 / samples as f64;

    format!(
        "{:.2} B/sample, append {:.1} ns/sample, write and fdatasync {:.1} ns/sample, {:.0} us per sync",
        bytes as f64 / samples as f64,
        per_sample(appending),
        per_sample(syncing),
        syncing.as_secs_f64() * 1e6 / requests.len() as f64,
    )
}

/// Returns labels of the usual shape and length; neighbours share a target.
fn definitions(defined: &mut HashSet<u32>, request: &Request) -> Vec<(u32, String)> {
    let new = request
        .refs
        .iter()
        .filter(|series_ref| defined.insert(**series_ref));

    let labels = |series_ref: u32| {
        let target = series_ref / 400;
        let metric = series_ref % 400;

        format!(
            "__name__\u{18}node_group_{}_metric_{metric}_total\u{6}device\u{5}dev-{}\u{8}instance\u{d}10.0.{target}.17:9100\u{3}job\u{d}node-exporter\
             \u{9}namespace\u{a}monitoring\u{4}zone\u{c}eu-central-1a",
            metric / 40,
            metric % 8,
        )
    };

    new.map(|series_ref| (*series_ref, labels(*series_ref)))
        .collect()
}

/// Generates series like those of a node: one third constant, half counters and integer gauges, the
/// rest fractions.
fn made() -> Vec<Request> {
    let mut rng = StdRng::seed_from_u64(1);
    let mut values: Vec<f64> = (0..SERIES)
        .map(|_| f64::from(rng.random_range(0u32..1_000_000)))
        .collect();
    let mut requests = vec![];

    for scrape in 0..SCRAPES {
        let mut series = (0..SERIES).zip(&mut values).peekable();

        while series.peek().is_some() {
            let mut request = Request::default();

            for (series_ref, value) in series.by_ref().take(SAMPLES_PER_REQUEST) {
                match series_ref % 6 {
                    0 | 1 => {}
                    2..=4 => *value += f64::from(rng.random_range(0u32..5_000)),
                    _ => *value += rng.random::<f64>(),
                }

                request.refs.push(series_ref);
                request.ts_ms.push(
                    1_760_400_000_000
                        + scrape as i64 * 15_000
                        + i64::from(series_ref / 400 * 137 % 15_000),
                );

                request.values.push(*value);
            }

            requests.push(request);
        }
    }

    requests
}

fn read(mut bytes: &[u8]) -> Vec<Request> {
    let mut requests = vec![];

    while let Some((count, mut rest)) = bytes.split_first_chunk() {
        let mut request = Request::default();

        for _ in 0..u32::from_le_bytes(*count) {
            let (sample, behind) = rest.split_first_chunk::<20>().unwrap();
            request
                .refs
                .push(u32::from_le_bytes(sample[..4].try_into().unwrap()));
            request
                .ts_ms
                .push(i64::from_le_bytes(sample[4..12].try_into().unwrap()));
            request
                .values
                .push(f64::from_le_bytes(sample[12..].try_into().unwrap()));
            rest = behind;
        }

        requests.push(request);
        bytes = rest;
    }

    requests
}
