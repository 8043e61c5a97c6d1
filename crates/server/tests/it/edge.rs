//! What holds for every request, whatever its route: methods, origins, encodings, the way in.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what cannot be read back fails its test")]

use std::io::Read;

use serde_json::json;

use crate::harness::duramen::Duramen;
use crate::harness::http::{Answer, Request};

/// Under both roots.
const PREFIXES: [&str; 2] = ["", "/prometheus"];

fn check_text(answer: &Answer, status: u16, text: &str) {
    assert_eq!((answer.status, answer.text().as_str()), (status, text));
    assert!(answer.header("content-type").is_some_and(|of| of.starts_with("text/plain")), "{answer:?}");
}

#[tokio::test]
async fn an_unknown_path_is_404_and_a_wrong_method_405_in_plain_text() {
    let server = Duramen::local().await;
    for prefix in PREFIXES {
        for path in ["/api/v1/nothing", "/nothing", "/api/v2/query", "/api/v1/query/"] {
            check_text(&server.get(&format!("{prefix}{path}"), &[]).await, 404, "404 page not found\n");
        }
        for (method, path) in [
            ("DELETE", "query"),
            ("POST", "label/a/values"),
            ("PUT", "query_range"),
            ("GET", "write"),
            ("GET", "admin/tsdb/flush"),
        ] {
            let answer = server.send(&Request::new(method, format!("{prefix}/api/v1/{path}"))).await;
            check_text(&answer, 405, "Method Not Allowed\n");
            assert!(answer.header("allow").is_some_and(|allowed| !allowed.contains(method)), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn head_answers_as_get_without_a_body() {
    let server = Duramen::local().await;
    for path in ["/api/v1/query?query=1&time=4", "/-/healthy", "/-/ready", "/healthz", "/ready", "/metrics", "/"] {
        let (head, get) = (server.send(&Request::new("HEAD", path)).await, server.get(path, &[]).await);
        assert_eq!((head.status, head.header("content-type")), (200, get.header("content-type")), "{path}");
        assert!(head.body.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_may_read_the_api() {
    let server = Duramen::local().await;
    for prefix in PREFIXES {
        for (method, path, status) in [
            ("GET", "query?query=1", 200),
            ("GET", "query?query=(", 400),
            ("OPTIONS", "query", 204),
            ("OPTIONS", "any/thing", 204),
        ] {
            let request = Request::new(method, format!("{prefix}/api/v1/{path}"));
            let answer = server.send(&request.clone().header("Origin", "https://grafana.example")).await;
            assert_eq!(answer.status, status);
            for (header, value) in [
                ("access-control-allow-origin", "*"),
                ("access-control-allow-methods", "GET, POST, OPTIONS"),
                ("access-control-allow-headers", "Accept, Authorization, Content-Type, Origin"),
                ("access-control-expose-headers", "Date"),
                ("vary", "Origin"),
            ] {
                assert_eq!(answer.header(header), Some(value), "{method} {path}");
            }
            let answer = server.send(&request).await;
            assert_eq!((answer.status, answer.header("access-control-allow-origin")), (status, None));
        }
    }
    let healthy = server.send(&Request::new("GET", "/-/healthy").header("Origin", "https://grafana.example")).await;
    assert_eq!(healthy.header("access-control-allow-origin"), None, "only the API is for pages");
}

#[tokio::test]
async fn only_the_origins_that_are_let_in_may_read_the_api() {
    let server = Duramen::with(&["--http-cors-origin", r"https://(a|b)\.example"]).await;
    for (origin, allowed) in
        [("https://a.example", true), ("https://c.example", false), ("https://a.example.evil", false)]
    {
        let answer = server.send(&Request::new("GET", "/api/v1/labels").header("Origin", origin)).await;
        assert_eq!(answer.header("access-control-allow-origin"), allowed.then_some(origin));
    }
}

fn decoded(answer: &Answer) -> Vec<u8> {
    let (body, mut text) = (&*answer.body, Vec::new());
    match answer.header("content-encoding") {
        Some("gzip") => flate2::read::GzDecoder::new(body).read_to_end(&mut text).unwrap(),
        Some("deflate") => flate2::read::ZlibDecoder::new(body).read_to_end(&mut text).unwrap(),
        Some("zstd") => zstd::Decoder::new(body).unwrap().read_to_end(&mut text).unwrap(),
        other => panic!("{other:?}"),
    };
    text
}

#[tokio::test]
async fn an_answer_is_compressed_as_the_client_asks() {
    let server = Duramen::local().await;
    // One that is compressed at once and one that is compressed elsewhere.
    let short = format!("/api/v1/format_query?query={}", "up%2b".repeat(500) + "up");
    let paths = [&*short, "/api/v1/openapi.yaml"];
    for (accepted, encoding) in
        [("gzip", "gzip"), ("deflate", "deflate"), ("gzip, deflate, br, zstd", "zstd"), ("zstd;q=0, gzip", "gzip")]
    {
        for path in paths {
            let plain = server.get(path, &[]).await;
            let answer = server.send(&Request::new("GET", path).header("Accept-Encoding", accepted)).await;
            assert_eq!((answer.status, answer.header("content-encoding")), (200, Some(encoding)), "{accepted}");
            assert!(answer.body.len() * 2 < plain.body.len(), "{accepted}: {} bytes", answer.body.len());
            assert_eq!(decoded(&answer), plain.body, "{accepted}");
        }
        let small = server.send(&Request::new("GET", "/api/v1/labels").header("Accept-Encoding", accepted)).await;
        assert_eq!(small.header("content-encoding"), None);
    }
    for accepted in ["identity", "br", "gzip;q=0"] {
        let answer = server.send(&Request::new("GET", paths[1]).header("Accept-Encoding", accepted)).await;
        assert_eq!((answer.header("content-encoding"), &answer.body[..8]), (None, &b"componen"[..]), "{accepted}");
    }
}

#[tokio::test]
async fn an_accept_header_that_cannot_be_met_gets_json() {
    let server = Duramen::local().await;
    for accept in ["application/json", "text/csv", "application/vnd.google.protobuf", "*/*", "nonsense"] {
        let answer = server.send(&Request::new("GET", "/api/v1/query?query=1&time=4").header("Accept", accept)).await;
        assert_eq!(answer.data(), json!({ "resultType": "scalar", "result": [4, "1"] }), "{accept}");
    }
}
