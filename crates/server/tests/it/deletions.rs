//! What was deleted is in no answer, and then in no byte of the bucket.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value as Json;

use crate::harness::duramen::{Duramen, seconds};
use crate::harness::read::read;
use crate::harness::wait::{now_ms, until};
use crate::harness::wire::Request as Body;

const PATH: &str = "/api/v1/admin/tsdb";
const DEADLINE: Duration = Duration::from_secs(120);
const ANSWERS_MIN: usize = 10;

/// The value of a label that is only in deleted series.
const MARKER: &str = "marker-7f3a91c0";

fn body(instance: &str, at_ms: i64, value: f64) -> Vec<u8> {
    let labels = [("__name__", "m"), ("team", "x"), ("instance", instance)];
    let exemplars = [(instance, value, at_ms)];
    Body::default()
        .series(&labels, &[(at_ms, value)], &exemplars)
        .snappy()
}

/// The texts of all routes that read, and of remote read.
async fn answers(server: &Duramen, at_ms: i64) -> Vec<String> {
    let (start, end) = (seconds(at_ms - 600_000), seconds(at_ms + 600_000));
    let time = seconds(at_ms);
    let range = [("start", &*start), ("end", &*end)];
    let everything = r#"{__name__=~".+"}"#;

    let requests: Vec<(&str, Vec<(&str, &str)>)> = vec![
        ("query", vec![("query", everything), ("time", &time)]),
        ("query", vec![("query", "m[20m]"), ("time", &end)]),
        (
            "query",
            vec![("query", "count by (instance) (m)"), ("time", &time)],
        ),
        (
            "query_range",
            [vec![("query", "m"), ("step", "30s")], range.to_vec()].concat(),
        ),
        ("series", [vec![("match[]", "m")], range.to_vec()].concat()),
        ("series", vec![("match[]", "m")]),
        ("labels", vec![]),
        ("label/instance/values", vec![]),
        (
            "label/instance/values",
            [vec![("match[]", "m")], range.to_vec()].concat(),
        ),
        (
            "query_exemplars",
            [vec![("query", "m")], range.to_vec()].concat(),
        ),
        ("status/tsdb", vec![]),
        (
            "cardinality/label_values",
            vec![("label_names[]", "instance")],
        ),
        ("cardinality/active_series", vec![("selector", everything)]),
    ];

    let mut texts = Vec::new();
    for (path, params) in requests {
        let answer = server.get(&format!("/api/v1/{path}"), &params).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        texts.push(answer.text());
    }

    let federated = server.get("/federate", &[("match[]", "m")]).await;
    texts.push(federated.text());

    let stored = read(server, "m", at_ms - 600_000, at_ms + 600_000).await;
    texts.push(format!("{stored:?}"));
    texts
}

fn with_marker(answers: &[String]) -> usize {
    answers.iter().filter(|text| text.contains(MARKER)).count()
}

/// The files below a directory that have the marker in their bytes.
fn files_with_marker(below: &Path) -> usize {
    let mut found = 0;

    for entry in std::fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        found += match path.is_dir() {
            true => files_with_marker(&path),
            false => {
                let bytes = std::fs::read(&path).unwrap();
                let mut windows = bytes.windows(MARKER.len());
                usize::from(windows.any(|window| window == MARKER.as_bytes()))
            }
        };
    }

    found
}

