//! Why an export or an import ended early.

use std::io;

use duramen_model::ErrorKind;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What was asked for cannot be read; the text names the part.
    #[error(transparent)]
    Source(#[from] duramen_source::Error),

    #[error("a block could not be written")]
    Block(#[from] duramen_block::Error),

    #[error(transparent)]
    Tsdb(#[from] duramen_tsdb::Error),

    /// The other end of the pipe has what it wanted.
    #[error("the reader of the output has closed it")]
    Closed,

    #[error("the disk is full. path=`{path}`, written=`{written}` bytes")]
    Full { path: String, written: u64 },

    #[error("the output cannot be written. path=`{path}`")]
    Output {
        path: String,
        #[source]
        source: io::Error,
    },

    #[error("the input cannot be read")]
    Input(#[source] io::Error),

    #[error("a Parquet file could not be written")]
    Parquet(#[from] ::parquet::errors::ParquetError),

    /// What was read cannot be taken. The line is the first of it, from 1.
    #[error("line {line}: {what}")]
    Line { line: u64, what: String },

    /// The form cannot do what was asked for.
    #[error("{what}")]
    Unfit { what: String },

    /// The process is ending.
    #[error("the process is shutting down")]
    Stopped,
}

impl Error {
    pub(crate) fn unfit(what: impl Into<String>) -> Self {
        Self::Unfit { what: what.into() }
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Source(error) => error.kind(),
            Self::Block(error) => error.kind(),
            Self::Tsdb(error) => error.kind(),
            Self::Line { .. } | Self::Unfit { .. } => ErrorKind::Invalid,
            Self::Parquet(_) => ErrorKind::Internal,
            Self::Closed
            | Self::Full { .. }
            | Self::Output { .. }
            | Self::Input(_)
            | Self::Stopped => ErrorKind::Unavailable,
        }
    }
}
