//! Writes that no honest sender sends. Each gets an answer that names its fault, costs little, and
//! does no harm to others.

use duramen_proto::{snappy, wire};

use crate::harness::duramen::{Duramen, write};
use crate::harness::http::{Answer, Request};
use crate::harness::samples::Body;
use crate::harness::wait::now_ms;

/// The most memory that one request may take: a body of 32 MiB, the decoded body, and the columns
/// of the most series and samples while they grow, which is some 100 MiB.
const GROWTH_MAX: u64 = 192 << 20;

/// Sends `body`, and checks the status, the text, and that the server's memory is bounded.
async fn check(
    server: &mut Duramen,
    what: &str,
    request: &Request,
    status: u16,
    text: &str,
) -> Answer {
    let (before, _) = server.process().memory();
    let answer = server.send(request).await;

    assert_eq!(answer.status, status, "{what}: {}", answer.text());
    assert!(answer.text().contains(text), "{what}: {}", answer.text());

    assert!(
        answer.body.len() < 16 << 10,
        "{what}: an answer of {} bytes",
        answer.body.len()
    );

    let (_, most) = server.process().memory();
    assert!(
        most < before + GROWTH_MAX,
        "{what}: memory grew from {before} to {most} bytes"
    );

    assert_eq!(server.get("/-/healthy", &[]).await.status, 200, "{what}");

    answer
}

/// Returns a request with one series of these encoded labels and one sample.
fn series_of(labels: &[u8]) -> Vec<u8> {
    let mut sample = Vec::new();
    let mut series = labels.to_vec();
    let mut body = Vec::new();

    wire::put_fixed64(&mut sample, 1, 1f64.to_bits());
    wire::put_varint_field(&mut sample, 2, now_ms().cast_unsigned());
    wire::put_bytes(&mut series, 2, &sample);
    wire::put_bytes(&mut body, 1, &series);

    body
}

fn label(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut label = Vec::new();
    let mut field = Vec::new();
    wire::put_bytes(&mut label, 1, name);
    wire::put_bytes(&mut label, 2, value);
    wire::put_bytes(&mut field, 1, &label);

    field
}

#[tokio::test]
async fn hostile_snappy_and_protobuf_are_refused_by_name_and_cost_nothing() {
    let mut server = Duramen::local().await;
    let four_gigabytes = vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
    let sixteen_megabytes_of_nothing = vec![0x80, 0x80, 0x80, 0x08];
    let overlong_varint = [vec![0x0a], vec![0xff; 11]].concat();
    let past_the_end = vec![0x0a, 0x7f, 0x01];
    let group = vec![0x0b, 0x0c];
    let field_zero = vec![0x02, 0x00];
    let wrong_wire_type = vec![0x08, 0x01];
    let nested_length = vec![0x0a, 0x04, 0x0a, 0xff, 0xff, 0x0f];

    let cases: [(&str, Vec<u8>, &str); 10] = [
        ("4 GB declared", four_gigabytes, "4294967295"),
        (
            "more declared than there can be",
            sixteen_megabytes_of_nothing,
            "it declares 16777216 bytes",
        ),
        (
            "not snappy",
            b"\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
            "snappy",
        ),
        ("no body", Vec::new(), "snappy"),
        (
            "a varint of 11 bytes",
            snappy::compress(&overlong_varint),
            "varint",
        ),
        (
            "a length past the end",
            snappy::compress(&past_the_end),
            "length passes the end",
        ),
        ("a group", snappy::compress(&group), "wire type"),
        ("field 0", snappy::compress(&field_zero), "number 0"),
        (
            "a series that is a number",
            snappy::compress(&wrong_wire_type),
            "wire type",
        ),
        (
            "a label longer than its series",
            snappy::compress(&nested_length),
            "length passes the end",
        ),
    ];

    for (what, body, text) in cases {
        check(&mut server, what, &write(body), 400, text).await;
    }

    assert_eq!(
        server
            .metric("duramen_ingest_samples_total{tenant=\"anonymous\"}")
            .await,
        0.0
    );
}

#[tokio::test]
async fn a_bomb_of_zeros_and_of_a_million_empty_labels_costs_little() {
    let mut server = Duramen::local().await;
    let zeros = vec![0; 31 << 20];

    check(
        &mut server,
        "31 MiB of zeros",
        &write(snappy::compress(&zeros)),
        400,
        "number 0",
    )
    .await;

    let million = series_of(&b"\x0a\x00".repeat(1_000_000));
    let request = write(snappy::compress(&million));

    check(
        &mut server,
        "a million empty labels",
        &request,
        400,
        "labels_per_series_max",
    )
    .await;

    let empty_series = b"\x0a\x00".repeat(10_000_000);
    check(
        &mut server,
        "ten million empty series",
        &write(snappy::compress(&empty_series)),
        204,
        "",
    )
    .await;

    let mut many = Vec::new();
    for _ in 0..4_000_000 {
        wire::put_bytes(&mut many, 1, b"\x12\x00");
    }

    check(
        &mut server,
        "four million samples without labels",
        &write(snappy::compress(&many)),
        400,
        "max",
    )
    .await;
}

