//! A process that has no file descriptor left.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::duramen::Duramen;
use crate::harness::http::Request;
use crate::harness::process::Process;
use crate::harness::samples::Body;
use crate::harness::wait::{now_ms, until};

const PATIENCE: Duration = Duration::from_secs(60);
/// The limit of descriptors: the reserve, the files that the process always has open, and a few
/// connections.
const DESCRIPTORS: usize = 128;

/// Starts `command` with so low a hard limit of descriptors that it cannot raise its own.
fn start_with_few(command: &Command, log: &std::path::Path) -> Process {
    let script = format!("ulimit -n {DESCRIPTORS} && exec \"$0\" \"$@\"");
    let mut limited = Command::new("sh");
    limited
        .args(["-c", &script])
        .arg(command.get_program())
        .args(command.get_args());

    limited.env_clear().envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );

    Process::start(&mut limited, log)
}

async fn ready(address: SocketAddr, process: &mut Process) {
    until("a ready server", PATIENCE, async || {
        assert!(process.status().is_none(), "{}", process.log());

        let answer = Request::get("/-/ready", &[]).send(address).await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;
}

/// Sends a write, and returns the status. An idle connection may have to give way to others. The
/// write is then sent on a new one, as senders do.
async fn push(address: SocketAddr, body: &[u8]) -> u16 {
    until("a connection that is taken", PATIENCE, async || {
        let mut connection = TcpStream::connect(address).await.ok()?;
        push_on(&mut connection, body).await
    })
    .await
}

/// Returns `None` if the connection ends before the answer.
async fn push_on(connection: &mut TcpStream, body: &[u8]) -> Option<u16> {
    let head = format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
         X-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );

    connection.write_all(head.as_bytes()).await.ok()?;
    connection.write_all(body).await.ok()?;

    let mut answer = Vec::new();

    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(
            tokio::time::timeout(PATIENCE, connection.read_u8())
                .await
                .unwrap()
                .ok()?,
        );
    }

    let text = String::from_utf8(answer).unwrap();
    text.split(' ').nth(1).unwrap().parse().ok()
}

/// Returns a body that is so large that a few of them fill a segment of one mebibyte.
fn body(number: i64, start_ms: i64) -> Vec<u8> {
    let samples: Vec<_> = (0..20_000)
        .map(|at| (start_ms + number * 20_000 + at, at as f64 * 0.1))
        .collect();
    Body::default()
        .series(&[("__name__", "m")], &samples)
        .snappy()
}

#[tokio::test]
async fn without_a_descriptor_left_the_log_rotates_heads_are_flushed_and_the_process_lives() {
    let server = Duramen::stopped(&["--wal-segment-bytes-max", "1MiB", "--flush-interval", "1s"]);
    let command = server.command(server.address, &server.data_dir());
    let log = server.data_dir().parent().unwrap().join("log");
    let mut process = start_with_few(&command, &log);

    ready(server.address, &mut process).await;

    let start_ms = now_ms() - 3_600_000;
    assert_eq!(push(server.address, &body(0, start_ms)).await, 204);

    let mut idle = Vec::new();
    for _ in 0..DESCRIPTORS * 2 {
        idle.push(TcpStream::connect(server.address).await.unwrap());
    }

    // About ten rotations, and a flush every second.
    let mut acknowledged = 1;
    for number in 1..40 {
        acknowledged += u64::from(push(server.address, &body(number, start_ms)).await == 204);
    }

    assert_eq!(acknowledged, 40, "{}", process.log());
    assert!(process.status().is_none(), "{}", process.log());

    drop(idle);

    process.kill();

    let mut process = start_with_few(&command, &log);
    ready(server.address, &mut process).await;

    let value = server.value("count_over_time(m[2h])", now_ms()).await;
    assert_eq!(value, Some((acknowledged * 20_000).to_string()));
}
