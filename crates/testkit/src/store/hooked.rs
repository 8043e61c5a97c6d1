//! A store whose GETs go through a hook.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What happens at a GET.
#[async_trait]
pub trait OnGet: fmt::Debug + Send + Sync {
    /// Answers the GET or HEAD `options` of `key`, usually from `store`.
    async fn get(
        &self,
        store: &dyn ObjectStore,
        key: &Path,
        options: GetOptions,
    ) -> Result<GetResult>;
}

/// A store whose GETs go through a hook. All other requests go straight to the store below, except
/// that of several ranges at once, which no code of ours may send.
#[derive(Debug)]
pub struct Hooked<H> {
    inner: Arc<dyn ObjectStore>,
    hook: H,
}

impl<H> Hooked<H> {
    pub const fn new(inner: Arc<dyn ObjectStore>, hook: H) -> Self {
        Self { inner, hook }
    }

    pub const fn hook(&self) -> &H {
        &self.hook
    }
}

impl<H> fmt::Display for Hooked<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hooked({})", self.inner)
    }
}

#[async_trait]
impl<H: OnGet + 'static> ObjectStore for Hooked<H> {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.inner.put_opts(at, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.hook.get(&*self.inner, at, options).await
    }

    #[expect(clippy::panic, reason = "a store for tests")]
    async fn get_ranges(&self, _at: &Path, _ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        panic!("gaps are filled by our own rule");
    }

    fn delete_stream(
        &self,
        at: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
