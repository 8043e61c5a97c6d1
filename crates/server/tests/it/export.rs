//! `duramen blocks export`, as a process: what a server has flushed, in each form and in again.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;

use crate::harness::duramen::Duramen;
use crate::harness::samples::Body;
use crate::harness::wait::now_ms;

const SERIES: usize = 3;
const STEPS: i64 = 500;

fn blocks(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
    let command = command.env_clear().arg("blocks").args(arguments);
    command.output().unwrap()
}

/// Runs a command, which must succeed, and returns its summary.
fn done(arguments: &[&str]) -> Json {
    let output = blocks(&[arguments, &["-o", "json"]].concat());
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A store with samples of some hours, and the server that has it.
async fn store() -> (Duramen, String) {
    let server = Duramen::local().await;
    let start_ms = now_ms() - 7 * 60 * 60 * 1000;
    let mut body = Body::default();

    for series in 0..SERIES {
        let instance = format!("i{series}");
        let labels = [("__name__", "asked_total"), ("instance", instance.as_str())];

        let sample = |step: i64| (start_ms + step * 45_001, step as f64 * 0.1);
        let samples: Vec<(i64, f64)> = (0..STEPS).map(sample).collect();
        body = body.series(&labels, &samples);
    }

    server.write(body.snappy()).await;
    server.flush().await;

    let url = format!("file://{}", server.data_dir().join("store").display());
    (server, url)
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}

#[tokio::test]
async fn each_form_goes_out_of_a_store_that_a_server_has() {
    let (server, url) = store().await;
    let folder = tempfile::tempdir().unwrap();
    let samples = SERIES as i64 * STEPS;

    for form in ["openmetrics", "csv", "parquet", "tsdb"] {
        let out = path(folder.path(), form);
        let arguments = ["export", "--tenant", "anonymous", "--store", &url];
        let summary = done(&[&arguments[..], &["--form", form, "--out", &out]].concat());

        assert_eq!(summary["samples"], samples, "{form}: {summary}");
        assert!(summary["bytes"].as_u64().unwrap() > 0, "{form}: {summary}");

        if form != "tsdb" {
            let bytes = std::fs::metadata(&out).unwrap().len();
            assert_eq!(summary["bytes"], bytes, "{form}");
        }
    }

    let text = std::fs::read_to_string(folder.path().join("openmetrics")).unwrap();
    assert!(text.ends_with("# EOF\n"));
    assert_eq!(text.lines().count() as i64, samples + 1);

    // A selector, a range, and the standard output.
    let arguments = ["export", "--tenant", "anonymous", "--store", &url];
    let piped = [
        "--form",
        "csv",
        "--out",
        "-",
        "--match",
        "{instance=\"i1\"}",
    ];
    let output = blocks(&[&arguments[..], &piped].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with("__name__,instance,time,value,histogram\n"),
        "{text}"
    );
    assert_eq!(text.lines().count() as i64, STEPS + 1);

    let to = (now_ms() / 1000 - 6 * 60 * 60).to_string();
    let output = blocks(&[&arguments[..], &piped, &["--to", &to]].concat());
    let lines = String::from_utf8(output.stdout).unwrap().lines().count();
    assert!((60..=90).contains(&lines), "{lines}");

    // What the store had before the flush, and what it has after the last edit.
    for (as_of, expected) in [
        ("seq:0", 0),
        ("2001-02-03T04:05:06Z", 0),
        ("4102444800", samples),
    ] {
        let then = ["--form", "openmetrics", "--out", "-", "--as-of", as_of];
        let output = blocks(&[&arguments[..], &then].concat());
        let lines = String::from_utf8(output.stdout).unwrap().lines().count();
        assert_eq!(lines as i64, expected + 1, "{as_of}");
    }

    let unknown = ["--form", "csv", "--out", "-", "--as-of", "seq:999"];
    let refused = blocks(&[&arguments[..], &unknown].concat());
    assert_eq!(refused.status.code(), Some(1));
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(error.contains("seq:999"), "{error}");

    let refused = blocks(&[&arguments[..], &["--form", "tsdb", "--out", "-"]].concat());
    assert_eq!(refused.status.code(), Some(1));
    drop(server);
}

#[tokio::test]
async fn a_reader_that_closes_the_pipe_is_no_error() {
    let (server, url) = store().await;

    let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
    let command = command
        .env_clear()
        .args(["blocks", "export", "--tenant", "anonymous", "--store", &url])
        .args(["--form", "openmetrics", "--out", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());

    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());

    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    assert!(error.contains("closed"), "{error}");
    drop(server);
}

#[tokio::test]
async fn what_went_out_comes_in_and_a_second_time_adds_nothing() {
    let (mut server, url) = store().await;
    server.stop().await;
    let folder = tempfile::tempdir().unwrap();

    let out = |tenant: &str, form: &str, name: &str| {
        let path = path(folder.path(), name);
        let arguments = ["export", "--tenant", tenant, "--store", &url];
        done(&[&arguments[..], &["--form", form, "--out", &path]].concat());
        path
    };

    let first = std::fs::read(out("anonymous", "csv", "first.csv")).unwrap();

    for form in ["openmetrics", "csv", "tsdb"] {
        let sent = out("anonymous", form, form);
        let to_tenant = [
            "import", &sent, "--form", form, "--tenant", form, "--store", &url,
        ];
        let sum = |summary: &Json, what: &str| -> u64 {
            let all = summary.as_array().unwrap().iter();
            all.map(|one| one[what].as_u64().unwrap_or(0)).sum()
        };

        let summary = done(&to_tenant);
        assert_eq!(
            sum(&summary, "samples"),
            SERIES as u64 * STEPS as u64,
            "{summary}"
        );

        let again = done(&to_tenant);
        assert_eq!(
            (sum(&again, "samples"), sum(&again, "blocks")),
            (0, 0),
            "{again}"
        );

        let back = std::fs::read(out(form, "csv", &format!("{form}.csv"))).unwrap();
        assert!(back == first, "{form}");
    }

    drop(server);
}

#[test]
fn a_bad_line_is_named_and_what_is_before_a_run_stays() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("bad.txt");
    std::fs::write(&text, "a 1 1\nb 1\n# EOF\n").unwrap();

    let text = text.to_str().unwrap();
    let output = blocks(&["import", "--form", "openmetrics", text, "--dry-run"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("line 2: a sample has no time"), "{said}");
}
