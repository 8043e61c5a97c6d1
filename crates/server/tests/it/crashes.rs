//! After a kill at any moment of a flush, the server has everything that it acknowledged, exactly
//! once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use duramen_proto::snappy;
use duramen_testkit::prompb::Message;
use duramen_testkit::prompb::v1::metric_metadata::MetricType;
use duramen_testkit::prompb::v1::{
    BucketSpan, Exemplar, Histogram, Label, MetricMetadata, Sample, TimeSeries, WriteRequest,
    histogram,
};
use duramen_testkit::s3::{Fault, FaultPlan, Gate, Op, Point, Rule, S3, S3Options, When};

use crate::harness::duramen::{Duramen, flush, seconds};
use crate::harness::read::read;
use crate::harness::samples::{Body, matrix};
use crate::harness::wait::{now_ms, pass, until};

const SERIES: usize = 50;
const PATIENCE: Duration = Duration::from_secs(60);

/// The acknowledged writes. In round `n` each series of floats gets the value `n`, at `n` seconds
/// after `start_ms`. A native histogram with an exemplar, a sample with a life span, and metadata
/// of the metric are written as well.
struct Ledger {
    start_ms: i64,
    rounds: usize,
}

const HISTOGRAMS: &str = "ledger_histogram";
/// A series with one sample a round, which stays valid for an hour.
const LONG: &str = "ledger_long";
const HOUR_MS: i64 = 3_600_000;

impl Ledger {
    fn new() -> Self {
        Self {
            start_ms: now_ms() / 1000 * 1000 - HOUR_MS,
            rounds: 0,
        }
    }

    fn ts_ms(&self, round: usize) -> i64 {
        self.start_ms + round as i64 * 1000
    }

    async fn write(&mut self, server: &Duramen) {
        let round = self.rounds;
        let sample = |ttl_ms| Sample {
            value: round as f64,
            timestamp: self.ts_ms(round),
            ttl_ms,
        };

        let floats = (0..SERIES).map(|number| TimeSeries {
            labels: labels(&[("__name__", "ledger"), ("series", &number.to_string())]),
            samples: vec![sample(0)],
            ..TimeSeries::default()
        });

        let long = TimeSeries {
            labels: labels(&[("__name__", LONG)]),
            samples: vec![sample(HOUR_MS)],
            ..Default::default()
        };

        let histograms = TimeSeries {
            labels: labels(&[("__name__", HISTOGRAMS)]),
            histograms: vec![self.histogram(round)],
            exemplars: vec![Exemplar {
                labels: labels(&[("trace_id", &round.to_string())]),
                value: round as f64,
                timestamp: self.ts_ms(round),
            }],
            ..TimeSeries::default()
        };

        let metadata = MetricMetadata {
            r#type: MetricType::Gauge.into(),
            metric_family_name: "ledger".to_owned(),
            help: format!("Round {round}."),
            unit: String::new(),
        };

        let request = WriteRequest {
            timeseries: floats.chain([long, histograms]).collect(),
            metadata: vec![metadata],
        };

        server
            .write(snappy::compress(&request.encode_to_vec()))
            .await;
        self.rounds += 1;
    }

    fn histogram(&self, round: usize) -> Histogram {
        Histogram {
            sum: (round as f64).sqrt(),
            schema: 3,
            zero_threshold: 1e-128,
            positive_spans: vec![
                BucketSpan {
                    offset: -5,
                    length: 1,
                },
                BucketSpan {
                    offset: 3,
                    length: 1,
                },
            ],
            positive_deltas: vec![round as i64, 1],
            timestamp: self.ts_ms(round),
            count: Some(histogram::Count::CountInt(2 * round as u64 + 1)),
            zero_count: Some(histogram::ZeroCount::ZeroCountInt(0)),
            ..Histogram::default()
        }
    }

    async fn check(&self, server: &Duramen) {
        let end = seconds(self.start_ms + HOUR_MS);
        let data = server
            .get("/api/v1/query", &[("query", "ledger[2h]"), ("time", &end)])
            .await
            .data();

        let found = matrix(&data);
        assert_eq!(found.len(), SERIES);

        let expected: Vec<_> = (0..self.rounds)
            .map(|n| (self.ts_ms(n), n.to_string()))
            .collect();
        for (labels, points) in found {
            assert_eq!(points, expected, "{labels:?}");
        }

        self.check_others(server).await;
    }

