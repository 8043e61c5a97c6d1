//! Creates directories durably.

use std::io;
use std::path::Path;
use std::sync::Arc;

use duramen_runtime::Disk;
use duramen_runtime::disk::create_dir_all_synced;

/// Creates `path` with every missing parent, and makes the names of all of them durable. It syncs
/// existing directories too, because an earlier process may have been killed after it created one
/// and before it synced it.
pub(crate) fn create_settled(disk: &Arc<dyn Disk>, path: &Path) -> io::Result<()> {
    create_dir_all_synced(disk, path)?;

    for parent in path.ancestors().skip(1) {
        let parent = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };

        match disk.sync_dir(parent) {
            // We did not create a directory that we cannot read.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => break,
            synced => synced?,
        }
    }

    Ok(())
}
