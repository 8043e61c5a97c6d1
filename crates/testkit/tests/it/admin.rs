//! The server as a process of its own.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use duramen_testkit::s3::{S3, S3Options};

use crate::client::start;
use crate::wire::{SIGNED, send, send_to};

#[tokio::test]
async fn the_binary_tells_its_endpoint_and_its_counts() {
    let mut process = Command::new(env!("CARGO_BIN_EXE_duramen-testkit-s3"))
        .args(["--listen", "127.0.0.1:0", "--bucket", "b"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();

    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let endpoint = lines.next_line().await.unwrap().unwrap();
    let address = endpoint.strip_prefix("http://").unwrap();
    let ask = async |method: &str, target: &str, body: &[u8]| {
        send_to(address, method, target, &[SIGNED], body).await
    };

    assert_eq!(ask("PUT", "/b/k", b"hello").await.status, 200);

    let counts = ask("GET", "/_admin/counts", b"").await.text;
    let counts: serde_json::Value =
        serde_json::from_str(counts.split("\r\n\r\n").nth(1).unwrap()).unwrap();

    assert_eq!(
        (&counts["puts"], &counts["bytes_in"]),
        (&1.into(), &5.into())
    );

    assert_eq!(ask("POST", "/_admin/reset", b"").await.status, 204);
    assert!(
        ask("GET", "/_admin/counts", b"")
            .await
            .text
            .contains("\"puts\":0")
    );

    assert_eq!(ask("POST", "/_admin/outage/on", b"").await.status, 204);
    assert_eq!(ask("GET", "/b/k", b"").await.status, 503);
    assert_eq!(ask("POST", "/_admin/outage/off", b"").await.status, 204);
    assert_eq!(ask("GET", "/b/k", b"").await.status, 200);
}

#[tokio::test]
async fn the_admin_paths_are_served_only_where_asked_for() {
    let without = start().await;
    assert_eq!(
        send(&without, "GET", "/_admin/counts", &[SIGNED], b"")
            .await
            .status,
        404
    );

    let with = S3::start(S3Options {
        admin: true,
        ..S3Options::default()
    })
    .await
    .unwrap();

    assert_eq!(
        send(&with, "GET", "/_admin/counts", &[], b"").await.status,
        200
    );
}
