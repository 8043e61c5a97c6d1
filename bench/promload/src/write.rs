//! Sends a `.rw` file to a remote-write receiver and says what that cost both sides.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::json;

use crate::http::{Client, Url};
use crate::latency::Latencies;
use crate::process::Usage;
use crate::rw::{Record, RwFile};

const HEAD: &str = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n";
/// A request is given up after this many retries, about a minute.
const RETRIES_MAX: u32 = 60;
/// A thread shows no more refusals than this.
const REFUSALS_SHOWN_MAX: u32 = 2;

/// The requests to send, and how to send them.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) file: String,
    pub(crate) url: Url,
    /// Each `name=value`.
    pub(crate) headers: Vec<String>,
    /// Connections; the shards of the file are spread over them.
    pub(crate) concurrency: usize,
    /// Samples per second; `None` as fast as the server takes them.
    pub(crate) rate: Option<f64>,
    /// The server's process, to measure.
    pub(crate) pid: Option<u32>,
    /// Samples after which to stop.
    pub(crate) limit: Option<u64>,
}

/// Counted by all sending threads.
#[derive(Debug, Default)]
struct Counts {
    /// Samples accepted.
    sent: AtomicU64,
    /// Bytes of accepted requests.
    bytes: AtomicU64,
    /// Samples tried, accepted or not.
    done: AtomicU64,
    retries: AtomicU64,
    errors: AtomicU64,
}

/// Sends everything and prints the figures as JSON. Requests the server refuses are counted in
/// `errors`.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(options.concurrency > 0, "at least one connection is needed");

    let file = RwFile::open(&options.file)?;
    warm_page_cache(&file)?;

    let headers = request_headers(&options.headers)?;
    let counts = Counts::default();
    let before = options.pid.map(Usage::of).transpose()?;
    let client_before = Usage::of_self()?;
    let started = Instant::now();

    let latencies = std::thread::scope(|scope| -> Result<Vec<f64>> {
        let sender = |lane| {
            let sender = Sender {
                options,
                file: &file,
                headers: &headers,
                counts: &counts,
                started,
                lane,
            };

            scope.spawn(move || sender.run())
        };

        let threads: Vec<_> = (0..options.concurrency).map(sender).collect();
        let mut all = vec![];

        for thread in threads {
            all.extend(
                thread
                    .join()
                    .map_err(|_| anyhow!("a sending thread has died"))??,
            );
        }

        Ok(all)
    })?;

    let seconds = started.elapsed().as_secs_f64();
    let client_cpu_s = Usage::of_self()?.cpu_s - client_before.cpu_s;

    let mut report = client_report(
        options,
        &counts,
        seconds,
        client_cpu_s,
        &Latencies::new(latencies),
    );

    if let (Some(before), Some(pid)) = (before, options.pid) {
        add_server_report(
            &mut report,
            before,
            Usage::of(pid)?,
            counts.sent.load(Relaxed),
        );
    }

    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

/// So that reading the file is no part of what is measured.
fn warm_page_cache(file: &RwFile) -> Result<()> {
    let mut buf = vec![];
    file.records
        .iter()
        .try_for_each(|record| file.read(record, &mut buf))
}

fn request_headers(extra: &[String]) -> Result<String> {
    let mut headers = HEAD.to_owned();
    for header in extra {
        let (name, value) = header.split_once('=').context("a header is name=value")?;
        headers += &format!("{name}: {value}\r\n");
    }

    Ok(headers)
}

/// One connection and the shards it carries.
struct Sender<'a> {
    options: &'a Options,
    file: &'a RwFile,
    headers: &'a str,
    counts: &'a Counts,
    started: Instant,
    lane: usize,
}

