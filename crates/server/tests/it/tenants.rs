//! Whose data it is.

use serde_json::json;

use crate::harness::duramen::{Duramen, flush, write};
use crate::harness::http::Request;
use crate::harness::samples::Body;
use crate::harness::wait::now_ms;

const HEADER: &str = "X-Scope-OrgID";

fn sample(value: f64) -> Vec<u8> {
    Body::default().series(&[("__name__", "m"), ("value", &value.to_string())], &[(now_ms(), value)]).snappy()
}

/// Every route that belongs to a tenant.
fn requests() -> Vec<Request> {
    let query = [("query", "m"), ("match[]", "m"), ("start", "0"), ("end", "1"), ("step", "1")];
    let mut requests = vec![write(sample(1.0)), Request::new("POST", "/api/v1/push").body(sample(1.0))];
    for path in ["query", "query_range", "labels", "label/value/values", "series"] {
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
        assert!(answer.text().contains("no org id"), "{request:?}: {}", answer.text());
    }
    for path in ["/-/ready", "/-/healthy", "/metrics", "/api/v1/status/buildinfo"] {
        assert_eq!(server.get(path, &[]).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn names_that_are_no_names_are_refused_on_every_route() {
    let server = Duramen::with(&["--multi-tenancy"]).await;
    let long = "x".repeat(151);
    for name in ["..", ".", "a/b", "../a", "a|b", "a b", "", "a\\b", "%2e%2e", "wörld", &long] {
        for request in requests() {
            let answer = server.send(&request.header(HEADER, name)).await;
            assert!([400, 401].contains(&answer.status), "{name:?}: {} {}", answer.status, answer.text());
            assert!(answer.text().contains("org id") || answer.text().contains(HEADER), "{name:?}: {}", answer.text());
        }
    }
    for request in requests() {
        let answer = server.send(&request.header(HEADER, "a").header(HEADER, "b")).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains("stands twice"), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_tenant_sees_its_own_data_only_before_and_after_a_flush_and_a_start() {
    let mut server = Duramen::with(&["--multi-tenancy", "--http-flush-all"]).await;
    let names = ["a", "b", &"y".repeat(150)];
    for (n, name) in names.iter().enumerate() {
        let answer = server.send(&write(sample(n as f64)).header(HEADER, name)).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }
    for round in 0..3 {
        for (n, name) in names.iter().enumerate() {
            let get = |path: &str, params| Request::get(path, params).header(HEADER, name);
            let values = server.send(&get("/api/v1/label/value/values", &[])).await.data();
            assert_eq!(values, json!([n.to_string()]), "{name} in round {round}");
            let series = server.send(&get("/api/v1/query", &[("query", "{__name__=~\".+\"}")])).await.data();
            assert_eq!(series["result"].as_array().map(Vec::len), Some(1), "{series}");
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
    let answer = server.send(&Request::new("POST", "/api/v1/admin/tsdb/flush").header(HEADER, "a")).await;
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
    assert_eq!(server.get("/api/v1/label/value/values", &[]).await.data(), json!(["1"]));
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
