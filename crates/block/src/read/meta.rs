//! Compares `meta` with what the manifest says about it.

use duramen_model::BlockStats;
use object_store::path::Path;

use crate::error::Error;
use crate::layout::meta::{self, FileMeta};

/// Compares the bytes of `meta`, which is at `key`, with the length and checksum in `stats`.
pub(crate) fn check(key: &Path, stats: &BlockStats, bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() as u64 != stats.meta_bytes {
        return Err(Error::Size {
            key: key.clone(),
            expected: stats.meta_bytes,
            actual: bytes.len() as u64,
        });
    }

    let expected = stats.meta_crc32c;
    let actual = crc32c::crc32c(bytes);

    if expected != actual {
        return Err(Error::Checksum {
            key: key.clone(),
            offset: 0,
            expected,
            actual,
        });
    }

    Ok(())
}

/// Decodes what `meta` says about each file. Its bytes must have passed [`check`].
pub(crate) fn decode(key: &Path, stats: &BlockStats, bytes: &[u8]) -> Result<Vec<FileMeta>, Error> {
    let malformed = |what| Error::Malformed {
        key: key.clone(),
        offset: 0,
        what,
    };

    let files = meta::decode(bytes).map_err(malformed)?;

    let same = stats.files.len() == files.len()
        && stats
            .files
            .iter()
            .zip(&files)
            .all(|(stated, file)| stated.name == file.name && stated.bytes == file.bytes);

    if same {
        Ok(files)
    } else {
        Err(malformed("meta and manifest name different files or sizes"))
    }
}