impl Sender<'_> {
    /// Returns the latency of each request in ms.
    fn run(self) -> Result<Vec<f64>> {
        let mut client = Client::new(&self.options.url.host);
        let mut body = vec![];
        let mut latencies = vec![];
        let mut shown = 0;
        let mine = |record: &&Record| record.shard as usize % self.options.concurrency == self.lane;

        for record in self.file.records.iter().filter(mine) {
            let done = self.counts.done.load(Relaxed);
            if self.options.limit.is_some_and(|limit| done >= limit) {
                break;
            }

            self.wait_for_turn(done);
            self.file.read(record, &mut body)?;

            if let Some(refusal) = self.send(&mut client, record, &body, &mut latencies) {
                self.counts.errors.fetch_add(1, Relaxed);
                shown += 1;

                if shown <= REFUSALS_SHOWN_MAX {
                    eprintln!("{refusal}");
                }
            }

            self.counts
                .done
                .fetch_add(u64::from(record.samples), Relaxed);
        }

        Ok(latencies)
    }

    fn wait_for_turn(&self, done: u64) {
        let Some(rate) = self.options.rate else {
            return;
        };
        let due = done as f64 / rate - self.started.elapsed().as_secs_f64();

        if due > 0.0 {
            std::thread::sleep(Duration::from_secs_f64(due));
        }
    }

    /// Sends one request, again while the server says so; says why when it was not accepted.
    fn send(
        &self,
        client: &mut Client,
        record: &Record,
        body: &[u8],
        latencies: &mut Vec<f64>,
    ) -> Option<String> {
        let mut retries = 0;

        loop {
            let started = Instant::now();
            let outcome = client.request("POST", &self.options.url.path, self.headers, body);
            latencies.push(started.elapsed().as_secs_f64() * 1e3);

            let trouble = match outcome {
                Ok(response) if response.status / 100 == 2 => {
                    self.counts
                        .sent
                        .fetch_add(u64::from(record.samples), Relaxed);
                    self.counts.bytes.fetch_add(u64::from(record.len), Relaxed);
                    return None;
                }
                Ok(response) => {
                    let text =
                        String::from_utf8_lossy(&response.body[..response.body.len().min(300)])
                            .into_owned();
                    let refusal = format!("HTTP {}: {text}", response.status);

                    if response.status / 100 != 5 && response.status != 429 {
                        return Some(refusal);
                    }

                    refusal
                }
                Err(error) => format!("{error:#}"),
            };

            if retries >= RETRIES_MAX {
                return Some(trouble);
            }

            self.counts.retries.fetch_add(1, Relaxed);
            retries += 1;
            std::thread::sleep(Duration::from_millis((20u64 << retries.min(6)).min(1000)));
        }
    }
}

fn client_report(
    options: &Options,
    counts: &Counts,
    seconds: f64,
    client_cpu_s: f64,
    latencies: &Latencies,
) -> serde_json::Value {
    let samples = counts.sent.load(Relaxed);
    let bytes = counts.bytes.load(Relaxed);

    json!({
        "file": options.file,
        "samples": samples,
        "seconds": seconds,
        "samples_per_s": samples as f64 / seconds,
        "bytes": bytes,
        "bytes_per_sample": bytes as f64 / samples as f64,
        "retries": counts.retries.load(Relaxed),
        "errors": counts.errors.load(Relaxed),
        "requests": latencies.count(),
        "lat_ms_p50": latencies.quantile(0.5),
        "lat_ms_p95": latencies.quantile(0.95),
        "lat_ms_p99": latencies.quantile(0.99),
        "lat_ms_p999": latencies.quantile(0.999),
        "lat_ms_max": latencies.quantile(1.0),
        "client_cpu_s": client_cpu_s,
    })
}

fn add_server_report(report: &mut serde_json::Value, before: Usage, after: Usage, samples: u64) {
    let cpu_s = after.cpu_s - before.cpu_s;
    report["server_cpu_s"] = cpu_s.into();
    report["server_cpu_s_per_M"] = (cpu_s / (samples as f64 / 1e6)).into();
    report["server_rss_mb"] = after.rss_mib.into();
    report["server_anon_mb"] = after.anon_mib.into();
    report["server_peak_rss_mb"] = after.rss_peak_mib.into();
    report["server_disk_write_mb"] = (after.written_mb - before.written_mb).into();
}
