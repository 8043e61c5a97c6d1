//! The shapes of the Prometheus API, compared byte for byte where clients read bytes.

use serde_json::{Value as Json, json};

use crate::harness::duramen::{Duramen, seconds};
use crate::harness::http::{Answer, Request};
use crate::harness::samples::Body;
use crate::harness::wait::now_ms;

/// A whole second in the past.
fn base_ms() -> i64 {
    now_ms() / 1000 * 1000 - 60_000
}

/// A server with two series of `up` at the base and 15 s later, and one other series.
async fn filled(base_ms: i64) -> Duramen {
    let server = Duramen::local().await;
    let up = |instance: &'static str| [("__name__", "up"), ("instance", instance), ("job", "node")];

    let body = Body::default()
        .series(&up("a:9100"), &[(base_ms, 1.0), (base_ms + 15_000, 0.0)])
        .series(&up("b:9100"), &[(base_ms, 1.0), (base_ms + 15_000, 0.5)])
        .series(
            &[("__name__", "build_info"), ("version", "1")],
            &[(base_ms, 1.0)],
        );

    server.write(body.snappy()).await;
    server
}

fn is_json_success(answer: &Answer, data: &Json) {
    assert_eq!(&answer.data(), data);
    assert_eq!(
        answer.json(),
        json!({ "status": "success", "data": data }),
        "and nothing beside it"
    );
}

#[tokio::test]
async fn instant_and_range_answers_have_their_exact_shape_by_get_and_by_post() {
    let base = base_ms();
    let server = filled(base).await;
    let at = base / 1000;
    let metric = |instance| json!({ "__name__": "up", "instance": instance, "job": "node" });
    let vector = json!({ "resultType": "vector", "result": [
        { "metric": metric("a:9100"), "value": [at, "1"] },
        { "metric": metric("b:9100"), "value": [at, "1"] },
    ]});

    let values = |last: &str| json!([[at, "1"], [at + 15, last]]);
    let matrix = json!({ "resultType": "matrix", "result": [
        { "metric": metric("a:9100"), "values": values("0") },
        { "metric": metric("b:9100"), "values": values("0.5") },
    ]});

    let scalar = json!({ "resultType": "scalar", "result": [at, "3"] });
    let string = json!({ "resultType": "string", "result": [at, "a\"b"] });
    let start = seconds(base);
    let end = seconds(base + 15_000);

    for prefix in ["", "/prometheus"] {
        let query = format!("{prefix}/api/v1/query");
        let query_range = format!("{prefix}/api/v1/query_range");

        let range = [
            ("query", "up"),
            ("start", &*start),
            ("end", &*end),
            ("step", "15"),
        ];

        for (path, params, expected) in [
            (&query, vec![("query", "up"), ("time", &*start)], &vector),
            (&query, vec![("query", "up[1m]"), ("time", &*end)], &matrix),
            (&query, vec![("query", "1 + 2"), ("time", &*start)], &scalar),
            (
                &query,
                vec![("query", "\"a\\\"b\""), ("time", &*start)],
                &string,
            ),
            (&query_range, range.to_vec(), &matrix),
            (
                &query_range,
                [&range[..3], &[("step", "15s")]].concat(),
                &matrix,
            ),
        ] {
            is_json_success(&server.get(path, &params).await, expected);
            is_json_success(&server.post(path, &params).await, expected);
        }
    }

    let empty = json!({ "resultType": "vector", "result": [] });
    is_json_success(
        &server
            .get("/api/v1/query", &[("query", "nothing"), ("time", &start)])
            .await,
        &empty,
    );

    let empty = json!({ "resultType": "matrix", "result": [] });
    let range = [
        ("query", "nothing"),
        ("start", &*start),
        ("end", &*end),
        ("step", "1"),
    ];

    is_json_success(&server.get("/api/v1/query_range", &range).await, &empty);
}

#[tokio::test]
async fn the_parameters_of_url_and_body_are_merged_and_the_bodys_come_first() {
    let base = base_ms();
    let server = filled(base).await;
    let target = format!("/api/v1/query?time={}", seconds(base + 15_000));
    let data = server
        .send(&Request::post(&target, &[("query", "sum(up)")]))
        .await
        .data();

    assert_eq!(data["result"][0]["value"][1], "0.5");

    let both = Request::post("/api/v1/query?query=1", &[("query", "2"), ("time", "4")]);
    assert_eq!(server.send(&both).await.data()["result"], json!([4, "2"]));

    let selectors = Request::post(
        "/api/v1/series?match[]=build_info",
        &[("match[]", "up{instance=\"a:9100\"}")],
    );

    assert_eq!(
        server
            .send(&selectors)
            .await
            .data()
            .as_array()
            .map(Vec::len),
        Some(2)
    );
}

