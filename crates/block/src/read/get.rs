//! One GET of bytes whose number is known.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt};

use crate::error::Error;

/// A GET of a part of an object, or of all of it.
#[derive(Clone, Debug)]
pub(crate) struct Get {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) key: Path,
    /// The size that the object must have.
    pub(crate) size: u64,
    /// `None`: the whole object.
    pub(crate) range: Option<Range<u64>>,
}

/// Why the bytes did not come. Several readers may wait for the same bytes, so it can be cloned.
#[derive(Clone, Debug)]
pub(crate) enum GetError {
    Failed {
        key: Path,
        source: Arc<object_store::Error>,
    },
    Size {
        key: Path,
        expected: u64,
        actual: u64,
    },
    Range {
        key: Path,
        asked: Range<u64>,
        answered: Range<u64>,
    },
    Checksum {
        key: Path,
        offset: u64,
        expected: u32,
        actual: u32,
    },
}

impl Get {
    /// The bytes that are asked for.
    pub(crate) fn range(&self) -> Range<u64> {
        self.range.clone().unwrap_or(0..self.size)
    }

    /// Returns exactly the bytes that are asked for. A body is read until it has one byte too many
    /// at most, whatever the store sends. One GET. If it fails, one HEAD.
    pub(crate) async fn send(&self) -> Result<Bytes, GetError> {
        let range = self.range();
        let options = GetOptions::default().with_range(self.range.clone());

        let answer = match self.store.get_opts(&self.key, options).await {
            Ok(answer) => answer,
            Err(source) => return Err(self.explain(source).await),
        };

        if answer.meta.size != self.size {
            return Err(self.wrong_size(answer.meta.size));
        }

        if answer.range != range {
            return Err(GetError::Range {
                key: self.key.clone(),
                asked: range,
                answered: answer.range,
            });
        }

        let length = range.end - range.start;
        let bytes = body(answer.into_stream(), length)
            .await
            .map_err(|source| self.failed(source))?;

        if bytes.len() as u64 != length {
            return Err(self.wrong_size(range.start + bytes.len() as u64));
        }

        Ok(bytes)
    }

    /// If the file was cut, the range may lie behind its end, and each store reports that with an
    /// error of its own. So this asks for the size.
    async fn explain(&self, source: object_store::Error) -> GetError {
        let size = self.store.head(&self.key).await.map(|object| object.size);
        match size {
            Ok(size) if size != self.size => self.wrong_size(size),
            _ => self.failed(source),
        }
    }

    fn wrong_size(&self, actual: u64) -> GetError {
        GetError::Size {
            key: self.key.clone(),
            expected: self.size,
            actual,
        }
    }

    fn failed(&self, source: object_store::Error) -> GetError {
        GetError::Failed {
            key: self.key.clone(),
            source: Arc::new(source),
        }
    }
}

/// Reads a body to its end, or until it is longer than `length`. It holds no more than came.
async fn body(
    mut pieces: BoxStream<'static, object_store::Result<Bytes>>,
    length: u64,
) -> object_store::Result<Bytes> {
    let Some(first) = pieces.try_next().await? else {
        return Ok(Bytes::new());
    };

    // Most answers are one piece, which is not copied.
    let Some(second) = pieces.try_next().await? else {
        return Ok(first);
    };

    let mut whole = BytesMut::from(first);
    whole.extend_from_slice(&second);

    while whole.len() as u64 <= length {
        match pieces.try_next().await? {
            Some(piece) => whole.extend_from_slice(&piece),
            None => break,
        }
    }

    Ok(whole.freeze())
}

impl GetError {
    /// Whether the store gave other bytes than were written or asked for. A proxy may cut a
    /// response or flip a bit, so it is worth to ask once more.
    pub(crate) const fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Checksum { .. } | Self::Size { .. } | Self::Range { .. }
        )
    }
}

impl From<GetError> for Error {
    fn from(error: GetError) -> Self {
        match error {
            GetError::Failed { key, source } => Self::Get { key, source },
            GetError::Size {
                key,
                expected,
                actual,
            } => Self::Size {
                key,
                expected,
                actual,
            },
            GetError::Range {
                key,
                asked,
                answered,
            } => Self::Range {
                key,
                asked,
                answered,
            },
            GetError::Checksum {
                key,
                offset,
                expected,
                actual,
            } => Self::Checksum {
                key,
                offset,
                expected,
                actual,
            },
        }
    }
}
