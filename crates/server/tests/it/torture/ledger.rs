//! One writer, and the answers that it got.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value as Json;

use crate::harness::duramen::{Duramen, seconds, write};
use crate::harness::samples::Body;
use crate::harness::wait::{now_ms, pass};

const METRIC: &str = "torture";
const STEP_MS: i64 = 250;
const AGE_MS: i64 = 2 * 3_600_000;
/// The pause before a request is repeated or the next one is sent.
const PAUSE: Duration = Duration::from_millis(30);

/// A writer. Its request `k` gives each of its series one sample, whose value tells the writer, the
/// series and the request.
#[derive(Debug)]
pub(super) struct Ledger {
    writer: usize,
    series: usize,
    start_ms: i64,
    /// Whether request `k` was acknowledged. A request that was not may be stored or not.
    requests: Vec<bool>,
    /// The first answer that says that a sample can never be stored.
    refused: Option<String>,
}

impl Ledger {
    pub(super) fn new(writer: usize, series: usize) -> Self {
        let start_ms = now_ms() / 1000 * 1000 - AGE_MS;
        Self {
            writer,
            series,
            start_ms,
            requests: Vec::new(),
            refused: None,
        }
    }

    /// Returns the first answer for which a Prometheus would drop samples.
    pub(super) fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// Sends one request after the other. A request that was not acknowledged is repeated every
    /// other time, as senders do, and otherwise given up.
    pub(super) async fn write_until(&mut self, address: SocketAddr, stop: &AtomicBool) {
        while !stop.load(Ordering::Acquire) {
            let request = self.requests.len();
            self.requests.push(false);

            let again = request.is_multiple_of(2);

            loop {
                match self.send(request, address).await {
                    Sent::Acknowledged => {
                        self.requests[request] = true;
                        break;
                    }
                    Sent::Unknown if again && !stop.load(Ordering::Acquire) => pass(PAUSE).await,
                    Sent::Unknown => {
                        pass(PAUSE).await;
                        break;
                    }
                }
            }
        }
    }

    async fn send(&mut self, request: usize, address: SocketAddr) -> Sent {
        let Ok(answer) = write(self.body(request)).send(address).await else {
            return Sent::Unknown;
        };
        match answer.status {
            204 => return Sent::Acknowledged,
            400..500 if answer.status != 429 => self.refused = Some(answer.text()),
            _ => {}
        }

        Sent::Unknown
    }

    fn body(&self, request: usize) -> Vec<u8> {
        let writer = self.writer.to_string();
        let ts_ms = self.ts_ms(request);
        let mut body = Body::default();

        for series in 0..self.series {
            let labels = [
                ("__name__", METRIC),
                ("series", &series.to_string()),
                ("writer", &writer),
            ];

            body = body.series(&labels, &[(ts_ms, self.value(series, request))]);
        }

        body.snappy()
    }

    fn ts_ms(&self, request: usize) -> i64 {
        self.start_ms + request as i64 * STEP_MS
    }

    /// Returns a value that uses every bit, so that two samples share one only by accident.
    fn value(&self, series: usize, request: usize) -> f64 {
        let mixed = (self.writer * 1_000_003 + series * 7919 + request * 104_729) as u64;
        (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 12) as f64 / 1024.0
    }

    /// Checks that all acknowledged samples are there once and bit for bit, and that nothing is
    /// there that was not sent.
    pub(super) async fn check(&self, server: &Duramen) {
        let last_ms = self.ts_ms(self.requests.len());
        let range_ms = last_ms - self.start_ms + STEP_MS;
        let query = format!("{METRIC}{{writer=\"{}\"}}[{range_ms}ms]", self.writer);
        let params = [("query", query.as_str()), ("time", &seconds(last_ms))];
        let data = server.get("/api/v1/query", &params).await.data();
        let mut found = BTreeMap::new();

        for one in data["result"].as_array().expect("a matrix") {
            let series: usize = one["metric"]["series"]
                .as_str()
                .expect("a label")
                .parse()
                .expect("a number");

            let twice = found.insert(series, one["values"].as_array().expect("values").as_slice());
            assert!(
                twice.is_none(),
                "series {series} of writer {} stands twice",
                self.writer
            );
        }

        for series in 0..self.series {
            self.check_series(series, found.get(&series).copied().unwrap_or_default());
        }
    }

    fn check_series(&self, series: usize, values: &[Json]) {
        let who = format!("series {series} of writer {}", self.writer);
        let mut stored = vec![false; self.requests.len()];

        for pair in values {
            let ts_ms = (pair[0].as_f64().expect("a time") * 1000.0).round() as i64;
            let value: f64 = pair[1]
                .as_str()
                .expect("a value")
                .parse()
                .expect("a number");

            let offset = ts_ms - self.start_ms;
            assert!(
                offset >= 0 && offset % STEP_MS == 0,
                "{who}: nobody sent a sample at {ts_ms}"
            );

            let request = (offset / STEP_MS) as usize;
            assert!(
                request < stored.len(),
                "{who}: nobody sent request {request}"
            );

            assert!(!stored[request], "{who}: request {request} is there twice");

            stored[request] = true;
            assert_eq!(
                value.to_bits(),
                self.value(series, request).to_bits(),
                "{who}: request {request}"
            );
        }

        let lost: Vec<usize> = (0..stored.len())
            .filter(|&request| self.requests[request] && !stored[request])
            .collect();
        assert!(
            lost.is_empty(),
            "{who}: acknowledged and lost: {lost:?} of {}",
            self.requests.len()
        );
    }
}

/// The outcome of a request, as far as its sender knows.
enum Sent {
    Acknowledged,
    Unknown,
}
