//! The separation of tenants.

use std::time::Duration;

use serde_json::json;

use crate::harness::duramen::{Duramen, flush, write};
use crate::harness::http::Request;
use crate::harness::process::free_address;
use crate::harness::samples::Body;
use crate::harness::wait::{now_ms, until};

const HEADER: &str = "X-Scope-OrgID";

fn sample(value: f64) -> Vec<u8> {
    Body::default()
        .series(
            &[("__name__", "m"), ("value", &value.to_string())],
            &[(now_ms(), value)],
        )
        .snappy()
}

/// Returns a request for every route that belongs to a tenant.
fn requests() -> Vec<Request> {
    let query = [
        ("query", "m"),
        ("match[]", "m"),
        ("start", "0"),
        ("end", "1"),
        ("step", "1"),
    ];

    let mut requests = vec![
        write(sample(1.0)),
        Request::new("POST", "/api/v1/push").body(sample(1.0)),
    ];

    for path in [
        "query",
        "query_range",
        "labels",
        "label/value/values",
        "series",
    ] {
        requests.push(Request::get(&format!("/api/v1/{path}"), &query));
        requests.push(Request::get(&format!("/prometheus/api/v1/{path}"), &query));
    }

    requests.push(Request::new("POST", "/api/v1/admin/tsdb/flush"));
    requests
}

