//! Marks that Thanos and Mimir put at a block, in its directory or, for Mimir, beside it.

use std::io;
use std::path::{Path, PathBuf};

use duramen_runtime::Disk;

use crate::error::Error;

const DELETION_MARK: &str = "deletion-mark.json";
/// The directory of all marks of a tenant of Mimir.
const MARKERS: &str = "markers";

/// Whether the block in `directory` is marked for deletion: others hold what it has, or it is to go.
pub fn is_deleted(disk: &dyn Disk, directory: &Path) -> Result<bool, Error> {
    let mut places: Vec<PathBuf> = vec![directory.join(DELETION_MARK)];

    if let Some((name, parent)) = directory.file_name().zip(directory.parent()) {
        let mark = format!("{}-{DELETION_MARK}", name.to_string_lossy());
        places.push(parent.join(MARKERS).join(mark));
    }

    for path in places {
        match disk.stat(&path) {
            Ok(_) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::Disk { path, source }),
        }
    }

    Ok(false)
}
