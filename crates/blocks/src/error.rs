//! Why a block could not be staged or published.

use std::io;
use std::path::PathBuf;

use duramen_model::{BlockId, ErrorKind};
use object_store::path::Path;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("a block could not be written or read")]
    Block(#[from] duramen_block::Error),

    #[error("the bucket failed")]
    Bucket(#[from] duramen_bucket::Error),

    #[error("the manifest failed")]
    Manifest(#[from] duramen_manifest::Error),

    /// The directory for staged blocks cannot be created or emptied.
    #[error("the local disk failed. path=`{path}`")]
    Disk {
        path: PathBuf,
        #[source]
        source: io::Error,
    },

    /// The entry beside the files of a block in a local folder.
    #[error("the entry of a block cannot be read. path=`{}`", path.display())]
    Entry {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },

    #[error("the name of this folder cannot be that of a block. path=`{}`", path.display())]
    FolderName { path: PathBuf },

    /// A block cannot be read; the text names it.
    #[error(transparent)]
    Source(#[from] duramen_source::Error),

    /// A block of a Prometheus TSDB; the text names it.
    #[error(transparent)]
    Tsdb(#[from] duramen_tsdb::Error),

    /// Blocks of different kinds cannot become one block.
    #[error(
        "the blocks do not agree in their {what}, so they cannot be merged. block=`{block}`, other=`{other}`"
    )]
    Mixed {
        what: &'static str,
        block: BlockId,
        other: BlockId,
    },

    /// What a block holds is not what its entry or its own files say.
    #[error("{what}")]
    Fault { what: String },

    #[error("an object cannot be read. key=`{key}`")]
    Store {
        key: Path,
        #[source]
        source: object_store::Error,
    },

    #[error("there is no block to merge")]
    NoInput,

    /// The process is ending.
    #[error("the process is shutting down")]
    Stopped,
}

impl Error {
    /// Whether a commit was refused because a block comes too late. It can come under a new id.
    pub const fn is_behind_horizon(&self) -> bool {
        matches!(self, Self::Manifest(error) if error.is_behind_horizon())
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Block(error) => error.kind(),
            Self::Bucket(error) => error.kind(),
            Self::Manifest(error) => error.kind(),
            Self::Source(error) => error.kind(),
            Self::Tsdb(error) => error.kind(),
            Self::Mixed { .. } | Self::NoInput | Self::FolderName { .. } => ErrorKind::Invalid,
            Self::Entry { .. } | Self::Fault { .. } => ErrorKind::Corrupt,
            Self::Store {
                source: object_store::Error::NotFound { .. },
                ..
            } => ErrorKind::Corrupt,
            Self::Disk { .. } | Self::Store { .. } | Self::Stopped => ErrorKind::Unavailable,
        }
    }
}
