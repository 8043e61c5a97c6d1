//! Why a block of a TSDB cannot be read.

use std::io;
use std::path::PathBuf;

use duramen_model::ErrorKind;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("the local disk failed. path=`{}`", path.display())]
    Disk {
        path: PathBuf,
        #[source]
        source: io::Error,
    },

    /// The bytes are not what the format says, or their checksum differs.
    #[error("{what}. path=`{}`, offset=`{offset}`", path.display())]
    Malformed {
        path: PathBuf,
        offset: u64,
        what: &'static str,
    },

    #[error("meta.json cannot be read. path=`{}`", path.display())]
    Meta {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },

    /// The block is whole, and nobody here can read it.
    #[error("{what}. path=`{}`", path.display())]
    Unsupported { path: PathBuf, what: String },
}

impl Error {
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Disk { .. } => ErrorKind::Unavailable,
            Self::Malformed { .. } | Self::Meta { .. } => ErrorKind::Corrupt,
            Self::Unsupported { .. } => ErrorKind::Invalid,
        }
    }
}
