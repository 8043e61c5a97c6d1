//! A store whose requests all take the same time on a paused clock.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::trips::TRIP;

/// A store over another one, whose requests take one second each. It needs a runtime with a paused
/// clock. The time that a procedure takes there is the number of its trips, as with
/// [`super::Trips`], for requests of all kinds.
#[derive(Debug)]
pub struct Paced {
    inner: Arc<dyn ObjectStore>,
}

impl Paced {
    pub const fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner }
    }
}

#[expect(clippy::disallowed_methods, reason = "the clock of the test is paused")]
async fn trip() {
    tokio::time::sleep(TRIP).await;
}

impl fmt::Display for Paced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Paced({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Paced {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        trip().await;
        self.inner.put_opts(at, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        trip().await;
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        trip().await;
        self.inner.get_opts(at, options).await
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        trip().await;
        self.inner.get_ranges(at, ranges).await
    }

    fn delete_stream(
        &self,
        at: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let deleted = self.inner.delete_stream(at);
        stream::once(trip())
            .flat_map(|()| stream::empty())
            .chain(deleted)
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let inner = Arc::clone(&self.inner);
        let prefix = prefix.cloned();

        let listed = async move {
            trip().await;
            let all: Vec<_> = inner.list(prefix.as_ref()).try_collect().await?;
            Ok::<_, object_store::Error>(stream::iter(all.into_iter().map(Ok)))
        };

        stream::once(listed).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        trip().await;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        trip().await;
        self.inner.copy_opts(from, to, options).await
    }
}
