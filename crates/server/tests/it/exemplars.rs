//! Exemplars, from remote write to their query.

use serde_json::{Value as Json, json};

use crate::harness::duramen::{Duramen, seconds, write};
use crate::harness::http::Request;
use crate::harness::wait::now_ms;
use crate::harness::wire::Request as Body;

const PATH: &str = "/api/v1/query_exemplars";
const BUCKET: [(&str, &str); 3] = [("__name__", "latency_bucket"), ("job", "a"), ("le", "1")];
const COUNT: [(&str, &str); 2] = [("__name__", "requests_total"), ("job", "a")];

/// A whole second a minute ago.
fn base_ms() -> i64 {
    now_ms() / 1000 * 1000 - 60_000
}

fn labels(pairs: &[(&str, &str)]) -> Json {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Json::from(*value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

async fn everything(server: &Duramen, query: &str) -> Json {
    server.get(PATH, &[("query", query)]).await.data()
}

#[tokio::test]
async fn exemplars_are_found_by_the_selectors_in_any_query_wherever_they_are() {
    let base = base_ms();
    let mut server = Duramen::local().await;
    let first = Body::default().series(&BUCKET, &[(base, 1.0)], &[("t1", 0.25, base + 479)]);

    // Exemplars without samples, as real senders do it: one is repeated, one has no labels, and one
    // is not a number.
    let second = Body::default()
        .series(
            &BUCKET,
            &[],
            &[
                ("t1", 0.25, base + 479),
                ("t2", f64::NAN, base + 1000),
                ("", 1e-7, base + 2000),
            ],
        )
        .series(&COUNT, &[(base, 1.0)], &[("t3", f64::INFINITY, base)]);

    server.write(first.snappy()).await;
    server.write(second.snappy()).await;

    let exemplar = |id: &str, value: &str, ts_ms: i64| {
        let labels = if id.is_empty() {
            json!({})
        } else {
            json!({ "trace_id": id })
        };

        let seconds: Json =
            serde_json::from_str(seconds(ts_ms).trim_end_matches(".000")).unwrap_or_default();
        json!({ "labels": labels, "value": value, "timestamp": seconds })
    };

    let of_bucket = [
        exemplar("t1", "0.25", base + 479),
        exemplar("t2", "NaN", base + 1000),
        exemplar("", "1e-07", base + 2000),
    ];

    let bucket = json!({ "seriesLabels": labels(&BUCKET), "exemplars": of_bucket });
    let count =
        json!({ "seriesLabels": labels(&COUNT), "exemplars": [exemplar("t3", "+Inf", base)] });

    for place in ["head", "blocks", "blocks after a start", "head and blocks"] {
        match place {
            "blocks" => server.flush().await,
            "blocks after a start" => {
                server.kill();
                server.start().await;
            }
            // The blocks have these exemplars already.
            "head and blocks" => server.write(second.snappy()).await,
            _ => {}
        }

        for (query, expected) in [
            ("latency_bucket", json!([bucket])),
            (
                "histogram_quantile(0.9, sum by (le) (rate(latency_bucket{job=\"a\"}[5m])))",
                json!([bucket]),
            ),
            (
                "rate(requests_total[1m]) / rate(latency_bucket[1m] offset 1w)",
                json!([bucket, count]),
            ),
            ("{job=\"a\"} + requests_total", json!([bucket, count])),
            ("nothing", json!([])),
        ] {
            assert_eq!(
                everything(&server, query).await,
                expected,
                "{place}: {query}"
            );
        }

        let range = |start: i64, end: i64| {
            [
                ("query", "latency_bucket".to_owned()),
                ("start", seconds(start)),
                ("end", seconds(end)),
            ]
        };

        for (start, end, expected) in [
            (
                base + 1000,
                base + 1000,
                json!([{ "seriesLabels": labels(&BUCKET), "exemplars": [of_bucket[1]] }]),
            ),
            (base + 480, base + 999, json!([])),
        ] {
            let range = range(start, end);
            let params: Vec<(&str, &str)> = range
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            assert_eq!(server.get(PATH, &params).await.data(), expected, "{place}");
            assert_eq!(server.post(PATH, &params).await.data(), expected, "{place}");
        }
    }
}

#[tokio::test]
async fn the_probe_of_grafana_succeeds_and_a_query_without_a_selector_has_no_content() {
    let server = Duramen::local().await;
    let start = (now_ms() - 3_600_000).to_string();
    let end = now_ms().to_string();

    for filled in [false, true] {
        if filled {
            server
                .write(
                    Body::default()
                        .series(&COUNT, &[(base_ms(), 1.0)], &[("t", 1.0, base_ms())])
                        .snappy(),
                )
                .await;
        }

        let probe = server
            .get(PATH, &[("query", "test"), ("start", &start), ("end", &end)])
            .await;
        assert_eq!(probe.json(), json!({ "status": "success", "data": [] }));
    }

    for query in ["1", "1 + 2", "time()", "\"text\""] {
        let answer = server.get(PATH, &[("query", query)]).await;
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{query}");
    }
}

#[tokio::test]
async fn bad_parameters_are_told() {
    let server = Duramen::local().await;

    for (params, text) in [
        (vec![], "query"),
        (vec![("query", "up{")], "query"),
        (
            vec![("query", "up"), ("start", "x")],
            "invalid parameter \"start\"",
        ),
        (
            vec![("query", "up"), ("start", "2"), ("end", "1")],
            "end timestamp must not be before start timestamp",
        ),
    ] {
        let error = server.get(PATH, &params).await.error(400, "bad_data");
        assert!(error.contains(text), "{params:?}: {error}");
    }
}

#[tokio::test]
async fn the_exemplars_of_another_tenant_are_not_seen() {
    let server = Duramen::with(&["--multi-tenancy", "--http-flush-all"]).await;

    for tenant in ["a", "b"] {
        let body = Body::default().series(&COUNT, &[(base_ms(), 1.0)], &[(tenant, 1.0, base_ms())]);
        let answer = server
            .send(&write(body.snappy()).header("X-Scope-OrgID", tenant))
            .await;

        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    for flushed in [false, true] {
        if flushed {
            server.flush().await;
        }

        for (tenant, expected) in [("a", vec!["a"]), ("b", vec!["b"]), ("nobody", vec![])] {
            let request =
                Request::get(PATH, &[("query", "requests_total")]).header("X-Scope-OrgID", tenant);
            let data = server.send(&request).await.data();
            let found: Vec<&Json> = data.as_array().into_iter().flatten().collect();
            let traces: Vec<&Json> = found
                .iter()
                .map(|series| &series["exemplars"][0]["labels"]["trace_id"])
                .collect();

            assert_eq!(traces, expected, "{tenant}: {data}");
        }
    }
}
