//! The cause of an end of the process is in the last line of its log, in the words that
//! `docs/operations.md` tells people to look for.

#![expect(clippy::unwrap_used, reason = "a fault of a helper fails its test")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use duramen_testkit::s3::{S3, S3Options};

use crate::harness::duramen::{Duramen, write};
use crate::harness::http::Request;
use crate::harness::process::{Process, free_address};
use crate::harness::samples::Body;
use crate::harness::wait::{now_ms, until};

const OPERATIONS: &str = include_str!("../../../../docs/operations.md");
const PATIENCE: Duration = Duration::from_secs(120);

/// Returns the words in the first column of the table of causes, without the parts that vary.
fn told() -> Vec<&'static str> {
    let section = OPERATIONS.split("## What to do when").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let cells = section
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());

    cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(|words| words.split(". ").next().unwrap())
        .collect()
}

/// Checks the log of a process that has ended.
fn check(log: &str, words: &str) {
    assert!(
        told().contains(&words),
        "docs/operations.md does not tell of {words:?}: {:?}",
        told()
    );

    let last = log
        .lines()
        .rfind(|line| !line.is_empty())
        .unwrap_or_default();

    assert!(
        last.starts_with("error: ") && last.contains(words),
        "the last line does not say {words:?}:\n{log}"
    );
}

/// Starts a process that fails to start, and returns its log.
async fn ended(
    server: &Duramen,
    address: SocketAddr,
    data_dir: &Path,
    arguments: &[&str],
) -> String {
    let log = data_dir.with_file_name("log-of-the-end");
    let mut command = server.command(address, data_dir);
    command.args(arguments);

    let mut process = Process::start(&mut command, &log);
    let status = process.ended(PATIENCE).await;

    assert!(!status.success(), "{}", process.log());

    process.log()
}

#[tokio::test]
async fn a_start_that_cannot_be_says_why_in_its_last_line() {
    let running = Duramen::local().await;
    let log = ended(&running, free_address(), &running.data_dir(), &[]).await;
    check(&log, "the data directory is in use by another process");

    let other = running.data_dir().with_file_name("other");
    let log = ended(&running, running.address, &other, &[]).await;
    check(&log, "Address already in use");

    let limits = running.data_dir().with_file_name("limits.yml");
    std::fs::write(&limits, "tenants: {a: {ingest: {series_max: many}}}\n").unwrap();

    let log = ended(
        &running,
        free_address(),
        &other,
        &["--limits-file", limits.to_str().unwrap()],
    )
    .await;
    check(&log, "the limits file");

    let log = ended(
        &running,
        free_address(),
        &other,
        &["--limits-file", "/there/is/none.yml"],
    )
    .await;
    check(&log, "the limits file");

    let log = ended(
        &running,
        free_address(),
        &other,
        &["--flush-interval", "soon"],
    )
    .await;
    assert!(log.contains("--flush-interval"), "{log}");
}

#[tokio::test]
async fn a_store_that_cannot_be_used_is_told_in_the_last_line() {
    let first = S3::start(S3Options::default()).await.unwrap();
    let second = S3::start(S3Options::default()).await.unwrap();
    let mut server = Duramen::on(&first).await;

    server.stop().await;
    server.points_at(&second);

    let log = ended(&server, free_address(), &server.data_dir(), &[]).await;
    check(&log, "the store belongs to another deployment");

    let dishonest = S3Options {
        honest_conditional_puts: false,
        ..S3Options::default()
    };

    let dishonest = S3::start(dishonest).await.unwrap();
    server.points_at(&dishonest);

    let log = ended(
        &server,
        free_address(),
        &server.data_dir().with_file_name("new"),
        &[],
    )
    .await;
    check(&log, "the store cannot be used");
}

/// Makes `fdatasync` fail once a file exists at `FAILS`.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
int fdatasync(int fd) {
    const char *path = getenv("FAILS");
    if (path && access(path, F_OK) == 0) { errno = EIO; return -1; }
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
    return real(fd);
}
"#;

#[tokio::test]
async fn a_disk_that_fails_is_told_in_the_last_line() {
    let server = Duramen::stopped(&[]);
    let folder = server.data_dir().parent().unwrap().to_owned();
    let source = folder.join("shim.c");
    let shim = folder.join("shim.so");
    let fails = folder.join("fails");

    std::fs::write(&source, SHIM).unwrap();

    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&shim, &source])
        .arg("-ldl")
        .status();

    if !built.is_ok_and(|status| status.success()) {
        eprintln!("skipped: there is no C compiler");
        return;
    }

    let address = free_address();
    let mut command = server.command(address, &server.data_dir());
    command.env("LD_PRELOAD", &shim).env("FAILS", &fails);

    let mut process = Process::start(&mut command, &folder.join("log-of-the-disk"));
    until("a ready server", PATIENCE, async || {
        let answer = Request::get("/-/ready", &[]).send(address).await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;

    let body = || Body::default().sample("m", now_ms(), 1.0).snappy();

    // The first write of a tenant also goes to the store, which is on the same disk.
    let stored = write(body()).send(address).await.unwrap();
    assert_eq!(stored.status, 204, "{}", stored.text());

    std::fs::write(&fails, "").unwrap();

    let _ = write(body()).send(address).await;
    assert!(!process.ended(PATIENCE).await.success());

    check(&process.log(), "the disk failed");
}
