//! Requests that object_store's client does not send.

use std::io::ErrorKind;

use duramen_testkit::s3::{Fault, Op, Rule, When};

use crate::client::start;
use crate::wire::{SIGNED, send, try_send_to};

#[tokio::test]
async fn an_unsigned_request_is_refused() {
    let s3 = start().await;
    s3.plant("k", "x");

    let reply = send(&s3, "GET", "/test/k", &[], b"").await;
    assert_eq!(reply.status, 403);

    assert!(
        reply.text.contains("<Code>AccessDenied</Code>"),
        "{}",
        reply.text
    );

    assert_eq!(
        send(&s3, "GET", "/test/k", &[SIGNED], b"").await.status,
        200
    );
}

#[tokio::test]
async fn a_plain_delete_is_204_whether_or_not_the_object_was_there() {
    let s3 = start().await;
    s3.plant("a b", "x");

    for _ in 0..2 {
        assert_eq!(
            send(&s3, "DELETE", "/test/a%20b", &[SIGNED], b"")
                .await
                .status,
            204
        );
    }

    assert!(s3.objects().is_empty());
    assert_eq!(s3.counts().deletes, 2);
}

#[tokio::test]
async fn a_plus_in_a_path_is_no_space() {
    let s3 = start().await;
    send(&s3, "PUT", "/test/a+b", &[SIGNED], b"raw").await;
    send(&s3, "PUT", "/test/a%2Bb", &[SIGNED], b"escaped").await;

    assert_eq!(s3.objects().len(), 1);
    assert_eq!(s3.object("a+b").unwrap(), "escaped");

    s3.plant("a+b/c", "x");

    let list = send(&s3, "GET", "/test?list-type=2&prefix=a%2Bb", &[SIGNED], b"").await;
    assert!(list.text.contains("<Key>a+b</Key>"), "{}", list.text);

    let list = send(
        &s3,
        "GET",
        "/test?list-type=2&prefix=a%2Bb&encoding-type=url",
        &[SIGNED],
        b"",
    )
    .await;
    assert!(list.text.contains("<Key>a%2Bb/c</Key>"), "{}", list.text);
}

#[tokio::test]
async fn the_head_of_an_object_is_its_get_without_the_body() {
    let s3 = start().await;
    s3.plant("k", "0123456789");

    let head = send(&s3, "HEAD", "/test/k", &[SIGNED], b"").await;
    assert!(
        head.text.contains("content-length: 10\r\n") && head.text.ends_with("\r\n\r\n"),
        "{}",
        head.text
    );

    let part = send(&s3, "GET", "/test/k", &[SIGNED, "range: bytes=-2"], b"").await;
    assert_eq!(part.status, 206);

    assert!(
        part.text.contains("content-range: bytes 8-9/10\r\n") && part.text.ends_with("\r\n\r\n89"),
        "{}",
        part.text
    );

    let beyond = send(&s3, "GET", "/test/k", &[SIGNED, "range: bytes=10-"], b"").await;
    assert_eq!(beyond.status, 416);

    assert!(
        beyond.text.contains("content-range: bytes */10\r\n"),
        "{}",
        beyond.text
    );
}

#[tokio::test]
async fn chunks_with_signatures_are_taken_apart() {
    let s3 = start().await;
    let headers = [
        SIGNED,
        "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "x-amz-decoded-content-length: 5",
    ];

    let body =
        b"3;chunk-signature=a\r\nhel\r\n2;chunk-signature=b\r\nlo\r\n0;chunk-signature=c\r\n\r\n";
    assert_eq!(
        send(&s3, "PUT", "/test/k", &headers, body).await.status,
        200
    );

    assert_eq!(s3.object("k").unwrap(), "hello");
    assert_eq!(s3.counts().bytes_in, 5);

    let short = send(&s3, "PUT", "/test/l", &headers, b"3\r\nhel\r\n0\r\n\r\n").await;
    assert_eq!(short.status, 400);
    assert!(s3.object("l").is_none());
}

