//! A pair of real Prometheus servers, one of which dies.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use serde_json::json;

use crate::harness::duramen::{Duramen, seconds};
use crate::harness::prometheus::Prometheus;
use crate::harness::samples::{Points, matrix};
use crate::harness::wait::{now_ms, until};

const PATIENCE: Duration = Duration::from_secs(60);
const SCRAPE_MS: i64 = 500;
const TIMEOUT_MS: i64 = 3000;
/// The longest time from a scrape to its arrival: the sender's batch, on a machine that also
/// compiles.
const DELAY_MS: i64 = 1500;
const LIMITS: &str = "defaults: {ha: {enabled: true, failover_timeout: 3s}}\n";

/// Answers every scrape on a port of its own with `scraped_by`: the number that the scraper has in
/// its path.
fn target() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();

    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut head = [0; 4096];
            let Ok(length) = stream.read(&mut head) else {
                continue;
            };

            let number = if head[..length].starts_with(b"GET /1") {
                1
            } else {
                2
            };

            let body = format!("# TYPE scraped_by gauge\nscraped_by {number}\n");
            let length = body.len();
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close";

            // A scraper that went away is dead.
            let _ = write!(stream, "{head}\r\nContent-Length: {length}\r\n\r\n{body}");
        }
    });

    address
}

/// Starts one of the pair. The two are equal except for the name, and the path that tells the
/// target who scrapes.
async fn member(number: u8, writes_to: SocketAddr, target: SocketAddr) -> Option<Prometheus> {
    let configuration = |_| {
        format!(
            "global:
  scrape_interval: {SCRAPE_MS}ms
  scrape_timeout: {SCRAPE_MS}ms
  external_labels: {{cluster: pair, __replica__: replica-{number}}}
remote_write:
  - url: http://{writes_to}/api/v1/write
    queue_config: {{min_shards: 1, max_shards: 1, batch_send_deadline: 100ms, min_backoff: 20ms, max_backoff: 100ms}}
scrape_configs:
  - {{job_name: target, metrics_path: /{number}, static_configs: [{{targets: [\"{target}\"]}}]}}
"
        )
    };

    Prometheus::configured(configuration, &[]).await
}

/// Returns the stored samples of the target since `start_ms`. They are one series, whose values
/// tell who scraped.
async fn stored(server: &Duramen, start_ms: i64) -> Points {
    let end_ms = now_ms();
    let query = "scraped_by[1h]";

    let data = server
        .get(
            "/api/v1/query",
            &[("query", query), ("time", &seconds(end_ms))],
        )
        .await
        .data();

    let mut found = matrix(&data);
    assert!(found.len() <= 1, "{data}");

    let Some((labels, points)) = found.pop_first() else {
        return Points::new();
    };
    assert_eq!(
        (labels["cluster"].as_str(), labels.get("__replica__")),
        ("pair", None),
        "{labels:?}"
    );

    assert!(
        points.iter().all(|(ts_ms, _)| *ts_ms >= start_ms),
        "{points:?}"
    );

    points
}

/// Waits until `count` samples of one member are stored.
async fn stored_of(server: &Duramen, start_ms: i64, number: &str, count: usize) -> Points {
    until("samples of a member", PATIENCE, async || {
        let points = stored(server, start_ms).await;
        (points.iter().filter(|(_, value)| value == number).count() >= count).then_some(points)
    })
    .await
}

#[tokio::test]
async fn of_a_pair_one_is_stored_and_when_it_is_killed_the_other_goes_on_after_the_time_out() {
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("limits.yml");
    std::fs::write(&file, LIMITS).unwrap();

    let server = Duramen::with(&["--limits-file", file.to_str().unwrap()]).await;
    let target = target();
    let start_ms = now_ms();
    let Some(first) = member(1, server.address, target).await else {
        return;
    };

    stored_of(&server, start_ms, "1", 2).await;

    let second = member(2, server.address, target).await.unwrap();
    until(
        "samples of the second that are left out",
        PATIENCE,
        async || {
            let metric =
                "duramen_ha_deduplicated_samples_total{tenant=\"anonymous\",cluster=\"pair\"}";
            (server.metric(metric).await >= 60.0).then_some(())
        },
    )
    .await;

    let before = stored_of(&server, start_ms, "1", 10).await;
    assert!(
        before.iter().all(|(_, value)| value == "1"),
        "the elected one is alive: {before:?}"
    );

    // Dropping it kills the process.
    drop(first);

    let points = stored_of(&server, start_ms, "2", 10).await;
    let failed_over = points.iter().position(|(_, value)| value == "2").unwrap();
    let (of_first, of_second) = points.split_at(failed_over);

    assert!(
        of_second.iter().all(|(_, value)| value == "2"),
        "both are stored: {points:?}"
    );

    let hole_ms = of_second[0].0 - of_first[of_first.len() - 1].0;
    let hole_max_ms = TIMEOUT_MS + SCRAPE_MS + DELAY_MS;

    assert!(
        (TIMEOUT_MS - DELAY_MS..=hole_max_ms).contains(&hole_ms),
        "{hole_ms} ms: {points:?}"
    );

    // Each member scrapes in its own rhythm, and each scrape is stored once.
    for of_one in [of_first, of_second] {
        let beats: Vec<i64> = of_one.windows(2).map(|two| two[1].0 - two[0].0).collect();
        assert!(
            beats
                .iter()
                .all(|beat_ms| (SCRAPE_MS / 2..=SCRAPE_MS * 3).contains(beat_ms)),
            "{beats:?}"
        );
    }

    assert_eq!(second.queue().await.lost, 0.0, "{}", second.log());
    assert_eq!(
        server
            .get("/api/v1/label/__replica__/values", &[])
            .await
            .data(),
        json!([])
    );
}