    async fn check_others(&self, server: &Duramen) {
        let last = self.rounds - 1;
        let held = read(server, HISTOGRAMS, self.start_ms, self.ts_ms(last)).await;
        let expected: Vec<Histogram> = (0..self.rounds)
            .map(|round| self.histogram(round))
            .collect();

        assert_eq!(
            held.iter()
                .map(|series| &series.histograms)
                .collect::<Vec<_>>(),
            [&expected]
        );

        let exemplars = server
            .get("/api/v1/query_exemplars", &[("query", HISTOGRAMS)])
            .await
            .data();

        let traces: Vec<_> = exemplars[0]["exemplars"]
            .as_array()
            .into_iter()
            .flatten()
            .collect();

        assert_eq!(traces.len(), self.rounds, "{exemplars}");

        for (round, exemplar) in traces.into_iter().enumerate() {
            assert_eq!(
                exemplar["labels"]["trace_id"],
                round.to_string(),
                "{exemplars}"
            );
        }

        let metadata = server.get("/api/v1/metadata", &[]).await.data();
        assert_eq!(metadata["ledger"][0]["help"], format!("Round {last}."));

        // A time long after the look-back.
        let value = server.value(LONG, self.ts_ms(last) + HOUR_MS - 1).await;
        assert_eq!(value, Some(last.to_string()));
    }
}

fn labels(pairs: &[(&str, &str)]) -> Vec<Label> {
    pairs
        .iter()
        .map(|(name, value)| Label {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        })
        .collect()
}

#[tokio::test]
async fn a_kill_at_any_time_after_a_flush_was_asked_for_loses_nothing_on_the_local_store() {
    let mut server = Duramen::local().await;
    let mut ledger = Ledger::new();

    for delay in 0..20u64 {
        ledger.write(&server).await;
        ledger.write(&server).await;

        let address = server.address;
        let flushing = async { flush().send(address).await };
        tokio::select! { _ = flushing => {}, () = pass(Duration::from_millis(delay * 3)) => {} }
        server.kill();
        server.start().await;
        ledger.check(&server).await;
    }

    server.flush().await;
    ledger.check(&server).await;
}

#[tokio::test]
async fn a_kill_at_any_time_of_a_start_loses_nothing() {
    let mut server = Duramen::with(&["--wal-segment-bytes-max", "1MiB"]).await;
    let mut ledger = Ledger::new();

    for _ in 0..40 {
        ledger.write(&server).await;
    }

    server.kill();

    for delay in 0..20u64 {
        server.spawn();
        pass(Duration::from_millis(delay * 7)).await;
        server.kill();
    }

    server.start().await;
    ledger.check(&server).await;
    ledger.write(&server).await;
    ledger.check(&server).await;
}

#[tokio::test]
async fn a_start_over_a_log_with_a_damaged_record_serves_the_rest_and_names_it() {
    let mut server = Duramen::local().await;
    let now = now_ms();

    for (metric, value) in [("before", 1.0), ("damaged", 2.0), ("behind", 3.0)] {
        let body = Body::default().sample(metric, now, value).snappy();
        server.write(body).await;
    }

    server.kill();

    let log = server.data_dir().join("wal");
    let segment = std::fs::read_dir(log).unwrap().next().unwrap().unwrap();
    let mut bytes = std::fs::read(segment.path()).unwrap();
    let name = bytes.windows(7).position(|window| window == b"damaged");
    bytes[name.unwrap()] ^= 1;
    std::fs::write(segment.path(), bytes).unwrap();

    server.start().await;
    assert_eq!(server.value("before", now).await.as_deref(), Some("1"));
    assert_eq!(server.value("damaged", now).await, None);
    assert_eq!(server.value("behind", now).await.as_deref(), Some("3"));

    assert_eq!(server.metric("duramen_wal_lost_records_total").await, 1.0);
    let said = server.process().log();
    assert!(
        said.contains("a part of the write-ahead log cannot be read") && said.contains("positions"),
        "{said}"
    );
}

