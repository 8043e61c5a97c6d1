//! Random expressions over random floats, evaluated by a real Prometheus and by the server under
//! test.
//!
//! The Prometheus here may be 2.42. Expressions that it evaluates differently from 3.14 are not
//! generated: see [`Dialect::Prometheus242`]. Its windows and its look-back include their start, so
//! samples have odd milliseconds and all query times have even ones. One difference is ignored:
//! 3.14 also fails if two series of one side meet the same partner and the comparison is false.
//!
//! `DURAMEN_SEED` sets the first world, and `DURAMEN_WORLDS` their number.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a Prometheus that does not start or answer fails its test"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use duramen_promqltest::random::{Dialect, World, Writer, environment, seeded};
use duramen_promqltest::{LoadedSeries, LoadedValue};
use serde_json::Value as Json;

use crate::differential::Receiver;
use crate::harness::duramen::{Duramen, seconds, write};
use crate::harness::http::Request;
use crate::harness::samples::{Body, LabelSet, Random, labels};
use crate::harness::wait::now_ms;

/// The number of expressions in each world. Each is evaluated at an instant and over a range.
const EXPRESSIONS: u64 = 200;

/// Returns the floats of a world from `base_ms` on, with one more label.
fn body(world: &World, base_ms: i64, seed: &str) -> Vec<u8> {
    let float = |value: &LoadedValue| match value {
        LoadedValue::Float(value) => Some(*value),
        LoadedValue::Histogram(_) => None,
    };

    let mut body = Body::default();

    for LoadedSeries { labels, samples } in world.series() {
        let floats: Option<Vec<(i64, f64)>> = samples
            .iter()
            .map(|sample| Some(((base_ms + sample.ts_ms) | 1, float(&sample.value)?)))
            .collect();

        if let Some(floats) = floats {
            let mut pairs: Vec<(&str, &str)> = labels.iter().chain([("world", seed)]).collect();
            pairs.sort_unstable();
            body = body.series(&pairs, &floats);
        }
    }

    body.snappy()
}

/// Values by labels and time. A scalar has no labels.
type Values = BTreeMap<LabelSet, Vec<(String, f64)>>;

fn values(data: &Json) -> Values {
    let point = |pair: &Json| {
        (
            pair[0].to_string(),
            pair[1].as_str().unwrap().parse().unwrap(),
        )
    };

    let series = |one: &Json| {
        let points = one["values"].as_array().map_or_else(
            || vec![point(&one["value"])],
            |all| all.iter().map(point).collect(),
        );

        (labels(&one["metric"]), points)
    };

    match data["resultType"].as_str().unwrap() {
        "scalar" => BTreeMap::from([(LabelSet::new(), vec![point(&data["result"])])]),
        _ => data["result"]
            .as_array()
            .unwrap()
            .iter()
            .map(series)
            .collect(),
    }
}

/// Returns the values, or the message of a query that fails.
async fn asked(address: SocketAddr, request: &Request) -> Result<Values, String> {
    let answer = request.send(address).await.unwrap();
    let json = answer.json();

    match answer.status {
        200 => Ok(values(&json["data"])),
        422 => Err(json["error"].to_string()),
        other => panic!("{other} {request:?}: {json}"),
    }
}

fn near(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-7 * a.abs().max(b.abs()).max(1.0)
}

fn same(a: &Values, b: &Values) -> bool {
    let points = |a: &[(String, f64)], b: &[(String, f64)]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && near(a.1, b.1))
    };
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && points(a.1, b.1))
}

#[tokio::test]
async fn a_real_prometheus_answers_random_expressions_the_same() {
    let Some(prometheus) = Receiver::start().await else {
        return;
    };
    let server = Duramen::local().await;
    let first = environment("DURAMEN_SEED", 1);
    let mut compared = 0;
    let mut answered = 0;
    let mut passed_over = 0;
    let mut different = Vec::new();

    for seed in first..first + environment("DURAMEN_WORLDS", 1) {
        let mut random = seeded(seed);
        let world = World::new(&mut random);
        let base_ms = now_ms() / 60_000 * 60_000 - World::END_MS - 120_000;

        for address in [prometheus.address, server.address] {
            let written = write(body(&world, base_ms, &seed.to_string()))
                .send(address)
                .await
                .unwrap();

            assert_eq!(written.status, 204, "{}", written.text());
        }

        let mut times = Random(seed);

        for _ in 0..EXPRESSIONS {
            let query = Writer {
                random: &mut random,
                dialect: Dialect::Prometheus242,
                origin: base_ms / 1000,
            }
            .expression();

            let start_ms = base_ms + i64::try_from(times.below(600_000)).unwrap() * 2;
            let step_ms = [2_000, 16_000, 60_000, 77_778][times.below(4)];
            let end_ms = start_ms + step_ms * i64::try_from(times.below(10)).unwrap();
            let [start, end, step] = [start_ms, end_ms, step_ms].map(seconds);
            let instant = Request::get("/api/v1/query", &[("query", &query), ("time", &start)]);

            let range = [
                ("query", &*query),
                ("start", &start),
                ("end", &end),
                ("step", &step),
            ];

            for request in [instant, Request::get("/api/v1/query_range", &range)] {
                let [theirs, ours] = [
                    asked(prometheus.address, &request).await,
                    asked(server.address, &request).await,
                ];

                compared += 1;

                match (&theirs, &ours) {
                    (Ok(theirs), Ok(ours)) if same(theirs, ours) => {
                        answered += usize::from(!ours.is_empty())
                    }
                    (Err(_), Err(_)) => {}
                    (Ok(_), Err(text)) if text.contains("multiple matches for labels") => {
                        passed_over += 1
                    }
                    _ => different.push(format!(
                        "seed {seed}: {request:?}\n  theirs {theirs:?}\n  ours   {ours:?}"
                    )),
                }
            }
        }
    }

    println!("{compared} compared, {answered} of them with series, {passed_over} passed over");
    for different in different.iter().take(10) {
        println!("{different:.3000}");
    }

    assert!(
        different.is_empty(),
        "{} of {compared} differ",
        different.len()
    );

    assert!(
        answered * 3 > compared && passed_over * 20 < compared,
        "{answered} and {passed_over} of {compared}"
    );
}
