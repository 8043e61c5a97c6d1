//! What can go wrong with a bucket.

use std::io;
use std::path::PathBuf;

use duramen_model::{ErrorKind, WriterId};

/// Why a check refused bytes.
pub type CheckError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL is not that of a known kind of store. The message does not repeat it if it may
    /// contain a secret.
    #[error(
        "not the URL of a store. fault=`{fault}`, expected=`file:PATH, memory: or s3://BUCKET[/PREFIX]`"
    )]
    Url { fault: &'static str },

    /// The client of the store could not be made with these settings.
    #[error("the settings of the store do not work. store=`{store}`")]
    Settings {
        store: String,
        source: object_store::Error,
    },

    /// The store refused or failed, after all retries.
    #[error("the store failed. operation=`{operation}`, key=`{key}`")]
    Store {
        operation: &'static str,
        key: String,
        source: object_store::Error,
    },

    /// The response to a create was unclear, and the object could not be read back before the
    /// retries ended. The create may have happened, and may still happen.
    #[error("the outcome of a create is unknown. key=`{key}`, attempts=`{attempts}`")]
    OutcomeUnknown {
        key: String,
        attempts: u32,
        source: object_store::Error,
    },

    /// The bytes are not those that were written. Never retried, because the object is immutable.
    #[error("an object is damaged. key=`{key}`, fault=`{fault}`")]
    Corrupt { key: String, fault: String },

    /// Another version of this program has written this. This version cannot read it.
    #[error(
        "format {found} of an object is not supported; this version reads format {known}. key=`{key}`"
    )]
    Format { key: String, found: u64, known: u64 },

    /// The object has more bytes than this operation accepts.
    #[error("an object is too large. key=`{key}`, bytes=`{bytes}`, bytes_max=`{bytes_max}`")]
    TooLarge {
        key: String,
        bytes: u64,
        bytes_max: u64,
    },

    /// The store does not behave as every other crate requires.
    #[error("the store cannot be used. check=`{check}`, fault=`{fault}`")]
    Probe { check: &'static str, fault: String },

    /// Another process has this data directory open.
    #[error("the data directory is in use by another process. directory=`{}`, pid=`{pid}`", directory.display())]
    Locked { directory: PathBuf, pid: String },

    /// Another process has this directory open as its store.
    #[error("the store is in use by another process. store=`file:{}`, pid=`{pid}`", store.display())]
    StoreLocked { store: PathBuf, pid: String },

    /// The store and the data directory belong to different deployments.
    #[error(
        "the store belongs to another deployment. store=`{store}`, data_directory=`{data_directory}`"
    )]
    OtherDeployment {
        store: String,
        data_directory: String,
    },

    /// Another process writes to the store. Or it has not released the store, and its state cannot
    /// be seen from this machine.
    #[error(
        "another process writes to the store. Stop it; if it is gone for good, start with --take-over. store=`{store}`, \
         writer=`{writer}`, host=`{host}`, pid=`{pid}`, since_ms=`{since_ms}`"
    )]
    Held {
        store: String,
        writer: WriterId,
        host: String,
        pid: u32,
        since_ms: i64,
    },

    /// A later process has the store. What this process has acknowledged but not flushed is in its
    /// log.
    #[error(
        "another process has taken over the store; what this one has not flushed stays in its log. store=`{store}`, \
         writer=`{writer}`, host=`{host}`, pid=`{pid}`"
    )]
    TakenOver {
        store: String,
        writer: WriterId,
        host: String,
        pid: u32,
    },
    /// A file on the local disk is not what was written to it. Nothing of it was stored.
    #[error("a local file is damaged. path=`{}`", path.display())]
    Damaged { path: PathBuf, source: CheckError },

    /// The local disk failed.
    #[error("the disk failed. operation=`{operation}`, path=`{}`", path.display())]
    Disk {
        operation: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

impl Error {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Url { .. } | Self::Settings { .. } | Self::Probe { .. } => ErrorKind::Invalid,
            Self::Locked { .. } | Self::StoreLocked { .. } => ErrorKind::Invalid,
            Self::OtherDeployment { .. } | Self::Held { .. } => ErrorKind::Invalid,
            Self::TakenOver { .. } => ErrorKind::Fenced,
            Self::Store { .. } | Self::OutcomeUnknown { .. } | Self::Disk { .. } => {
                ErrorKind::Unavailable
            }
            Self::Corrupt { .. } | Self::Damaged { .. } => ErrorKind::Corrupt,
            Self::Format { .. } => ErrorKind::Invalid,
            Self::TooLarge { .. } => ErrorKind::Internal,
        }
    }

    /// Whether the store responded that there is no such object.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::Store {
                source: object_store::Error::NotFound { .. },
                ..
            }
        )
    }

    pub(crate) fn store(
        operation: &'static str,
        key: &object_store::path::Path,
        source: object_store::Error,
    ) -> Self {
        Self::Store {
            operation,
            key: key.to_string(),
            source,
        }
    }
}
