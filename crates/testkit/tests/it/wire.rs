//! HTTP by hand, for requests that object_store's client does not send.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use duramen_testkit::s3::S3;

pub(crate) const SIGNED: &str =
    "authorization: AWS4-HMAC-SHA256 Credential=raw/20260101/eu/s3/aws4_request, Signature=0";

/// The status of a response, and all the rest of it as text.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) text: String,
}

/// Sends one request on its own connection. `headers` are complete lines without their ends.
pub(crate) async fn send(
    s3: &S3,
    method: &str,
    target: &str,
    headers: &[&str],
    body: &[u8],
) -> Reply {
    send_to(
        s3.endpoint().trim_start_matches("http://"),
        method,
        target,
        headers,
        body,
    )
    .await
}

pub(crate) async fn send_to(
    address: &str,
    method: &str,
    target: &str,
    headers: &[&str],
    body: &[u8],
) -> Reply {
    try_send_to(address, method, target, headers, body)
        .await
        .unwrap()
}

pub(crate) async fn try_send_to(
    address: &str,
    method: &str,
    target: &str,
    headers: &[&str],
    body: &[u8],
) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(address).await?;
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: s3\r\nconnection: close\r\n");

    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }

    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;

    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await?;

    let text = String::from_utf8(reply).unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    Ok(Reply { status, text })
}
