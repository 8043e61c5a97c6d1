//! The requests of Grafana's Prometheus data source: each test is one of its calls.

use serde_json::{Value as Json, json};

use crate::harness::duramen::{Duramen, seconds};
use crate::harness::http::{Answer, Request};
use crate::harness::samples::Body;
use crate::harness::wait::now_ms;

/// Grafana's default limit.
const LIMIT: (&str, &str) = ("limit", "40000");

/// A server with a few series around a whole second in the past.
struct Filled {
    server: Duramen,
    base_ms: i64,
    start: String,
    end: String,
}

impl Filled {
    async fn start() -> Self {
        let server = Duramen::local().await;
        let base_ms = now_ms() / 60_000 * 60_000 - 120_000;
        let up =
            |instance: &'static str| [("__name__", "up"), ("instance", instance), ("job", "node")];

        let body = Body::default()
            .series(&up("a:9100"), &[(base_ms, 1.0), (base_ms + 15_000, 1.0)])
            .series(&up("b:9100"), &[(base_ms, 1.0), (base_ms + 15_000, 0.0)])
            .series(
                &[("__name__", "http.requests"), ("http.status", "200")],
                &[(base_ms, 7.0)],
            );

        server.write(body.snappy()).await;
        Self {
            server,
            base_ms,
            start: seconds(base_ms - 60_000),
            end: seconds(base_ms + 60_000),
        }
    }

    fn span(&self) -> [(&str, &str); 2] {
        [("start", &self.start), ("end", &self.end)]
    }

    /// Sends the request by both methods that the data source can use.
    async fn both(&self, path: &str, params: &[(&str, &str)]) -> [Answer; 2] {
        [
            self.server.get(path, params).await,
            self.server.post(path, params).await,
        ]
    }
}

#[tokio::test]
async fn the_health_check_evaluates_a_sum_in_1970() {
    let server = Duramen::local().await;

    for request in [Request::get, Request::post] {
        let answer = server
            .send(&request(
                "/api/v1/query",
                &[("query", "1+1"), ("time", "4")],
            ))
            .await;

        assert_eq!(
            answer.data(),
            json!({ "resultType": "scalar", "result": [4, "2"] })
        );
    }
}

