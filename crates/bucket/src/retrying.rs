//! A store wrapper that retries failed requests if sending them twice is safe.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use crate::metrics::Metrics;
use crate::retry::{Retries, is_passing};

/// Retries GET, HEAD, LIST, DELETE, and PUT and COPY that overwrite. A body that breaks off is
/// resumed where it broke. A create is never retried here: after an unclear response,
/// [`crate::Chain`] reads the object back and compares it first.
#[derive(Clone, Debug)]
pub(crate) struct Retrying {
    inner: Arc<dyn ObjectStore>,
    retries: Retries,
    metrics: Metrics,
}

impl Retrying {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, retries: Retries, metrics: Metrics) -> Self {
        Self {
            inner,
            retries,
            metrics,
        }
    }

    async fn run<T, F>(&self, request: impl Fn() -> F + Send) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send,
    {
        let mut attempts = 0;

        loop {
            let error = match request().await {
                Ok(value) => {
                    self.retries.succeeded();
                    return Ok(value);
                }
                Err(error) => error,
            };

            attempts += 1;
            if !is_passing(&error) || !self.retries.again(attempts).await {
                return Err(error);
            }

            self.metrics.add_retry();
        }
    }

    /// Reads a whole listing, because a broken one cannot be resumed.
    fn listing(
        &self,
        list: impl Fn(&dyn ObjectStore) -> BoxStream<'static, Result<ObjectMeta>>
        + Send
        + Sync
        + 'static,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let this = self.clone();
        let whole = async move {
            let all = this
                .run(|| list(&*this.inner).try_collect::<Vec<_>>())
                .await?;
            Ok::<_, object_store::Error>(stream::iter(all.into_iter().map(Ok)))
        };

        stream::once(whole).try_flatten().boxed()
    }

    /// Wraps a body so that it is resumed whenever it breaks off.
    fn resuming(&self, location: &Path, options: GetOptions, result: GetResult) -> GetResult {
        let meta = result.meta.clone();
        let range = result.range.clone();
        let attributes = result.attributes.clone();

        let first = Body {
            rest: range.clone(),
            pieces: result.into_stream(),
            attempts: 0,
        };

        // The rest must be of the same version of the object.
        let options = GetOptions {
            if_match: options.if_match.or_else(|| meta.e_tag.clone()),
            ..options
        };

        let this = self.clone();
        let location = location.clone();

        let pieces = stream::try_unfold(first, move |body| {
            let this = this.clone();
            let location = location.clone();
            let options = options.clone();

            async move { this.next_piece(&location, options, body).await }
        });

        GetResult {
            payload: GetResultPayload::Stream(pieces.boxed()),
            meta,
            range,
            attributes,
        }
    }

    async fn next_piece(
        &self,
        location: &Path,
        options: GetOptions,
        mut body: Body,
    ) -> Result<Option<(Bytes, Body)>> {
        loop {
            if body.rest.is_empty() {
                return Ok(None);
            }

            let error = match body.pieces.next().await {
                Some(Ok(piece)) => {
                    let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                    if length > body.rest.end - body.rest.start {
                        return Err(broken(location, "the body is longer than its range"));
                    }

                    body.rest.start += length;
                    return Ok(Some((piece, body)));
                }
                Some(Err(error)) => error,
                None => broken(location, "the body is shorter than its range"),
            };

            body.attempts += 1;
            if !is_passing(&error) || !self.retries.again(body.attempts).await {
                return Err(error);
            }

            self.metrics.add_retry();

            // Drop the broken body first, so that its permit is free for the next request.
            body.pieces = stream::empty().boxed();

            let options = GetOptions {
                range: Some(GetRange::Bounded(body.rest.clone())),
                ..options.clone()
            };

            let again = self
                .run(|| self.inner.get_opts(location, options.clone()))
                .await?;
            if again.range != body.rest {
                return Err(broken(location, "the store answered with another range"));
            }

            body.pieces = again.into_stream();
        }
    }
}

struct Body {
    /// The range that has not been read yet.
    rest: Range<u64>,
    pieces: BoxStream<'static, Result<Bytes>>,
    attempts: u32,
}

pub(crate) fn broken(location: &Path, fault: &str) -> object_store::Error {
    object_store::Error::Generic {
        store: "duramen",
        source: format!("{fault}. key=`{location}`").into(),
    }
}

/// Reads ranges. Ranges that are less than an extent apart share a request: reading a gap of 64 KiB
/// takes half a millisecond, a request takes 15.
pub(crate) async fn get_ranges(
    store: &dyn ObjectStore,
    location: &Path,
    ranges: &[Range<u64>],
) -> Result<Vec<Bytes>> {
    const GAP_BYTES_MAX: u64 = 64 * 1024;

    let fetch = |range: Range<u64>| async move {
        let bytes = store.get_range(location, range.clone()).await?;
        if u64::try_from(bytes.len()) != Ok(range.end - range.start) {
            return Err(broken(location, "the range ends behind the object"));
        }

        Ok(bytes)
    };

    object_store::coalesce_ranges(ranges, fetch, GAP_BYTES_MAX).await
}

impl fmt::Display for Retrying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Retrying {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        if opts.mode != PutMode::Overwrite {
            return self.inner.put_opts(location, payload, opts).await;
        }

        self.run(|| self.inner.put_opts(location, payload.clone(), opts.clone()))
            .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        // The client below numbers the parts in the order of the calls, so only it can send a part
        // again.
        self.run(|| self.inner.put_multipart_opts(location, opts.clone()))
            .await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let mut result = self
            .run(|| self.inner.get_opts(location, options.clone()))
            .await?;

        // `PrefixStore` returns the location with its prefix.
        result.meta.location = location.clone();
        if options.head {
            Ok(result)
        } else {
            Ok(self.resuming(location, options, result))
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        get_ranges(self, location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        locations
            .map(move |location| {
                let this = this.clone();
                async move {
                    let location = location?;
                    this.run(|| this.inner.delete(&location)).await?;
                    Ok(location)
                }
            })
            .buffered(8)
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned();
        self.listing(move |store| store.list(prefix.as_ref()))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned();
        let offset = offset.clone();
        self.listing(move |store| store.list_with_offset(prefix.as_ref(), &offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.run(|| self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        if options.mode != CopyMode::Overwrite {
            return self.inner.copy_opts(from, to, options).await;
        }

        self.run(|| self.inner.copy_opts(from, to, options.clone()))
            .await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}
