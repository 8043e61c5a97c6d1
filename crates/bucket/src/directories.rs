//! Directories that are there to stay.

use std::io;
use std::path::Path;
use std::sync::Arc;

use duramen_runtime::Disk;
use duramen_runtime::disk::create_dir_all_synced;

/// Creates `path` with every missing parent, and makes its name and those of all directories above
/// it durable: also of those that exist, since a process may have been killed between making one
/// and syncing it.
pub(crate) fn create_settled(disk: &Arc<dyn Disk>, path: &Path) -> io::Result<()> {
    create_dir_all_synced(disk, path)?;

    for parent in path.ancestors().skip(1) {
        let parent = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };

        match disk.sync_dir(parent) {
            // A directory that we may not even read was not made by us.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => break,
            synced => synced?,
        }
    }

    Ok(())
}
