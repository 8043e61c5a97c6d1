//! Blocks that cannot be read: an answer without them, with a warning for each, or an error.

#![expect(
    clippy::unwrap_used,
    reason = "a test server that does not start fails its test"
)]

use std::path::Path;
use std::time::Duration;

use duramen_proto::snappy;
use duramen_testkit::prompb::{Message, v1};
use duramen_testkit::s3::{Fault, Op, Rule, S3, S3Options, When};
use serde_json::{Value as Json, json};

use crate::harness::duramen::{Duramen, seconds, write};
use crate::harness::http::{Answer, Request};
use crate::harness::samples::{Body, Random};
use crate::harness::wait::now_ms;

/// The length of the windows of the last day. Each becomes a block.
const WINDOW_MS: i64 = 2 * 3_600_000;
/// The number of windows with samples.
const WINDOWS: i64 = 3;

/// A server without caches, and its store with a block for each of three windows. Each has a sample
/// of `m`, and a series that is only there: `only{window="0"}` in the oldest one.
struct Blocks {
    s3: S3,
    server: Duramen,
    /// The start of the newest window.
    newest_ms: i64,
    /// The ids of the blocks, from the oldest to the newest.
    ids: Vec<String>,
}

impl Blocks {
    async fn written() -> Self {
        let newest_ms = now_ms() / WINDOW_MS * WINDOW_MS - WINDOW_MS;
        let s3 = S3::start(S3Options::default()).await.unwrap();
        let server = Duramen::on(&s3).await;
        let mut body = Body::default();

        for window in 0..WINDOWS {
            let ts_ms = newest_ms - (WINDOWS - 1 - window) * WINDOW_MS;
            let number = window.to_string();
            body = body.sample("m", ts_ms, 1.0).series(
                &[("__name__", "only"), ("window", &number)],
                &[(ts_ms, 1.0)],
            );
        }

        server.write(body.snappy()).await;
        server.flush().await;

        let blocks = server.get("/api/v1/status/tsdb/blocks", &[]).await.data();
        let ids: Vec<String> = blocks["blocks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|block| block["ulid"].as_str().unwrap().to_owned())
            .collect();

        assert_eq!(ids.len(), 3, "{blocks}");

        let mut blocks = Self {
            s3,
            server,
            newest_ms,
            ids,
        };
        blocks.restart().await;
        blocks
    }

    /// Empties the caches.
    async fn restart(&mut self) {
        self.server.kill();
        self.server.start().await;
    }

    fn key(&self, block: usize, file: &str) -> String {
        let tail = format!("block={}/{file}", self.ids[block]);
        let objects = self.s3.objects();
        let found = objects
            .into_iter()
            .find(|object| object.key.ends_with(&tail));

        found.unwrap().key
    }

    fn delete(&self, block: usize, file: &str) {
        assert!(self.s3.uproot(&self.key(block, file)));
    }

    /// Flips a bit in a page of a file. The pages are in front; the footer behind them is for other
    /// readers.
    fn damage(&self, block: usize, file: &str) {
        flip(&self.s3, &self.key(block, file), 5);
    }

    fn fail(&self, block: usize, file: &str, status: u16) {
        let when = When::op(Op::Get).under(self.key(block, file));
        let fault = Fault::Status(status);
        self.s3.inject(Rule { when, fault });
    }

    async fn ask(&self, path: &str, params: &[(&str, &str)], partial: &str) -> Answer {
        let params = [params, &[("partial_response", partial)]].concat();
        self.server.get(path, &params).await
    }

    /// Asks how many samples `m` has in all windows.
    async fn count(&self, partial: &str) -> Answer {
        let time = seconds(self.newest_ms + 1);
        let params = [("query", "count_over_time(m[1d])"), ("time", &time)];
        self.ask("/api/v1/query", &params, partial).await
    }

    /// Checks that the count is an error that names `block`, and without that block `count` with
    /// one warning that ends with `why`.
    async fn check(&mut self, block: usize, count: &str, why: &str) {
        for partial in ["", "false"] {
            self.restart().await;

            let refused = self.count(partial).await;
            assert_eq!(refused.status, 503, "{}", refused.text());
            assert!(
                refused.text().contains(&self.ids[block]),
                "{}",
                refused.text()
            );
        }

        for _ in 0..2 {
            self.restart().await;

            let answer = self.count("true").await;
            assert_eq!(
                answer.data()["result"][0]["value"][1],
                count,
                "{}",
                answer.text()
            );
            assert_eq!(warnings(&answer).len(), 1, "{}", answer.text());

            let warning = &warnings(&answer)[0];
            assert!(warning.contains(&self.ids[block]), "{warning}");
            assert!(warning.ends_with(why), "{warning}");
        }
    }
}

/// Flips a bit of an object, so many hundredths of its length from its start.
fn flip(s3: &S3, key: &str, hundredths: usize) {
    let mut bytes = s3.object(key).unwrap().to_vec();
    let at = bytes.len() * hundredths / 100;
    bytes[at] ^= 1;
    s3.plant(key, bytes);
}

fn warnings(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let warnings = json["warnings"].as_array().cloned().unwrap_or_default();
    warnings
        .iter()
        .map(|warning| warning.as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_block_whose_object_is_missing_is_left_out_and_named() {
    let mut blocks = Blocks::written().await;
    blocks.delete(1, "samples.parquet");
    blocks
        .check(1, "2", "its file samples.parquet is missing")
        .await;

    blocks.delete(1, "meta");
    blocks.check(1, "2", "its file meta is missing").await;
}

#[tokio::test]
async fn a_block_with_a_flipped_bit_is_left_out_and_named() {
    let mut blocks = Blocks::written().await;
    blocks.damage(0, "samples.parquet");
    blocks
        .check(0, "2", "its file samples.parquet is damaged")
        .await;

    blocks.damage(0, "meta");
    blocks.check(0, "2", "its file meta is damaged").await;
}

#[tokio::test]
async fn a_block_that_the_store_does_not_give_is_left_out_and_named() {
    for status in [403, 500] {
        let mut blocks = Blocks::written().await;
        blocks.fail(2, "samples.parquet", status);
        blocks
            .check(2, "2", "its file samples.parquet cannot be fetched")
            .await;
    }
}

/// A path, its parameters, and the expected data.
type Asked<'a> = (&'a str, Vec<(&'a str, &'a str)>, Json);

#[tokio::test]
async fn each_route_says_what_it_leaves_out() {
    let mut blocks = Blocks::written().await;
    blocks.delete(0, "series.parquet");
    blocks.damage(2, "series.parquet");

    let start = seconds(blocks.newest_ms - 2 * WINDOW_MS);
    let end = seconds(blocks.newest_ms);
    let range = [("start", start.as_str()), ("end", end.as_str())];
    let step = ("step", "7200");

    let asked: [Asked<'_>; 6] = [
        (
            "/api/v1/query_range",
            vec![("query", "count(only)"), range[0], range[1], step],
            json!([{ "metric": {}, "values": [[(blocks.newest_ms - WINDOW_MS) / 1000, "1"]] }]),
        ),
        (
            "/api/v1/series",
            vec![("match[]", "only"), ("match[]", "m"), range[0], range[1]],
            json!([{ "__name__": "m" }, { "__name__": "only", "window": "1" }]),
        ),
        (
            "/api/v1/labels",
            range.to_vec(),
            json!(["__name__", "window"]),
        ),
        ("/api/v1/label/window/values", range.to_vec(), json!(["1"])),
        (
            "/api/v1/label/window/values",
            vec![("match[]", "only"), range[0], range[1]],
            json!(["1"]),
        ),
        (
            "/api/v1/label/window/values",
            vec![("match[]", "m")],
            json!([]),
        ),
    ];

    for (path, params, expected) in asked {
        blocks.restart().await;

        let refused = blocks.ask(path, &params, "false").await;
        assert_eq!(refused.status, 503, "{path}: {}", refused.text());

        let answer = blocks.ask(path, &params, "true").await;
        let data = answer.data();
        let found = data.get("result").unwrap_or(&data);
        assert_eq!(found, &expected, "{path}");

        let warnings = warnings(&answer);
        assert_eq!(warnings.len(), 2, "{path}: {warnings:?}");

        for (block, why) in [(0, "is missing"), (2, "is damaged")] {
            let names = |warning: &&String| warning.contains(&blocks.ids[block]);
            let warning = warnings.iter().find(names).unwrap();
            assert!(warning.ends_with(why), "{warning}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_needs_nothing_of_a_broken_block_has_no_warning() {
    let blocks = Blocks::written().await;
    blocks.delete(1, "samples.parquet");

    let newest = [("query", "m"), ("time", &seconds(blocks.newest_ms))];
    let labels = [("match[]", "only")];
    let asked: [(&str, &[_]); 2] = [("/api/v1/query", &newest), ("/api/v1/series", &labels)];

    for (path, params) in asked {
        let partial = blocks.ask(path, params, "true").await;
        let whole = blocks.ask(path, params, "false").await;

        assert_eq!(whole.status, 200, "{}", whole.text());
        assert_eq!(partial.text(), whole.text(), "{path}");
        assert!(warnings(&partial).is_empty(), "{}", partial.text());
    }
}

#[tokio::test]
async fn what_is_no_fault_of_a_block_is_an_error_whatever_was_asked_for() {
    let mut blocks = Blocks::written().await;
    blocks.delete(1, "samples.parquet");

    let time = seconds(blocks.newest_ms + 1);
    let twice = "label_replace(count_over_time(only[1d]), \"window\", \"\", \"\", \"\")";
    let steps = [("start", "0"), ("end", "1000000"), ("step", "1")];

    for (path, query, status) in [
        ("/api/v1/query", "m[", 400),
        ("/api/v1/query", twice, 422),
        ("/api/v1/query_range", "m", 400),
    ] {
        let params = [&steps[..], &[("query", query), ("time", &time)]].concat();
        let answer = blocks.ask(path, &params, "true").await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
    }

    // A block that is only slow is not left out.
    let when = When::op(Op::Get).under(blocks.key(0, "samples.parquet"));
    let fault = Fault::Delay(Duration::from_secs(600));
    blocks.s3.inject(Rule { when, fault });
    blocks.restart().await;

    let query = ("query", "count_over_time(m[1d])");
    let params = [query, ("time", &time), ("timeout", "0.5")];
    let answer = blocks.ask("/api/v1/query", &params, "true").await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.text().contains("timed out"), "{}", answer.text());

    let answer = blocks.ask("/api/v1/query", &[("query", "m")], "yes").await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.text().contains("partial_response"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn without_a_readable_manifest_there_is_no_answer() {
    let mut blocks = Blocks::written().await;
    let edits = blocks.s3.objects();
    let edit = edits
        .iter()
        .rev()
        .find(|object| object.key.contains("/manifest/"));

    flip(&blocks.s3, &edit.unwrap().key, 90);
    blocks.restart().await;

    let answer = blocks.count("true").await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.text().contains("manifest"), "{}", answer.text());
}

#[tokio::test]
async fn an_explained_query_says_what_it_left_out() {
    let blocks = Blocks::written().await;
    blocks.delete(1, "samples.parquet");

    let time = seconds(blocks.newest_ms + 1);
    let params = [
        ("query", "count_over_time(m[1d])"),
        ("time", time.as_str()),
        ("analyze", "true"),
    ];

    let refused = blocks.ask("/api/v1/explain", &params, "false").await;
    assert_eq!(refused.status, 503, "{}", refused.text());

    let answer = blocks.ask("/api/v1/explain", &params, "true").await;
    assert_eq!(answer.data()["resultSeries"], 1);
    assert!(
        warnings(&answer)[0].contains(&blocks.ids[1]),
        "{}",
        answer.text()
    );

    let params = [&params[..], &[("format", "text")]].concat();
    let text = blocks.ask("/api/v1/explain", &params, "true").await.text();
    let last = text.lines().last().unwrap();

    assert!(
        last.contains(&blocks.ids[1]) && last.starts_with("partial answer"),
        "{text}"
    );
}

#[tokio::test]
async fn remote_read_and_federation_are_complete_or_an_error() {
    let mut blocks = Blocks::written().await;
    let now_ms = now_ms();
    let body = Body::default().sample("recent", now_ms, 1.0);

    blocks.server.write(body.snappy()).await;
    blocks.server.flush().await;
    blocks.restart().await;

    for object in blocks.s3.objects() {
        if object.key.ends_with("/samples.parquet") {
            assert!(blocks.s3.uproot(&object.key));
        }
    }

    let answer = blocks
        .ask("/federate", &[("match[]", "recent")], "true")
        .await;
    assert_eq!(answer.status, 503, "{}", answer.text());

    let matcher = v1::LabelMatcher {
        r#type: v1::label_matcher::Type::Eq.into(),
        name: "__name__".to_owned(),
        value: "recent".to_owned(),
    };

    let request = v1::ReadRequest {
        queries: vec![v1::Query {
            start_timestamp_ms: now_ms - 1,
            end_timestamp_ms: now_ms,
            matchers: vec![matcher],
        }],
        accepted_response_types: vec![],
    };

    let read = Request::new("POST", "/api/v1/read?partial_response=true")
        .header("Content-Type", "application/x-protobuf")
        .header("Content-Encoding", "snappy")
        .body(snappy::compress(&request.encode_to_vec()));

    let answer = blocks.server.send(&read).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
}

/// Three thousand series are three batches. The damage is in the last.
#[tokio::test]
async fn nothing_of_a_block_that_fails_in_the_middle_is_in_the_answer() {
    const SERIES: usize = 3000;
    const SAMPLES: i64 = 20;

    let newest_ms = now_ms() / WINDOW_MS * WINDOW_MS - WINDOW_MS;
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let mut server = Duramen::on(&s3).await;
    let mut random = Random(3);

    for window in 0..2 {
        let mut body = Body::default();

        for series in 0..SERIES {
            let name = format!("{series:04}");
            let mut sample = |n| {
                let ts_ms = newest_ms - window * WINDOW_MS + n * 15_000;
                (ts_ms, (random.below(1 << 30) as f64).sqrt())
            };

            let samples: Vec<_> = (0..SAMPLES).map(&mut sample).collect();
            body = body.series(&[("__name__", "m"), ("series", &name)], &samples);
        }

        server.write(body.snappy()).await;
    }

    server.flush().await;

    let blocks = server.get("/api/v1/status/tsdb/blocks", &[]).await.data();
    let broken = blocks["blocks"][1]["ulid"].as_str().unwrap();
    let tail = format!("block={broken}/samples.parquet");
    let objects = s3.objects();
    let object = objects.iter().find(|object| object.key.ends_with(&tail));

    // The end of the file is the footer, which is in `meta` as well.
    flip(&s3, &object.unwrap().key, 90);
    server.kill();
    server.start().await;

    let time = seconds(newest_ms + WINDOW_MS);
    for query in [
        "sum(count_over_time(m[1d]))",
        "sum(count_over_time(m{series=~\"0.*\"}[1d]) or count_over_time(m[1d]))",
    ] {
        let params = [
            ("query", query),
            ("time", &time),
            ("partial_response", "true"),
        ];
        let answer = server.get("/api/v1/query", &params).await;
        let count = (SERIES as i64 * SAMPLES).to_string();

        assert_eq!(answer.data()["result"][0]["value"][1], count, "{query}");
        assert_eq!(warnings(&answer).len(), 1, "{}", answer.text());
    }

    assert!(server.metric("duramen_query_partial_total").await >= 2.0);
    assert!(server.metric("duramen_query_blocks_left_out_total").await >= 2.0);
}

#[tokio::test]
async fn a_tenant_may_have_partial_answers_by_default_and_others_notice_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let limits = directory.path().join("limits.yaml");
    let text = "tenants:\n  b:\n    query:\n      partial_response: true\n";
    std::fs::write(&limits, text).unwrap();

    let s3 = S3::start(S3Options::default()).await.unwrap();
    let mut server = with_tenants(&s3, &limits).await;
    let now_ms = now_ms();

    for tenant in ["a", "b", "c"] {
        let body = Body::default().sample("m", now_ms, 1.0).snappy();
        let answer = server
            .send(&write(body).header("X-Scope-OrgID", tenant))
            .await;
        assert_eq!(answer.status, 204, "{}", answer.text());

        let flush = Request::new("POST", "/api/v1/admin/tsdb/flush");
        let answer = server.send(&flush.header("X-Scope-OrgID", tenant)).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    let mut ids = Vec::new();
    for tenant in ["a", "b", "c"] {
        let request = Request::get("/api/v1/status/tsdb/blocks", &[]);
        let blocks = server.send(&request.header("X-Scope-OrgID", tenant)).await;
        ids.push(
            blocks.data()["blocks"][0]["ulid"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }

    for object in s3.objects() {
        let broken = ids[..2].iter().any(|id| object.key.contains(id));
        if broken && object.key.ends_with("/samples.parquet") {
            assert!(s3.uproot(&object.key));
        }
    }

    server.kill();
    server.start().await;

    let time = seconds(now_ms);
    let ask = async |tenant: &str, partial: &str| {
        let params = [
            ("query", "m"),
            ("time", &time),
            ("partial_response", partial),
        ];
        let request = Request::get("/api/v1/query", &params);
        server.send(&request.header("X-Scope-OrgID", tenant)).await
    };

    assert_eq!(ask("a", "").await.status, 503);
    assert_eq!(ask("b", "false").await.status, 503);

    for (tenant, partial, id) in [("a", "true", &ids[0]), ("b", "", &ids[1])] {
        let answer = ask(tenant, partial).await;
        let warnings = warnings(&answer);

        assert_eq!(answer.data()["result"], json!([]));
        assert!(
            warnings.len() == 1 && warnings[0].contains(id),
            "{warnings:?}"
        );
    }

    for partial in ["", "true"] {
        let answer = ask("c", partial).await;
        assert_eq!(answer.data()["result"][0]["value"][1], "1");
        assert!(warnings(&answer).is_empty(), "{}", answer.text());
    }
}

async fn with_tenants(s3: &S3, limits: &Path) -> Duramen {
    let limits = limits.to_str().unwrap();
    Duramen::on_with(s3, &["--multi-tenancy", "--limits-file", limits]).await
}
