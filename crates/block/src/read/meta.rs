//! Compares `meta` with what the manifest says about it.

use duramen_model::BlockStats;
use object_store::path::Path;

use crate::error::Error;
use crate::layout::meta::{Meta, decode as bytes};

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
pub(crate) fn decode(key: &Path, stats: &BlockStats, content: &[u8]) -> Result<Meta, Error> {
    let malformed = |what| Error::Malformed {
        key: key.clone(),
        offset: 0,
        what,
    };

    let meta = bytes::decode(content).map_err(malformed)?;

    let same = stats.files.len() == meta.files.len()
        && stats
            .files
            .iter()
            .zip(meta.files.iter().map(|described| &described.file))
            .all(|(stated, file)| stated.name == file.name && stated.bytes == file.bytes);

    if same {
        Ok(meta)
    } else {
        Err(malformed("meta and manifest name different files or sizes"))
    }
}

#[cfg(test)]
mod tests;
