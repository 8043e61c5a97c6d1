//! Reads the text of a settings file.

use std::path::{Path, PathBuf};

use crate::FILE_BYTES_MAX;

/// Why a settings file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    #[error("read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "the file is too large. path=`{}`, bytes=`{bytes}`, bytes_max=`{FILE_BYTES_MAX}`",
        path.display()
    )]
    TooLarge { path: PathBuf, bytes: u64 },
}

/// Reads the text of the file at `path`, at most [`FILE_BYTES_MAX`] bytes.
pub fn text_of(path: &Path) -> Result<String, FileError> {
    let unread = |source| FileError::Read {
        path: path.to_owned(),
        source,
    };

    let bytes = std::fs::metadata(path).map_err(unread)?.len();
    if bytes > FILE_BYTES_MAX as u64 {
        return Err(FileError::TooLarge {
            path: path.to_owned(),
            bytes,
        });
    }

    std::fs::read_to_string(path).map_err(unread)
}
