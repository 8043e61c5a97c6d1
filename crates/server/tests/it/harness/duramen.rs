//! The server under test: the real binary in its own process.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails fails its test"
)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use duramen_testkit::s3::S3;
use serde_json::Value as Json;
use tempfile::TempDir;

use super::http::{Answer, Request};
use super::process::{Process, free_address};
use super::wait::until;

/// The longest time for a start, on a machine that also compiles.
const START_MAX: Duration = Duration::from_secs(60);

/// A data directory, a port, and the process that uses them, if one runs.
#[derive(Debug)]
pub(crate) struct Duramen {
    // Dropped before the directory.
    process: Option<Process>,
    directory: TempDir,
    pub(crate) address: SocketAddr,
    arguments: Vec<String>,
    environment: Vec<(String, PathBuf)>,
}

impl Duramen {
    /// Starts a server with a store in its data directory.
    pub(crate) async fn local() -> Self {
        Self::with(&[]).await
    }

    /// Starts a server with a store in the test's own S3.
    pub(crate) async fn on(s3: &S3) -> Self {
        Self::on_with(s3, &[]).await
    }

    /// As [`Duramen::on`], with more arguments.
    pub(crate) async fn on_with(s3: &S3, arguments: &[&str]) -> Self {
        let endpoint = s3.endpoint();
        let store = ["--store", "s3://test/duramen", "--s3-endpoint", &endpoint];
        Self::with(&[&store, arguments].concat()).await
    }

    /// Sets another store for the next start.
    pub(crate) fn points_at(&mut self, s3: &S3) {
        self.arguments = [
            "--store",
            "s3://test/duramen",
            "--s3-endpoint",
            &s3.endpoint(),
        ]
        .map(str::to_owned)
        .to_vec();
    }

    /// Starts a server with more arguments.
    pub(crate) async fn with(arguments: &[&str]) -> Self {
        let mut server = Self::stopped(arguments);
        server.start().await;
        server
    }

    /// Returns a server that is not started.
    pub(crate) fn stopped(arguments: &[&str]) -> Self {
        let arguments = arguments
            .iter()
            .map(|argument| (*argument).to_owned())
            .collect();

        Self {
            process: None,
            directory: TempDir::new().unwrap(),
            address: free_address(),
            arguments,
            environment: Vec::new(),
        }
    }

    /// Adds arguments for the next start.
    pub(crate) fn add_arguments(&mut self, arguments: &[&str]) {
        self.arguments
            .extend(arguments.iter().map(|argument| (*argument).to_owned()));
    }

    /// Makes the next starts load `library` before everything else. The library reads `variable`.
    pub(crate) fn preload(&mut self, library: PathBuf, variable: (&str, PathBuf)) {
        self.environment.push(("LD_PRELOAD".to_owned(), library));
        self.environment.push((variable.0.to_owned(), variable.1));
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Returns the command line for `data_dir`. The server does not scrape itself, because tests
    /// write what they want to read.
    pub(crate) fn command(&self, address: SocketAddr, data_dir: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
        command
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.envs([
            ("AWS_ACCESS_KEY_ID", "key-of-the-test"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ]);

        command
            .env("AWS_REGION", "us-east-1")
            .env("RUST_BACKTRACE", "1");
        // A server that starts again begins cold, unless a test says otherwise.
        command
            .env("DURAMEN_SELF_SCRAPE_INTERVAL", "0")
            .env("DURAMEN_CACHE_DISK_BYTES_MAX", "0")
            .args(["--http-listen", &address.to_string()]);
        command
            .arg("--data-dir")
            .arg(data_dir)
            .args(&self.arguments);

        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts the process without waiting for it.
    pub(crate) fn spawn(&mut self) -> &mut Process {
        assert!(self.process.is_none(), "it runs already");

        let mut command = self.command(self.address, &self.data_dir());
        self.process.insert(Process::start(
            &mut command,
            &self.directory.path().join("log"),
        ))
    }

    /// Starts the process and waits until it is ready.
    pub(crate) async fn start(&mut self) {
        self.spawn();

        let address = self.address;
        let process = self.process.as_mut().unwrap();

        until("a ready server", START_MAX, async || {
            if let Some(status) = process.status() {
                panic!("it ended with {status}: {}", process.log());
            }

            let answer = Request::get("/-/ready", &[]).send(address).await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it does not run")
    }

    /// Sends SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.take().expect("it does not run").kill();
    }

    /// Sends SIGTERM and waits for a clean end.
    pub(crate) async fn stop(&mut self) {
        let mut process = self.process.take().expect("it does not run");
        process.signal("TERM");

        let status = process.ended(Duration::from_secs(30)).await;
        assert!(status.success(), "{status}: {}", process.log());
    }

    pub(crate) async fn send(&self, request: &Request) -> Answer {
        request
            .send(self.address)
            .await
            .unwrap_or_else(|e| panic!("{request:?}: {e}"))
    }

    pub(crate) async fn get(&self, path: &str, params: &[(&str, &str)]) -> Answer {
        self.send(&Request::get(path, params)).await
    }

    pub(crate) async fn post(&self, path: &str, params: &[(&str, &str)]) -> Answer {
        self.send(&Request::post(path, params)).await
    }

    /// Sends a compressed body to the write path.
    pub(crate) async fn push(&self, body: Vec<u8>) -> Answer {
        self.send(&write(body)).await
    }

    /// As [`Duramen::push`], and checks that all of it is stored.
    pub(crate) async fn write(&self, body: Vec<u8>) {
        let answer = self.push(body).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    /// Returns the data of an instant query.
    pub(crate) async fn query(&self, query: &str, time_ms: i64) -> Json {
        self.get(
            "/api/v1/query",
            &[("query", query), ("time", &seconds(time_ms))],
        )
        .await
        .data()
    }

    /// Returns the only value of an instant query, or `None` if the answer is empty.
    pub(crate) async fn value(&self, query: &str, time_ms: i64) -> Option<String> {
        let data = self.query(query, time_ms).await;
        let result = data["result"].as_array().unwrap();

        assert!(result.len() <= 1, "{data}");

        result
            .first()
            .map(|one| one["value"][1].as_str().unwrap().to_owned())
    }

    /// Flushes: on return everything acknowledged before is in the store.
    pub(crate) async fn flush(&self) {
        let answer = self.send(&flush()).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    /// Returns the value of a series at `/metrics`, or 0 without it. `series` is printed as in
    /// `x_total{reason="y"}`.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let text = self.get("/metrics", &[]).await.text();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }
}

/// Returns a remote write of a compressed body.
pub(crate) fn write(body: Vec<u8>) -> Request {
    Request::new("POST", "/api/v1/write")
        .header("Content-Type", "application/x-protobuf")
        .header("Content-Encoding", "snappy")
        .header("X-Prometheus-Remote-Write-Version", "0.1.0")
        .body(body)
}

pub(crate) fn flush() -> Request {
    Request::new("POST", "/api/v1/admin/tsdb/flush?all=true")
}

/// Returns a time in the form of the API.
pub(crate) fn seconds(ms: i64) -> String {
    format!(
        "{}{}.{:03}",
        if ms < 0 { "-" } else { "" },
        ms.abs() / 1000,
        ms.abs() % 1000
    )
}
