//! Bodies that a real Prometheus sent are taken, and read back as what they said.

#![expect(clippy::unwrap_used, reason = "a recording that cannot be read fails its test")]

use std::collections::BTreeMap;
use std::path::Path;

use duramen_proto::{WriteLimits, WriteRequest, WriteRequestEncoder, snappy};
use serde_json::Value as Json;

use crate::harness::duramen::{Duramen, seconds};
use crate::harness::samples::{LabelSet, matrix};
use crate::harness::shared;
use crate::harness::wait::now_ms;

/// What one series of the recording holds: times, and the 64 bits of each value.
type Recorded = BTreeMap<LabelSet, BTreeMap<i64, u64>>;

const STALE: u64 = 0x7ff0_0000_0000_0002;

/// All series with samples, as they were decoded when they were recorded.
fn recorded(folder: &Path) -> Recorded {
    let decoded: Json = serde_json::from_slice(&std::fs::read(folder.join("decoded.json")).unwrap()).unwrap();
    let mut recorded = Recorded::new();
    for series in decoded.as_array().unwrap().iter().flat_map(|request| request["timeseries"].as_array().unwrap()) {
        let pairs: Vec<(String, String)> = serde_json::from_value(series["labels"].clone()).unwrap();
        for sample in series["samples"].as_array().unwrap() {
            let bits = u64::from_str_radix(sample["bits"].as_str().unwrap(), 16).unwrap();
            let held = recorded.entry(pairs.iter().cloned().collect()).or_default();
            held.insert(sample["t"].as_i64().unwrap(), bits);
        }
    }
    recorded
}

fn bodies(folder: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "snappy"));
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// The body as it is, or its series `by_ms` earlier.
fn shifted(body: &[u8], by_ms: i64) -> Vec<u8> {
    if by_ms == 0 {
        return body.to_vec();
    }
    let decoded = snappy::decompress(body, 32 << 20).unwrap();
    let request = WriteRequest::decode_v1(&decoded, &WriteLimits::of_body(decoded.len())).unwrap();
    let mut encoder = WriteRequestEncoder::default();
    for (at, series) in request.series.iter().enumerate() {
        let labels = request.labels(at).unwrap();
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        let samples = series.samples().map(|at| (request.ts_ms[at] - by_ms, request.values[at]));
        encoder.push(labels.iter().map(|(name, value)| (text(*name), text(*value))), samples);
    }
    snappy::compress(&encoder.finish())
}

#[tokio::test]
async fn captured_bodies_are_taken_and_read_back_with_the_same_values() {
    let Some(folder) = shared::path("conformance/prometheus-2.42-answers/rw1-captures") else { return };
    let recorded = recorded(&folder);
    let last_ms = *recorded.values().filter_map(|held| held.keys().next_back()).max().unwrap();
    // Where the clock is behind the recording, what it holds would lie in a far future.
    let by_ms = (last_ms - now_ms() + 60_000).max(0);
    let mut server = Duramen::local().await;
    for _twice in 0..2 {
        for body in bodies(&folder) {
            server.write(shifted(&body, by_ms)).await;
        }
    }
    check(&server, &recorded, last_ms, by_ms).await;
    server.flush().await;
    check(&server, &recorded, last_ms, by_ms).await;
    server.kill();
    server.start().await;
    check(&server, &recorded, last_ms, by_ms).await;
}

async fn check(server: &Duramen, recorded: &Recorded, last_ms: i64, by_ms: i64) {
    let params = [("query", "{__name__=~\".+\"}[1h]"), ("time", &seconds(last_ms - by_ms))];
    let found = matrix(&server.get("/api/v1/query", &params).await.data());
    let (mut series, mut stale) = (0, 0);
    for (labels, held) in recorded {
        stale += held.values().filter(|bits| **bits == STALE).count();
        let visible: Vec<_> = held.iter().filter(|(_, bits)| **bits != STALE).collect();
        let Some(points) = found.get(labels) else {
            assert!(visible.is_empty(), "{labels:?} is missing");
            continue;
        };
        series += 1;
        assert_eq!(points.len(), visible.len(), "{labels:?}");
        for ((ts_ms, text), (expected_ms, bits)) in points.iter().zip(visible) {
            assert_eq!(*ts_ms, expected_ms - by_ms, "{labels:?}");
            let (value, expected) = (text.parse::<f64>().unwrap(), f64::from_bits(*bits));
            assert!(value.to_bits() == *bits || value.is_nan() && expected.is_nan(), "{labels:?}: {text} {expected}");
        }
    }
    assert_eq!(found.len(), series);
    assert!(series > 5 && stale > 0, "{series} series and {stale} stale markers: not the recording that was meant");
}
