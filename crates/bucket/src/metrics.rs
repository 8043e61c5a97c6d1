//! The metrics of the bucket, which show its cost.

use std::fmt;
use std::time::Duration;

use duramen_metrics::{Counter, Family, Histogram, Registry, label_set};

/// An operation as the store bills it. `Create` is a PUT that must not overwrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    Get,
    Head,
    List,
    Put,
    Create,
    Delete,
    Copy,
    Upload,
    Part,
    Complete,
}

/// How a request ended. Outcomes that a caller may expect are separate from failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    Ok,
    NotFound,
    AlreadyExists,
    Error,
}

impl Op {
    const ALL: [Self; 10] = [
        Self::Get,
        Self::Head,
        Self::List,
        Self::Put,
        Self::Create,
        Self::Delete,
        Self::Copy,
        Self::Upload,
        Self::Part,
        Self::Complete,
    ];
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "get",
            Self::Head => "head",
            Self::List => "list",
            Self::Put => "put",
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Copy => "copy",
            Self::Upload => "upload",
            Self::Part => "part",
            Self::Complete => "complete",
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Error => "error",
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct RequestLabels {
    op: Op,
    result: Outcome,
}

label_set!(RequestLabels: op, result);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct OpLabels {
    op: Op,
}

label_set!(OpLabels: op);

/// The counters of one bucket. Cheap to clone; clones share the counters.
///
/// A request is counted each time it is sent, including retries. Retries that the client makes by
/// itself, which are for the parts of an upload, are not counted. A LIST counts once, however many
/// pages it has.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    bytes: Family<OpLabels, Counter>,
    seconds: Family<OpLabels, Histogram>,
    retries: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            bytes: Family::default(),
            seconds: Family::new(latency),
            retries: Counter::default(),
        }
    }
}

/// Makes a histogram from 0.5 ms, which is an fsync of a good disk, up to 16 s.
fn latency() -> Histogram {
    Histogram::new(std::iter::successors(Some(0.0005), |bound| Some(bound * 2.0)).take(16))
}

impl Metrics {
    /// Adds the metrics to `registry`, with the prefix `duramen_bucket`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.with_prefix("duramen_bucket");
        registry.register("requests", "Requests to the bucket", self.requests.clone());

        registry.register(
            "bytes",
            "Bytes of bodies sent to or received from the bucket",
            self.bytes.clone(),
        );

        registry.register(
            "request_seconds",
            "Time from a request, once it may be sent, to the head of its answer",
            self.seconds.clone(),
        );

        registry.register(
            "retries",
            "Requests that were sent again",
            self.retries.clone(),
        );
    }

    pub(crate) fn count(&self, op: Op, result: Outcome, took: Duration) {
        self.requests
            .get_or_create(&RequestLabels { op, result })
            .inc();
        self.seconds
            .get_or_create(&OpLabels { op })
            .observe(took.as_secs_f64());
    }

    pub(crate) fn add_bytes(&self, op: Op, bytes: u64) {
        self.bytes.get_or_create(&OpLabels { op }).inc_by(bytes);
    }

    pub(crate) fn add_retry(&self) {
        self.retries.inc();
    }

    /// Returns the number of requests of one operation, with any outcome.
    pub fn requests(&self, op: Op) -> u64 {
        [
            Outcome::Ok,
            Outcome::NotFound,
            Outcome::AlreadyExists,
            Outcome::Error,
        ]
        .into_iter()
        .map(|result| self.requests_with(op, result))
        .sum()
    }

    fn requests_with(&self, op: Op, result: Outcome) -> u64 {
        self.requests
            .get(&RequestLabels { op, result })
            .map_or(0, |counter| counter.get())
    }

    /// Returns the bytes of all bodies of one operation.
    pub fn bytes(&self, op: Op) -> u64 {
        self.bytes
            .get(&OpLabels { op })
            .map_or(0, |counter| counter.get())
    }

    pub fn retries(&self) -> u64 {
        self.retries.get()
    }

    /// Returns the number of requests of all operations.
    pub fn requests_total(&self) -> u64 {
        Op::ALL.into_iter().map(|op| self.requests(op)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_manual() {
        let metrics = Metrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        metrics.count(Op::Create, Outcome::AlreadyExists, Duration::from_millis(3));
        metrics.add_bytes(Op::Create, 7);

        let text = duramen_metrics::text(&registry.collect());

        for line in [
            "duramen_bucket_requests_total{op=\"create\",result=\"already_exists\"} 1",
            "duramen_bucket_bytes_total{op=\"create\"} 7",
            "duramen_bucket_request_seconds_count{op=\"create\"} 1",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
