//! Clients that are slow in sending, in reading, or in closing.

#![expect(clippy::unwrap_used, reason = "what cannot be sent fails its test")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::harness::duramen::{Duramen, seconds, write};
use crate::harness::http::Request;
use crate::harness::samples::Body;
use crate::harness::wait::{now_ms, until};

/// The longest time for something quick, on a machine that also compiles.
const SOON: Duration = Duration::from_secs(60);

fn connect(server: &Duramen) -> TcpStream {
    TcpStream::connect(server.address).unwrap()
}

/// Sends as many bytes as are accepted within a moment.
fn push(stream: &mut TcpStream, bytes: &[u8]) {
    stream
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();

    if let Err(error) = stream.write_all(bytes) {
        let is_full = [
            ErrorKind::WouldBlock,
            ErrorKind::TimedOut,
            ErrorKind::BrokenPipe,
            ErrorKind::ConnectionReset,
        ];

        assert!(is_full.contains(&error.kind()), "{error}");
    }
}

/// Starts a write that announces more than it sends.
fn slow_write(server: &Duramen, tenant: usize, announced: &str) -> TcpStream {
    let mut stream = connect(server);
    let head = format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: a\r\nX-Scope-OrgID: evil{tenant}\r\n\
         Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n{announced}\r\n\r\n"
    );

    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(b"1\r\nx\r\n").unwrap();
    stream
}

