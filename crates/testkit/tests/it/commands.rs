//! The documents name tests and files that exist. Each filter of a `cargo test` command in
//! `docs/guarantees.md` matches at least one test, and each file in the code map of
//! `ARCHITECTURE.md` exists.
//!
//! The names of tests are read from the sources, because building all test binaries to list them
//! would take minutes.

use std::path::{Path, PathBuf};

/// A `cargo test` command of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct TestCommand {
    /// The package, without the prefix `duramen-`.
    package: String,
    /// Whether it runs `--lib` tests, `--test it` tests, or both. If it names neither, it runs
    /// both.
    lib: bool,
    integration: bool,
    filters: Vec<String>,
}

/// Returns the commands in backticks in a line. A command that begins with `--` has the package of
/// the command before it.
fn commands(line: &str) -> Vec<TestCommand> {
    let mut found: Vec<TestCommand> = Vec::new();

    for quoted in line.split('`').skip(1).step_by(2) {
        let is_command = quoted.contains("cargo test");
        let goes_on =
            !found.is_empty() && (quoted.starts_with("--lib") || quoted.starts_with("--test"));

        if is_command {
            found.push(command(quoted, ""));
        } else if goes_on {
            let package = found[found.len() - 1].package.clone();
            found.push(command(quoted, &package));
        }
    }

    found
}

fn command(text: &str, package: &str) -> TestCommand {
    let mut command = TestCommand {
        package: package.to_owned(),
        ..TestCommand::default()
    };

    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "-p" => {
                let package = words.next().unwrap_or_default();
                command.package = package.trim_start_matches("duramen-").to_owned();
            }
            "--lib" => command.lib = true,
            "--test" => {
                words.next();
                command.integration = true;
            }
            "cargo" | "test" | "--" | "--release" | "--nocapture" => {}
            variable if variable.contains('=') => {}
            filter => command.filters.push(filter.to_owned()),
        }
    }

    if !command.lib && !command.integration {
        command.lib = true;
        command.integration = true;
    }

    command
}

/// Returns the tests of a source file, with the names that `cargo test` has for them.
fn tests_of(source: &str, module: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    // The open modules, each with the indentation of its line.
    let mut open: Vec<(usize, String)> = Vec::new();
    let mut is_test = false;

    for line in source.lines().filter(|line| !line.trim().is_empty()) {
        let text = line.trim_start();
        let indentation = line.len() - text.len();

        if text == "}" && open.last().is_some_and(|(at, _)| *at == indentation) {
            open.pop();
        }

        if let Some(name) = text.strip_suffix(" {").and_then(module_name) {
            open.push((indentation, name.to_owned()));
        }

        if text.starts_with("#[test]") || text.starts_with("#[tokio::test") {
            is_test = true;
        }

        let Some(name) = function_name(text) else {
            continue;
        };

        if is_test {
            let path = module.iter().chain(open.iter().map(|(_, name)| name));
            let mut path: Vec<&str> = path.map(String::as_str).collect();
            path.push(name);
            found.push(path.join("::"));
            is_test = false;
        }
    }

    found
}

fn module_name(text: &str) -> Option<&str> {
    let name = text.strip_prefix("pub(crate) ").unwrap_or(text);
    name.strip_prefix("mod ")
}

fn function_name(text: &str) -> Option<&str> {
    let text = text.strip_prefix("async ").unwrap_or(text);
    text.strip_prefix("fn ")?.split(['(', '<']).next()
}

/// Returns all tests below a folder of sources.
fn tests_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_path_buf(), Vec::new())];

    while let Some((folder, module)) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };

        for entry in entries {
            let path = entry.expect("a readable entry").path();
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let mut inner: Vec<String> = module.clone();

            if !["lib", "main", "mod"].contains(&&*stem) {
                inner.push(stem.into_owned());
            }

            if path.is_dir() {
                folders.push((path, inner));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(&path).expect("a readable source");
                found.extend(tests_of(&source, &inner));
            }
        }
    }

    found
}