#[tokio::test]
async fn values_and_times_are_rendered_as_go_renders_them() {
    let server = Duramen::local().await;
    let base = base_ms();

    let cases = [
        (0.1, "0.1"),
        (-0.0, "-0"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1e-6, "0.000001"),
        (1e-7, "1e-07"),
        (f64::MAX, "1.7976931348623157e+308"),
        (5e-324, "5e-324"),
        (f64::INFINITY, "+Inf"),
        (f64::NEG_INFINITY, "-Inf"),
        (f64::NAN, "NaN"),
        (9_007_199_254_740_993.0, "9007199254740992"),
    ];

    let mut body = Body::default();
    for (n, (value, _)) in cases.iter().enumerate() {
        body = body.series(
            &[("__name__", "v"), ("n", &n.to_string())],
            &[(base + n as i64 * 100, *value)],
        );
    }

    server.write(body.snappy()).await;

    for flushed in [false, true] {
        if flushed {
            server.flush().await;
        }

        for (n, (_, text)) in cases.iter().enumerate() {
            let query = format!("v{{n=\"{n}\"}}[1m]");
            let at = base + n as i64 * 100;

            let body = server
                .get(
                    "/api/v1/query",
                    &[("query", &query), ("time", &seconds(at))],
                )
                .await
                .text();

            let time = if n % 10 == 0 {
                (at / 1000).to_string()
            } else {
                seconds(at)
            };

            let point = format!("\"values\":[[{time},\"{text}\"]]");
            assert!(body.contains(&point), "{point} is not in {body}");
        }
    }

    let body = server
        .get("/api/v1/query", &[("query", "1"), ("time", "-0.001")])
        .await
        .text();

    assert!(body.contains("[-0.001,\"1\"]"), "{body}");

    let body = server
        .get(
            "/api/v1/query",
            &[("query", "1"), ("time", "2001-09-09T01:46:40.5Z")],
        )
        .await
        .text();

    assert!(body.contains("[1000000000.5,\"1\"]"), "{body}");
}

#[tokio::test]
async fn labels_values_and_series_have_their_shape_by_get_and_by_post() {
    let base = base_ms();
    let server = filled(base).await;
    let series = |instance| json!({ "__name__": "up", "instance": instance, "job": "node" });
    let both = json!([series("a:9100"), series("b:9100")]);
    let start = seconds(base);
    let end = seconds(base + 15_000);
    let long_ago = [("start", "0"), ("end", "1000")];

    for (path, params, expected) in [
        (
            "/api/v1/labels",
            vec![],
            json!(["__name__", "instance", "job", "version"]),
        ),
        (
            "/api/v1/labels",
            vec![("match[]", "up")],
            json!(["__name__", "instance", "job"]),
        ),
        (
            "/api/v1/labels",
            vec![("start", &*start), ("end", &*end)],
            json!(["__name__", "instance", "job", "version"]),
        ),
        ("/api/v1/labels", long_ago.to_vec(), json!([])),
        ("/api/v1/series", vec![("match[]", "up")], both.clone()),
        (
            "/api/v1/series",
            vec![("match[]", "{__name__=~\"u.*\"}"), ("match[]", "up")],
            both,
        ),
        (
            "/api/v1/series",
            [&[("match[]", "up")], &long_ago[..]].concat(),
            json!([]),
        ),
        ("/api/v1/series", vec![("match[]", "nothing")], json!([])),
    ] {
        is_json_success(&server.get(path, &params).await, &expected);
        is_json_success(&server.post(path, &params).await, &expected);
    }

    let values = async |name: &str, params: &[(&str, &str)]| {
        server
            .get(&format!("/api/v1/label/{name}/values"), params)
            .await
            .data()
    };

    assert_eq!(values("__name__", &[]).await, json!(["build_info", "up"]));
    assert_eq!(
        values("instance", &[("match[]", "up{instance=~\"b.+\"}")]).await,
        json!(["b:9100"])
    );

    assert_eq!(values("instance", &long_ago).await, json!([]));
    assert_eq!(values("nothing", &[]).await, json!([]));
    assert_eq!(
        values("U__instance", &[]).await,
        json!(["a:9100", "b:9100"])
    );
}

