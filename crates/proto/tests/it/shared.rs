//! The folder of conformance data, which is not part of the project.

#![expect(clippy::print_stdout, reason = "a skip is said aloud")]

use std::path::{Path, PathBuf};

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