/// Says what is wrong with a command: it runs no test, or one of its filters matches none.
fn fault(root: &Path, command: &TestCommand) -> Option<String> {
    let package = root.join("crates").join(&command.package);
    let mut tests = Vec::new();

    if command.lib {
        tests.extend(tests_below(&package.join("src")));
    }
    if command.integration {
        tests.extend(tests_below(&package.join("tests/it")));
    }

    if tests.is_empty() {
        return Some(format!("no tests for {command:?}"));
    }

    let mut filters = command.filters.iter();
    let missed = filters.find(|filter| !tests.iter().any(|test| test.contains(filter.as_str())))?;
    Some(format!("{}: no test has `{missed}`", command.package))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_command_of_the_guarantees_runs_a_test() {
    let page = std::fs::read_to_string(root().join("docs/guarantees.md")).unwrap();
    let commands: Vec<TestCommand> = page.lines().flat_map(commands).collect();
    assert!(commands.len() > 50, "{}", commands.len());

    let faults: Vec<String> = commands
        .iter()
        .filter_map(|command| fault(&root(), command))
        .collect();

    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_command_that_runs_nothing_is_found() {
    let line = "| `cargo test -p duramen-wal --test it -- want_of_space nothing_of_the_kind` |";
    let [command] = &commands(line)[..] else {
        panic!("one command");
    };

    let fault = fault(&root(), command).expect("a fault");
    assert!(fault.contains("`nothing_of_the_kind`"), "{fault}");
}

#[test]
fn commands_and_tests_are_read() {
    let line = "`X=1 cargo test -p duramen-a --lib -- b::c` and `--test it -- d`, `other`";
    let read = commands(line);

    let expected = |lib, integration, filter: &str| TestCommand {
        package: "a".to_owned(),
        lib,
        integration,
        filters: vec![filter.to_owned()],
    };
    assert_eq!(
        read,
        [expected(true, false, "b::c"), expected(false, true, "d")]
    );

    let source = "#[test]\nfn a() {}\nmod tests {\n    #[tokio::test]\n    async fn b() {\n    }\n}\nfn c() {}\n";
    assert_eq!(tests_of(source, &["x".to_owned()]), ["x::a", "x::tests::b"]);
}

/// Returns the files that a row of the code map names, each with its possible locations: below
/// `crates/`, or below a folder of the file before it.
fn files_of(row: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut folder = String::new();

    for name in row.split('`').skip(1).step_by(2) {
        let is_file = name.ends_with(".rs") || name.ends_with('/');
        if !is_file || name.contains(' ') {
            continue;
        }

        let mut places = vec![name.to_owned()];
        let mut above = folder.as_str();

        while let Some((rest, _)) = above.rsplit_once('/') {
            places.push(format!("{above}/{name}"));
            above = rest;
        }

        found.push(places);

        if name.contains("/src/") {
            let end = name.rfind('/').unwrap_or_default();
            folder = name[..end].to_owned();
        }
    }

    found
}

#[test]
fn every_file_of_the_code_map_is_there() {
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let files: Vec<Vec<String>> = rows.flat_map(files_of).collect();
    assert!(files.len() > 40, "{}", files.len());

    let is_there = |name: &String| root().join("crates").join(name).exists();
    let missing: Vec<&Vec<String>> = files
        .iter()
        .filter(|places| !places.iter().any(is_there))
        .collect();

    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn a_file_of_a_code_map_is_looked_for_beside_the_one_before() {
    assert_eq!(
        files_of("| x | `a/src/b/c.rs`, `d.rs`: text; `e/` |"),
        [
            vec!["a/src/b/c.rs"],
            vec!["d.rs", "a/src/b/d.rs", "a/src/d.rs"],
            vec!["e/", "a/src/b/e/", "a/src/e/"],
        ]
    );
}