#[tokio::test]
async fn a_limit_cuts_and_warns_and_one_that_is_not_reached_does_not() {
    let base = base_ms();
    let server = filled(base).await;
    let at = seconds(base);
    let length = |data: &Json| data.get("result").unwrap_or(data).as_array().map(Vec::len);

    let range = [
        ("query", "up"),
        ("start", &*at),
        ("end", &*at),
        ("step", "1"),
    ];

    for (path, params, all) in [
        ("/api/v1/query", vec![("query", "up"), ("time", &*at)], 2),
        ("/api/v1/query_range", range.to_vec(), 2),
        ("/api/v1/series", vec![("match[]", "up")], 2),
        ("/api/v1/labels", vec![], 4),
        ("/api/v1/label/instance/values", vec![], 2),
    ] {
        let limited = async |limit| {
            server
                .get(path, &[&params[..], &[("limit", limit)]].concat())
                .await
        };
        let cut = limited("1").await;
        assert_eq!(length(&cut.data()), Some(1), "{path}");
        assert_eq!(
            cut.json()["warnings"],
            json!(["results truncated due to limit"]),
            "{path}"
        );
        for limit in ["0", "4", "40000"] {
            let whole = limited(limit).await;
            assert_eq!(length(&whole.data()), Some(all), "{path}");
            assert_eq!(whole.json().get("warnings"), None, "{path}");
        }
    }

    let scalar = server
        .get("/api/v1/query", &[("query", "1"), ("limit", "1")])
        .await;
    assert_eq!(scalar.json().get("warnings"), None);
}

#[tokio::test]
async fn health_readiness_and_metrics_are_plain_text_under_both_roots() {
    let server = Duramen::local().await;

    for prefix in ["", "/prometheus"] {
        for (path, text) in [
            ("/-/healthy", "healthy"),
            ("/healthz", "healthy"),
            ("/-/ready", "ready"),
            ("/ready", "ready"),
            ("/metrics", "# EOF"),
        ] {
            let answer = server.get(&format!("{prefix}{path}"), &[]).await;
            assert_eq!(answer.status, 200, "{path}");
            assert!(answer.text().contains(text), "{}", answer.text());
        }
    }

    let open_metrics = server.get("/metrics", &[]).await;
    assert!(
        open_metrics
            .header("content-type")
            .is_some_and(|t| t.starts_with("application/openmetrics-text"))
    );
}

#[tokio::test]
async fn an_evaluation_that_fails_is_422_and_says_why() {
    let base = base_ms();
    let server = filled(base).await;
    let at = seconds(base);

    for (query, text) in [
        ("up * on(job) up", "many-to-many"),
        (
            "label_replace(up, \"job\", \"x\", \"a\", \"(\")",
            "regular expression",
        ),
    ] {
        let answer = server
            .get("/api/v1/query", &[("query", query), ("time", &at)])
            .await;
        assert!(
            [400, 422].contains(&answer.status),
            "{query}: {}",
            answer.text()
        );
        assert!(
            answer.json()["error"]
                .as_str()
                .is_some_and(|error| error.contains(text)),
            "{query}: {}",
            answer.text()
        );
    }

    let answer = server
        .get(
            "/api/v1/query",
            &[("query", "up * on(job) up"), ("time", &at)],
        )
        .await;

    answer.error(422, "execution");
}

