//! Clients that others wrote, against a real server.

#![expect(clippy::unwrap_used, reason = "a client that cannot be started fails its test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::duramen::Duramen;
use crate::harness::process::{program, skip};
use crate::harness::samples::Body;
use crate::harness::wait::now_ms;

/// Samples of one series, 15 s apart.
const SAMPLES: i64 = 20;

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/clients").join(file)
}

/// A Python that can import `module`; `None`, said aloud, when there is none.
fn python(module: &str) -> Option<PathBuf> {
    let python = program("DURAMEN_TEST_PYTHON", "python3")?;
    let import = Command::new(&python).args(["-c", &format!("import {module}")]).stderr(Stdio::null()).status();
    if import.is_ok_and(|status| status.success()) {
        return Some(python);
    }
    skip(&format!("{} cannot import {module}", python.display()));
    None
}

/// A server with `up` of two instances, and the seconds of the first and the last sample.
async fn filled() -> (Duramen, i64, i64) {
    let server = Duramen::local().await;
    let start = now_ms() / 1000 - 15 * SAMPLES;
    let samples: Vec<(i64, f64)> = (0..SAMPLES).map(|n| ((start + 15 * n) * 1000, 1.0)).collect();
    let up = |instance| [("__name__", "up"), ("instance", instance), ("job", "node")];
    server.write(Body::default().series(&up("a"), &samples).series(&up("b"), &samples).snappy()).await;
    (server, start, start + 15 * (SAMPLES - 1))
}

/// Runs a client to its end beside the server.
async fn run(mut command: Command) {
    let ended = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output()).await.unwrap().unwrap();
    let said = [ended.stdout, ended.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(ended.status.success(), "{}\n{}\n{}", ended.status, said[0], said[1]);
}

#[tokio::test]
async fn the_python_client_reads_what_was_written() {
    let Some(python) = python("prometheus_api_client") else { return };
    let (server, start, end) = filled().await;
    let mut command = Command::new(python);
    command.arg(here("prometheus_api.py")).arg(format!("http://{}", server.address));
    command.args([start.to_string(), end.to_string()]);
    run(command).await;
}

/// Requests made from the OpenAPI document, valid ones and others: no 5xx, and each answer is as the document says.
#[tokio::test]
async fn answers_are_as_the_openapi_document_says() {
    let Some(python) = python("schemathesis") else { return };
    let (server, ..) = filled().await;
    let mut command = Command::new(python);
    let settings = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/schemathesis.toml");
    command.args(["-m", "schemathesis.cli", "--config-file", settings]);
    command.args(["run", &format!("http://{}/api/v1/openapi.yaml", server.address)]);
    command.args([
        "--checks",
        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
    ]);
    // Nobody makes up a body of protocol buffers.
    command.args(["--exclude-path-regex", "/api/v1/(write|push|read|otlp)"]);
    command.args(["--max-examples", "10", "--phases", "examples,coverage,fuzzing", "--seed", "7", "--no-color"]);
    command.args(["--generation-database", "none"]).current_dir(server.data_dir());
    run(command).await;
    assert_eq!(server.get("/-/healthy", &[]).await.status, 200);
}
