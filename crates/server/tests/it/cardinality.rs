//! Counts of series: in the head, in blocks and in both, and for each tenant alone.

use serde_json::{Value as Json, json};

use crate::harness::duramen::{Duramen, seconds, write};
use crate::harness::http::Request;
use crate::harness::samples::Body;
use crate::harness::wait::now_ms;

/// A whole second a minute ago.
fn base_ms() -> i64 {
    now_ms() / 1000 * 1000 - 60_000
}

/// Three series of `up` of two jobs and one of `load`.
fn body(base_ms: i64) -> Body {
    let up = |instance: &'static str, job: &'static str| {
        [("__name__", "up"), ("instance", instance), ("job", job)]
    };
    Body::default()
        .series(&up("a", "node"), &[(base_ms, 1.0), (base_ms + 1000, 1.0)])
        .series(&up("b", "node"), &[(base_ms, 1.0)])
        .series(&up("c", "db"), &[(base_ms, 1.0)])
        .series(
            &[("__name__", "load"), ("job", "node")],
            &[(base_ms - 1000, 1.0)],
        )
}

/// Calls `check` with the samples in the head, in blocks, in blocks after a restart, and with the
/// second half of `bodies` in a head beside blocks.
async fn everywhere(bodies: [Body; 2], check: impl AsyncFn(&Duramen, &str)) {
    let mut server = Duramen::local().await;
    let [first, second] = bodies;
    let second = second.snappy();

    server.write(first.snappy()).await;
    server.write(second.clone()).await;
    check(&server, "head").await;
    server.flush().await;
    check(&server, "blocks").await;
    server.kill();
    server.start().await;
    check(&server, "blocks after a start").await;

    // The head now has samples that the blocks have already. The series are the same.
    server.write(second).await;
    check(&server, "head and blocks").await;
}

fn stat(name: &str, value: u64) -> Json {
    json!({ "name": name, "value": value })
}

#[tokio::test]
async fn the_status_of_the_database_has_the_shape_of_prometheus_wherever_the_samples_are() {
    let base = base_ms();
    let extra = Body::default().series(
        &[("__name__", "load"), ("job", "node")],
        &[(base - 1000, 1.0)],
    );

    everywhere([body(base), extra], async |server, place| {
        let data = server.get("/api/v1/status/tsdb", &[]).await.data();
        let head = json!({
            "numSeries": 4, "numLabelPairs": 7, "chunkCount": 4, "minTime": base - 1000, "maxTime": base + 1000,
        });

        assert_eq!(data["headStats"], head, "{place}");

        let expected = json!([stat("up", 3), stat("load", 1)]);
        assert_eq!(data["seriesCountByMetricName"], expected, "{place}");

        let expected = json!([stat("instance", 3), stat("__name__", 2), stat("job", 2)]);
        assert_eq!(data["labelValueCountByLabelName"], expected, "{place}");

        let expected = json!([stat("job", 14), stat("__name__", 10), stat("instance", 3)]);
        assert_eq!(data["memoryInBytesByLabelName"], expected, "{place}");

        let pairs = data["seriesCountByLabelValuePair"].as_array().map(Vec::as_slice);
        let expected = [stat("__name__=up", 3), stat("job=node", 3), stat("__name__=load", 1)];

        assert_eq!(pairs.map(|pairs| &pairs[..3]), Some(&expected[..]), "{place}");

        let two = server.get("/api/v1/status/tsdb", &[("limit", "2")]).await.data();
        assert_eq!(two["seriesCountByLabelValuePair"].as_array().map(Vec::len), Some(2), "{place}");
    })

    .await;
}

#[tokio::test]
async fn the_status_of_an_empty_database_has_empty_lists_and_a_bad_limit_is_refused() {
    let server = Duramen::local().await;
    let data = server.get("/api/v1/status/tsdb", &[]).await.data();

    assert_eq!(
        (
            &data["headStats"]["numSeries"],
            &data["seriesCountByMetricName"]
        ),
        (&json!(0), &json!([]))
    );

    for (limit, text) in [
        ("0", "limit must be a positive number"),
        ("-1", "limit must be a positive number"),
        ("x", "limit must be a positive number"),
        ("10001", "limit must not exceed 10000"),
    ] {
        for path in ["/api/v1/status/tsdb", "/api/v1/status/metric"] {
            let answer = server.get(path, &[("limit", limit), ("metric", "m")]).await;
            assert_eq!(answer.error(400, "bad_data"), text, "{path}");
        }
    }
}

