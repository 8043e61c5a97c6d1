//! Metadata of metric families, from remote write to its query.

use duramen_testkit::prompb::v1::metric_metadata::MetricType;
use serde_json::{Value as Json, json};

use crate::harness::duramen::{Duramen, write};
use crate::harness::http::Request;
use crate::harness::wire::Request as Body;

const PATH: &str = "/api/v1/metadata";

fn entry(kind: &str, help: &str, unit: &str) -> Json {
    json!([{ "type": kind, "help": help, "unit": unit }])
}

#[tokio::test]
async fn families_are_told_as_they_were_last_sent_wherever_they_are() {
    let mut server = Duramen::local().await;

    // Requests that have only metadata, as a Prometheus sends them every minute.
    let first = Body::default()
        .family(
            "latency_seconds",
            MetricType::Histogram,
            "Time spent.",
            "seconds",
        )
        .family("requests", MetricType::Counter, "old", "")
        .family("size", MetricType::Gaugehistogram, "", "bytes");

    server.write(first.snappy()).await;
    server
        .write(
            Body::default()
                .family(
                    "requests",
                    MetricType::Counter,
                    "Requests \"served\".\n",
                    "",
                )
                .snappy(),
        )
        .await;

    let mut expected = json!({
        "latency_seconds": entry("histogram", "Time spent.", "seconds"),
        "requests": entry("counter", "Requests \"served\".\n", ""),
        "size": entry("gaugehistogram", "", "bytes"),
    });

    for place in ["head", "blocks", "blocks after a start", "head and blocks"] {
        match place {
            "blocks" => server.flush().await,
            "blocks after a start" => {
                server.kill();
                server.start().await;
            }
            "head and blocks" => {
                let newer = Body::default()
                    .family("size", MetricType::Gauge, "newer", "")
                    .family("up", MetricType::Unknown, "", "");
                server.write(newer.snappy()).await;
                expected["size"] = entry("gauge", "newer", "");
                expected["up"] = entry("unknown", "", "");
            }
            _ => {}
        }

        assert_eq!(
            server.get(PATH, &[]).await.json(),
            json!({ "status": "success", "data": expected }),
            "{place}"
        );

        let one = server.get(PATH, &[("metric", "size")]).await.data();
        assert_eq!(one, json!({ "size": expected["size"] }), "{place}");

        assert_eq!(
            server.get(PATH, &[("metric", "nothing")]).await.data(),
            json!({}),
            "{place}"
        );
    }
}

#[tokio::test]
async fn limits_are_those_of_prometheus() {
    let server = Duramen::local().await;
    assert_eq!(server.get(PATH, &[]).await.data(), json!({}));

    let body = ["a", "b", "c"].iter().fold(Body::default(), |body, name| {
        body.family(name, MetricType::Gauge, "", "")
    });
    server.write(body.snappy()).await;

    for (params, families) in [
        (vec![("limit", "-1")], 3),
        (vec![("limit", "0")], 0),
        (vec![("limit", "2")], 2),
        (vec![("limit", "40000")], 3),
        (vec![("limit", "")], 3),
        (vec![("limit_per_metric", "0")], 3),
        (vec![("limit_per_metric", "1")], 3),
        (vec![("limit_per_metric", "-1")], 3),
    ] {
        let data = server.get(PATH, &params).await.data();
        assert_eq!(
            data.as_object().map(serde_json::Map::len),
            Some(families),
            "{params:?}: {data}"
        );
    }

    for name in ["limit", "limit_per_metric"] {
        for text in ["x", "1.5"] {
            let error = server
                .get(PATH, &[(name, text)])
                .await
                .error(400, "bad_data");

            assert_eq!(error, format!("{name} must be a number"));
        }
    }
}

#[tokio::test]
async fn the_families_of_another_tenant_are_not_seen() {
    let server = Duramen::with(&["--multi-tenancy", "--http-flush-all"]).await;

    for tenant in ["a", "b"] {
        let body = Body::default().family(tenant, MetricType::Gauge, "", "");
        let answer = server
            .send(&write(body.snappy()).header("X-Scope-OrgID", tenant))
            .await;

        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    for flushed in [false, true] {
        if flushed {
            server.flush().await;
        }

        for (tenant, expected) in [
            ("a", json!({ "a": entry("gauge", "", "") })),
            ("nobody", json!({})),
        ] {
            let data = server
                .send(&Request::get(PATH, &[]).header("X-Scope-OrgID", tenant))
                .await
                .data();
            assert_eq!(data, expected, "{tenant}");
        }
    }
}