#[tokio::test]
async fn a_body_over_its_limit_is_refused_before_and_after_decoding() {
    let mut server = Duramen::local().await;

    // There is no body: the announced length alone is enough.
    let announced = write(Vec::new()).header("Content-Length", &((32 << 20) + 1).to_string());
    check(
        &mut server,
        "an announced length",
        &announced,
        413,
        "body_bytes_max=`33554432`",
    )
    .await;

    let chunk = [
        b"100000\r\n".to_vec(),
        vec![0xff; 1 << 20],
        b"\r\n".to_vec(),
    ]
    .concat();

    let endless = write(chunk.repeat(40)).header("Transfer-Encoding", "chunked");
    check(
        &mut server,
        "an endless body",
        &endless,
        413,
        "body_bytes_max=`33554432`",
    )
    .await;

    let decoded = snappy::compress(&vec![0; (32 << 20) + 1]);
    check(
        &mut server,
        "33 MiB decoded",
        &write(decoded),
        400,
        "33554432",
    )
    .await;
}

#[tokio::test]
async fn labels_that_are_no_labels_are_refused_by_name() {
    let mut server = Duramen::local().await;
    let name = label(b"__name__", b"m");
    let with = |more: Vec<u8>| write(snappy::compress(&series_of(&[name.clone(), more].concat())));
    let many: Vec<u8> = (0..60)
        .flat_map(|n| label(format!("l{n}").as_bytes(), b"v"))
        .collect();

    let cases = [
        (
            "an invalid value",
            with(label(b"a", b"\xff\xfe")),
            "not UTF-8",
        ),
        (
            "an invalid name",
            with(label(b"\xc3\x28", b"v")),
            "not UTF-8",
        ),
        (
            "a repeated name",
            with([label(b"a", b"1"), label(b"a", b"2")].concat()),
            "stands twice",
        ),
        (
            "a repeated name with the same value",
            with([label(b"a", b"1"), label(b"a", b"1")].concat()),
            "stands twice",
        ),
        (
            "an empty name",
            with(label(b"", b"v")),
            "label name is empty",
        ),
        (
            "a long name",
            with(label(&[b'n'; 1025], b"v")),
            "label_name_bytes_max=`1024`",
        ),
        (
            "a long value",
            with(label(b"a", &[b'v'; 2049])),
            "label_value_bytes_max=`2048`",
        ),
        ("61 labels", with(many), "labels_per_series_max=`60`"),
        (
            "no name",
            write(
                Body::default()
                    .series(&[("a", "b")], &[(now_ms(), 1.0)])
                    .snappy(),
            ),
            "__name__",
        ),
        (
            "an empty metric name",
            write(Body::default().sample("", now_ms(), 1.0).snappy()),
            "__name__",
        ),
        (
            "no labels",
            write(Body::default().series(&[], &[(now_ms(), 1.0)]).snappy()),
            "__name__",
        ),
        (
            "a far future",
            write(
                Body::default()
                    .sample("m", now_ms() + 660_000, 1.0)
                    .snappy(),
            ),
            "future_max_ms=`600000`",
        ),
        (
            "the end of time",
            write(Body::default().sample("m", i64::MAX, 1.0).snappy()),
            "future",
        ),
        (
            "the start of time",
            write(Body::default().sample("m", i64::MIN, 1.0).snappy()),
            "ts_ms_min",
        ),
    ];

    for (what, request, text) in cases {
        let answer = check(&mut server, what, &request, 400, text).await;
        assert!(
            answer.text().contains("series=`"),
            "{what}: {}",
            answer.text()
        );

        assert!(
            answer.text().contains("\nrejected 1 sample: "),
            "{what}: {}",
            answer.text()
        );
    }

    let data = server
        .get(
            "/api/v1/series",
            &[("match[]", "{__name__=~\".*\",__name__!=\"\"}")],
        )
        .await
        .data();

    assert_eq!(data, serde_json::json!([]), "nothing of it is kept");
}

#[tokio::test]
async fn the_valid_part_of_a_write_is_kept_and_the_rest_counted() {
    let server = Duramen::local().await;
    let now = now_ms();

    let body = Body::default()
        .sample("good", now, 1.0)
        .series(&[("no_name", "x")], &[(now, 2.0), (now + 1, 2.0)])
        .series(
            &[("__name__", "mixed")],
            &[(now, 3.0), (now + 3_600_000, 4.0)],
        )
        .series(
            &[("__name__", "twice"), ("a", "1"), ("a", "2")],
            &[(now, 5.0)],
        );

    let answer = server.push(body.snappy()).await;
    assert_eq!(answer.status, 400, "{}", answer.text());

    for text in [
        "rejected 4 samples",
        "no_metric_name=2",
        "far_future=1",
        "repeated_label_name=1",
    ] {
        assert!(answer.text().contains(text), "{}", answer.text());
    }

    assert_eq!(server.value("good", now).await.as_deref(), Some("1"));
    assert_eq!(server.value("mixed", now).await.as_deref(), Some("3"));
    assert_eq!(server.value("twice", now).await, None);

    assert_eq!(
        server
            .metric("duramen_ingest_samples_total{tenant=\"anonymous\"}")
            .await,
        2.0
    );

    for (reason, count) in [
        ("no_metric_name", 2.0),
        ("far_future", 1.0),
        ("repeated_label_name", 1.0),
    ] {
        let series = format!(
            "duramen_ingest_rejected_samples_total{{tenant=\"anonymous\",reason=\"{reason}\"}}"
        );
        assert_eq!(server.metric(&series).await, count, "{reason}");
    }
}

