//! Clients of other projects, against a real server.

#![expect(
    clippy::unwrap_used,
    reason = "a client that cannot be started fails its test"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use duramen_proto::snappy;
use duramen_testkit::prompb::Message;
use duramen_testkit::prompb::v1::metric_metadata::MetricType;
use duramen_testkit::prompb::v1::{
    BucketSpan, Histogram, Label, TimeSeries, WriteRequest, histogram,
};

use crate::harness::duramen::Duramen;
use crate::harness::process::{optional, program, skip};
use crate::harness::samples::Body;
use crate::harness::wait::now_ms;
use crate::harness::wire;

/// Samples of one series, 15 s apart.
const SAMPLES: i64 = 20;

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/clients")
        .join(file)
}

/// Returns a Python that can import `module`, or prints that there is none and returns `None`.
fn python(module: &str) -> Option<PathBuf> {
    let python = program("DURAMEN_TEST_PYTHON", "python3")?;
    let import = Command::new(&python)
        .args(["-c", &format!("import {module}")])
        .stderr(Stdio::null())
        .status();

    if import.is_ok_and(|status| status.success()) {
        return Some(python);
    }

    skip(&format!("{} cannot import {module}", python.display()));
    None
}

/// Returns a server that allows deletions, with `up` of two instances, and the seconds of the first
/// and the last sample.
async fn filled() -> (Duramen, i64, i64) {
    let server = Duramen::with(&["--http-admin-api"]).await;
    let start = now_ms() / 1000 - 15 * SAMPLES;
    let samples: Vec<(i64, f64)> = (0..SAMPLES)
        .map(|n| ((start + 15 * n) * 1000, 1.0))
        .collect();
    let up = |instance| [("__name__", "up"), ("instance", instance), ("job", "node")];

    server
        .write(
            Body::default()
                .series(&up("a"), &samples)
                .series(&up("b"), &samples)
                .snappy(),
        )
        .await;

    (server, start, start + 15 * (SAMPLES - 1))
}

/// Runs a client of the server to its end.
async fn run(mut command: Command) {
    let ended = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output())
        .await
        .unwrap()
        .unwrap();

    let said =
        [ended.stdout, ended.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(
        ended.status.success(),
        "{}\n{}\n{}",
        ended.status,
        said[0],
        said[1]
    );
}

#[tokio::test]
async fn the_python_client_reads_what_was_written() {
    let Some(python) = python("prometheus_api_client") else {
        return;
    };
    let (server, start, end) = filled().await;
    let mut command = Command::new(python);

    command
        .arg(here("prometheus_api.py"))
        .arg(format!("http://{}", server.address));
    command.args([start.to_string(), end.to_string()]);
    run(command).await;
}

/// Returns `go test` in a folder of `clients`. If the variable names no Go, prints that and returns
/// `None`. Nothing is downloaded.
fn go(variable: &str, folder: &str, server: &Duramen) -> Option<Command> {
    let mut command = Command::new(optional(variable)?);
    command
        .args(["test", "-count=1", "-mod=readonly", "./..."])
        .current_dir(here(folder));

    command.envs([
        ("GOPROXY", "off"),
        ("GOTOOLCHAIN", "local"),
        ("GOWORK", "off"),
    ]);

    command.env("DURAMEN_TEST_URL", format!("http://{}", server.address));
    Some(command)
}

#[tokio::test]
async fn the_go_client_reads_what_was_written_by_every_call_that_it_has() {
    let (server, start, end) = filled().await;
    let Some(mut command) = go("DURAMEN_TEST_GO", "go", &server) else {
        return;
    };
    let job = [("__name__", "requests_total"), ("job", "node")];

    let other_kinds = wire::Request::default()
        .series(
            &job,
            &[(end * 1000, 7.0)],
            &[("abc", 0.25, end * 1000 - 479)],
        )
        .series(
            &[("__name__", "place"), ("ort.größe", "m/l")],
            &[(end * 1000, 1.0)],
            &[],
        )
        .family(
            "requests_total",
            MetricType::Counter,
            "How many.",
            "requests",
        )
        .family("latency_seconds", MetricType::Histogram, "How long.", "");

    server.write(other_kinds.snappy()).await;
    server.write(histograms(end * 1000)).await;
    command.env("DURAMEN_TEST_START", start.to_string());
    run(command).await;
}

/// Returns `latency_seconds` with exponential and `latency_custom` with custom buckets, at one
/// time.
fn histograms(timestamp: i64) -> Vec<u8> {
    let exponential = Histogram {
        sum: 4.5,
        zero_threshold: 0.001,
        positive_spans: vec![BucketSpan {
            offset: 0,
            length: 2,
        }],
        positive_deltas: vec![2, 1],
        timestamp,
        count: Some(histogram::Count::CountInt(6)),
        zero_count: Some(histogram::ZeroCount::ZeroCountInt(1)),
        ..Histogram::default()
    };

    let custom = Histogram {
        sum: 2.25,
        schema: -53,
        positive_spans: vec![
            BucketSpan {
                offset: 0,
                length: 1,
            },
            BucketSpan {
                offset: 1,
                length: 1,
            },
        ],
        positive_deltas: vec![3, -2],
        custom_values: vec![0.5, 2.0],
        timestamp,
        count: Some(histogram::Count::CountInt(4)),
        ..Histogram::default()
    };

    let of = |name: &str, histogram| TimeSeries {
        labels: [("__name__", name), ("job", "node")]
            .map(|(name, value)| Label {
                name: name.to_owned(),
                value: value.to_owned(),
            })
            .to_vec(),
        histograms: vec![histogram],
        ..TimeSeries::default()
    };

    let timeseries = vec![
        of("latency_seconds", exponential),
        of("latency_custom", custom),
    ];

    snappy::compress(
        &WriteRequest {
            timeseries,
            ..WriteRequest::default()
        }
        .encode_to_vec(),
    )
}

/// No other foreign reader reads streamed chunks with native histograms. The feature is on for the
/// labels that a Prometheus 3 makes from types and units; its other series have neither.
#[tokio::test]
async fn a_prometheus_3_writes_in_2_0_and_reads_the_same_bits_as_chunks_and_as_samples() {
    let server = Duramen::with(&["--features", "type-and-unit-labels"]).await;
    let Some(command) = go("DURAMEN_TEST_GO_PROMETHEUS3", "prometheus3", &server) else {
        return;
    };
    run(command).await;
}

/// Sends requests that are made from the OpenAPI document, valid and invalid ones. No answer is a
/// 5xx, and each matches the document.
#[tokio::test]
async fn answers_are_as_the_openapi_document_says() {
    let Some(python) = python("schemathesis") else {
        return;
    };
    let (server, ..) = filled().await;
    let mut command = Command::new(python);
    let settings = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/schemathesis.toml");

    command.args(["-m", "schemathesis.cli", "--config-file", settings]);
    command.args([
        "run",
        &format!("http://{}/api/v1/openapi.yaml", server.address),
    ]);

    command.args([
        "--checks",
        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
    ]);

    // The tool cannot make bodies of protocol buffers.
    command.args([
        "--exclude-path-regex",
        "/api/(v1/(write|push|receive|read|otlp)|prom/push)",
    ]);

    command.args([
        "--max-examples",
        "10",
        "--phases",
        "examples,coverage,fuzzing",
        "--seed",
        "7",
        "--no-color",
    ]);

    command
        .args(["--generation-database", "none"])
        .current_dir(server.data_dir());
    run(command).await;

    assert_eq!(server.get("/-/healthy", &[]).await.status, 200);
}