#[tokio::test]
async fn the_bucket_tells_whether_it_keeps_versions_or_locks() {
    let s3 = start().await;
    let ask = async |what: &str| send(&s3, "GET", &format!("/test?{what}"), &[SIGNED], b"").await;

    assert!(!ask("versioning").await.text.contains("Enabled"));
    assert_eq!(ask("object-lock").await.status, 404);

    s3.set_versioned(true);
    s3.set_locked(true);

    assert!(
        ask("versioning")
            .await
            .text
            .contains("<Status>Enabled</Status>")
    );

    assert!(
        ask("object-lock")
            .await
            .text
            .contains("<ObjectLockEnabled>Enabled</ObjectLockEnabled>")
    );
}

#[tokio::test]
async fn what_is_not_understood_is_refused_and_not_guessed() {
    let s3 = start().await;
    s3.plant("k", "x");

    let check = async |method: &str, target: &str, headers: &[&str], body: &[u8], expected: u16| {
        let reply = send(&s3, method, target, headers, body).await;
        assert_eq!(reply.status, expected, "{method} {target} {}", reply.text);
    };

    check("PUT", "/test/k?tagging", &[SIGNED], b"x", 501).await;
    check(
        "PUT",
        "/test/k",
        &[SIGNED, "if-none-match: \"tag\""],
        b"x",
        501,
    )
    .await;
    check("GET", "/test/k?versionId=1", &[SIGNED], b"", 501).await;

    check(
        "GET",
        "/test/k",
        &[SIGNED, "range: bytes=0-0,2-2"],
        b"",
        501,
    )
    .await;
    check("GET", "/test/%FF", &[SIGNED], b"", 400).await;
    check("POST", "/test?delete", &[SIGNED], b"\xff<", 400).await;
    check("POST", "/test?delete", &[SIGNED], b"<Delete></Delete>", 400).await;

    check(
        "PUT",
        "/test/k?partNumber=0&uploadId=upload-00000001",
        &[SIGNED],
        b"",
        400,
    )
    .await;
    check(
        "PUT",
        "/test/k?partNumber=1&uploadId=none",
        &[SIGNED],
        b"",
        404,
    )
    .await;
    check(
        "GET",
        "/test?list-type=2&continuation-token=%FF",
        &[SIGNED],
        b"",
        400,
    )
    .await;
    check(
        "GET",
        "/test?list-type=2&max-keys=many",
        &[SIGNED],
        b"",
        400,
    )
    .await;
    assert_eq!(s3.object("k").unwrap(), "x");
    assert_eq!(s3.counts().failures, 11);

    assert_eq!(
        s3.log()
            .iter()
            .filter(|entry| entry.op == Op::Other)
            .count(),
        2
    );
}

#[tokio::test]
async fn a_quiet_delete_names_no_key() {
    let s3 = start().await;
    s3.plant(" a & b", "x");

    let body = b"<Delete><Quiet>true</Quiet><Object><Key> a &amp; b</Key></Object></Delete>";
    let reply = send(&s3, "POST", "/test?delete", &[SIGNED], body).await;

    assert!(!reply.text.contains("<Deleted>"), "{}", reply.text);
    assert!(s3.objects().is_empty());
}

#[tokio::test]
async fn a_reset_is_a_reset_and_not_a_polite_end() {
    for fault in [Fault::ResetBeforeCommit, Fault::ResetAfterCommit] {
        let s3 = start().await;
        s3.inject(Rule {
            when: When::any(),
            fault,
        });

        let endpoint = s3.endpoint();
        let address = endpoint.trim_start_matches("http://");
        let error = try_send_to(address, "PUT", "/test/k", &[SIGNED], b"x")
            .await
            .unwrap_err();

        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn a_truncated_body_starts_with_the_true_bytes_under_the_full_length() {
    let s3 = start().await;
    s3.plant("k", "0123456789");
    s3.inject(Rule {
        when: When::any(),
        fault: Fault::TruncateBody(4),
    });

    let reply = send(&s3, "GET", "/test/k", &[SIGNED], b"").await;
    assert!(
        reply.text.contains("content-length: 10\r\n") && reply.text.ends_with("\r\n\r\n0123"),
        "{}",
        reply.text
    );
}
