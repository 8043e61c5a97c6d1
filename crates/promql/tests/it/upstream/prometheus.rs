//! A Prometheus process behind a pipe: `tests/prometheus`, built with Go.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use duramen_promql::Features;
use serde_json::{Value, json};

/// A running process, and what was loaded into it.
pub(super) struct Prometheus {
    process: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// Tests that run at the same time must not rebuild the binary that one of them runs.
static BUILT: OnceLock<PathBuf> = OnceLock::new();

fn build(go: OsString) -> PathBuf {
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prometheus-engine");
    let built = Command::new(go)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/prometheus"))
        .envs([
            ("GOTOOLCHAIN", "local"),
            ("GOFLAGS", "-mod=readonly -buildvcs=false"),
            ("CGO_ENABLED", "0"),
        ])
        .args(["build", "-o"])
        .args([binary.as_os_str(), ".".as_ref()])
        .status();

    assert!(built.unwrap().success(), "tests/prometheus does not build");

    binary
}

/// The times of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct When {
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    /// `None` for an instant query at the start.
    pub(super) step_ms: Option<i64>,
}

impl Prometheus {
    /// Builds and starts it. Returns `None` without a Go, and prints that.
    pub(super) fn start() -> Option<Self> {
        let Some(go) = std::env::var_os("DURAMEN_TEST_GO_PROMQL") else {
            println!(
                "skipped: no Go with the modules of Prometheus' engine, set DURAMEN_TEST_GO_PROMQL"
            );
            return None;
        };

        let binary = BUILT.get_or_init(|| build(go));
        let mut process = Command::new(binary)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();

        let requests = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().unwrap());

        Some(Self {
            process,
            requests,
            answers,
        })
    }

    /// Replaces the loaded data by that of a script.
    pub(super) fn load(&mut self, script: &str) -> Result<(), String> {
        let answer = self.ask(&json!({ "load": script }));
        answer["error"]
            .as_str()
            .map_or(Ok(()), |error| Err(error.to_owned()))
    }

    pub(super) fn query(&mut self, text: &str, when: When, features: Features) -> Value {
        self.ask(&json!({ "query": {
            "text": text,
            "start": when.start_ms,
            "end": when.end_ms,
            "step": when.step_ms.unwrap_or(0),
            "delayed_name_removal": features.delayed_name_removal,
            "start_timestamps": features.start_timestamps,
            "type_and_unit_labels": features.type_and_unit_labels,
        }}))
    }

    /// Returns the two printed forms, or the error.
    pub(super) fn parse(&mut self, text: &str) -> Result<[String; 2], String> {
        let answer = self.ask(&json!({ "parse": text }));
        let field = |name: &str| answer[name].as_str().map(str::to_owned);

        match field("error") {
            Some(error) => Err(error),
            None => Ok(["printed", "pretty"].map(|name| field(name).unwrap_or_default())),
        }
    }

    fn ask(&mut self, request: &Value) -> Value {
        writeln!(self.requests.as_mut().unwrap(), "{request}").unwrap();

        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{error} in the answer to {request}: {line:?}"))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // The process ends when its input ends, and deletes its files.
        self.requests = None;

        let _ = self.process.wait();
    }
}
