//! Bodies that a real Prometheus sent are stored and read back unchanged: samples bit for bit,
//! exemplars and metadata.

#![expect(
    clippy::unwrap_used,
    reason = "a recording that cannot be read fails its test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use duramen_proto::snappy;
use duramen_testkit::prompb::{Message, v1};
use duramen_testkit::shared;
use serde_json::Value as Json;

use crate::harness::duramen::{Duramen, seconds};
use crate::harness::read::read;
use crate::harness::samples::{LabelSet, labels};
use crate::harness::wait::now_ms;

/// Times, and the 64 bits of each value.
type Bits = BTreeMap<i64, u64>;
/// The exemplars of one series: time, bits and labels.
type Exemplars = BTreeSet<(i64, u64, LabelSet)>;

const STALE: u64 = 0x7ff0_0000_0000_0002;
const NAN: u64 = 0x7ff8_0000_0000_0001;

/// The content of the recording, decoded when it was recorded.
#[derive(Default)]
struct Recorded {
    samples: BTreeMap<LabelSet, Bits>,
    exemplars: BTreeMap<LabelSet, Exemplars>,
    /// Type, help and unit of each family.
    metadata: BTreeMap<String, (i64, String, String)>,
    last_ms: i64,
}

fn pairs(json: &Json) -> LabelSet {
    serde_json::from_value::<Vec<(String, String)>>(json.clone())
        .unwrap()
        .into_iter()
        .collect()
}

fn recorded(folder: &Path) -> Recorded {
    let decoded: Json =
        serde_json::from_slice(&std::fs::read(folder.join("decoded.json")).unwrap()).unwrap();
    let mut recorded = Recorded::default();

    for request in decoded.as_array().unwrap() {
        for series in request["timeseries"].as_array().unwrap() {
            let labels = pairs(&series["labels"]);

            for sample in series["samples"].as_array().unwrap() {
                let bits = u64::from_str_radix(sample["bits"].as_str().unwrap(), 16).unwrap();
                let ts_ms = sample["t"].as_i64().unwrap();

                recorded
                    .samples
                    .entry(labels.clone())
                    .or_default()
                    .insert(ts_ms, bits);

                recorded.last_ms = recorded.last_ms.max(ts_ms);
            }

            for exemplar in series["exemplars"].as_array().into_iter().flatten() {
                let ts_ms = exemplar["t"].as_i64().unwrap();
                let bits = exemplar["v"].as_f64().unwrap().to_bits();
                let held = recorded.exemplars.entry(labels.clone()).or_default();

                held.insert((ts_ms, bits, pairs(&exemplar["labels"])));
            }
        }

        for family in request["metadata"].as_array().into_iter().flatten() {
            let text = |key: &str| family[key].as_str().unwrap().to_owned();
            let said = (family["type"].as_i64().unwrap(), text("help"), text("unit"));
            recorded.metadata.insert(text("family"), said);
        }
    }

    recorded
}

fn bodies(folder: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();

    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "snappy")
    });

    files.sort();
    files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect()
}

/// Returns the body with all times moved back by `by_ms`.
fn shifted(body: &[u8], by_ms: i64) -> Vec<u8> {
    if by_ms == 0 {
        return body.to_vec();
    }

    let mut request =
        v1::WriteRequest::decode(snappy::decompress(body, 32 << 20).unwrap().as_slice()).unwrap();

    for series in &mut request.timeseries {
        series
            .samples
            .iter_mut()
            .for_each(|sample| sample.timestamp -= by_ms);

        series
            .exemplars
            .iter_mut()
            .for_each(|exemplar| exemplar.timestamp -= by_ms);
    }

    snappy::compress(&request.encode_to_vec())
}

#[tokio::test]
async fn captured_bodies_are_taken_and_read_back_as_they_were() {
    let Some(folder) = shared::path("conformance/prometheus-2.42-answers/rw1-captures") else {
        return;
    };
    let recorded = recorded(&folder);

    // If the clock is behind the recording, its samples would be far in the future.
    let by_ms = (recorded.last_ms - now_ms() + 60_000).max(0);
    let mut server = Duramen::local().await;

    for _twice in 0..2 {
        for body in bodies(&folder) {
            server.write(shifted(&body, by_ms)).await;
        }
    }

    check(&server, &recorded, by_ms).await;
    server.flush().await;
    check(&server, &recorded, by_ms).await;
    server.kill();
    server.start().await;
    check(&server, &recorded, by_ms).await;
}

