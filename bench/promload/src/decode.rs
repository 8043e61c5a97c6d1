//! The floor of any receiver, on one thread: decompress, walk, hash, look up.

use std::hint::black_box;
use std::time::Instant;

use anyhow::Result;

use crate::identity::{SeriesTable, compare_cost, hash_labels};
use crate::rw::{RequestDecoder, RwFile};
use crate::wire::walk;

/// How far a request is taken.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Snappy,
    Walk,
    Hash,
    LookUp,
    /// The label bytes are compared with a predicted series instead of hashed.
    Predict,
}

const STAGES: [(&str, Stage); 5] = [
    ("snappy", Stage::Snappy),
    ("snappy+walk", Stage::Walk),
    ("snappy+walk+hash", Stage::Hash),
    ("snappy+walk+hash+lookup", Stage::LookUp),
    ("snappy+walk+prevhint", Stage::Predict),
];

/// The last sample of a series, as a head would keep it.
#[derive(Clone, Copy)]
struct Last {
    id: u32,
    ts_ms: i64,
    value: f64,
}

/// Prints the best of `loops` passes for each stage over the first `limit` samples of the file, or
/// all.
pub(crate) fn run(path: &str, limit: Option<u64>, loops: usize) -> Result<()> {
    let (requests, samples) = load(path, limit)?;
    let compressed: usize = requests.iter().map(Vec::len).sum();
    let per_sample = |bytes: usize| bytes as f64 / samples as f64;

    println!(
        "samples {samples}, compressed {:.1} MB ({:.2} B/sample)",
        compressed as f64 / 1e6,
        per_sample(compressed)
    );

    for (name, stage) in STAGES {
        let mut best_s = f64::MAX;
        let mut raw = 0;

        for _ in 0..loops.max(1) {
            let started = Instant::now();
            raw = pass(&requests, stage)?;
            best_s = best_s.min(started.elapsed().as_secs_f64());
        }

        println!(
            "{name:26} {:8.2} M samples/s/core  {:.4} CPU s/M samples  {:.2} GB/s raw protobuf ({:.1} B/sample raw)",
            samples as f64 / best_s / 1e6,
            best_s / (samples as f64 / 1e6),
            raw as f64 / best_s / 1e9,
            per_sample(raw)
        );
    }

    Ok(())
}

fn load(path: &str, limit: Option<u64>) -> Result<(Vec<Vec<u8>>, u64)> {
    let file = RwFile::open(path)?;
    let mut requests = vec![];
    let mut samples = 0;

    for record in &file.records {
        if limit.is_some_and(|limit| samples >= limit) {
            break;
        }

        let mut request = vec![];
        file.read(record, &mut request)?;
        requests.push(request);
        samples += u64::from(record.samples);
    }

    Ok((requests, samples))
}

/// Returns the bytes of the requests, decompressed.
fn pass(requests: &[Vec<u8>], stage: Stage) -> Result<usize> {
    let mut decoder = RequestDecoder::default();
    let mut table: SeriesTable<Last> = SeriesTable::default();
    let mut raw = 0;
    let mut sum = 0u64;

    for request in requests {
        let request = decoder.decompress(request)?;
        raw += request.len();
        sum = sum.wrapping_add(take(request, stage, &mut table)?);
    }

    black_box(sum);
    Ok(raw)
}

fn take(request: &[u8], stage: Stage, table: &mut SeriesTable<Last>) -> Result<u64> {
    let mut sum = 0u64;

    match stage {
        Stage::Snappy => sum = request.get(request.len() / 2).copied().map_or(0, u64::from),
        Stage::Walk => walk(request, |labels, ts, value| {
            sum = sum.wrapping_add(labels.len() as u64 ^ ts as u64 ^ value.to_bits());
        })?,
        Stage::Hash => walk(request, |labels, ts, value| {
            sum = sum.wrapping_add(hash_labels(labels) ^ ts as u64 ^ value.to_bits());
        })?,
        Stage::LookUp => walk(request, |labels, ts_ms, value| {
            let id = table.len() as u32;
            let last = table
                .entry(hash_labels(labels))
                .or_insert(Last { id, ts_ms, value });
            (last.ts_ms, last.value) = (ts_ms, value);
            sum = sum.wrapping_add(u64::from(last.id));
        })?,
        Stage::Predict => walk(request, |labels, ts, value| {
            sum = sum.wrapping_add(compare_cost(labels) ^ ts as u64 ^ value.to_bits());
        })?,
    }

    Ok(sum)
}
