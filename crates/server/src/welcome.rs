//! What a newcomer reads at the start.

use std::net::SocketAddr;

use duramen_settings::size;

use crate::wiring::System;

/// Prints on stdout where the system listens and what to try next.
pub(crate) fn say(system: &System, address: SocketAddr) {
    let url = format!("http://{address}");
    let (version, store) = (env!("CARGO_PKG_VERSION"), &system.store);
    let replayed = system.replayed.samples;
    let memory = size::print(system.memory.bytes_max());
    let header =
        if system.config.multi_tenancy { format!(" -H 'X-Scope-OrgID: {}'", system.own_tenant) } else { String::new() };
    #[expect(clippy::print_stdout, reason = "this is the one message that is for a person at a terminal")]
    {
        println!(
            "Duramen {version} listens on {url}
  store: {store}    read back from the write-ahead log: {replayed} samples
  memory: {memory} for bodies, heads, queries, answers and caches together

Ask it something (it keeps its own metrics, the first within {interval:?}):
  curl -s{header} '{url}/api/v1/query?query=up'

Let a Prometheus write to it (prometheus.yml):
  remote_write:
    - url: {url}/api/v1/write

Grafana: add a data source of the type Prometheus with the URL {url}",
            interval = system.config.self_scrape_interval,
        );
    }
}