async fn check(server: &Duramen, recorded: &Recorded, by_ms: i64) {
    let start_ms = recorded.last_ms - by_ms - 3_600_000;
    let end_ms = recorded.last_ms - by_ms;

    let expected: BTreeMap<LabelSet, Bits> = recorded
        .samples
        .iter()
        .map(|(labels, held)| {
            (
                labels.clone(),
                held.iter()
                    .map(|(ts_ms, bits)| (ts_ms - by_ms, *bits))
                    .collect(),
            )
        })
        .collect();

    assert_eq!(samples(server, start_ms, end_ms).await, expected);

    let has = |wanted: u64| {
        expected
            .values()
            .flat_map(BTreeMap::values)
            .any(|bits| *bits == wanted)
    };

    assert!(
        expected.len() > 5 && has(STALE) && has(NAN),
        "not the recording that was meant"
    );

    check_exemplars(server, recorded, by_ms, (start_ms, end_ms)).await;
    check_metadata(server, recorded).await;
}

/// Returns all samples of all series by remote read, which alone shows every bit.
async fn samples(server: &Duramen, start_ms: i64, end_ms: i64) -> BTreeMap<LabelSet, Bits> {
    let series = read(server, ".+", start_ms, end_ms).await.into_iter();
    series
        .map(|one| {
            (
                one.labels,
                one.samples
                    .iter()
                    .map(|sample| (sample.timestamp, sample.value.to_bits()))
                    .collect(),
            )
        })
        .collect()
}

async fn check_exemplars(
    server: &Duramen,
    recorded: &Recorded,
    by_ms: i64,
    (start_ms, end_ms): (i64, i64),
) {
    let start = seconds(start_ms);
    let end = seconds(end_ms);

    let params = [
        ("query", "{__name__=~\".+\"}"),
        ("start", start.as_str()),
        ("end", end.as_str()),
    ];

    let data = server.get("/api/v1/query_exemplars", &params).await.data();
    let found: BTreeMap<LabelSet, Exemplars> = data
        .as_array()
        .unwrap()
        .iter()
        .map(|series| {
            (
                labels(&series["seriesLabels"]),
                series["exemplars"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(exemplar)
                    .collect(),
            )
        })
        .collect();

    let shifted = |held: &Exemplars| {
        held.iter()
            .map(|(ts_ms, bits, labels)| (ts_ms - by_ms, *bits, labels.clone()))
            .collect()
    };

    let expected: BTreeMap<LabelSet, Exemplars> = recorded
        .exemplars
        .iter()
        .map(|(labels, held)| (labels.clone(), shifted(held)))
        .collect();

    assert!(expected.len() > 1, "not the recording that was meant");
    assert_eq!(found, expected);
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a time of this age is far inside"
)]
fn exemplar(json: &Json) -> (i64, u64, LabelSet) {
    let ts_ms = (json["timestamp"].as_f64().unwrap() * 1000.0).round() as i64;
    (
        ts_ms,
        json["value"]
            .as_str()
            .unwrap()
            .parse::<f64>()
            .unwrap()
            .to_bits(),
        labels(&json["labels"]),
    )
}

async fn check_metadata(server: &Duramen, recorded: &Recorded) {
    let data = server.get("/api/v1/metadata", &[]).await.data();

    for (family, (kind, help, unit)) in &recorded.metadata {
        let kind = ["unknown", "counter", "gauge", "histogram"][usize::try_from(*kind).unwrap()];
        assert_eq!(
            data[family],
            serde_json::json!([{ "type": kind, "help": help, "unit": unit }]),
            "{family}"
        );
    }

    assert_eq!(data.as_object().unwrap().len(), recorded.metadata.len());
    assert!(
        recorded.metadata.len() > 2,
        "not the recording that was meant"
    );
}
