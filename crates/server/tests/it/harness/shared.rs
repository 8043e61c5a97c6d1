//! Where the conformance data lies that is not part of the project.

use std::path::PathBuf;

use super::process::skip;

/// A path below the shared folder; `None`, and a line that says so, when it is not there. A failure when all tests must run.
pub(crate) fn path(below: &str) -> Option<PathBuf> {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = std::env::var_os("DURAMEN_SHARED").map_or_else(|| workspace.join("../shared"), PathBuf::from);
    let path = shared.join(below);
    if path.exists() {
        return Some(path);
    }
    skip(&format!("{below} is not in the shared folder"));
    None
}
