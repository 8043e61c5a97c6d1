//! What holds for requests of every route: methods, origins, encodings, connections.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what cannot be read back fails its test"
)]

use std::io::Read;

use serde_json::json;

use crate::harness::duramen::{Duramen, seconds};
use crate::harness::http::{Answer, Request};
use crate::harness::samples::Body;
use crate::harness::wait::now_ms;

/// The roots of the API.
const PREFIXES: [&str; 2] = ["", "/prometheus"];

fn check_text(answer: &Answer, status: u16, text: &str) {
    assert_eq!((answer.status, answer.text().as_str()), (status, text));
    assert!(
        answer
            .header("content-type")
            .is_some_and(|of| of.starts_with("text/plain")),
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_unknown_path_is_404_and_a_wrong_method_405_in_the_envelope_under_the_api() {
    let server = Duramen::local().await;

    for prefix in PREFIXES {
        for path in ["/api/v1/nothing", "/api/nothing", "/api/v1"] {
            let error = server
                .get(&format!("{prefix}{path}"), &[])
                .await
                .error(404, "not_found");

            assert!(error.starts_with("page not found"), "{error}");
        }

        for (method, path) in [
            ("DELETE", "query"),
            ("PUT", "label/a/values"),
            ("PUT", "query_range"),
            ("GET", "write"),
            ("GET", "admin/tsdb/flush"),
        ] {
            let answer = server
                .send(&Request::new(method, format!("{prefix}/api/v1/{path}")))
                .await;
            let error = answer.error(405, "bad_data");
            assert!(
                error.starts_with(&format!("the method {method} is not allowed here")),
                "{error}"
            );
            assert!(
                answer
                    .header("allow")
                    .is_some_and(|allowed| !allowed.contains(method)),
                "{answer:?}"
            );
        }
    }

    check_text(
        &server.get("/nothing", &[]).await,
        404,
        "404 page not found\n",
    );

    check_text(
        &server.send(&Request::new("POST", "/-/ready")).await,
        405,
        "Method Not Allowed\n",
    );
}

#[tokio::test]
async fn heads_that_are_refused_before_any_route_have_the_envelope() {
    let server = Duramen::local().await;
    let long = format!("/api/v1/query?query={}", "1%2B".repeat(20_000));
    let error = server
        .send(&Request::new("GET", long))
        .await
        .error(414, "bad_data");

    assert!(
        error.contains("POST") && error.contains("url_bytes_max=`65534`"),
        "{error}"
    );

    let headers = |request: Request, count: usize| {
        (0..count).fold(request, |request, n| request.header(&format!("X-{n}"), "v"))
    };
    let error = server
        .send(&headers(Request::new("GET", "/api/v1/labels"), 200))
        .await
        .error(431, "bad_data");

    assert!(error.contains("headers_max=`100`"), "{error}");

    let error = server
        .send(&Request::new("GET", "/api/v1/labels").header("a header", "v"))
        .await
        .error(400, "bad_data");

    assert!(
        error.contains("the head of the request is not HTTP"),
        "{error}"
    );
}

#[tokio::test]
async fn a_label_name_that_is_none_is_told_as_prometheus_tells_it() {
    let server = Duramen::local().await;

    for (path, told) in [
        ("%ff", r#""\xff""#),
        ("a%c3%28%22", r#""a\xc3(\"""#),
        ("", r#""""#),
    ] {
        for prefix in PREFIXES {
            let error = server
                .get(&format!("{prefix}/api/v1/label/{path}/values"), &[])
                .await
                .error(400, "bad_data");

            assert_eq!(error, format!("invalid label name: {told}"));
        }
    }

    let counted = [
        ("query", "count_values(\"a\\xc5z\", vector(1))"),
        ("time", "4"),
    ];

    let error = server
        .get("/api/v1/query", &counted)
        .await
        .error(422, "execution");

    assert_eq!(error, r#"invalid label name "a\xc5z""#);
}

#[tokio::test]
async fn paths_that_people_type_by_habit_are_served_or_say_where_to_go() {
    let server = Duramen::local().await;

    for path in [
        "/api/v1/write",
        "/api/v1/push",
        "/api/v1/receive",
        "/api/prom/push",
        "/api/prom/api/v1/push",
        "/api/v1/write/",
    ] {
        let body = Body::default().sample("m", now_ms(), 1.0).snappy();
        let answer = server.send(&Request::new("POST", path).body(body)).await;
        assert_eq!(answer.status, 204, "{path}: {}", answer.text());
    }

    for path in [
        "/api/v1/query/",
        "//api/v1//query",
        "/prometheus/api/v1/query",
        "/api/prom/api/v1/query",
        "/prometheus//api/v1/query/",
    ] {
        let data = server
            .get(path, &[("query", "1"), ("time", "4")])
            .await
            .data();
        assert_eq!(
            data,
            json!({ "resultType": "scalar", "result": [4, "1"] }),
            "{path}"
        );
    }

    for (path, right) in [
        ("/insert/0/prometheus/api/v1/write", "/api/v1/write"),
        ("/insert/prometheus/api/v1/write", "/api/v1/write"),
        ("/select/0/prometheus/api/v1/query", "/api/v1/query"),
        ("/write", "/api/v1/write"),
        ("/query", "/api/v1/query"),
    ] {
        let answer = server.send(&Request::new("POST", path)).await;
        let told = format!("404 page not found\npage not found; what you look for is at {right}\n");
        check_text(&answer, 404, &told);
    }

    let error = server
        .send(&Request::new("POST", "/api/v1/otlp/v1/metrics"))
        .await
        .error(404, "not_found");

    assert!(error.contains("OTLP is not taken"), "{error}");
}

#[tokio::test]
async fn a_form_in_parts_is_read_on_every_route_that_takes_one() {
    let server = Duramen::local().await;
    let now = now_ms();

    server
        .write(
            Body::default()
                .series(&[("__name__", "m"), ("job", "j")], &[(now, 1.0)])
                .snappy(),
        )
        .await;

    let values = [
        ("query", "m"),
        ("match[]", "m"),
        ("selector", "m"),
        ("label_names[]", "job"),
        ("start", &*seconds(now - 1000)),
        ("end", &*seconds(now)),
        ("time", &*seconds(now)),
        ("step", "1"),
    ];

    for path in [
        "query",
        "query_range",
        "explain",
        "format_query",
        "parse_query",
        "series",
        "labels",
        "label/job/values",
        "query_exemplars",
        "cardinality/label_names",
        "cardinality/label_values",
        "cardinality/active_series",
    ] {
        let path = format!("/api/v1/{path}");
        let encoded = server.post(&path, &values).await;
        let parts = server.send(&Request::in_parts(&path, &values)).await;
        assert_eq!(
            (parts.status, &parts.body),
            (encoded.status, &encoded.body),
            "{path}: {}",
            parts.text()
        );
        assert!(
            encoded.status == 200 || encoded.status == 204,
            "{path}: {}",
            encoded.text()
        );

        for content_type in ["application/json", "text/plain"] {
            let json = Request::new("POST", &*path)
                .header("Content-Type", content_type)
                .body("{\"query\":\"m\"}");
            let error = server.send(&json).await.error(400, "bad_data");

            assert!(
                error.contains(content_type) && error.contains("multipart/form-data"),
                "{path}: {error}"
            );
        }
    }

    let flushed = server
        .send(&Request::in_parts(
            "/api/v1/admin/tsdb/flush",
            &[("all", "true")],
        ))
        .await;

    assert_eq!(flushed.status, 204, "{}", flushed.text());
}

#[tokio::test]
async fn head_answers_as_get_without_a_body() {
    let server = Duramen::local().await;

    for path in [
        "/api/v1/query?query=1&time=4",
        "/-/healthy",
        "/-/ready",
        "/healthz",
        "/ready",
        "/metrics",
        "/",
    ] {
        let head = server.send(&Request::new("HEAD", path)).await;
        let get = server.get(path, &[]).await;
        assert_eq!(
            (head.status, head.header("content-type")),
            (200, get.header("content-type")),
            "{path}"
        );
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
            let answer = server
                .send(&request.clone().header("Origin", "https://grafana.example"))
                .await;
            assert_eq!(answer.status, status);
            for (header, value) in [
                ("access-control-allow-origin", "*"),
                ("access-control-allow-methods", "GET, POST, OPTIONS"),
                (
                    "access-control-allow-headers",
                    "Accept, Authorization, Content-Type, Origin",
                ),
                ("access-control-expose-headers", "Date"),
                ("vary", "Origin"),
            ] {
                assert_eq!(answer.header(header), Some(value), "{method} {path}");
            }
            let answer = server.send(&request).await;
            assert_eq!(
                (answer.status, answer.header("access-control-allow-origin")),
                (status, None)
            );
        }
    }

    let healthy = server
        .send(&Request::new("GET", "/-/healthy").header("Origin", "https://grafana.example"))
        .await;
    assert_eq!(
        healthy.header("access-control-allow-origin"),
        None,
        "only the API is for pages"
    );
}

#[tokio::test]
async fn only_the_origins_that_are_let_in_may_read_the_api() {
    let server = Duramen::with(&["--http-cors-origin", r"https://(a|b)\.example"]).await;

    for (origin, allowed) in [
        ("https://a.example", true),
        ("https://c.example", false),
        ("https://a.example.evil", false),
    ] {
        let answer = server
            .send(&Request::new("GET", "/api/v1/labels").header("Origin", origin))
            .await;
        assert_eq!(
            answer.header("access-control-allow-origin"),
            allowed.then_some(origin)
        );
    }
}

fn decoded(answer: &Answer) -> Vec<u8> {
    let body = &*answer.body;
    let mut text = Vec::new();

    match answer.header("content-encoding") {
        Some("gzip") => flate2::read::GzDecoder::new(body)
            .read_to_end(&mut text)
            .unwrap(),
        Some("deflate") => flate2::read::ZlibDecoder::new(body)
            .read_to_end(&mut text)
            .unwrap(),
        Some("zstd") => zstd::Decoder::new(body)
            .unwrap()
            .read_to_end(&mut text)
            .unwrap(),
        other => panic!("{other:?}"),
    };

    text
}

#[tokio::test]
async fn an_answer_is_compressed_as_the_client_asks() {
    let server = Duramen::local().await;

    // One answer is compressed at once, and the other piece by piece.
    let short = format!("/api/v1/format_query?query={}", "up%2b".repeat(500) + "up");
    let paths = [&*short, "/api/v1/openapi.yaml"];

    for (accepted, encoding) in [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("zstd;q=0, gzip", "gzip"),
    ] {
        for path in paths {
            let plain = server.get(path, &[]).await;
            let answer = server
                .send(&Request::new("GET", path).header("Accept-Encoding", accepted))
                .await;

            assert_eq!(
                (answer.status, answer.header("content-encoding")),
                (200, Some(encoding)),
                "{accepted}"
            );

            assert!(
                answer.body.len() * 2 < plain.body.len(),
                "{accepted}: {} bytes",
                answer.body.len()
            );

            assert_eq!(decoded(&answer), plain.body, "{accepted}");
        }
        let small = server
            .send(&Request::new("GET", "/api/v1/labels").header("Accept-Encoding", accepted))
            .await;
        assert_eq!(small.header("content-encoding"), None);
    }

    for accepted in ["identity", "br", "gzip;q=0"] {
        let answer = server
            .send(&Request::new("GET", paths[1]).header("Accept-Encoding", accepted))
            .await;
        assert_eq!(
            (answer.header("content-encoding"), &answer.body[..8]),
            (None, &b"componen"[..]),
            "{accepted}"
        );
    }
}

#[tokio::test]
async fn an_accept_header_that_cannot_be_met_gets_json() {
    let server = Duramen::local().await;

    for accept in [
        "application/json",
        "text/csv",
        "application/vnd.google.protobuf",
        "*/*",
        "nonsense",
    ] {
        let answer = server
            .send(&Request::new("GET", "/api/v1/query?query=1&time=4").header("Accept", accept))
            .await;
        assert_eq!(
            answer.data(),
            json!({ "resultType": "scalar", "result": [4, "1"] }),
            "{accept}"
        );
    }
}
