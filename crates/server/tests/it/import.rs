//! `duramen blocks import`, as a process: blocks that Prometheus' own tool has made.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value as Json;

use crate::harness::duramen::Duramen;
use crate::harness::process::{program, skip};

const SERIES: usize = 5;
const STEP_S: i64 = 15;
/// Three hours, which a TSDB has in two blocks of two hours.
const STEPS: i64 = 720;
const START_S: i64 = 1_700_000_000 / 7200 * 7200;
const END_MS: i64 = (START_S + (STEPS - 1) * STEP_S) * 1000;

fn import(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
    command
        .env_clear()
        .args(["blocks", "import"])
        .args(arguments)
        .output()
        .unwrap()
}

/// Runs an import, which must succeed. Returns its answer.
fn imported(arguments: &[&str]) -> Json {
    let output = import(&[&["-o", "json"], arguments].concat());
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn sum(answer: &Json, count: &str) -> u64 {
    let all = answer.as_array().unwrap().iter();
    all.map(|block| block[count].as_u64().unwrap()).sum()
}

/// Makes a TSDB with two blocks in `folder`. `None` without the tool of Prometheus.
fn tsdb(folder: &Path) -> Option<PathBuf> {
    let tool = program("DURAMEN_TEST_PROMETHEUS", "prometheus")?.with_file_name("promtool");
    if !tool.is_file() {
        skip("there is no promtool beside Prometheus");
        return None;
    }

    let mut lines = String::from("# TYPE requests counter\n");

    for series in 0..SERIES {
        for step in 0..STEPS {
            let at = START_S + step * STEP_S;
            writeln!(
                lines,
                "requests_total{{instance=\"i{series}\"}} {step}.5 {at}"
            )
            .unwrap();
        }
    }

    lines.push_str("# EOF\n");
    let text = folder.join("openmetrics.txt");
    std::fs::write(&text, lines).unwrap();

    let data = folder.join("data");
    let output = Command::new(tool)
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&text, &data])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");

    Some(data)
}

#[tokio::test]
async fn blocks_of_a_tsdb_are_answered_after_an_import_and_a_second_one_adds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(data) = tsdb(folder.path()) else {
        return;
    };
    let data = data.to_str().unwrap();

    let mut server = Duramen::local().await;
    server.stop().await;

    let url = format!("file://{}", server.data_dir().join("store").display());
    let to_tenant = [data, "--tenant", "anonymous", "--store", &url];
    let samples = SERIES as u64 * STEPS.unsigned_abs();

    let tried = imported(&[&to_tenant[..], &["--dry-run"]].concat());
    assert_eq!(sum(&tried, "samples"), samples, "{tried}");

    let first = imported(&to_tenant);
    assert_eq!(first.as_array().unwrap().len(), 2, "{first}");
    assert_eq!(
        (sum(&first, "samples"), sum(&first, "blocks")),
        (samples, 2)
    );

    let second = imported(&to_tenant);
    let outcomes = second.as_array().unwrap().iter();
    assert!(
        outcomes.clone().all(|block| block["outcome"] == "there"),
        "{second}"
    );

    server.start().await;

    for (query, expected) in [
        ("count(requests_total)", SERIES.to_string()),
        (
            "sum(count_over_time(requests_total[3h1s]))",
            samples.to_string(),
        ),
        ("max(requests_total)", format!("{}.5", STEPS - 1)),
        (
            "sum(requests_total offset 1h)",
            (SERIES as f64 * 479.5).to_string(),
        ),
    ] {
        let value = server.value(query, END_MS).await;
        assert_eq!(value.as_deref(), Some(expected.as_str()), "{query}");
    }
}

#[test]
fn blocks_of_a_tsdb_in_a_folder_pass_the_audit_and_a_damaged_one_does_not_stop_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let Some(data) = tsdb(folder.path()) else {
        return;
    };

    // One of them is damaged.
    let blocks = std::fs::read_dir(&data).unwrap();
    let mut blocks: Vec<PathBuf> = blocks.map(|entry| entry.unwrap().path()).collect();
    blocks.retain(|path| path.is_dir());
    blocks.sort();
    let index = blocks[0].join("index");
    let mut bytes = std::fs::read(&index).unwrap();
    bytes[9] ^= 1;
    std::fs::write(&index, bytes).unwrap();

    let out = folder.path().join("out");
    let output = import(&[data.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("FAILED") && said.contains("index"), "{said}");
    assert!(said.contains("imported"), "{said}");

    let mut verify = Command::new(env!("CARGO_BIN_EXE_duramen"));
    let verified = verify
        .env_clear()
        .args(["blocks", "verify"])
        .arg(&out)
        .output();
    let verified = verified.unwrap();
    let said = String::from_utf8(verified.stdout).unwrap();
    assert_eq!(verified.status.code(), Some(0), "{said}");
    assert!(said.ends_with("1 blocks, 0 with a fault\n"), "{said}");

    let none = import(&[folder.path().to_str().unwrap(), "--dry-run"]);
    let error = String::from_utf8(none.stderr).unwrap();
    assert_eq!(none.status.code(), Some(1));
    assert!(error.contains("no block of a TSDB is in"), "{error}");
}
