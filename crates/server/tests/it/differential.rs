//! Sends the same requests to a real Prometheus and to the server under test, over the same
//! samples. The answers are equal, byte for byte where clients read bytes. The Prometheus here may
//! be older than the one whose API this is; requests that it answers differently are left out.

#![expect(
    clippy::unwrap_used,
    reason = "a Prometheus that does not start or answer fails its test"
)]

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::harness::duramen::{Duramen, seconds, write};
use crate::harness::http::{Answer, Request};
use crate::harness::process::{Process, free_address, program};
use crate::harness::samples::Body;
use crate::harness::wait::{now_ms, until};

/// A Prometheus that scrapes nothing and takes remote writes.
pub(crate) struct Receiver {
    // Dropped before the directory.
    _process: Process,
    _directory: TempDir,
    pub(crate) address: SocketAddr,
}

impl Receiver {
    /// Starts a receiver. If no Prometheus is installed, prints that and returns `None`.
    pub(crate) async fn start() -> Option<Self> {
        let program = program("DURAMEN_TEST_PROMETHEUS", "prometheus")?;
        let directory = TempDir::new().unwrap();
        let address = free_address();
        let config = directory.path().join("prometheus.yml");

        std::fs::write(&config, "global: {scrape_interval: 1h}\n").unwrap();

        let mut command = Command::new(program);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!(
            "--storage.tsdb.path={}",
            directory.path().join("data").display()
        ));

        command
            .arg(format!("--web.listen-address={address}"))
            .arg("--web.enable-remote-write-receiver");
        command.arg("--enable-feature=promql-per-step-stats");

