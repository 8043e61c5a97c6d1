//! Why a block could not be written or read.

use std::path::PathBuf;

use duramen_model::ErrorKind;
use object_store::path::Path;

/// What goes wrong with one block. The variants that speak of damage name the object and never come
/// with a value that was read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The local disk failed under the writer. The folder is incomplete and may be removed.
    #[error("cannot write a block file. path=`{}`", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The caller of the writer broke its contract. `series`: the labels of the series, or the name
    /// of the metric family.
    #[error("a block cannot take this: {rule}. series=`{series}`")]
    Contract { rule: &'static str, series: String },
    #[error("cannot encode a block file. file=`{file}`")]
    Encode {
        file: &'static str,
        #[source]
        source: parquet::errors::ParquetError,
    },
    #[error("cannot get a block file. key=`{key}`")]
    Get {
        key: Path,
        #[source]
        source: object_store::Error,
    },
    /// The object has another length than the manifest or `meta` says.
    #[error("size mismatch. key=`{key}`, expected=`{expected}`, actual=`{actual}`")]
    Size {
        key: Path,
        expected: u64,
        actual: u64,
    },
    /// The bytes are not what was written. Read twice before it is said: the object is immutable.
    #[error(
        "checksum mismatch. key=`{key}`, offset=`{offset}`, expected=`{expected:08x}`, actual=`{actual:08x}`"
    )]
    Checksum {
        key: Path,
        offset: u64,
        expected: u32,
        actual: u32,
    },
    /// The checksums hold, and yet the contents contradict each other.
    #[error("malformed block file: {what}. key=`{key}`, offset=`{offset}`")]
    Malformed {
        key: Path,
        offset: u64,
        what: &'static str,
    },
    #[error("cannot decode a block file. key=`{key}`")]
    Decode {
        key: Path,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// What the caller does next.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Contract { .. } | Self::Encode { .. } => ErrorKind::Internal,
            Self::Write { .. } | Self::Get { .. } => ErrorKind::Unavailable,
            Self::Size { .. }
            | Self::Checksum { .. }
            | Self::Malformed { .. }
            | Self::Decode { .. } => ErrorKind::Corrupt,
        }
    }

    /// This error as one of the block in folder `dir`, which a source could not read.
    pub fn of_block(self, dir: &Path) -> duramen_source::Error {
        duramen_source::Error::new(format!("block {dir}"), self.kind(), self)
    }

    pub(crate) fn decode(
        key: &Path,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Decode {
            key: key.clone(),
            source: source.into(),
        }
    }
}
