//! Clients that close their connection before the answer.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::harness::duramen::{Duramen, seconds};
use crate::harness::samples::Body;
use crate::harness::wait::{now_ms, until};

/// A small part of the time that the query takes if it is not stopped.
const SOON: Duration = Duration::from_secs(30);
/// Ticks of processor time: more than everything except for the query needs, and less than the
/// query needs.
const BUSY_TICKS: u64 = 100;

/// A query of some minutes, in batches of less than two seconds.
const LONG: &str = "sum(count_over_time(load[60s:1s]))";

/// Writes 20,000 series.
async fn write_many(server: &Duramen, at_ms: i64) {
    let mut body = Body::default();
    for n in 0..20_000 {
        body = body.series(
            &[("__name__", "load"), ("n", &n.to_string())],
            &[(at_ms, 1.0)],
        );
    }

    server.write(body.snappy()).await;
}

#[tokio::test]
async fn a_query_whose_client_is_gone_ends_and_counts_as_499() {
    let mut server = Duramen::with(&["--query-timeout", "10m"]).await;
    let at = now_ms();
    write_many(&server, at).await;

    let start = seconds(at);
    let end = seconds(at + 10_999_000);

    let form = [
        ("query", LONG),
        ("start", &start),
        ("end", &end),
        ("step", "1"),
        ("lookback_delta", "4h"),
    ];

    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let before = server.process().cpu_ticks();
    let mut client = TcpStream::connect(server.address).unwrap();

    write!(
        client,
        "GET /api/v1/query_range?{query} HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    .unwrap();
    until("a busy server", SOON, async || {
        (server.process().cpu_ticks() > before + BUSY_TICKS).then_some(())
    })
    .await;

    let given_up = "duramen_http_requests_total{route=\"/api/v1/query_range\",code=\"499\"}";
    assert_eq!(server.metric(given_up).await.to_bits(), 0.0_f64.to_bits());

    drop(client);
    until("a request that counts as given up", SOON, async || {
        (server.metric(given_up).await > 0.0).then_some(())
    })
    .await;

    let mut last = server.process().cpu_ticks();
    until("an idle server", SOON, async || {
        let now = server.process().cpu_ticks();
        (std::mem::replace(&mut last, now) == now).then_some(())
    })
    .await;
    assert_eq!(
        server.value("count(load)", at).await.as_deref(),
        Some("20000")
    );
}
