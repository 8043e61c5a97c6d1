//! The test S3 server as a process of its own, for scripts and for tests that start real processes.

use std::io::Write;
use std::net::SocketAddr;

use clap::Parser;
use duramen_testkit::s3::{FaultPlan, Latency, S3, S3Options};
use tokio::signal::unix::{SignalKind, signal};

/// An S3 server in memory, for tests only. Prints its endpoint and runs until SIGINT or SIGTERM.
///
/// Beside S3 it serves `GET /_admin/counts` (requests and bytes, as JSON), `POST /_admin/reset`
/// (sets the counters to zero), `POST /_admin/outage/on` and `POST /_admin/outage/off`. During an
/// outage every request is answered 503.
#[derive(Debug, Parser)]
#[command(name = "duramen-testkit-s3")]
struct Flags {
    /// A loop-back address. Port 0 takes a free port.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The name of the bucket. There is only one.
    #[arg(long, default_value = "test")]
    bucket: String,
    /// Refuses requests that are signed with any other access key.
    #[arg(long)]
    require_key: Option<String>,
    /// Delays requests as a busy public store does: 15 ms at the median, 120 ms at p99, 1 s at
    /// p99.9.
    #[arg(long)]
    typical_latency: bool,
    /// The seed of the delays.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;

    let s3 = S3::start(S3Options {
        listen: flags.listen,
        bucket: flags.bucket,
        require_key: flags.require_key,
        admin: true,
        // The log cannot be read from outside of the process.
        log_entries_max: 0,
        ..S3Options::default()
    })
    .await?;
    if flags.typical_latency {
        s3.set_plan(FaultPlan::new(flags.seed).latency(Latency::TYPICAL));
    }

    let mut out = std::io::stdout();
    writeln!(out, "{}", s3.endpoint())?;
    out.flush()?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }

    s3.stop().await;
    Ok(())
}