#[tokio::test]
async fn what_a_store_does_not_have_is_an_empty_set_of_the_same_shape() {
    let server = Duramen::local().await;

    for (path, data) in [
        ("rules", json!({ "groups": [] })),
        ("rules?type=alert&match[]=up", json!({ "groups": [] })),
        ("alerts", json!({ "alerts": [] })),
        (
            "targets",
            json!({ "activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {} }),
        ),
        (
            "targets?state=active",
            json!({ "activeTargets": [], "droppedTargets": [], "droppedTargetCounts": null }),
        ),
        (
            "targets/metadata?match_target=%7Bjob=%22a%22%7D&limit=-1",
            json!([]),
        ),
        ("scrape_pools", json!({ "scrapePools": [] })),
        (
            "alertmanagers",
            json!({ "activeAlertmanagers": [], "droppedAlertmanagers": [] }),
        ),
        ("notifications", json!([])),
        ("status/tsdb/blocks", json!({ "blocks": [] })),
    ] {
        is_json_success(&server.get(&format!("/api/v1/{path}"), &[]).await, &data);
    }

    for (path, error) in [
        (
            "rules?type=x",
            "invalid parameter \"type\": not supported value \"x\"",
        ),
        ("scrape_pools/config", "no scrapePool parameter provided"),
        (
            "scrape_pools/config?scrapePool=a%22",
            "error getting scrape config: scrape pool \"a\\\"\" not found",
        ),
        (
            "targets/relabel_steps?labels=%7B%7D",
            "no scrapePool parameter provided",
        ),
        (
            "targets/relabel_steps?scrapePool=a",
            "no labels parameter provided",
        ),
        (
            "targets/relabel_steps?scrapePool=a&labels=%7B",
            "error parsing labels: EOF while parsing an object at line 1 column 1",
        ),
        (
            "targets/relabel_steps?scrapePool=a&labels=%7B%7D",
            "error getting scrape config: scrape pool \"a\" not found",
        ),
        ("targets/metadata?limit=x", "limit must be a number"),
        (
            "targets/metadata?match_target=%7B",
            "invalid parameter \"match_target\": 1:2: parse error: unexpected end of input inside braces",
        ),
    ] {
        assert_eq!(
            server
                .get(&format!("/api/v1/{path}"), &[])
                .await
                .error(400, "bad_data"),
            error
        );
    }
}

#[tokio::test]
async fn what_is_never_there_is_said_to_be_so() {
    let server = Duramen::local().await;

    for name in ["metric_names", "label_names", "label_values"] {
        let path = format!("/api/v1/search/{name}");

        for answer in [
            server.get(&path, &[("search", "up")]).await,
            server.post(&path, &[("search", "up")]).await,
        ] {
            assert!(
                answer
                    .error(404, "not_found")
                    .starts_with("search API disabled"),
                "{}",
                answer.text()
            );
        }
    }

    let live = server.get("/api/v1/notifications/live", &[]).await;
    assert_eq!((live.status, live.text()), (204, String::new()));
}

#[tokio::test]
async fn blocks_are_told_by_time_as_prometheus_tells_its_own() {
    let base = base_ms();
    let server = filled(base).await;
    let blocks =
        async || server.get("/api/v1/status/tsdb/blocks", &[]).await.data()["blocks"].take();

    assert_eq!(blocks().await, json!([]), "a head is no block");

    server.flush().await;

    // These samples are older and are flushed later.
    server
        .write(
            Body::default()
                .series(&[("__name__", "up")], &[(base - 60_000, 1.0)])
                .snappy(),
        )
        .await;

    server.flush().await;

    let mut blocks = blocks().await;
    let ulids: Vec<Json> = blocks
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .map(|block| block["ulid"].take())
        .collect();

    assert!(
        ulids
            .iter()
            .all(|ulid| ulid.as_str().is_some_and(|ulid| ulid.len() == 26)),
        "{ulids:?}"
    );

    let block = |at: usize, times: [i64; 2], samples: u64, series: u64| {
        json!({
            "ulid": null, "minTime": times[0], "maxTime": times[1],
            "stats": { "numSamples": samples, "numFloatSamples": samples, "numHistogramSamples": 0, "numSeries": series, "numChunks": 0 },
            "compaction": { "level": 1, "sources": [ulids[at]] }, "version": 1,
        })
    };

    let expected = [
        block(0, [base - 60_000, base - 59_999], 1, 1),
        block(1, [base, base + 15_001], 5, 3),
    ];

    assert_eq!(blocks, json!(expected));
}

#[tokio::test]
async fn the_metrics_of_the_process_are_there_as_json() {
    let server = filled(base_ms()).await;
    let asked = async |pattern| {
        server
            .get(
                "/api/v1/status/self_metrics",
                &[("metric_name_pattern", pattern)],
            )
            .await
    };

    let families = asked("duramen_http_request.*").await.data();
    let of = |name: &str| {
        families
            .as_array()
            .unwrap()
            .iter()
            .find(|family| family["name"] == name)
            .unwrap()
            .clone()
    };

    let requests = of("duramen_http_requests_total");
    assert_eq!(requests["type"], "COUNTER");

    let labels =
        json!([{ "name": "route", "value": "/api/v1/write" }, { "name": "code", "value": "204" }]);
    let written = requests["metric"]
        .as_array()
        .unwrap()
        .iter()
        .find(|metric| metric["label"] == labels)
        .unwrap();

    assert_eq!(written["counter"], json!({ "value": 1.0 }));

    let took = &of("duramen_http_request_seconds")["metric"][0]["histogram"];
    assert_eq!(
        (
            took["sampleCount"].as_str(),
            took["bucket"][0]["upperBound"].as_f64()
        ),
        (Some("1"), Some(0.001))
    );

    assert_eq!(
        families.as_array().map(Vec::len),
        Some(2),
        "names are matched as a whole"
    );

    assert_eq!(asked("duramen_http_request").await.data(), json!([]));
    assert!(
        asked("")
            .await
            .data()
            .as_array()
            .is_some_and(|all| all.len() > 10)
    );

    assert!(
        asked("(")
            .await
            .error(400, "bad_data")
            .starts_with("invalid parameter \"metric_name_pattern\": ")
    );
}

#[tokio::test]
async fn a_query_is_laid_out_and_taken_apart_by_get_and_by_post() {
    let server = Duramen::local().await;
    let up = json!({
        "type": "vectorSelector", "name": "up", "matchers": [{ "name": "__name__", "value": "up", "type": "=" }],
        "offset": 0, "timestamp": null, "startOrEnd": null, "anchored": false, "smoothed": false,
    });

    let sum = json!({ "type": "aggregation", "op": "sum", "expr": up, "param": null, "grouping": ["job"], "without": false });
    let query = [("query", "sum(up)by(job)")];

    for (path, data) in [
        ("/api/v1/format_query", json!("sum by (job) (up)")),
        ("/api/v1/parse_query", sum),
    ] {
        is_json_success(&server.get(path, &query).await, &data);
        is_json_success(&server.post(path, &query).await, &data);
        for (text, fault) in [
            ("sum(up", "1:7: parse error: unclosed left parenthesis"),
            (
                "",
                "unknown position: parse error: no expression found in input",
            ),
        ] {
            let error = server
                .get(path, &[("query", text)])
                .await
                .error(400, "bad_data");
            assert_eq!(error, format!("invalid parameter \"query\": {fault}"));
        }
        // Trees of the greatest allowed height, from several kinds of nodes.
        for high in [
            format!("a{}", " + on () group_left () a".repeat(511)),
            format!("{}a", "-".repeat(511)),
        ] {
            assert_eq!(server.post(path, &[("query", &high)]).await.status, 200);
        }
        let deep = format!("{}a{}", "sum by (x) (".repeat(64), ")".repeat(64));
        assert_eq!(server.post(path, &[("query", &deep)]).await.status, 200);
    }
}

#[tokio::test]
async fn what_a_query_took_is_told_on_demand() {
    let base = base_ms();
    let server = filled(base).await;
    let start = seconds(base);
    let end = seconds(base + 15_000);
    let instant = [("query", "up"), ("time", &*end)];

    let range = [
        ("query", "up"),
        ("start", &*start),
        ("end", &*end),
        ("step", "15"),
    ];

    for (path, params) in [
        ("/api/v1/query", &instant[..]),
        ("/api/v1/query_range", &range[..]),
    ] {
        let asked = async |stats| {
            server
                .post(path, &[params, &[("stats", stats)]].concat())
                .await
        };
        assert_eq!(asked("").await.data().get("stats"), None);
        let told = asked("true").await;
        assert_eq!(told.json().get("warnings"), None);
        let stats = told.data()["stats"].take();
        let names = [
            "evalTotalTime",
            "execQueueTime",
            "execTotalTime",
            "innerEvalTime",
            "queryPreparationTime",
            "resultSortTime",
        ];
        let timings = stats["timings"].as_object().unwrap();
        assert_eq!(timings.keys().collect::<Vec<_>>(), names);
        assert!(
            timings
                .values()
                .all(|time| time.as_f64().is_some_and(|time| time >= 0.0)),
            "{stats}"
        );
        assert!(timings["execTotalTime"].as_f64() > Some(0.0), "{stats}");
        assert_eq!(
            stats["samples"]
                .as_object()
                .unwrap()
                .keys()
                .collect::<Vec<_>>(),
            ["peakSamples", "samplesRead", "totalQueryableSamples"]
        );
        let stats = asked("all").await.data()["stats"].take();
        assert!(
            stats["samples"]["totalQueryableSamplesPerStep"].is_array(),
            "{stats}"
        );
        let old = asked("yes").await;
        assert!(old.data()["stats"]["samples"].is_object());
        let warning = "value \"yes\" for parameter \"stats\" is deprecated and will be rejected in the next major release, use \"true\" or \"all\"";
        assert_eq!(old.json()["warnings"], json!([warning]));
    }
}

#[tokio::test]
async fn the_look_back_of_a_query_can_be_its_own() {
    let base = base_ms();
    let server = filled(base).await;
    let late = seconds(base + 15_000 + 40_000);

    for (lookback, found) in [("30s", 0), ("1m", 2), ("60", 2), ("0", 2)] {
        let data = server
            .get(
                "/api/v1/query",
                &[
                    ("query", "up"),
                    ("time", &late),
                    ("lookback_delta", lookback),
                ],
            )
            .await
            .data();

        assert_eq!(
            data["result"].as_array().map(Vec::len),
            Some(found),
            "{lookback}"
        );
    }
}