#[tokio::test]
async fn a_kill_at_each_put_of_a_flush_loses_nothing_and_what_arrives_late_does_no_harm() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let mut server = Duramen::on(&s3).await;
    let mut ledger = Ledger::new();

    ledger.write(&server).await;

    for put in 1..=4 {
        for point in [Point::BeforeCommit, Point::AfterCommit] {
            for late in [false, true] {
                ledger.write(&server).await;

                let gate = Gate::new();
                let when = When::op(Op::Put).under("duramen/t/").nth(put);

                s3.inject(Rule {
                    when,
                    fault: Fault::HoldUntil {
                        point,
                        gate: gate.clone(),
                    },
                });

                let address = server.address;
                let flushing = async { flush().send(address).await };
                tokio::select! {
                    answer = flushing => panic!("PUT {put} was not part of the flush: {answer:?}"),
                    () = gate.arrived() => {}
                }

                server.kill();
                s3.clear_faults();

                if !late {
                    gate.open();
                }

                server.start().await;
                ledger.check(&server).await;
                gate.open();
                ledger.write(&server).await;
                ledger.check(&server).await;
            }
        }
    }

    server.flush().await;
    ledger.check(&server).await;
    server.kill();
    server.start().await;
    ledger.check(&server).await;
}

#[tokio::test]
async fn an_outage_of_the_store_refuses_no_write_and_hides_no_sample() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let mut server = Duramen::on(&s3).await;
    let mut ledger = Ledger::new();

    ledger.write(&server).await;
    s3.set_outage(true);

    let address = server.address;
    let flushing = async { flush().send(address).await };

    let working = async {
        for _ in 0..5 {
            ledger.write(&server).await;
            ledger.check(&server).await;
        }

        s3.set_outage(false);
    };

    let (flushed, ()) = tokio::join!(flushing, working);
    let status = flushed.unwrap().status;

    assert!([204, 503].contains(&status), "{status}");

    server.flush().await;
    ledger.check(&server).await;
    server.kill();
    server.start().await;
    ledger.check(&server).await;
}

#[tokio::test]
async fn a_loop_of_queries_sees_no_gap_and_no_duplicate_while_flushes_commit_under_it() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    s3.set_plan(FaultPlan::new(3).rule(When::any(), Fault::Delay(Duration::from_millis(5))));

    let server = Duramen::on(&s3).await;
    let mut ledger = Ledger::new();
    ledger.write(&server).await;

    let acknowledged = AtomicUsize::new(1);
    let done = AtomicBool::new(false);
    let end_ms = ledger.start_ms + 3_600_000;

    let writing = async {
        for _ in 0..40 {
            ledger.write(&server).await;
            acknowledged.store(ledger.rounds, Ordering::Release);
        }

        until("twenty flushes under the loop", PATIENCE, async || {
            (server.metric("duramen_flush_blocks_total").await >= 20.0).then_some(())
        })
        .await;
        done.store(true, Ordering::Release);
    };

    let flushing = async {
        while !done.load(Ordering::Acquire) {
            // A sample to flush, beside the watched ones.
            server
                .write(Body::default().sample("other", now_ms(), 1.0).snappy())
                .await;
            server.flush().await;
        }
    };

    let asking = async {
        let mut asked = 0;

        while !done.load(Ordering::Acquire) {
            let before = acknowledged.load(Ordering::Acquire);
            let data = server.query("count_over_time(ledger[2h])", end_ms).await;
            let after = acknowledged.load(Ordering::Acquire) + 1;
            let result = data["result"].as_array().unwrap();

            assert_eq!(result.len(), SERIES);

            for one in result {
                let count: usize = one["value"][1].as_str().unwrap().parse().unwrap();
                assert!(
                    (before..=after).contains(&count),
                    "{count} of {before} to {after}: {}",
                    one["metric"]
                );
            }

            asked += 1;
        }

        asked
    };

    let ((), (), asked) = tokio::join!(writing, flushing, asking);
    assert!(asked > 20, "{asked} queries are too few to tell");

    ledger.check(&server).await;
}
