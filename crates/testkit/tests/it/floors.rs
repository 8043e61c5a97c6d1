//! Dependencies between the crates of the workspace only go down. The test compares `cargo
//! metadata` with the table in `ARCHITECTURE.md`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// The floor of a crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Floor {
    /// A crate of this floor may depend only on lower floors.
    Shipped(u64),
    /// A crate for tests. It may depend on any crate, but no shipped crate may depend on it.
    Dev,
}

/// A violation of the rules.
#[derive(Debug, PartialEq, Eq)]
enum Violation {
    /// `from` depends on `to`, which is not on a lower floor.
    NotDown { from: String, to: String },
    /// `from` is shipped but depends on `to`, which is not.
    ShipsDev { from: String, to: String },
    /// The table does not list a crate that the workspace has, or that `user` depends on.
    Unlisted { name: String, user: Option<String> },
    /// The table lists a crate that the workspace does not have.
    Absent { name: String },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDown { from, to } => write!(
                f,
                "`{from}` depends on `{to}`, which is not on a lower floor"
            ),
            Self::ShipsDev { from, to } => write!(
                f,
                "`{from}` is shipped and depends on `{to}`, which is for tests"
            ),
            Self::Unlisted { name, user: None } => write!(f, "`{name}` is not in the table"),
            Self::Unlisted {
                name,
                user: Some(user),
            } => {
                write!(
                    f,
                    "`{name}`, on which `{user}` depends, is not in the table"
                )
            }
            Self::Absent { name } => write!(f, "`{name}` is in the table and not in the workspace"),
        }
    }
}

/// The result of a check.
#[derive(Debug, Default, PartialEq, Eq)]
struct Findings {
    violations: Vec<Violation>,
    /// Edges `(from, to)` that only tests have. They would be violations otherwise.
    exempt: Vec<(String, String)>,
}

/// Reads the rows `| floor | `crate` | .. |` of the first table after the heading `## Crates and
/// floors`.
fn read_table(page: &str) -> BTreeMap<String, Floor> {
    let section = page
        .split_once("\n## Crates and floors\n")
        .map_or("", |(_, behind)| behind);
    let section = section.split("\n## ").next().unwrap_or("");

    let rows = section.lines().filter_map(|line| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        let floor = match cells.next()? {
            "dev" => Floor::Dev,
            number => Floor::Shipped(number.parse().ok()?),
        };

        Some((
            cells
                .next()?
                .strip_prefix('`')?
                .strip_suffix('`')?
                .to_owned(),
            floor,
        ))
    });

    rows.collect()
}

/// Returns the name of a crate as it is in the table.
fn short(name: &str) -> String {
    name.strip_prefix("duramen-").unwrap_or(name).to_owned()
}

/// Compares the output of `cargo metadata` with the table. Pure.
///
/// A dependency on a crate of this workspace has a path. It counts in every kind of dependency
/// table (`target`, `build`), and under any name.
fn check(metadata: &Value, table: &BTreeMap<String, Floor>) -> Findings {
    let mut found = Findings::default();
    let packages = metadata["packages"]
        .as_array()
        .expect("cargo lists packages");
    let names: Vec<String> = packages
        .iter()
        .map(|p| short(p["name"].as_str().expect("a package has a name")))
        .collect();

    for name in table.keys().filter(|name| !names.contains(name)) {
        found
            .violations
            .push(Violation::Absent { name: name.clone() });
    }

    for (from, package) in names.iter().zip(packages) {
        let Some(from_floor) = table.get(from) else {
            found.violations.push(Violation::Unlisted {
                name: from.clone(),
                user: None,
            });

            continue;
        };

        let dependencies = package["dependencies"]
            .as_array()
            .expect("a package lists its dependencies");

        for dependency in dependencies.iter().filter(|d| d["path"].is_string()) {
            let to = short(
                dependency["name"]
                    .as_str()
                    .expect("a dependency has a name"),
            );

            let Some(violation) = check_edge((from, *from_floor), (&to, table.get(&to).copied()))
            else {
                continue;
            };

            if dependency["kind"] == "dev" {
                found.exempt.push((from.clone(), to));
            } else {
                found.violations.push(violation);
            }
        }
    }

    found
}

fn check_edge(
    (from, from_floor): (&str, Floor),
    (to, to_floor): (&str, Option<Floor>),
) -> Option<Violation> {
    let edge = || (from.to_owned(), to.to_owned());

    match (from_floor, to_floor) {
        (_, None) => Some(Violation::Unlisted {
            name: to.to_owned(),
            user: Some(from.to_owned()),
        }),
        (Floor::Shipped(upper), Some(Floor::Shipped(lower))) if lower >= upper => {
            let (from, to) = edge();
            Some(Violation::NotDown { from, to })
        }
        (Floor::Shipped(_), Some(Floor::Dev)) => {
            let (from, to) = edge();
            Some(Violation::ShipsDev { from, to })
        }
        _ => None,
    }
}

fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn edges_of_the_workspace_only_go_down() {
    let root = workspace_root();
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());

    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(&root)
        .output()
        .unwrap();

    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let table = read_table(&std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap());
    let found = check(&metadata, &table);

    for (from, to) in &found.exempt {
        println!("exempt, for tests only: {from} -> {to}");
    }

    let violations: Vec<_> = found.violations.iter().map(ToString::to_string).collect();
    assert!(
        violations.is_empty(),
        "against ARCHITECTURE.md:\n{}",
        violations.join("\n")
    );
}

/// Checks a workspace with the crates `base` 0, `left` 1, `right` 1, `top` 2 and `kit` dev. Each of
/// `edges` is `(from, to, kind)`.
fn check_made_up(edges: &[(&str, &str, Option<&str>)]) -> Findings {
    let page = "# A\n| 7 | `elsewhere` |\n\n## Crates and floors\n\n| floor | crate | what |\n|---|---|---|\n| 0 | `base` | x |\n\
                | 1 | `left` | x |\n| 1 | `right` | x |\n| 2 | `top` | x |\n| dev | `kit` | x |\n\n## Next\n| 9 | `later` | x |\n";
    let package = |name: &str| {
        let dependencies: Vec<Value> = edges
            .iter()
            .filter(|(from, ..)| *from == name)
            .map(|(_, to, kind)| json!({ "name": format!("duramen-{to}"), "kind": kind, "path": "crates/x", "target": "cfg(unix)" }))
            .chain([json!({ "name": "serde", "kind": null, "path": null })])
            .collect();

        json!({ "name": format!("duramen-{name}"), "dependencies": dependencies })
    };

    let packages: Vec<Value> = ["base", "left", "right", "top", "kit"].map(package).into();
    check(&json!({ "packages": packages }), &read_table(page))
}

fn texts(found: &Findings) -> Vec<String> {
    found.violations.iter().map(ToString::to_string).collect()
}

#[test]
fn edges_down_are_allowed() {
    let found = check_made_up(&[
        ("top", "left", None),
        ("top", "base", Some("build")),
        ("kit", "top", None),
    ]);

    assert_eq!(found, Findings::default());
}

#[test]
fn an_edge_up_is_found() {
    assert_eq!(
        texts(&check_made_up(&[("base", "top", None)])),
        ["`base` depends on `top`, which is not on a lower floor"]
    );
}

#[test]
fn an_edge_sideways_is_found() {
    assert_eq!(
        texts(&check_made_up(&[("left", "right", None)])),
        ["`left` depends on `right`, which is not on a lower floor"]
    );
}

#[test]
fn an_edge_of_a_build_script_counts() {
    assert_eq!(
        texts(&check_made_up(&[("base", "left", Some("build"))])),
        ["`base` depends on `left`, which is not on a lower floor"]
    );
}

#[test]
fn a_shipped_edge_to_a_crate_for_tests_is_found() {
    assert_eq!(
        texts(&check_made_up(&[("top", "kit", None)])),
        ["`top` is shipped and depends on `kit`, which is for tests"]
    );
}

#[test]
fn edges_for_tests_are_exempt_and_listed() {
    let found = check_made_up(&[
        ("base", "kit", Some("dev")),
        ("left", "right", Some("dev")),
        ("top", "base", Some("dev")),
    ]);

    assert_eq!(texts(&found), Vec::<String>::new());

    let own = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    assert_eq!(found.exempt, [own("base", "kit"), own("left", "right")]);
}

#[test]
fn a_crate_that_the_table_does_not_list_is_found() {
    let table = BTreeMap::from([("base".to_owned(), Floor::Shipped(0))]);
    let edge = json!({ "name": "duramen-new", "kind": null, "path": "crates/new" });
    let packages = json!([
        { "name": "duramen-base", "dependencies": [edge] },
        { "name": "duramen-new", "dependencies": [] },
    ]);

    assert_eq!(
        texts(&check(&json!({ "packages": packages }), &table)),
        [
            "`new`, on which `base` depends, is not in the table",
            "`new` is not in the table"
        ]
    );
}

#[test]
fn a_crate_that_only_the_table_has_is_found() {
    let table = BTreeMap::from([("gone".to_owned(), Floor::Dev)]);
    assert_eq!(
        texts(&check(&json!({ "packages": [] }), &table)),
        ["`gone` is in the table and not in the workspace"]
    );
}
