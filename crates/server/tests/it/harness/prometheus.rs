//! A real Prometheus that scrapes and writes to the server under test.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value as Json;
use tempfile::TempDir;

use super::http::Request;
use super::process::{Process, free_address, program};
use super::wait::until;

/// A running Prometheus. It scrapes itself and the given targets once a second.
#[derive(Debug)]
pub(crate) struct Prometheus {
    process: Process,
    directory: TempDir,
    address: SocketAddr,
    writes_to: SocketAddr,
}

/// The state of the sender's queue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Queue {
    /// The numbers of samples that were scraped, and that were acknowledged.
    pub(crate) taken: f64,
    pub(crate) sent: f64,
    /// The number of samples that the sender gave up.
    pub(crate) lost: f64,
}

impl Prometheus {
    /// Starts one. Without a Prometheus, prints that and returns `None`.
    pub(crate) async fn start(writes_to: SocketAddr, targets: &[SocketAddr]) -> Option<Self> {
        Self::writing(writes_to, targets, &[]).await
    }

    /// As [`Prometheus::start`], and also scrapes and sends native histograms and exemplars.
    pub(crate) async fn start_with_all_kinds(
        writes_to: SocketAddr,
        targets: &[SocketAddr],
    ) -> Option<Self> {
        Self::writing(
            writes_to,
            targets,
            &["--enable-feature=native-histograms,exemplar-storage"],
        )
        .await
    }

    async fn writing(
        writes_to: SocketAddr,
        targets: &[SocketAddr],
        arguments: &[&str],
    ) -> Option<Self> {
        let configuration = |address| configuration(writes_to, &[&[address], targets].concat());
        Some(Self {
            writes_to,
            ..Self::configured(configuration, arguments).await?
        })
    }

    /// Starts one with the configuration that is made for its address. Without a Prometheus, prints
    /// that and returns `None`.
    pub(crate) async fn configured(
        configuration: impl FnOnce(SocketAddr) -> String,
        arguments: &[&str],
    ) -> Option<Self> {
        let program = program("DURAMEN_TEST_PROMETHEUS", "prometheus")?;
        let directory = TempDir::new().unwrap();
        let address = free_address();
        let config = directory.path().join("prometheus.yml");

        std::fs::write(&config, configuration(address)).unwrap();

        let mut command = Command::new(program);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!(
            "--storage.tsdb.path={}",
            directory.path().join("data").display()
        ));

        command
            .arg(format!("--web.listen-address={address}"))
            .arg("--web.enable-lifecycle")
            .args(arguments);

        let process = Process::start(&mut command, &directory.path().join("log"));
        let prometheus = Self {
            process,
            directory,
            address,
            writes_to: address,
        };

        until("a ready Prometheus", Duration::from_secs(60), async || {
            let answer = Request::get("/-/ready", &[]).send(address).await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
        Some(prometheus)
    }

    /// Ends all scraping, so that each series gets its stale marker.
    pub(crate) async fn stop_scraping(&self) {
        std::fs::write(self.config(), configuration(self.writes_to, &[])).unwrap();

        let answer = Request::new("POST", "/-/reload")
            .send(self.address)
            .await
            .unwrap();

        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    fn config(&self) -> std::path::PathBuf {
        Path::new(self.directory.path()).join("prometheus.yml")
    }

    pub(crate) async fn queue(&self) -> Queue {
        let text = Request::get("/metrics", &[])
            .send(self.address)
            .await
            .unwrap()
            .text();

        let sum = |name: &str| -> f64 {
            let of = |line: &&str| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(['{', ' ']))
            };

            text.lines()
                .filter(of)
                .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
                .sum()
        };

        // Each attempt counts a sample as sent. A failed attempt also counts it as retried or
        // failed.
        let failed = sum("prometheus_remote_storage_samples_failed_total");
        let sent = sum("prometheus_remote_storage_samples_total")
            - sum("prometheus_remote_storage_samples_retried_total")
            - failed;
        let lost = failed + sum("prometheus_remote_storage_samples_dropped_total");

        Queue {
            taken: sum("prometheus_remote_storage_samples_in_total"),
            sent,
            lost,
        }
    }

    /// Waits until all scraped samples are acknowledged and no more come.
    pub(crate) async fn drained(&self, deadline: Duration) -> Queue {
        let mut quiet: (Option<Queue>, u32) = (None, 0);
        until("a drained queue", deadline, async || {
            let queue = self.queue().await;
            if queue.sent == queue.taken && quiet.0 == Some(queue) {
                quiet.1 += 1;
            } else {
                quiet = (Some(queue), 0);
            }

            (quiet.1 >= 20).then_some(queue)
        })
        .await
    }

    pub(crate) async fn query(&self, path: &str, params: &[(&str, &str)]) -> Json {
        Request::post(path, params)
            .send(self.address)
            .await
            .unwrap()
            .data()
    }

    pub(crate) fn log(&self) -> String {
        self.process.log()
    }
}

/// Returns a configuration with small batches and short waits, so that there are many requests a
/// second.
fn configuration(writes_to: SocketAddr, targets: &[SocketAddr]) -> String {
    let mut text = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}
remote_write:
  - url: http://{writes_to}/api/v1/write
    remote_timeout: 10s
    send_exemplars: true
    send_native_histograms: true
    queue_config: {{capacity: 2000, max_samples_per_send: 200, min_shards: 2, max_shards: 4, batch_send_deadline: 100ms, min_backoff: 20ms, max_backoff: 100ms}}
    metadata_config: {{send_interval: 1s}}
scrape_configs:
"
    );

    for (number, target) in targets.iter().enumerate() {
        text.push_str(&format!(
            "  - {{job_name: job{number}, static_configs: [{{targets: [\"{target}\"], labels: {{zone: \"zürich\"}}}}]}}\n"
        ));
    }

    text
}
