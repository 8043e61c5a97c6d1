//! A store whose client dies at a request.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// After so many requests, nothing is answered any more. The last request may still have its
/// effect.
#[derive(Debug)]
pub(crate) struct Mortal {
    inner: Arc<InMemory>,
    left: AtomicU64,
    /// Whether the request at which the client dies is carried out.
    is_done: bool,
}

enum Fate {
    Lives,
    Dies,
    Dead,
}

impl Mortal {
    pub(crate) const fn new(inner: Arc<InMemory>, requests: u64, is_done: bool) -> Self {
        Self {
            inner,
            left: AtomicU64::new(requests),
            is_done,
        }
    }

    /// The requests that are left.
    pub(crate) fn left(&self) -> u64 {
        self.left.load(Relaxed)
    }

    fn fate(&self) -> Fate {
        match self
            .left
            .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1))
        {
            Ok(1) => Fate::Dies,
            Ok(_) => Fate::Lives,
            Err(_) => Fate::Dead,
        }
    }

    fn dead() -> Error {
        Error::Generic {
            store: "mortal",
            source: "the client is dead".into(),
        }
    }
}

impl fmt::Display for Mortal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mortal({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Mortal {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        match self.fate() {
            Fate::Lives => self.inner.put_opts(at, payload, options).await,
            Fate::Dies => {
                if self.is_done {
                    self.inner.put_opts(at, payload, options).await?;
                }
                Err(Self::dead())
            }
            Fate::Dead => Err(Self::dead()),
        }
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(Self::dead())
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        match self.fate() {
            Fate::Lives => self.inner.get_opts(at, options).await,
            Fate::Dies | Fate::Dead => Err(Self::dead()),
        }
    }

    async fn get_ranges(&self, _: &Path, _: &[Range<u64>]) -> Result<Vec<Bytes>> {
        Err(Self::dead())
    }

    fn delete_stream(
        &self,
        at: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        match self.fate() {
            Fate::Lives => self.inner.delete_stream(at),
            Fate::Dies if self.is_done => {
                let deleted = self.inner.delete_stream(at);
                deleted.map(|_| Err(Self::dead())).boxed()
            }
            _ => stream::once(async { Err(Self::dead()) }).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.fate() {
            Fate::Lives => self.inner.list(prefix),
            _ => stream::once(async { Err(Self::dead()) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(Self::dead())
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(Self::dead())
    }
}
