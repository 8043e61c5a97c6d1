//! `as_of`: a request reads what the bucket had then.

use std::process::Command;

use duramen_testkit::prompb::v1::metric_metadata::MetricType;
use serde_json::json;

use crate::harness::duramen::{Duramen, seconds};
use crate::harness::wait::now_ms;
use crate::harness::wire::Request as Body;

fn body(instance: &str, at_ms: i64, value: f64) -> Vec<u8> {
    let labels = [("__name__", "m"), ("instance", instance)];
    Body::default()
        .series(&labels, &[(at_ms, value)], &[])
        .snappy()
}

#[tokio::test]
async fn a_snapshot_has_a_name_until_it_is_dropped() {
    let server = Duramen::with(&["--http-admin-api"]).await;
    let at_ms = now_ms() - 60_000;
    let time = seconds(at_ms);
    let path = |name: &str| format!("/api/v1/admin/tsdb/{name}");

    // What is in memory is flushed before.
    server.write(body("old", at_ms, 1.0)).await;
    let name = [("name", "before-import")];
    let made = server.post(&path("create_snapshot"), &name).await.data();
    assert_eq!(made["name"], "before-import");

    server.write(body("new", at_ms, 2.0)).await;
    server.flush().await;

    let listed = server.get(&path("snapshots"), &[]).await.data();
    assert_eq!(listed, json!({ "snapshots": [made] }));

    let asked = [
        ("query", "count(m)"),
        ("time", &*time),
        ("as_of", "snapshot:before-import"),
    ];
    let data = server.get("/api/v1/query", &asked).await.data();
    assert_eq!(data["result"][0]["value"][1], "1");

    let twice = server.post(&path("create_snapshot"), &name).await;
    let twice = twice.error(400, "bad_data");
    assert!(twice.contains("before-import"), "{twice}");

    for wrong in ["a b", "a/b", ""] {
        let params = [("name", wrong)];
        let refused = server.post(&path("create_snapshot"), &params).await;
        refused.error(400, "bad_data");
    }

    let dropped = server.post(&path("drop_snapshot"), &name).await;
    assert_eq!(dropped.status, 204, "{}", dropped.text());

    let gone = server.get("/api/v1/query", &asked).await;
    let gone = gone.error(400, "bad_data");
    assert!(gone.contains("snapshot:before-import"), "{gone}");

    let again = server.post(&path("drop_snapshot"), &name).await;
    again.error(400, "bad_data");
}

