//! The greeting at the start.

use std::net::SocketAddr;

use duramen_settings::size;
use tracing::info;

use crate::config::LogFormat;
use crate::roles::System;

/// Prints on stdout where the system listens and what to try next. Where machines read the log, a
/// line of it says the first of this.
pub(crate) fn say(system: &System, address: SocketAddr) {
    let url = format!("http://{address}");

    if system.config.log_format == LogFormat::Json {
        info!(url, "listens");
        return;
    }

    let own_metrics = own_metrics(system, &url);
    let version = env!("CARGO_PKG_VERSION");
    let store = system.shared.bucket.name();
    let replayed = system.replayed.samples;
    let memory = size::print(system.shared.memory.bytes_max());

    #[expect(
        clippy::print_stdout,
        reason = "this is the one message that is for a person at a terminal"
    )]
    {
        println!(
            "Duramen {version} listens on {url}
  store: {store}    read back from the write-ahead log: {replayed} samples
  memory: {memory} for bodies, heads, queries, answers and caches together

{own_metrics}

Let a Prometheus write to it (prometheus.yml):
  remote_write:
    - url: {url}/api/v1/write

Grafana: add a data source of the type Prometheus with the URL {url}",
        );
    }
}

/// Returns the command that queries the process's own metrics.
fn own_metrics(system: &System, url: &str) -> String {
    let http = &system.config.http;
    let tenant = &system.shared.own_tenant;

    let (url, header) = match (system.config.multi_tenancy, http.operator_listen) {
        (false, _) => (url.to_owned(), String::new()),
        (true, Some(operator)) => (
            format!("http://{operator}"),
            format!(" -H 'X-Scope-OrgID: {tenant}'"),
        ),
        (true, None) if http.metrics_all => {
            (url.to_owned(), format!(" -H 'X-Scope-OrgID: {tenant}'"))
        }
        (true, None) => {
            return "It keeps its own metrics for the operator: see --http-operator-listen and --http-metrics-all"
                .to_owned();
        }
    };

    let interval = system.config.self_scrape_interval;
    if interval.is_zero() {
        return "It does not keep its own metrics (self_scrape_interval is 0)".to_owned();
    }

    format!(
        "Ask it something (it keeps its own metrics, the first within {interval:?}):\n  \
         curl -s{header} '{url}/api/v1/query?query=up'"
    )
}