#[tokio::test]
async fn a_request_without_a_tenant_is_refused_on_every_route() {
    let server = Duramen::with(&["--multi-tenancy"]).await;

    for request in requests() {
        let answer = server.send(&request).await;
        assert_eq!(answer.status, 401, "{request:?}: {}", answer.text());

        assert!(
            answer.text().contains("no org id"),
            "{request:?}: {}",
            answer.text()
        );
    }

    for path in [
        "/-/ready",
        "/-/healthy",
        "/metrics",
        "/api/v1/status/buildinfo",
    ] {
        assert_eq!(server.get(path, &[]).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn names_that_are_no_names_are_refused_on_every_route() {
    let server = Duramen::with(&["--multi-tenancy"]).await;
    let long = "x".repeat(151);

    for name in [
        "..", ".", "a/b", "../a", "a|b", "a b", "", "a\\b", "%2e%2e", "wörld", &long,
    ] {
        for request in requests() {
            let answer = server.send(&request.header(HEADER, name)).await;
            assert!(
                [400, 401].contains(&answer.status),
                "{name:?}: {} {}",
                answer.status,
                answer.text()
            );

            assert!(
                answer.text().contains("org id") || answer.text().contains(HEADER),
                "{name:?}: {}",
                answer.text()
            );
        }
    }

    for request in requests() {
        let answer = server
            .send(&request.header(HEADER, "a").header(HEADER, "b"))
            .await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains("stands twice"), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_tenant_sees_its_own_data_only_before_and_after_a_flush_and_a_start() {
    let mut server = Duramen::with(&["--multi-tenancy", "--http-flush-all"]).await;
    let names = ["a", "b", &"y".repeat(150)];

    for (n, name) in names.iter().enumerate() {
        let answer = server
            .send(&write(sample(n as f64)).header(HEADER, name))
            .await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    for round in 0..3 {
        for (n, name) in names.iter().enumerate() {
            let get = |path: &str, params| Request::get(path, params).header(HEADER, name);
            let values = server
                .send(&get("/api/v1/label/value/values", &[]))
                .await
                .data();

            assert_eq!(values, json!([n.to_string()]), "{name} in round {round}");

            let series = server
                .send(&get("/api/v1/query", &[("query", "{__name__=~\".+\"}")]))
                .await
                .data();

            assert_eq!(
                series["result"].as_array().map(Vec::len),
                Some(1),
                "{series}"
            );
        }

        let nobody = Request::get("/api/v1/labels", &[]).header(HEADER, "nobody");
        assert_eq!(server.send(&nobody).await.data(), json!([]));

        match round {
            0 => server.flush().await,
            _ => {
                server.kill();
                server.start().await;
            }
        }
    }
}

#[tokio::test]
async fn one_tenants_flush_leaves_the_others_heads_alone() {
    let server = Duramen::with(&["--multi-tenancy", "--http-flush-all"]).await;
    for name in ["a", "b"] {
        server.send(&write(sample(1.0)).header(HEADER, name)).await;
    }

    let answer = server
        .send(&Request::new("POST", "/api/v1/admin/tsdb/flush").header(HEADER, "a"))
        .await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!(server.metric("duramen_flush_samples_total").await, 1.0);
    assert_eq!(server.send(&flush()).await.status, 204);
    assert_eq!(server.metric("duramen_flush_samples_total").await, 2.0);
}

#[tokio::test]
async fn without_multi_tenancy_the_header_is_ignored() {
    let server = Duramen::local().await;
    for name in ["a", "..", "b"] {
        let answer = server.send(&write(sample(1.0)).header(HEADER, name)).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    assert_eq!(
        server.get("/api/v1/label/value/values", &[]).await.data(),
        json!(["1"])
    );
}

#[tokio::test]
async fn all_tenants_are_flushed_only_where_a_flag_says_so() {
    let server = Duramen::with(&["--multi-tenancy"]).await;
    let all = Request::new("POST", "/api/v1/admin/tsdb/flush?all=true");
    let error = server.send(&all).await.error(403, "forbidden");

    assert!(error.contains("--http-flush-all"), "{error}");

    let own = Request::new("POST", "/api/v1/admin/tsdb/flush").header("X-Scope-OrgID", "a");
    assert_eq!(server.send(&own).await.status, 204);

    let operated = Duramen::with(&["--multi-tenancy", "--http-flush-all"]).await;
    assert_eq!(operated.send(&all).await.status, 204);
}

/// A name that is used nowhere else.
const CANARY: &str = "canary-7f3a9";

/// Returns every route of the reference with its methods. A test compares the reference with the
/// router.
fn routes() -> Vec<(&'static str, String)> {
    let mut routes = Vec::new();

    for line in include_str!("../../../../docs/reference/http.md").lines() {
        let Some((path, rest)) = line
            .strip_prefix("| `")
            .and_then(|line| line.split_once("` | "))
        else {
            continue;
        };

        let methods = rest.split(" | ").next().unwrap_or_default();
        let methods = ["GET", "POST", "PUT"]
            .into_iter()
            .filter(|method| methods.split(' ').any(|of| of == *method));
        routes.extend(methods.map(|method| (method, path.replace("{name}", "tenant"))));
    }

    assert!(routes.len() > 60, "{routes:?}");

    routes
}

/// Returns a server that has stored, refused and limited data of the canary, in memory and in its
/// store.
async fn with_a_canary(arguments: &[&str]) -> Duramen {
    let mut server = Duramen::stopped(&[&["--multi-tenancy"], arguments].concat());
    let limits = server.data_dir().with_file_name("limits.yml");
    let text = format!(
        "tenants: {{{CANARY}: {{ingest: {{series_max: 1}}, query: {{samples_max: 1}}}}}}\n"
    );

    std::fs::write(&limits, text).expect("a folder of the test");
    server.add_arguments(&[
        "--limits-file",
        limits.to_str().expect("a folder of the test"),
    ]);

    server.start().await;

    let own = Body::default().series(
        &[("__name__", CANARY), ("tenant", CANARY)],
        &[(now_ms(), 1.0), (now_ms() + 1, 2.0)],
    );

    assert_eq!(
        server
            .send(&write(own.snappy()).header(HEADER, CANARY))
            .await
            .status,
        204
    );

    let more = Body::default().sample("more", now_ms(), 1.0).snappy();
    assert_eq!(
        server
            .send(&write(more).header(HEADER, CANARY))
            .await
            .status,
        400
    );

    let flushed = Request::new("POST", "/api/v1/admin/tsdb/flush").header(HEADER, CANARY);
    assert_eq!(server.send(&flushed).await.status, 204);

    let query = [("query", "sum_over_time({__name__=~\".+\"}[5m])")];
    server
        .send(&Request::get("/api/v1/query", &query).header(HEADER, CANARY))
        .await;
    server
}

#[tokio::test]
async fn no_route_tells_one_tenant_of_another() {
    let operator = free_address();
    let listen = operator.to_string();

    let mut server = with_a_canary(&[
        "--self-scrape-interval",
        "1s",
        "--http-operator-listen",
        &listen,
    ])
    .await;

    let metric = format!("duramen_ingest_samples_total{{tenant=\"{CANARY}\"}} 2");
    let seen = Request::get("/metrics", &[])
        .send(operator)
        .await
        .expect("the operator's listener answers")
        .text();

    assert!(seen.contains(&metric), "{seen}");

    // From here on the limits file has a fault in the canary's part.
    let limits = server.data_dir().with_file_name("limits.yml");
    std::fs::write(
        limits,
        format!("tenants: {{{CANARY}: {{ingest: {{series_max: x}}}}}}\n"),
    )
    .expect("a folder of the test");

    let values = [
        ("query", "{__name__=~\".+\"}"),
        ("match[]", "{__name__=~\".+\"}"),
        ("label_names[]", "tenant"),
        ("metric", "duramen_head_series"),
        ("scrapePool", "a"),
        ("labels", "{}"),
        ("start", "0"),
        ("end", "1"),
        ("step", "1"),
    ];

    for (method, path) in routes() {
        for tenant in [None, Some("other"), Some("duramen")] {
            let request = match method {
                "GET" => Request::get(&path, &values),
                "POST" => Request::post(&path, &values),
                _ => Request::new(method, &*path),
            };

            let request = tenant
                .iter()
                .fold(request, |request, name| request.header(HEADER, name));
            let answer = server.send(&request).await;

            assert!(
                !answer.text().contains(CANARY),
                "{method} {path} of {tenant:?}: {}",
                answer.text()
            );

            // No tenant has a deletion, and a search is not built.
            let has_nothing = path.contains("/deletions/") || path.contains("/search/");
            let is_there = answer.status != 404 || has_nothing;
            assert!(is_there, "{method} {path} of {tenant:?}: {}", answer.text());
        }
    }

    let own = server
        .send(&Request::get("/metrics", &[]).header(HEADER, CANARY))
        .await
        .text();

    assert!(own.contains(&metric), "a tenant sees its own: {own}");

    let reload = Request::new("POST", "/-/reload")
        .send(operator)
        .await
        .expect("the operator's listener answers");

    assert!(
        reload.status == 500 && reload.text().contains(CANARY),
        "{}",
        reload.text()
    );

    let refused = server
        .send(&write(sample(1.0)).header(HEADER, "duramen"))
        .await;
    assert!(
        refused
            .error(403, "forbidden")
            .contains("--http-operator-listen"),
        "{}",
        refused.text()
    );

    server.stop().await;
}

#[tokio::test]
async fn metrics_of_all_tenants_are_told_to_all_where_a_flag_says_so() {
    let server = with_a_canary(&["--http-metrics-all"]).await;
    for path in ["/metrics", "/api/v1/status/self_metrics"] {
        assert!(
            server.get(path, &[]).await.text().contains(CANARY),
            "{path}"
        );
    }

    let own = server
        .send(&Request::get("/api/v1/labels", &[]).header(HEADER, "duramen"))
        .await;
    assert_eq!(own.status, 200, "{}", own.text());
}

/// Runs `duramen tenants` against a server. Returns its exit code, and what it printed.
fn tenants(at: std::net::SocketAddr, arguments: &[&str]) -> (Option<i32>, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_duramen"))
        .env_clear()
        .arg("tenants")
        .args(arguments)
        .arg(format!("--url=http://{at}"))
        .output()
        .expect("the command runs");

    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_renames_and_deletes_tenants() {
    let operator = free_address();
    let listen = operator.to_string();
    let arguments = [
        "--multi-tenancy",
        "--http-admin-api",
        "--http-operator-listen",
        &listen,
        "--query-timeout",
        "1s",
        "--compact-grace",
        "2s",
        "--compact-history",
        "0s",
        "--compact-clean-interval",
        "1s",
    ];
    let mut server = Duramen::with(&arguments).await;

    for (name, value) in [("acme", 1.0), ("umbrella", 2.0)] {
        let written = server
            .send(&write(sample(value)).header(HEADER, name))
            .await;
        assert_eq!(written.status, 204, "{}", written.text());
        let flushed = Request::new("POST", "/api/v1/admin/tsdb/flush").header(HEADER, name);
        let flushed = server.send(&flushed).await;
        assert_eq!(flushed.status, 204, "{}", flushed.text());
    }

    let values = async |server: &Duramen, name: &str| {
        let request = Request::get("/api/v1/label/value/values", &[]).header(HEADER, name);
        server.send(&request).await.data()
    };

    let (code, text) = tenants(operator, &["rename", "acme", "globex"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(values(&server, "acme").await, json!([]));
    assert_eq!(values(&server, "globex").await, json!(["1"]));

    // The old name is free.
    let written = server
        .send(&write(sample(3.0)).header(HEADER, "acme"))
        .await;
    assert_eq!(written.status, 204, "{}", written.text());
    assert_eq!(values(&server, "acme").await, json!(["3"]));

    for (arguments, why) in [
        (["rename", "acme", "globex"], "another tenant has this name"),
        (["rename", "nobody", "x"], "there is no such tenant"),
        (["rename", "acme", "a/b"], "to"),
    ] {
        let (code, text) = tenants(operator, &arguments);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(why), "{text}");
    }

    let (code, text) = tenants(operator, &["delete", "globex"]);
    assert_eq!(code, Some(0), "{text}");
    let receipt: serde_json::Value = serde_json::from_str(&text).expect("a receipt");
    assert_eq!(receipt["name"], "globex");
    assert!(receipt["left"]["objects"].as_u64() > Some(3), "{text}");
    assert_eq!(values(&server, "globex").await, json!([]));

    let (code, text) = tenants(operator, &["delete", "globex"]);
    assert_eq!(code, Some(1), "{text}");

    // All objects go, and none of the others.
    let id = receipt["id"].as_str().expect("an id").to_owned();
    let is_gone = || {
        let (_, text) = tenants(operator, &["receipt", &id]);
        let receipt: serde_json::Value = serde_json::from_str(&text).expect("a receipt");
        receipt["left"]["objects"] == 0
    };
    until("the objects go", Duration::from_secs(60), async || {
        is_gone().then_some(())
    })
    .await;

    server.kill();
    server.start().await;
    assert_eq!(values(&server, "globex").await, json!([]));
    assert_eq!(values(&server, "acme").await, json!(["3"]));
    assert_eq!(values(&server, "umbrella").await, json!(["2"]));

    let (code, text) = tenants(operator, &["ls"]);
    assert_eq!(code, Some(0), "{text}");
    let listed: serde_json::Value = serde_json::from_str(&text).expect("a list");
    let names = listed["tenants"].as_array().expect("a list").iter();
    let names: Vec<_> = names.map(|tenant| tenant["name"].clone()).collect();
    assert_eq!(names, ["umbrella", "acme"]);
    assert_eq!(listed["deleted"][0]["id"], id);

    // A clone has what the tenant had, and goes on by itself.
    let (code, text) = tenants(operator, &["clone", "acme", "copy"]);
    assert_eq!(code, Some(0), "{text}");
    let written = server
        .send(&write(sample(4.0)).header(HEADER, "copy"))
        .await;
    assert_eq!(written.status, 204, "{}", written.text());
    assert_eq!(values(&server, "acme").await, json!(["3"]));
    assert_eq!(values(&server, "copy").await, json!(["3", "4"]));

    let (code, text) = tenants(operator, &["clone", "acme", "copy"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("another tenant has this name"), "{text}");

    // No tenant may do this to another, or see the names.
    for path in ["", "/rename", "/clone", "/delete", "/deleted/x"] {
        let path = format!("/api/v1/admin/tenants{path}");
        let params = [("name", "umbrella"), ("from", "umbrella"), ("to", "x")];
        let request = match path.ends_with('e') {
            true => Request::post(&path, &params),
            false => Request::get(&path, &[]),
        };
        let refused = server.send(&request.header(HEADER, "acme")).await;
        refused.error(403, "forbidden");
    }
}
