//! The subcommand `blocks`, as a process: of a tenant in a store, and of folders.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value as Json;

use crate::harness::duramen::Duramen;
use crate::harness::samples::Body;
use crate::harness::wait::now_ms;

/// Runs `duramen blocks`.
fn blocks_output(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
    command.env_clear().arg("blocks").args(arguments);
    command.output().unwrap()
}

/// Runs `duramen blocks`, which must succeed. Returns what it prints.
fn done(arguments: &[&str]) -> String {
    let output = blocks_output(arguments);
    let error = String::from_utf8_lossy(&output.stderr);

    assert_eq!(output.status.code(), Some(0), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `duramen blocks`, which must end with this code. Returns the error.
fn failed(code: i32, arguments: &[&str]) -> String {
    let output = blocks_output(arguments);
    let error = String::from_utf8(output.stderr).unwrap();

    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(!error.contains("panicked"), "{error}");
    error
}

/// Returns all files below a folder, with their contents.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];

    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                all.insert(path.clone(), std::fs::read(&path).unwrap());
            }
        }
    }

    all
}

/// Returns the folders in `folder`.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Makes a store with two blocks of the tenant `anonymous`. Metric `a` has a conflict, `b` has the
/// same sample twice, and `c` and `d` are in one block only. The server is stopped.
async fn store() -> Duramen {
    let mut server = Duramen::local().await;
    let now = now_ms();

    let first = Body::default()
        .sample("a", now, 1.0)
        .sample("b", now, 2.0)
        .sample("c", now, 3.0);
    server.write(first.snappy()).await;
    server.flush().await;

    let second = Body::default()
        .sample("a", now, 1.5)
        .sample("b", now, 2.0)
        .sample("d", now, 4.0);
    server.write(second.snappy()).await;
    server.flush().await;

    server.stop().await;
    server
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn blocks_of_a_tenant_become_one_or_siblings_and_the_store_stays_as_it_is() {
    let server = store().await;
    let store = server.data_dir().join("store");
    let url = format!("file://{}", store.display());
    let objects = store.join("t");
    let before = files(&objects);
    let dir = tempfile::tempdir().unwrap();

    // Of the tenant, into one block.
    let merged = dir.path().join("merged");
    let of_tenant = ["--tenant", "anonymous", "--store", &url];
    let said = done(&[&["merge"], &of_tenant[..], &["--out", text(&merged)]].concat());

    for line in [
        "blocks     2 -> 1",
        "series     4",
        "samples    6 -> 4 (1 equal, 1 lost a conflict)",
        "conflicts  1 samples of writer ",
        "names \"a\" to \"d\"",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }

    assert_eq!(folders(&merged).len(), 1);
    assert!(folders(&merged)[0].join("entry.json").is_file());

    // Into siblings.
    let siblings = dir.path().join("siblings");
    let said = done(
        &[
            &["merge"],
            &of_tenant[..],
            &["--out", text(&siblings), "--series-max", "2"],
        ]
        .concat(),
    );
    assert!(said.contains("blocks     2 -> 2"), "{said}");
    assert!(said.contains("names \"c\" to \"d\""), "{said}");

    // The folder of siblings, merged again, has the files of the single block.
    let again = dir.path().join("again");
    let said = done(&["merge", text(&siblings), "--out", text(&again)]);
    assert!(said.contains("blocks     2 -> 1"), "{said}");

    let contents = |folder: &Path| -> Vec<(String, Vec<u8>)> {
        files(folder)
            .into_iter()
            .map(|(path, bytes)| {
                (
                    path.file_name().unwrap().to_str().unwrap().to_owned(),
                    bytes,
                )
            })
            .filter(|(name, _)| name != "entry.json")
            .collect()
    };
    assert_eq!(contents(&again), contents(&merged));

    // Each block of the tenant again, on its own.
    let rewritten = dir.path().join("rewritten");
    let rewrite = ["rewrite", "--zstd-level", "9", "--out", text(&rewritten)];
    let said = done(&[&rewrite[..], &of_tenant].concat());
    assert_eq!(said.matches("blocks     1 -> 1").count(), 2, "{said}");
    assert_eq!(folders(&rewritten).len(), 2);

    assert_eq!(files(&objects), before, "the store is as it was");
}

#[tokio::test]
async fn blocks_are_listed_shown_and_verified() {
    let server = store().await;
    let store = server.data_dir().join("store");
    let url = format!("file://{}", store.display());
    let objects = store.join("t");
    let before = files(&objects);
    let of_tenant = ["--tenant", "anonymous", "--store", &url];
    let said = |task: &str, more: &[&str]| done(&[&[task], &of_tenant[..], more].concat());

    let list = said("ls", &[]);
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 3, "{list}");
    assert!(lines[0].starts_with("BLOCK"), "{list}");

    let json: Json = serde_json::from_str(&said("ls", &["-o", "json"])).unwrap();
    let blocks = json.as_array().unwrap();
    assert_eq!(blocks.len(), 2, "{json}");

    let sum = |count: &str| -> u64 {
        let counts = blocks.iter().map(|block| &block["entry"][count]);
        counts.map(|count| count.as_u64().unwrap()).sum()
    };
    assert_eq!(sum("samples"), 6, "{json}");

    for (block, line) in blocks.iter().zip(&lines[1..]) {
        let id = block["block"].as_str().unwrap();
        assert!(line.starts_with(id), "the same order: {list}");

        let sheet = said("inspect", &["--block", id]);
        for part in [id, "samples.parquet", "resolution    raw", "flush "] {
            assert!(sheet.contains(part), "{part}: {sheet}");
        }
    }

    let verified = said("verify", &[]);
    assert_eq!(verified.matches("good   ").count(), 2, "{verified}");
    assert!(
        verified.ends_with("2 blocks, 0 with a fault\n"),
        "{verified}"
    );
    assert_eq!(files(&objects), before, "the store is as it was");

    // One of the blocks is damaged. The other is looked at as well.
    let samples = files(&objects).into_keys();
    let damaged = samples
        .into_iter()
        .find(|path| path.ends_with("samples.parquet"));
    let damaged = damaged.unwrap();
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[8] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();

    let output = blocks_output(&[&["verify"], &of_tenant[..]].concat());
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("FAULT  t/"), "{said}");
    assert!(said.contains("samples.parquet"), "{said}");
    assert!(said.ends_with("2 blocks, 1 with a fault\n"), "{said}");

    let output = blocks_output(&[&["verify", "-o", "json"], &of_tenant[..]].concat());
    let json: Json = serde_json::from_slice(&output.stdout).unwrap();
    let good = json
        .as_array()
        .unwrap()
        .iter()
        .filter(|block| block["ok"] == true);
    assert_eq!((good.count(), output.status.code()), (1, Some(1)), "{json}");

    // The folder of a block, as it lies in the bucket, has no entry and needs no rank.
    let folder = damaged.parent().unwrap();
    let output = blocks_output(&["verify", text(folder)]);
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn folders_from_a_bucket_have_no_entry_and_rank_as_they_are_given() {
    let server = store().await;
    let objects = server.data_dir().join("store").join("t");
    let copied = files(&objects)
        .into_keys()
        .filter(|path| path.ends_with("meta"))
        .map(|path| path.parent().unwrap().to_owned());

    let mut copied: Vec<PathBuf> = copied.collect();
    copied.sort();
    assert_eq!(copied.len(), 2);

    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let inputs = [text(&copied[0]), text(&copied[1])];
    let before = files(&objects);

    let error = failed(1, &[&["merge", "--out", text(&out)], &inputs[..]].concat());
    assert!(error.contains("--in-order"), "{error}");

    let merge = ["merge", "--in-order", "--out", text(&out)];
    let said = done(&[&merge[..], &inputs].concat());
    assert!(
        said.contains("samples    6 -> 4 (1 equal, 1 lost a conflict)"),
        "{said}"
    );

    // A folder of the output is not overwritten.
    let error = failed(1, &[&merge[..], &inputs].concat());
    assert!(error.contains("is not empty"), "{error}");

    // A damaged input fails and is named, and leaves no output.
    let damaged = dir.path().join("damaged");
    std::fs::create_dir(&damaged).unwrap();

    for entry in std::fs::read_dir(&copied[0]).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();

        if path.ends_with("samples.parquet") {
            bytes[8] ^= 1;
        }

        std::fs::write(damaged.join(path.file_name().unwrap()), bytes).unwrap();
    }

    let out = dir.path().join("none");
    let error = failed(1, &["rewrite", text(&damaged), "--out", text(&out)]);
    assert!(error.contains("damaged"), "{error}");
    assert_eq!(folders(&out), Vec::<PathBuf>::new());

    assert_eq!(files(&objects), before, "the inputs are as they were");
}