/// Runs `duramen snapshots` against the server. Returns its exit code, and what it printed.
fn snapshots(server: &Duramen, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_duramen"))
        .env_clear()
        .arg("snapshots")
        .args(arguments)
        .arg(format!("--url=http://{}", server.address))
        .output()
        .expect("the command runs");

    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_makes_lists_and_drops_snapshots() {
    let server = Duramen::with(&["--http-admin-api"]).await;
    server.write(body("a", now_ms() - 60_000, 1.0)).await;

    let (code, text) = snapshots(&server, &["create", "before-2027"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("as_of=snapshot:before-2027"), "{text}");

    let (code, text) = snapshots(&server, &["ls"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("\"before-2027\""), "{text}");

    let (code, text) = snapshots(&server, &["create", "before-2027"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("has this name already"), "{text}");

    let (code, text) = snapshots(&server, &["drop", "before-2027"]);
    assert_eq!(code, Some(0), "{text}");

    let (code, text) = snapshots(&server, &["drop", "before-2027"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("no such snapshot"), "{text}");
}

#[tokio::test]
async fn the_receipt_of_a_deletion_names_the_snapshots_that_hold_it() {
    let server = Duramen::with(&["--http-admin-api"]).await;
    let at_ms = now_ms() - 60_000;
    let path = |name: &str| format!("/api/v1/admin/tsdb/{name}");

    server.write(body("a", at_ms, 1.0)).await;
    for name in ["first", "second"] {
        let made = server
            .post(&path("create_snapshot"), &[("name", name)])
            .await;
        assert_eq!(made.status, 200, "{}", made.text());
    }

    let selectors = [("match[]", "m")];
    let deleted = server.post(&path("delete_series"), &selectors).await;
    let receipt = deleted.header("location").expect("a receipt").to_owned();

    // A snapshot from after the deletion holds nothing of it.
    let later = [("name", "later")];
    server.post(&path("create_snapshot"), &later).await;

    let left = async || server.get(&receipt, &[]).await.data()["left"].clone();
    assert_eq!(left().await["snapshots"], json!(["first", "second"]));

    let first = [("name", "first")];
    server.post(&path("drop_snapshot"), &first).await;
    assert_eq!(left().await["snapshots"], json!(["second"]));
}

#[tokio::test]
async fn snapshots_are_made_only_if_a_setting_allows_it() {
    let server = Duramen::local().await;
    let params = [("name", "x")];

    for path in ["create_snapshot", "drop_snapshot"] {
        let path = format!("/api/v1/admin/tsdb/{path}");
        let refused = server.post(&path, &params).await;
        refused.error(503, "unavailable");
    }
}

#[tokio::test]
async fn a_request_reads_what_the_bucket_had_then() {
    let server = Duramen::with(&["--http-admin-api"]).await;
    let at_ms = now_ms() - 60_000;
    let time = seconds(at_ms);

    server.write(body("old", at_ms, 1.0)).await;
    server.flush().await;
    let then = seconds(now_ms());

    server.write(body("new", at_ms, 2.0)).await;
    server.flush().await;

    let count = async |as_of: Option<&str>| {
        let mut params = vec![("query", "count(m) or vector(0)"), ("time", &*time)];
        params.extend(as_of.map(|as_of| ("as_of", as_of)));
        let data = server.get("/api/v1/query", &params).await.data();
        data["result"][0]["value"][1].clone()
    };

    assert_eq!(count(None).await, "2");
    assert_eq!(count(Some(&then)).await, "1");
    assert_eq!(count(Some("seq:0")).await, "0");
    assert_eq!(count(Some("2001-02-03T04:05:06Z")).await, "0");

    let params = [("match[]", "m"), ("as_of", &*then)];
    for (path, expected) in [
        ("series", json!([{"__name__": "m", "instance": "old"}])),
        ("labels", json!(["__name__", "instance"])),
        ("label/instance/values", json!(["old"])),
    ] {
        let answer = server.get(&format!("/api/v1/{path}"), &params).await;
        assert_eq!(answer.data(), expected, "{path}");
    }

    // What is deleted now was never there.
    let params = [("match[]", r#"m{instance="old"}"#)];
    let deleted = server
        .post("/api/v1/admin/tsdb/delete_series", &params)
        .await;
    assert_eq!(deleted.status, 204, "{}", deleted.text());
    assert_eq!(count(Some(&then)).await, "0");

    for (as_of, status, kind, named) in [
        ("seq:99999", 400, "bad_data", "seq:99999"),
        ("seq:-1", 400, "bad_data", "whole number"),
        ("yesterday", 400, "bad_data", "as_of"),
    ] {
        let params = [("query", "m"), ("as_of", as_of)];
        let error = server.get("/api/v1/query", &params).await;
        let error = error.error(status, kind);
        assert!(error.contains(named), "{error}");
    }
}

/// Exemplars, metadata and counts of series know the past as queries do.
#[tokio::test]
async fn all_that_reads_knows_the_past() {
    let server = Duramen::local().await;
    let at_ms = now_ms() - 60_000;
    let (start, end) = (seconds(at_ms - 3_600_000), seconds(now_ms()));

    let body = |instance: &str, help: &str| {
        let labels = [("__name__", "m"), ("instance", instance)];
        Body::default()
            .series(&labels, &[(at_ms, 1.0)], &[(instance, 1.0, at_ms)])
            .family("m", MetricType::Gauge, help, "")
            .snappy()
    };

    server.write(body("old", "as it was")).await;
    server.flush().await;
    let then = seconds(now_ms());

    server.write(body("new", "as it is")).await;
    server.flush().await;

    for (path, pointer, before, now) in [
        (
            "metadata",
            "/data/m/0/help",
            json!("as it was"),
            json!("as it is"),
        ),
        ("query_exemplars", "/data/1", json!(null), json!("there")),
        (
            "status/tsdb",
            "/data/headStats/numSeries",
            json!(1),
            json!(2),
        ),
        ("status/metric", "/data/seriesCount", json!(1), json!(2)),
        (
            "cardinality/label_names",
            "/cardinality/0/label_values_count",
            json!(1),
            json!(2),
        ),
        (
            "cardinality/label_values",
            "/series_count_total",
            json!(1),
            json!(2),
        ),
        (
            "cardinality/active_series",
            "/data/1",
            json!(null),
            json!("there"),
        ),
    ] {
        for (as_of, expected) in [("", &now), (&*then, &before)] {
            let params = [
                ("query", "m"),
                ("selector", "m"),
                ("metric", "m"),
                ("label_names[]", "instance"),
                ("start", &*start),
                ("end", &*end),
                ("as_of", as_of),
            ];
            let answer = server.get(&format!("/api/v1/{path}"), &params).await;
            let answer = answer.json();
            let found = answer.pointer(pointer).cloned().unwrap_or_default();
            let found = match found.is_object() {
                true => json!("there"),
                false => found,
            };

            assert_eq!(found, *expected, "{path} {as_of} {answer}");
        }

        let wrong = [
            ("query", "m"),
            ("metric", "m"),
            ("selector", "m"),
            ("label_names[]", "a"),
        ];
        let wrong = [&wrong[..], &[("as_of", "yesterday")]].concat();
        let refused = server.get(&format!("/api/v1/{path}"), &wrong).await;
        let why = refused.error(400, "bad_data");
        assert!(why.contains("as_of"), "{path} {why}");
    }
}