/// Starts a server whose compactor looks often.
async fn started() -> Duramen {
    Duramen::with(&[
        "--http-admin-api",
        "--query-timeout=10s",
        "--compact-grace=14s",
        "--compact-interval=1s",
    ])
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_is_gone_from_all_answers_at_once_and_then_from_the_bucket() {
    let mut server = started().await;
    let store = server.data_dir().join("store");
    let base = now_ms() / 1000 * 1000 - 60_000;

    // In a block, and in memory.
    server.write(body(MARKER, base, 1.0)).await;
    server.write(body("stays", base, 2.0)).await;
    server.flush().await;
    server.write(body(MARKER, base + 1000, 3.0)).await;

    let before = answers(&server, base + 2000).await;
    assert!(
        with_marker(&before) >= ANSWERS_MIN,
        "{}",
        with_marker(&before)
    );
    assert!(files_with_marker(&store) > 0);

    // The value of the marker is not in the selector, because the manifest keeps that.
    let selector = r#"m{team="x",instance!="stays"}"#;
    let path = format!("{PATH}/delete_series");
    let deleted = server
        .post(&path, &[("match[]", selector), ("author", "me")])
        .await;
    assert_eq!(deleted.status, 204, "{}", deleted.text());
    let receipt = deleted.header("location").unwrap().to_owned();

    let after = answers(&server, base + 2000).await;
    assert_eq!(with_marker(&after), 0, "{after:?}");
    assert!(
        after
            .iter()
            .all(|text| text.contains("stays") || text.contains("instance"))
    );

    // The same after a kill, from the log.
    server.kill();
    server.start().await;
    assert_eq!(with_marker(&answers(&server, base + 2000).await), 0);

    let shown = server.get(&receipt, &[]).await.data();
    assert_eq!(shown["status"], "hidden", "{shown}");
    assert_eq!(
        shown["left"]["logs"].as_array().unwrap().len(),
        1,
        "{shown}"
    );
    assert_eq!(shown["left"]["blocksTotal"], 1, "{shown}");

    let cleaned = server.post(&format!("{PATH}/clean_tombstones"), &[]).await;
    assert_eq!(cleaned.status, 204, "{}", cleaned.text());

    until("the deletion to be gone", DEADLINE, async || {
        let shown = server.get(&receipt, &[]).await.data();
        (shown["status"] == "gone").then_some(())
    })
    .await;

    assert_eq!(files_with_marker(&store), 0);
    let last = answers(&server, base + 2000).await;
    assert_eq!(with_marker(&last), 0);
    assert_eq!(server.value("m", base + 2000).await.as_deref(), Some("2"));

    let all = server.get(&format!("{PATH}/deletions"), &[]).await.data();
    assert_eq!(all["deletions"][0]["author"], "me", "{all}");
    assert_eq!(all["deletions"][0]["left"]["objectsTotal"], 0, "{all}");

    // It may be written again.
    server.write(body(MARKER, base, 9.0)).await;
    assert!(with_marker(&answers(&server, base + 2000).await) >= ANSWERS_MIN);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_without_leave_and_faults_are_told() {
    let path = format!("{PATH}/delete_series");
    let closed = Duramen::local().await;
    let refused = closed.post(&path, &[("match[]", "m")]).await;
    assert!(
        refused
            .error(503, "unavailable")
            .contains("--http-admin-api")
    );
    let refused = closed.post(&format!("{PATH}/clean_tombstones"), &[]).await;
    refused.error(503, "unavailable");

    let server = started().await;
    let nobody = server.post(&path, &[("match[]", "m")]).await;
    assert_eq!(nobody.status, 204, "there is no tenant yet");

    let long = format!("m{{a=\"{}\"}}", "b".repeat(5000));
    for (params, why) in [
        (vec![], "no match[]"),
        (vec![("match[]", "m{")], "match[]"),
        (vec![("match[]", "{}")], "non-empty"),
        (vec![("match[]", r#"{a=~".*"}"#)], "non-empty"),
        (vec![("match[]", "m"), ("start", "x")], "start"),
        (
            vec![("match[]", "m"), ("start", "2"), ("end", "1")],
            "before",
        ),
        (vec![("match[]", "m"), ("value", "5")], "value"),
        (vec![("match[]", long.as_str())], "4096"),
    ] {
        let refused = server.post(&path, &params).await;
        let error = refused.error(400, "bad_data");
        assert!(error.contains(why), "{params:?}: {error}");
    }

    let absent = server.get(&format!("{PATH}/deletions/nothing"), &[]).await;
    absent.error(404, "not_found");
    assert_eq!(server.get(&path, &[]).await.status, 405);
}

fn delete(server: &Duramen, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_duramen"))
        .env_clear()
        .arg("delete")
        .args(arguments)
        .arg(format!("--url=http://{}", server.address))
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_deletes_and_shows_receipts() {
    let server = started().await;
    let base = now_ms() / 1000 * 1000 - 60_000;
    server.write(body("a", base, 1.0)).await;
    server.write(body("b", base, 7.0)).await;

    let deleted = delete(
        &server,
        &["series", "m", "--value", "> 5", "--author", "me"],
    );
    assert!(deleted.status.success(), "{deleted:?}");
    let id = String::from_utf8(deleted.stdout).unwrap().trim().to_owned();

    assert_eq!(server.value("count(m)", base).await.as_deref(), Some("1"));

    let shown = delete(&server, &["show", &id]);
    let shown: Json = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(
        (&shown["value"], &shown["author"]),
        (&"> 5".into(), &"me".into())
    );
    assert_eq!(shown["selectors"][0], r#"{__name__="m"}"#);

    let listed = delete(&server, &["list"]);
    assert!(String::from_utf8(listed.stdout).unwrap().contains(&id));

    // Tools that read the store without the server leave out the same samples.
    server.flush().await;
    let folder = tempfile::tempdir().unwrap();
    let merged = Command::new(env!("CARGO_BIN_EXE_duramen"))
        .env_clear()
        .args(["blocks", "merge", "--tenant", "anonymous", "--store"])
        .arg(format!(
            "file://{}",
            server.data_dir().join("store").display()
        ))
        .arg("--out")
        .arg(folder.path().join("merged"))
        .output()
        .unwrap();
    let said = String::from_utf8(merged.stdout).unwrap();
    assert!(
        said.contains("samples    2 -> 1"),
        "{said} {:?}",
        merged.stderr
    );

    assert!(delete(&server, &["clean"]).status.success());
    assert!(!delete(&server, &["series", "m{"]).status.success());
}