#[test]
fn usage_that_cannot_be_ends_with_2_and_work_that_fails_with_1() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let out = dir.path().join("out");

    failed(2, &[]);
    failed(2, &["merge", "--out", text(&out)]);
    failed(2, &["merge", text(&missing)]);
    failed(
        2,
        &[
            "merge",
            text(&missing),
            "--out",
            text(&out),
            "--tenant",
            "a",
        ],
    );
    failed(
        2,
        &[
            "merge",
            text(&missing),
            "--out",
            text(&out),
            "--memory",
            "1MiB",
        ],
    );
    failed(
        2,
        &[
            "merge",
            text(&missing),
            "--out",
            text(&out),
            "--zstd-level",
            "99",
        ],
    );

    let error = failed(1, &["merge", text(&missing), "--out", text(&out)]);
    assert!(error.contains(text(&missing)), "{error}");

    // A store that does not exist is not created.
    let url = format!("file://{}", missing.display());
    let error = failed(
        1,
        &[
            "merge",
            "--tenant",
            "a",
            "--store",
            &url,
            "--out",
            text(&out),
        ],
    );
    assert!(error.contains("there is no store"), "{error}");
    assert!(!missing.exists() && !out.exists());

    let help = done(&["merge", "--help"]);
    assert!(help.contains("Merges all inputs into one block"), "{help}");
}