        let process = Process::start(&mut command, &directory.path().join("log"));
        until("a ready Prometheus", Duration::from_secs(60), async || {
            let answer = Request::get("/-/ready", &[]).send(address).await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
        Some(Self {
            _process: process,
            _directory: directory,
            address,
        })
    }
}

/// Counters of two jobs over five minutes, a classic histogram, and values that have unusual
/// printed forms.
fn body(base_ms: i64) -> Vec<u8> {
    let mut body = Body::default();

    for (job, instance) in [("api", "a:1"), ("api", "b:1"), ("web", "c:1")] {
        let scale = instance.len() as f64 + f64::from(instance.as_bytes()[0]);
        let samples: Vec<_> = (0..20)
            .map(|n| (base_ms + n * 15_000, n as f64 * scale * 1.1))
            .collect();

        body = body.series(
            &[
                ("__name__", "requests_total"),
                ("instance", instance),
                ("job", job),
            ],
            &samples,
        );

        body = body.series(
            &[("__name__", "up"), ("instance", instance), ("job", job)],
            &[(base_ms + 285_000, 1.0)],
        );
    }

    for (le, count) in [("0.1", 1.0), ("1", 5.0), ("+Inf", 9.0)] {
        body = body.series(
            &[("__name__", "latency_bucket"), ("le", le)],
            &[(base_ms + 285_000, count)],
        );
    }

    for (n, value) in [1e21, 1e-7, -0.0, f64::INFINITY, f64::NAN, 0.1 + 0.2]
        .into_iter()
        .enumerate()
    {
        body = body.series(
            &[("__name__", "odd"), ("n", &n.to_string())],
            &[(base_ms + 285_000, value)],
        );
    }

    body.snappy()
}

/// Path and parameters. Times are offsets in seconds from the base: `@-5`.
const REQUESTS: &[(&str, &[(&str, &str)])] = &[
    ("query", &[("query", "up"), ("time", "@290")]),
    ("query", &[("query", "odd"), ("time", "@290")]),
    (
        "query",
        &[("query", "sort_desc(requests_total)"), ("time", "@290")],
    ),
    (
        "query",
        &[("query", "requests_total[1m]"), ("time", "@290.5")],
    ),
    (
        "query",
        &[("query", "rate(requests_total[1m])"), ("time", "@290")],
    ),
    (
        "query",
        &[
            ("query", "histogram_quantile(0.5, latency_bucket)"),
            ("time", "@290"),
        ],
    ),
    (
        "query",
        &[("query", "sum by (job) (requests_total)"), ("time", "@290")],
    ),
    (
        "query",
        &[
            ("query", "sum without (instance) (requests_total)"),
            ("time", "@290"),
        ],
    ),
    ("query", &[("query", "1 + 2"), ("time", "4")]),
    (
        "query",
        &[("query", "\"a\\\"b\\\\\u{e9}\""), ("time", "4.25")],
    ),
    ("query", &[("query", "1e21"), ("time", "4.001")]),
    ("query", &[("query", "-1e-7"), ("time", "4")]),
    ("query", &[("query", "0/0"), ("time", "4")]),
    ("query", &[("query", "-1/0"), ("time", "4")]),
    ("query", &[("query", "vector(1e21)"), ("time", "4.25")]),
    (
        "query",
        &[("query", "up"), ("time", "2015-06-03T13:21:58.5556Z")],
    ),
    (
        "query",
        &[("query", "time()"), ("time", "2015-06-03T13:21:58.5556Z")],
    ),
    (
        "query",
        &[("query", "time()"), ("time", "2015-06-03T13:21:58+02:00")],
    ),
    ("query", &[("query", "time()"), ("time", "1.0005")]),
    ("query", &[("query", "time()"), ("time", "-1.5")]),
    ("query", &[("query", "time()"), ("time", "1e9")]),
    ("query", &[("query", "nothing"), ("time", "4")]),
    ("query", &[("query", "1"), ("time", "4"), ("timeout", "1m")]),
    ("query", &[("query", "1"), ("timeout", "x")]),
    ("query", &[("query", "1"), ("timeout", "1e300")]),
    ("query", &[("query", "(1"), ("time", "4")]),
    ("query", &[("query", "up{")]),
    ("query", &[("query", "{}")]),
    ("query", &[("query", "rate(up)")]),
    ("query", &[("query", "sum(1)")]),
    ("query", &[("query", "1 + \"a\"")]),
    ("query", &[("query", "up == 1 or 2")]),
    (
        "query",
        &[
            (
                "query",
                "label_replace(up, \"job\", \"same\", \"\", \"\") + 0 * label_replace(up, \"instance\", \"x\", \"\", \"\")",
            ),
            ("time", "@290"),
        ],
    ),
    (
        "query",
        &[
            (
                "query",
                "label_replace(up, \"job\", \"x\", \"instance\", \"(\")",
            ),
            ("time", "@290"),
        ],
    ),
    (
        "query",
        &[
            (
                "query",
                "label_replace(up, \"job\", \"x\", \"instance\", \"a{2,1}\")",
            ),
            ("time", "@290"),
        ],
    ),
    (
        "query",
        &[
            (
                "query",
                "label_replace(up, \"\", \"x\", \"instance\", \".*\")",
            ),
            ("time", "@290"),
        ],
    ),
    (
        "query",
        &[
            ("query", "label_join(up, \"\", \"x\", \"instance\")"),
            ("time", "@290"),
        ],
    ),
    (
        "query",
        &[
            (
                "query",
                "label_replace(up, \"instance\", \"x\", \"\", \"\")",
            ),
            ("time", "@290"),
        ],
    ),
    (
        "query_range",
        &[
            ("query", "1"),
            ("start", "0"),
            ("end", "11001"),
            ("step", "1"),
        ],
    ),
    (
        "query_range",
        &[
            ("query", "up"),
            ("start", "0"),
            ("end", "1e9"),
            ("step", "1"),
        ],
    ),
    (
        "query_range",
        &[
            ("query", "requests_total"),
            ("start", "@0"),
            ("end", "@300"),
            ("step", "60"),
        ],
    ),
    (
        "query_range",
        &[
            ("query", "rate(requests_total[1m])"),
            ("start", "@0.5"),
            ("end", "@300"),
            ("step", "7.5"),
        ],
    ),
    (
        "query_range",
        &[("query", "1"), ("start", "4"), ("end", "8"), ("step", "2s")],
    ),
    (
        "query_range",
        &[
            ("query", "nothing"),
            ("start", "4"),
            ("end", "8"),
            ("step", "2s"),
        ],
    ),
    (
        "query_range",
        &[
            ("query", "1"),
            ("start", "0"),
            ("end", "11000"),
            ("step", "1"),
        ],
    ),
    (
        "query_range",
        &[("query", "1"), ("start", "2"), ("end", "1"), ("step", "1")],
    ),
    (
        "query_range",
        &[("query", "1"), ("start", "1"), ("end", "2"), ("step", "0")],
    ),
    (
        "query_range",
        &[("query", "1"), ("start", "1"), ("end", "2"), ("step", "-1")],
    ),
    (
        "query_range",
        &[("query", "1"), ("start", "1"), ("end", "2"), ("step", "x")],
    ),
    (
        "query_range",
        &[("query", "1"), ("start", "1"), ("end", "2")],
    ),
    (
        "query_range",
        &[("query", "1"), ("start", "x"), ("end", "2"), ("step", "1")],
    ),
    (
        "query_range",
        &[("query", "1"), ("end", "2"), ("step", "1")],
    ),
    (
        "query_range",
        &[("query", "1"), ("start", "1"), ("step", "1")],
    ),
    ("series", &[("match[]", "up")]),
    (
        "series",
        &[("match[]", "up{job=\"api\"}"), ("match[]", "odd{n=\"1\"}")],
    ),
    (
        "series",
        &[
            ("match[]", "{__name__=~\"u.\"}"),
            ("start", "@0"),
            ("end", "@300"),
        ],
    ),
    ("series", &[("match[]", "up"), ("start", "0"), ("end", "1")]),
    ("series", &[("match[]", "up"), ("start", "2"), ("end", "1")]),
    ("series", &[("match[]", "nothing")]),
    ("series", &[]),
    ("series", &[("match[]", "{}")]),
    ("series", &[("match[]", "{job=~\".*\"}")]),
    ("series", &[("match[]", "up{")]),
    ("series", &[("match[]", "up[5m]")]),
    ("labels", &[]),
    ("labels", &[("match[]", "up")]),
    ("labels", &[("match[]", "up"), ("match[]", "odd")]),
    ("labels", &[("match[]", "nothing")]),
    ("labels", &[("match[]", "{")]),
    ("labels", &[("match[]", "{}")]),
    ("labels", &[("start", "2"), ("end", "1")]),
    ("label/job/values", &[]),
    ("label/job/values", &[("match[]", "up{instance=\"c:1\"}")]),
    (
        "label/__name__/values",
        &[("match[]", "{__name__=~\".*e.*\"}")],
    ),
    ("label/nothing/values", &[]),
    ("label/job/values", &[("match[]", "{")]),
    ("label/job/values", &[("start", "2"), ("end", "1")]),
    (
        "format_query",
        &[(
            "query",
            "sum(rate(requests_total{job=\"api\"}[5m]))by(job)/1",
        )],
    ),
    ("format_query", &[("query", "sum(up")]),
    ("rules", &[]),
    ("rules", &[("type", "alert")]),
    ("rules", &[("type", "x")]),
    ("alerts", &[]),
    ("targets/metadata", &[]),
    ("targets/metadata", &[("limit", "x")]),
    ("targets/metadata", &[("match_target", "{")]),
    ("scrape_pools", &[]),
    ("alertmanagers", &[]),
    ("query", &[("query", "1"), ("time", "0x1p4")]),
    ("query", &[("query", "1"), ("time", "1_000")]),
    (
        "query_range",
        &[
            ("query", "1"),
            ("start", "0x10"),
            ("end", "2"),
            ("step", "1"),
        ],
    ),
    (
        "query",
        &[("query", "1"), ("time", "2015-06-03T13:21:58,5Z")],
    ),
    (
        "query",
        &[("query", "1"), ("time", "2015-06-03T1:21:58+24:60")],
    ),
    (
        "query_range",
        &[
            ("query", "1"),
            ("start", "2015-06-03t13:21:58z"),
            ("end", "2"),
            ("step", "1"),
        ],
    ),
    (
        "query_range",
        &[
            ("query", "1"),
            ("start", "2015-06-03T23:59:60Z"),
            ("end", "2"),
            ("step", "1"),
        ],
    ),
    (
        "query_range",
        &[
            ("query", "1"),
            ("start", "a\u{7f}\"b"),
            ("end", "2"),
            ("step", "1"),
        ],
    ),
    (
        "query",
        &[("query", "1"), ("time", "4"), ("lookback_delta", "-5")],
    ),
    (
        "query",
        &[("query", "1"), ("time", "4"), ("timeout", "1e10")],
    ),
    (
        "query_range",
        &[
            ("query", "1"),
            ("start", "1"),
            ("end", "2"),
            ("step", "1e10"),
        ],
    ),
    ("label/%ff/values", &[]),
];

/// Paths that Prometheus refuses with POST.
const GET_ONLY: &[&str] = &["label/", "rules", "alert", "targets", "scrape_pools"];

#[expect(
    clippy::cast_possible_truncation,
    reason = "a time of this age is far inside"
)]
fn at(base_ms: i64, value: &str) -> String {
    let offset = value
        .strip_prefix('@')
        .map(|offset| offset.parse::<f64>().unwrap());
    offset.map_or_else(
        || value.to_owned(),
        |offset| seconds(base_ms + (offset * 1000.0) as i64),
    )
}