#[tokio::test]
async fn the_same_again_is_a_success_and_another_value_is_not() {
    let server = Duramen::local().await;
    let now = now_ms();

    let body = |value| {
        Body::default()
            .sample("m", now, value)
            .sample("other", now, 7.0)
            .snappy()
    };

    server.write(body(1.0)).await;
    server.write(body(1.0)).await;

    let answer = server.push(body(2.0)).await;
    assert_eq!(answer.status, 400, "{}", answer.text());

    assert!(
        answer.text().contains("another value is held"),
        "{}",
        answer.text()
    );

    assert_eq!(server.value("m", now).await.as_deref(), Some("1"));
    assert_eq!(
        server
            .metric("duramen_ingest_repeated_samples_total{tenant=\"anonymous\"}")
            .await,
        3.0
    );

    let conflicts =
        "duramen_ingest_rejected_samples_total{tenant=\"anonymous\",reason=\"conflict\"}";
    assert_eq!(server.metric(conflicts).await, 1.0);
}

#[tokio::test]
async fn what_is_not_remote_write_is_refused_before_its_body_is_read() {
    let server = Duramen::local().await;
    let corrupt = || Request::new("POST", "/api/v1/write").body("this is no snappy");
    let rw3 = "application/x-protobuf;proto=io.prometheus.write.v3.Request";

    let cases = [
        (
            corrupt().header("Content-Type", "application/json"),
            "application/json",
        ),
        (
            corrupt().header("Content-Type", "text/plain; charset=utf-8"),
            "text/plain",
        ),
        (
            corrupt().header("Content-Type", rw3),
            "io.prometheus.write.v3.Request",
        ),
        (corrupt().header("Content-Encoding", "gzip"), "gzip"),
        (corrupt().header("Content-Encoding", "zstd"), "zstd"),
    ];

    for (request, text) in cases {
        let answer = server.send(&request).await;
        assert_eq!(answer.status, 415, "{request:?}: {}", answer.text());

        assert!(
            answer.text().contains(text),
            "{request:?}: {}",
            answer.text()
        );
    }

    let body = || Body::default().sample("m", now_ms(), 1.0).snappy();

    for request in [
        Request::new("POST", "/api/v1/write").body(body()),
        Request::new("POST", "/api/v1/write")
            .header("Content-Encoding", "")
            .body(body()),
        Request::new("POST", "/api/v1/push").body(body()),
        Request::new("POST", "/prometheus/api/v1/write").body(body()),
        write(body()).header(
            "Content-Type",
            "application/x-protobuf;proto=prometheus.WriteRequest",
        ),
    ] {
        let answer = server.send(&request).await;
        assert_eq!(
            (answer.status, answer.body.len()),
            (204, 0),
            "{request:?}: {}",
            answer.text()
        );
        assert_eq!(answer.header("x-duramen-ack"), Some("local"));
        assert_eq!(
            answer.header("x-prometheus-remote-write-samples-written"),
            None
        );
    }

    for method in ["GET", "PUT", "DELETE"] {
        assert_eq!(
            server
                .send(&Request::new(method, "/api/v1/write"))
                .await
                .status,
            405,
            "{method}"
        );
    }
}

#[tokio::test]
async fn what_a_label_value_may_hold_comes_back_as_it_was() {
    let server = Duramen::local().await;
    let now = now_ms();

    let values = [
        "\0",
        "a\nb",
        "\"quoted\\\"",
        "🚀 wörld",
        "<script>alert(1)</script>",
        " ",
        "\u{feff}",
    ];

    let mut body = Body::default();

    for (n, value) in values.iter().enumerate() {
        // Unsorted, as some senders send them.
        body = body.series(
            &[
                ("z", value),
                ("with.dots and spaces", "y"),
                ("__name__", "m"),
            ],
            &[(now, n as f64)],
        );
    }

    server.write(body.snappy()).await;

    for flushed in [false, true] {
        if flushed {
            server.flush().await;
        }

        let found = server.get("/api/v1/label/z/values", &[]).await.data();
        let mut found: Vec<_> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_str().unwrap().to_owned())
            .collect();

        let mut sent = values.map(str::to_owned);
        found.sort();
        sent.sort();

        assert_eq!(found, sent);

        let names = server.get("/api/v1/labels", &[]).await.data();
        assert_eq!(
            names,
            serde_json::json!(["__name__", "with.dots and spaces", "z"])
        );
    }
}
