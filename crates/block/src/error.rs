//! Why a block could not be written or read.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use duramen_model::ErrorKind;
use duramen_qos::Exceeded;
use object_store::path::Path;

/// An error of one block. A variant about damage names the object. No value is returned from
/// damaged bytes.
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
    /// The caller of the writer broke its contract. `series` has the labels of the series, or the
    /// name of the metric family.
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
        source: Arc<object_store::Error>,
    },
    /// The store answered with bytes that nobody asked for. The block itself may be intact.
    #[error(
        "the store answered with another range. key=`{key}`, asked=`{asked:?}`, answered=`{answered:?}`"
    )]
    Range {
        key: Path,
        asked: Range<u64>,
        answered: Range<u64>,
    },
    /// The length of the object is not the one that the manifest or `meta` states.
    #[error("size mismatch. key=`{key}`, expected=`{expected}`, actual=`{actual}`")]
    Size {
        key: Path,
        expected: u64,
        actual: u64,
    },
    /// The bytes are not those that were written. The object is immutable, so the reader has read
    /// it twice before it returns this error.
    #[error(
        "checksum mismatch. key=`{key}`, offset=`{offset}`, expected=`{expected:08x}`, actual=`{actual:08x}`"
    )]
    Checksum {
        key: Path,
        offset: u64,
        expected: u32,
        actual: u32,
    },
    /// The checksums are right, but the contents contradict each other.
    #[error("malformed block file: {what}. key=`{key}`, offset=`{offset}`")]
    Malformed {
        key: Path,
        offset: u64,
        what: &'static str,
    },
    /// A file of a block in a local folder could not be read.
    #[error("cannot read a block file. path=`{}`", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A budget has no memory for the next batch of samples, or for what an answer collects.
    #[error("no memory for {what}. dir=`{dir}`")]
    Memory {
        dir: Path,
        what: &'static str,
        #[source]
        source: Exceeded,
    },
    #[error("cannot decode a block file. key=`{key}`")]
    Decode {
        key: Path,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// Tells the caller what to do next.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Contract { .. } | Self::Encode { .. } => ErrorKind::Internal,
            Self::Write { .. } | Self::Get { .. } | Self::Range { .. } | Self::Folder { .. } => {
                ErrorKind::Unavailable
            }
            Self::Memory { source, .. } => match source.passes() {
                true => ErrorKind::Unavailable,
                false => ErrorKind::TooMuch,
            },
            Self::Size { .. }
            | Self::Checksum { .. }
            | Self::Malformed { .. }
            | Self::Decode { .. } => ErrorKind::Corrupt,
        }
    }

    /// Whether a file of the block is not there.
    pub fn is_missing(&self) -> bool {
        let Self::Get { source, .. } = self else {
            return false;
        };

        matches!(**source, object_store::Error::NotFound { .. })
    }

    /// Returns why the block cannot be read, in a few words that name the file. `None` if the error
    /// is not about what the store has or gives.
    pub fn unreadable(&self) -> Option<String> {
        let (key, what) = match self {
            Self::Write { .. }
            | Self::Contract { .. }
            | Self::Encode { .. }
            | Self::Folder { .. }
            | Self::Memory { .. } => return None,
            Self::Get { key, source } => match **source {
                object_store::Error::NotFound { .. } => (key, "is missing"),
                _ => (key, "cannot be fetched"),
            },
            Self::Range { key, .. } => (key, "cannot be fetched"),
            Self::Size { key, .. }
            | Self::Checksum { key, .. }
            | Self::Malformed { key, .. }
            | Self::Decode { key, .. } => (key, "is damaged"),
        };

        let file = key.filename().unwrap_or_default();
        Some(format!("its file {file} {what}"))
    }

    /// Wraps this error as the error of a source: the block in folder `dir` could not be read.
    pub fn of_block(self, dir: &Path) -> duramen_source::Error {
        duramen_source::Error::new(format!("block {dir}"), self.kind(), self)
    }

    /// Does the same as [`Error::of_block`] for an error that several readers get.
    pub fn shared_of_block(self: &Arc<Self>, dir: &Path) -> duramen_source::Error {
        duramen_source::Error::new(format!("block {dir}"), self.kind(), Arc::clone(self))
    }

    /// Returns the error of a block in an error of a source, from [`Error::of_block`] or
    /// [`Error::shared_of_block`].
    pub fn in_source(error: &duramen_source::Error) -> Option<&Self> {
        let shared = || {
            error
                .source
                .downcast_ref::<Arc<Self>>()
                .map(|shared| &**shared)
        };
        error.source.downcast_ref().or_else(shared)
    }

    /// The error of those who wait for a block while the process shuts down.
    pub fn stopped(dir: Path) -> Self {
        let source = object_store::Error::Generic {
            store: "duramen",
            source: "the process shuts down".into(),
        };

        Self::Get {
            key: dir,
            source: Arc::new(source),
        }
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