/// Returns the parts of an answer that clients use.
fn seen(answer: &Answer) -> (u16, Option<&str>, String) {
    (answer.status, answer.header("content-type"), answer.text())
}

#[tokio::test]
async fn a_real_prometheus_answers_the_same() {
    let Some(prometheus) = Receiver::start().await else {
        return;
    };
    let server = Duramen::local().await;
    let base = now_ms() / 1000 * 1000 - 300_000;

    for address in [prometheus.address, server.address] {
        let written = write(body(base)).send(address).await.unwrap();
        assert_eq!(written.status, 204, "{}", written.text());
    }

    let mut different = Vec::new();

    for (path, params) in REQUESTS {
        let params: Vec<(&str, String)> = params
            .iter()
            .map(|(name, value)| (*name, at(base, value)))
            .collect();

        let params: Vec<(&str, &str)> = params
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();

        let target = format!("/api/v1/{path}");
        let mut requests = vec![Request::get(&target, &params)];

        if !GET_ONLY.iter().any(|only| path.starts_with(only)) {
            requests.push(Request::post(&target, &params));

            // Prometheus does not parse a multipart form before it needs selectors.
            if path.starts_with("query") {
                requests.push(Request::in_parts(&target, &params));
            }
        }

        for request in requests {
            let [theirs, ours] = [
                request.send(prometheus.address).await,
                request.send(server.address).await,
            ]
            .map(|answer| answer.unwrap_or_else(|e| panic!("{request:?}: {e}")));
            if seen(&theirs) != seen(&ours) {
                different.push(format!(
                    "{path} {params:?}\n  theirs: {:?}\n  ours:   {:?}",
                    seen(&theirs),
                    seen(&ours)
                ));
            }
        }
    }

    assert!(
        different.is_empty(),
        "{} differ:\n{}",
        different.len(),
        different.join("\n")
    );
}

