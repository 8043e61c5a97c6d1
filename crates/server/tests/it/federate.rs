//! Federation: text for a Prometheus that scrapes it.

use std::time::Duration;

use duramen_model::STALE_NAN;

use crate::harness::duramen::{Duramen, seconds};
use crate::harness::http::Request;
use crate::harness::prometheus::Prometheus;
use crate::harness::samples::{Body, matrix};
use crate::harness::wait::{now_ms, until};

/// Writes some series, and gives the time of their newest samples.
async fn write_some(server: &Duramen) -> i64 {
    let at = now_ms() - 10_000;
    let body = Body::default()
        .series(&[("__name__", "fed_b"), ("instance", "i:1"), ("job", "x")], &[(at - 5000, 1.0), (at, 8_263_504.25)])
        .series(&[("__name__", "fed_a"), ("job", "x"), ("path", "C:\\a \"b\"\nc")], &[(at, 2.0)])
        .series(&[("__name__", "fed_gone"), ("job", "x")], &[(at - 5000, 1.0), (at, STALE_NAN)])
        .series(&[("__name__", "fed_old"), ("job", "x")], &[(at - 600_000, 1.0)])
        .series(&[("__name__", "other"), ("job", "x")], &[(at, 3.0)]);
    server.write(body.snappy()).await;
    at
}

#[tokio::test]
async fn the_newest_samples_stand_by_name_with_their_times() {
    let server = Duramen::local().await;
    let at = write_some(&server).await;
    let params = [("match[]", "{__name__=~\"fed_.*\"}"), ("match[]", "fed_a")];
    let expected = format!(
        "# TYPE fed_a untyped\nfed_a{{job=\"x\",path=\"C:\\\\a \\\"b\\\"\\nc\",instance=\"\"}} 2 {at}\n\
         # TYPE fed_b untyped\nfed_b{{instance=\"i:1\",job=\"x\"}} 8.26350425e+06 {at}\n"
    );
    for flushed in [false, true] {
        if flushed {
            server.flush().await;
        }
        let answer = server.get("/federate", &params).await;
        assert_eq!((answer.status, answer.text()), (200, expected.clone()), "flushed: {flushed}");
        let media = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
        assert_eq!(answer.header("content-type"), Some(media));
    }
}

#[tokio::test]
async fn selectors_are_read_as_prometheus_reads_them() {
    let server = Duramen::local().await;
    write_some(&server).await;
    for (selector, lines) in [("{}", 0), ("nothing", 0), ("{job=~\".*\"}", 6), ("{path!=\"\"}", 2)] {
        let answer = server.get("/federate", &[("match[]", selector)]).await;
        assert_eq!((answer.status, answer.text().lines().count()), (200, lines), "{selector}: {}", answer.text());
    }
    assert_eq!(server.get("/federate", &[]).await.text(), "");
    for selector in ["up[5m]", "rate(up[1m])", "{"] {
        let answer = server.get("/federate", &[("match[]", selector)]).await;
        assert_eq!((answer.status, answer.header("x-content-type-options")), (400, Some("nosniff")), "{selector}");
        assert!(answer.text().contains("parse error"), "{selector}: {}", answer.text());
    }
    assert_eq!(server.send(&Request::post("/federate", &[("match[]", "up")])).await.status, 405);
}

#[tokio::test]
async fn a_prometheus_that_scrapes_it_holds_the_same() {
    let server = Duramen::local().await;
    let target = server.address;
    let configuration = |_| {
        format!(
            "scrape_configs: [{{job_name: federate, scrape_interval: 1s, scrape_timeout: 1s, honor_labels: true, metrics_path: /federate, \
             params: {{\"match[]\": ['{{__name__=~\"fed_.*\"}}']}}, static_configs: [{{targets: [\"{target}\"]}}]}}]\n"
        )
    };
    let Some(prometheus) = Prometheus::configured(configuration, &[]).await else { return };
    let at = write_some(&server).await;
    let params = [("query", "{__name__=~\"fed_[ab]\"}[1m]"), ("time", &*seconds(at + 1))];
    let theirs = until("two series", Duration::from_secs(60), async || {
        let found = matrix(&prometheus.query("/api/v1/query", &params).await);
        (found.len() == 2).then_some(found)
    })
    .await;
    let mut ours = matrix(&server.get("/api/v1/query", &params).await.data());
    // Only the newest sample of a series is there for a scrape.
    for points in ours.values_mut() {
        points.drain(..points.len() - 1);
    }
    assert_eq!(theirs, ours);
}
