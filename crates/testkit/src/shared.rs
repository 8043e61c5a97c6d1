//! The folder of conformance data that is not part of the project: `DURAMEN_SHARED`, or a folder
//! beside the clone.

use std::path::{Path, PathBuf};

/// Returns a path below the shared folder. If it does not exist, prints a line and returns `None`.
/// `DURAMEN_SHARED` may be relative to the workspace.
///
/// # Panics
/// If it does not exist and all tests must run (`DURAMEN_REQUIRE_ALL=1`).
pub fn path(below: &str) -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = std::env::var_os("DURAMEN_SHARED").unwrap_or_else(|| "../shared".into());
    let path = workspace.join(shared).join(below);

    if path.exists() {
        return Some(path);
    }

    assert!(
        std::env::var_os("DURAMEN_REQUIRE_ALL").is_none_or(|v| v != "1"),
        "missing: {below}"
    );

    #[expect(
        clippy::print_stdout,
        reason = "a skip is told in the output of its test"
    )]
    {
        println!("skipped: {below} is not there");
    }
    None
}