#[tokio::test]
async fn a_panel_asks_for_a_range_with_fractions_of_seconds() {
    let filled = Filled::start().await;
    let start = seconds(filled.base_ms + 250);
    let end = seconds(filled.base_ms + 15_250);

    let params = [
        ("query", "sum by (job) (up)"),
        ("start", &*start),
        ("end", &*end),
        ("step", "7.5"),
        ("timeout", "30s"),
    ];

    for answer in filled.both("/api/v1/query_range", &params).await {
        let data = answer.data();
        assert_eq!(data["resultType"], "matrix");

        let series = &data["result"][0];
        assert_eq!(series["metric"], json!({ "job": "node" }));

        let values: Vec<&str> = series["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(|point| point[1].as_str().unwrap())
            .collect();

        assert_eq!(values, ["2", "2", "1"]);
    }
}

#[tokio::test]
async fn a_table_asks_for_an_instant() {
    let filled = Filled::start().await;
    let at = seconds(filled.base_ms + 15_000);

    for answer in filled
        .both("/api/v1/query", &[("query", "up"), ("time", &at)])
        .await
    {
        assert_eq!(answer.data()["result"].as_array().map(Vec::len), Some(2));
    }
}

#[tokio::test]
async fn parameters_of_the_data_source_stand_in_the_url_of_a_post() {
    let filled = Filled::start().await;
    let at = seconds(filled.base_ms + 15_000);
    let request = Request::post(
        "/api/v1/query?stats=all&limit=1",
        &[("query", "up"), ("time", &at)],
    );

    let data = filled.server.send(&request).await.data();
    assert_eq!(data["result"].as_array().map(Vec::len), Some(1));
    assert!(
        data["stats"]["samples"]["totalQueryableSamples"].is_u64(),
        "{data}"
    );
}

#[tokio::test]
async fn a_fault_is_an_envelope_with_its_status() {
    let filled = Filled::start().await;
    for answer in filled.both("/api/v1/query", &[("query", "sum(")]).await {
        assert!(answer.error(400, "bad_data").contains("parse error"));
    }

    let at = seconds(filled.base_ms);
    for answer in filled
        .both(
            "/api/v1/query",
            &[("query", "up * on (job) up"), ("time", &at)],
        )
        .await
    {
        assert!(answer.error(422, "execution").contains("many-to-many"));
    }
}

#[tokio::test]
async fn the_version_is_texts_and_claims_no_ruler() {
    let data = Duramen::local()
        .await
        .get("/api/v1/status/buildinfo", &[])
        .await
        .data();

    assert!(
        data.as_object().unwrap().values().all(Json::is_string),
        "{data}"
    );

    assert!(
        data["version"].as_str().unwrap().starts_with("3."),
        "{data}"
    );

    assert_eq!(
        data.get("features"),
        None,
        "a feature means a Mimir with a ruler"
    );
}

#[tokio::test]
async fn recording_rules_are_asked_for_and_there_are_none() {
    let data = Duramen::local()
        .await
        .get("/api/v1/rules", &[])
        .await
        .data();

    assert_eq!(data, json!({ "groups": [] }));
}

#[tokio::test]
async fn the_names_of_labels_are_asked_for_with_a_selector() {
    let filled = Filled::start().await;
    let params = [
        &filled.span()[..],
        &[LIMIT, ("match[]", "up{job=\"node\"}")],
    ]
    .concat();
    for answer in filled.both("/api/v1/labels", &params).await {
        assert_eq!(answer.data(), json!(["__name__", "instance", "job"]));
    }
}

#[tokio::test]
async fn metrics_are_searched_among_the_values_of_the_name() {
    let filled = Filled::start().await;
    let params = [
        &filled.span()[..],
        &[LIMIT, ("match[]", "{__name__=~\".*u.*\"}")],
    ]
    .concat();

    let names = filled
        .server
        .get("/api/v1/label/__name__/values", &params)
        .await
        .data();

    assert_eq!(names, json!(["http.requests", "up"]));
}

#[tokio::test]
async fn a_label_of_any_characters_is_asked_for_by_its_escaped_name() {
    let filled = Filled::start().await;
    let params = [
        &filled.span()[..],
        &[LIMIT, ("match[]", "{\"http.requests\"}")],
    ]
    .concat();

    let values = filled
        .server
        .get("/api/v1/label/U__http_2e_status/values", &params)
        .await
        .data();

    assert_eq!(values, json!(["200"]));
}

#[tokio::test]
async fn label_values_are_the_same_by_post_and_by_get() {
    let filled = Filled::start().await;
    assert_eq!(
        filled
            .server
            .post("/api/v1/label/job/values", &[LIMIT])
            .await
            .data(),
        json!(["node"])
    );

    assert_eq!(
        filled
            .server
            .get("/api/v1/label/job/values", &[LIMIT])
            .await
            .data(),
        json!(["node"])
    );
}

#[tokio::test]
async fn all_series_are_asked_for_by_a_name_that_is_not_empty() {
    let filled = Filled::start().await;
    let params = [
        &filled.span()[..],
        &[LIMIT, ("match[]", "{__name__!=\"\"}")],
    ]
    .concat();
    for answer in filled.both("/api/v1/series", &params).await {
        assert_eq!(answer.data().as_array().map(Vec::len), Some(3));
    }
}

#[tokio::test]
async fn the_probe_for_exemplars_with_milliseconds_for_seconds_is_an_empty_success() {
    let filled = Filled::start().await;
    let [start, end] = [filled.base_ms - 600_000, filled.base_ms].map(|ms| ms.to_string());

    let answer = filled
        .server
        .get(
            "/api/v1/query_exemplars",
            &[("query", "test"), ("start", &start), ("end", &end)],
        )
        .await;

    assert_eq!(answer.data(), json!([]));
}

#[tokio::test]
async fn exemplars_are_asked_for_beside_a_range() {
    let filled = Filled::start().await;
    let params = [&filled.span()[..], &[("query", "rate(up[1m])")]].concat();

    for answer in filled.both("/api/v1/query_exemplars", &params).await {
        assert_eq!(answer.data(), json!([]));
    }
}

#[tokio::test]
async fn metadata_is_asked_for_as_a_whole_and_by_metric() {
    let filled = Filled::start().await;

    for params in [LIMIT, ("metric", "up")] {
        assert_eq!(
            filled
                .server
                .get("/api/v1/metadata", &[params])
                .await
                .data(),
            json!({})
        );
    }
}