fn answer_of(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(SOON)).unwrap();

    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn slow_bodies_stop_no_write_and_are_answered_408() {
    let server = Duramen::with(&["--multi-tenancy"]).await;
    let good = || {
        write(Body::default().sample("m", now_ms(), 1.0).snappy()).header("X-Scope-OrgID", "good")
    };

    assert_eq!(server.send(&good()).await.status, 204);

    let slow: Vec<TcpStream> = (0..64)
        .map(|n| {
            let announced = if n % 2 == 0 {
                "Content-Length: 33554432"
            } else {
                "Transfer-Encoding: chunked"
            };

            slow_write(&server, n, announced)
        })
        .collect();

    let overload = "duramen_http_requests_total{route=\"/api/v1/write\",code=\"503\"}";
    for _ in 0..5 {
        assert_eq!(server.send(&good()).await.status, 204);
    }

    assert!(server.metric(overload).await < 1.0);

    for stream in slow {
        let answer = answer_of(stream);
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(
            answer.contains("connection: close") && answer.contains("http.body_read_max="),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_form_that_does_not_come_is_answered_408_in_the_envelope_and_one_that_is_too_large_at_once()
 {
    let server = Duramen::local().await;
    let head = "POST /api/v1/query HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    let mut slow = connect(&server);
    slow.write_all(format!("{head}Content-Length: 1000\r\n\r\nquery=").as_bytes())
        .unwrap();

    let mut large = connect(&server);
    large
        .write_all(format!("{head}Content-Length: 32505856\r\n\r\nquery=").as_bytes())
        .unwrap();
    let answer = answer_of(large);
    assert!(
        answer.starts_with("HTTP/1.1 413") && answer.contains("form_bytes_max=`8388608`"),
        "{answer}"
    );

    let answer = answer_of(slow);
    assert!(
        answer.starts_with("HTTP/1.1 408") && answer.contains("connection: close"),
        "{answer}"
    );
    assert!(
        answer.contains(r#"{"status":"error","errorType":"timeout","error":"#),
        "{answer}"
    );
}

#[tokio::test]
async fn forms_on_hold_take_no_more_memory_than_there_is_for_them() {
    let mut server = Duramen::local().await;
    let (before, _) = server.process().memory();
    let head = "POST /api/v1/query HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                Content-Length: 8000000\r\n\r\n";
    let part = [head.as_bytes(), &vec![b'x'; 7 << 20]].concat();

    let open: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = connect(&server);
            push(&mut stream, &part);
            stream
        })
        .collect();

    let (_, most) = server.process().memory();
    let more = most.saturating_sub(before) >> 20;

    // The room of 64 MiB, the buffers that grew into it, and those of connections.
    assert!(more < 200, "280 MiB on hold took {more} MiB");
    assert_eq!(
        server.value("vector(1)", now_ms()).await.as_deref(),
        Some("1")
    );

    drop(open);
}

/// Writes series with so many points that answers are large, and returns the parameters of a query
/// for all of them.
async fn large_answer(server: &Duramen, series: usize) -> String {
    let at = now_ms();
    let mut body = Body::default();

    for n in 0..series {
        body = body.series(
            &[("__name__", "large"), ("n", &n.to_string())],
            &[(at - 600_000, 0.123_456_789_012_345)],
        );
    }

    server.write(body.snappy()).await;

    let start = seconds(at - 600_000);
    let end = seconds(at + 10_000_000);

    let form = [
        ("query", "large"),
        ("start", &*start),
        ("end", &*end),
        ("step", "1"),
        ("lookback_delta", "4h"),
    ];

    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish()
}

#[tokio::test]
async fn a_stop_ends_the_process_in_time_whatever_clients_do() {
    let mut server =
        Duramen::with(&["--http-stop-wait-max", "500ms", "--query-timeout", "10m"]).await;
    let query = large_answer(&server, 300).await;
    let mut open = vec![
        connect(&server),
        slow_write(&server, 0, "Content-Length: 33554432"),
    ];

    for sent in [
        "GET / HTTP/1.1\r\nHo".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_owned(),
        format!("GET /api/v1/query_range?{query} HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!(
            "GET /api/v1/query_range?{} HTTP/1.1\r\nHost: a\r\n\r\n",
            query.replace("query=large", "query=sum(count_over_time(large[600s:1s]))")
        ),
    ] {
        let mut stream = connect(&server);
        stream.write_all(sent.as_bytes()).unwrap();
        open.push(stream);
    }

    // The client reads the head of the large answer, and nothing more.
    let mut answer = [0; 12];
    open[4].read_exact(&mut answer).unwrap();

    assert_eq!(&answer, b"HTTP/1.1 200");

    server.process().signal("TERM");

    let status = server.process().ended(Duration::from_secs(20)).await;
    let log = server.process().log();

    assert!(status.success(), "{status}: {log}");
    assert!(log.contains("their connections were cut"), "{log}");

    drop(open);
}

#[tokio::test]
async fn a_second_signal_ends_the_process_at_once() {
    let mut server = Duramen::with(&[
        "--http-stop-wait-max",
        "10m",
        "--http-body-read-max",
        "10m",
        "--http-body-bytes-per-second-min",
        "0",
    ])
    .await;

    let slow = slow_write(&server, 0, "Content-Length: 33554432");
    server.process().signal("TERM");
    until("a stop", SOON, async || {
        server.process().log().contains("stopping").then_some(())
    })
    .await;

    assert_eq!(server.process().status(), None);

    server.process().signal("TERM");

    let status = server.process().ended(Duration::from_secs(20)).await;
    assert_eq!(status.code(), Some(1), "{}", server.process().log());

    drop(slow);
}

#[tokio::test]
async fn an_answer_that_nobody_reads_holds_its_turn_for_a_while_and_is_cut() {
    let limits = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(limits.path(), "defaults: {query: {concurrency_max: 1}}\n").unwrap();

    let path = limits.path().display().to_string();
    let server = Duramen::with(&["--limits-file", &path, "--http-answer-stall-max", "1s"]).await;
    let query = large_answer(&server, 100).await;

    let mut unread = connect(&server);
    unread
        .write_all(
            format!("GET /api/v1/query_range?{query} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(),
        )
        .unwrap();

    unread.read_exact(&mut [0; 12]).unwrap();

    let refused = server
        .get(
            "/api/v1/query",
            &[("query", "vector(1)"), ("timeout", "10ms")],
        )
        .await;

    assert_eq!(refused.status, 503, "{}", refused.text());

    let stalled = "duramen_http_connections_cut_total{reason=\"answer_stalled\"}";
    until("an answer that is cut", SOON, async || {
        (server.metric(stalled).await > 0.0).then_some(())
    })
    .await;

    let answer = server.get("/api/v1/query", &[("query", "vector(1)")]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(
        !answer_of(unread).ends_with("0\r\n\r\n"),
        "a part is not taken for the whole"
    );
}

#[tokio::test]
async fn an_answer_beyond_its_limit_is_refused_or_cut_and_one_within_it_comes_whole() {
    let limits = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        limits.path(),
        "defaults: {query: {answer_bytes_max: 4MiB}}\n",
    )
    .unwrap();

    let path = limits.path().display().to_string();
    let server = Duramen::with(&["--limits-file", &path]).await;

    // Twenty series of 10,601 points of some 35 bytes are seven megabytes. Less than four of them
    // are known before the answer is written.
    let query = large_answer(&server, 20).await;
    let target = |step: &str| {
        format!(
            "/api/v1/query_range?{}",
            query.replace("step=1&", &format!("step={step}&"))
        )
    };

    let small = server.send(&Request::new("GET", target("2"))).await;
    assert_eq!(small.data()["result"].as_array().unwrap().len(), 20);
    assert_eq!(small.header("transfer-encoding"), Some("chunked"));

    for encoding in ["gzip", "zstd"] {
        let smaller = server
            .send(&Request::new("GET", target("2")).header("Accept-Encoding", encoding))
            .await;
        assert_eq!(smaller.header("content-encoding"), Some(encoding));
        assert!(smaller.body.len() * 5 < small.body.len());
    }

    let cut = Request::new("GET", target("1")).send(server.address).await;
    assert!(cut.is_err(), "a part is not taken for the whole: {cut:?}");

    let limited = "duramen_query_limited_total{tenant=\"anonymous\",limit=\"answer_bytes_max\"}";
    assert!(server.metric(limited).await > 0.0);

    server
        .write({
            let mut body = Body::default();
            for n in 0..200 {
                body = body.series(
                    &[("__name__", "large"), ("more", &n.to_string())],
                    &[(now_ms() - 600_000, 1.0)],
                );
            }
            body.snappy()
        })
        .await;

    let error = server
        .send(&Request::new("GET", target("1")))
        .await
        .error(422, "execution");

    assert!(error.contains("answer_bytes_max=`4194304`"), "{error}");
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_and_health_is_answered() {
    let server = Duramen::with(&["--http-connections-max", "2"]).await;

    // A connection whose request has not arrived would give way. The metrics show when the server
    // reads a body.
    let in_work = || {
        let mut stream = connect(&server);
        let head = "POST /api/v1/write HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 33554432\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
            .read_exact(&mut [0; b"HTTP/1.1 100 Continue".len()])
            .unwrap();

        stream
    };

    let busy = [in_work(), in_work()];
    let refused = until("a refusal", SOON, async || {
        let answer = Request::get("/api/v1/labels", &[])
            .send(server.address)
            .await
            .ok()?;

        (answer.status == 503).then_some(answer)
    })
    .await;
    assert!(
        refused.text().contains("http.connections_max=`2`"),
        "{}",
        refused.text()
    );

    assert_eq!(server.get("/-/healthy", &[]).await.status, 200);

    for stream in busy {
        stream.shutdown(Shutdown::Both).unwrap();
    }

    until("room for a connection", SOON, async || {
        let answer = Request::get("/api/v1/labels", &[])
            .send(server.address)
            .await
            .ok()?;

        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn many_senders_at_once_are_all_answered() {
    let server = Duramen::with(&[
        "--http-bodies-bytes-max",
        "2MiB",
        "--writes-in-flight-bytes-max",
        "2MiB",
        "--writes-wait-max",
        "2m",
        "--http-body-read-max",
        "2m",
    ])
    .await;

    let at = now_ms();

    // Noise does not compress. Each body has some 180 KB, and all together have nine times the
    // bytes that may be read at once.
    let body = |sender: u64| {
        let mut state = sender + 1;
        let mut noise = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64
        };

        let samples: Vec<_> = (0..12_000).map(|n| (at - n, noise())).collect();
        Body::default()
            .series(
                &[("__name__", "noise"), ("sender", &sender.to_string())],
                &samples,
            )
            .snappy()
    };

    let requests: Vec<Request> = (0..100).map(|sender| write(body(sender))).collect();
    let answers =
        futures::future::join_all(requests.iter().map(|request| request.send(server.address)))
            .await;
    let statuses: Vec<u16> = answers
        .into_iter()
        .map(|answer| answer.unwrap().status)
        .collect();

    assert!(statuses.iter().all(|status| *status == 204), "{statuses:?}");
}
