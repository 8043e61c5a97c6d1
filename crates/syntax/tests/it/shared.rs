//! The folder of conformance data, which is not part of the project.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The folder, from `DURAMEN_SHARED` or beside the workspace. `None` when it is not there: the test says what it skips. With
/// `DURAMEN_REQUIRE_ALL=1` that is a failure.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = std::env::var_os("DURAMEN_SHARED").map_or_else(|| "../shared".into(), PathBuf::from);
    let folder = workspace.join(shared).join("conformance").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    let required = std::env::var("DURAMEN_REQUIRE_ALL").is_ok_and(|value| value == "1");
    assert!(!required, "conformance data is missing: {name}");
    println!("skipped: there is no conformance data for {name}");
    None
}

/// One JSON value per line.
pub(crate) fn json_lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).expect("readable");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}
