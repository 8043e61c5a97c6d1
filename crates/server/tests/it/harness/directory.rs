//! Copies of directories, as backups and snapshots make them.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::path::Path;

/// Copies a directory with all of its content to a path that does not exist.
pub(crate) fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();

    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());

        match entry.file_type().unwrap().is_dir() {
            true => copy_directory(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}