#[tokio::test]
async fn the_status_of_a_metric_tells_its_labels_samples_and_churn_wherever_the_samples_are() {
    let base = base_ms();
    let minute = 60_000;

    let series = |pod: &'static str, times: &[i64]| {
        let samples: Vec<_> = times
            .iter()
            .map(|minutes| (base - minutes * minute, 1.0))
            .collect();

        (
            vec![("__name__", "m"), ("pod", pod), ("zone", "x")],
            samples,
        )
    };

    // The query is for the last 20 minutes: `old` ended before, `all` covers the whole range,
    // `gone` ended within it, and `new` began within it.
    let all = [
        series("old", &[50, 40]),
        series("all", &[50, 21, 10, 0]),
        series("gone", &[21, 15]),
        series("new", &[10, 0]),
    ];

    let body = all.iter().fold(Body::default(), |body, (labels, samples)| {
        body.series(labels, samples)
    });
    let again = Body::default().series(&all[1].0, &all[1].1[..1]);
    let start = seconds(base - 20 * minute);
    let end = seconds(base);

    everywhere([body, again], async |server, place| {
        let params = [("metric", "m"), ("start", &*start), ("end", &*end)];
        let data = server.get("/api/v1/status/metric", &params).await.data();
        let counts = ["seriesCount", "seriesStarted", "seriesEnded", "labelCount", "histogramCount"];

        assert_eq!(counts.map(|name| data[name].as_u64()), [3, 1, 1, 2, 0].map(Some), "{place}: {data}");

        // Eight samples, minus those in a block of an earlier window, plus one that two parts have.
        assert!(data["sampleCount"].as_u64().is_some_and(|n| (6..=9).contains(&n)), "{place}: {data}");
        assert_eq!((&data["metric"], &data["end"]), (&json!("m"), &json!(base / 1000)), "{place}");

        let value = |value: &str, series: u64| json!({ "value": value, "seriesCount": series });
        let labels = json!([
            { "name": "pod", "seriesCount": 3, "valueCount": 3, "topValues": [value("all", 1), value("gone", 1), value("new", 1)] },
            { "name": "zone", "seriesCount": 3, "valueCount": 1, "topValues": [value("x", 3)] },
        ]);

        assert_eq!(data["labels"], labels, "{place}");

        let one = server.get("/api/v1/status/metric", &[&params[..], &[("limit", "1")]].concat()).await.data();
        assert_eq!(one["labels"].as_array().map(Vec::len), Some(1), "{place}");
        assert_eq!(one["labels"][0]["topValues"], json!([value("all", 1)]), "{place}");
    })

    .await;

    let server = Duramen::local().await;
    let nothing = server
        .get("/api/v1/status/metric", &[("metric", "m")])
        .await
        .data();

    assert_eq!(
        (&nothing["seriesCount"], &nothing["labels"]),
        (&json!(0), &json!([]))
    );

    let error = server
        .get("/api/v1/status/metric", &[])
        .await
        .error(400, "bad_data");

    assert!(error.contains("\"metric\""), "{error}");
}

#[tokio::test]
async fn cardinality_is_told_as_a_mimir_tells_it() {
    let server = Duramen::local().await;
    server.write(body(base_ms()).snappy()).await;

    let names = server
        .get(
            "/api/v1/cardinality/label_names",
            &[("selector", "up"), ("limit", "2")],
        )
        .await
        .json();

    let name =
        |name: &str, values: u64| json!({ "label_name": name, "label_values_count": values });
    let expected = json!({
        "label_values_count_total": 6,
        "label_names_count": 3,
        "cardinality": [name("instance", 3), name("job", 2)],
    });

    assert_eq!(names, expected);

    let asked = [("label_names[]", "job"), ("label_names[]", "nothing")];
    let values = server
        .post("/api/v1/cardinality/label_values", &asked)
        .await
        .json();

    let value = |value: &str, series: u64| json!({ "label_value": value, "series_count": series });
    let expected = json!({ "series_count_total": 4, "labels": [
        { "label_name": "job", "label_values_count": 2, "series_count": 4, "cardinality": [value("node", 3), value("db", 1)] },
        { "label_name": "nothing", "label_values_count": 0, "series_count": 0, "cardinality": [] },
    ]});

    assert_eq!(values, expected);

    let series = server
        .get(
            "/api/v1/cardinality/active_series",
            &[("selector", "{job=\"db\"}")],
        )
        .await
        .json();

    assert_eq!(
        series,
        json!({ "data": [{ "__name__": "up", "instance": "c", "job": "db" }] })
    );

    for path in ["label_values", "active_series"] {
        server
            .get(&format!("/api/v1/cardinality/{path}"), &[])
            .await
            .error(400, "bad_data");
    }
}

#[tokio::test]
async fn the_series_of_another_tenant_are_not_counted() {
    let server = Duramen::with(&["--multi-tenancy", "--http-flush-all"]).await;

    for tenant in ["a", "b"] {
        let body =
            Body::default().series(&[("__name__", "m"), ("secret", tenant)], &[(now_ms(), 1.0)]);
        let answer = server
            .send(&write(body.snappy()).header("X-Scope-OrgID", tenant))
            .await;

        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    for flushed in [false, true] {
        if flushed {
            server.flush().await;
        }

        for (path, params) in [
            ("status/tsdb", vec![]),
            ("status/metric", vec![("metric", "m")]),
            ("cardinality/label_names", vec![]),
            (
                "cardinality/label_values",
                vec![("label_names[]", "secret")],
            ),
            ("cardinality/active_series", vec![("selector", "m")]),
        ] {
            let request = Request::get(&format!("/api/v1/{path}"), &params);
            let text = server
                .send(&request.header("X-Scope-OrgID", "a"))
                .await
                .text();
            assert!(
                text.contains(":1") || text.contains("\"a\""),
                "{path}: {text}"
            );
            assert!(
                !text.contains("secret=b") && !text.contains("\"b\""),
                "{path}: {text}"
            );
        }
    }
}
