//! Converts errors of the disk to errors of the store.

use std::io;

use object_store::PutResult;
use object_store::path::Path;

use super::files::Found;

pub(super) fn store_error(key: &Path, source: io::Error) -> object_store::Error {
    let path = key.to_string();
    let kind = source.kind();

    match kind {
        io::ErrorKind::NotFound => object_store::Error::NotFound {
            path,
            source: source.into(),
        },
        io::ErrorKind::AlreadyExists => object_store::Error::AlreadyExists {
            path,
            source: source.into(),
        },
        io::ErrorKind::PermissionDenied => object_store::Error::PermissionDenied {
            path,
            source: source.into(),
        },
        // Not `Generic`, because that would be retried. A disk that has failed is not tried again
        // without the caller's knowledge.
        _ => object_store::Error::NotSupported {
            source: Failed { key: path, source }.into(),
        },
    }
}

/// A failure of the disk for one object.
#[derive(Debug, thiserror::Error)]
#[error("{source}. key=`{key}`")]
struct Failed {
    key: String,
    source: io::Error,
}

pub(super) fn put_result(found: &Found) -> PutResult {
    PutResult {
        e_tag: Some(found.e_tag()),
        version: None,
    }
}