/// Times between the samples: the windows of the Prometheus here include their start.
const COUNTED: &[&str] = &[
    "requests_total",
    "rate(requests_total[1m])",
    "max_over_time(requests_total[61s:5s])",
    "max_over_time(rate(requests_total[31s])[61s:10s])",
    "sum(max_over_time(requests_total[61s:20s] offset 1m)) + sum(requests_total)",
    "max_over_time(max_over_time(requests_total[31s:5s])[61s:20s])",
    "avg_over_time(sum(requests_total)[61s:20s])",
    "max_over_time(vector(1)[61s:20s])",
];

#[tokio::test]
async fn a_real_prometheus_counts_the_same_samples_at_each_step() {
    let Some(prometheus) = Receiver::start().await else {
        return;
    };
    let server = Duramen::local().await;
    let base = now_ms() / 60_000 * 60_000 - 300_000;

    for address in [prometheus.address, server.address] {
        let written = write(body(base)).send(address).await.unwrap();
        assert_eq!(written.status, 204, "{}", written.text());
    }

    let start = seconds(base + 67_000);
    let end = seconds(base + 187_000);

    for query in COUNTED {
        let range = [
            ("query", *query),
            ("start", &start),
            ("end", &end),
            ("step", "60"),
            ("stats", "all"),
        ];

        let instant = [("query", *query), ("time", &*end), ("stats", "all")];

        for request in [
            Request::get("/api/v1/query_range", &range),
            Request::get("/api/v1/query", &instant),
        ] {
            let [theirs, ours] = [
                request.send(prometheus.address).await,
                request.send(server.address).await,
            ]
            .map(|answer| {
                let samples = answer.unwrap().data()["stats"]["samples"].take();
                (
                    samples["totalQueryableSamples"].clone(),
                    samples["totalQueryableSamplesPerStep"].clone(),
                )
            });
            assert!(theirs.0.as_u64() > Some(0), "{query}");
            assert_eq!(ours, theirs, "{query}");
        }
    }
}
