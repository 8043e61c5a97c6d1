//! The client of S3 and of compatible stores.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredential, S3CopyIfNotExists};
use object_store::path::Path;
use object_store::{
    ClientOptions, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
    RetryConfig, StaticCredentialProvider,
};

use crate::{Config, Error};

/// S3 with two clients that differ in one setting. The one for uploads in parts retries by itself,
/// because only it knows the numbers of the parts. [`crate::retrying`] retries everything else.
#[derive(Debug)]
pub(crate) struct S3 {
    single: AmazonS3,
    uploads: AmazonS3,
}

/// Makes the clients. Sends no request.
pub(crate) fn open(bucket: &str, config: &Config) -> std::result::Result<S3, Error> {
    let store = || format!("s3://{bucket}");
    if config
        .s3
        .endpoint
        .as_deref()
        .is_some_and(|endpoint| endpoint.contains('@'))
    {
        return Err(Error::Url {
            fault: "credentials do not belong into the endpoint",
        });
    }

    let build = |retries| builder(bucket, config, retries).build();
    let no_retries = RetryConfig {
        max_retries: 0,
        ..RetryConfig::default()
    };

    let single = build(no_retries).map_err(|source| Error::Settings {
        store: store(),
        source: hide(source),
    })?;

    let few = RetryConfig {
        max_retries: 5,
        ..RetryConfig::default()
    };

    let uploads = build(few).map_err(|source| Error::Settings {
        store: store(),
        source: hide(source),
    })?;

    Ok(S3 { single, uploads })
}

fn builder(bucket: &str, config: &Config, retries: RetryConfig) -> AmazonS3Builder {
    let s3 = &config.s3;
    let plain_http = s3
        .endpoint
        .as_deref()
        .is_some_and(|endpoint| endpoint.starts_with("http://"));

    let client = ClientOptions::new()
        .with_timeout(config.request_timeout)
        .with_connect_timeout(config.connect_timeout)
        .with_allow_http(plain_http);

    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_client_options(client)
        .with_retry(retries)
        .with_copy_if_not_exists(S3CopyIfNotExists::Multipart);

    if let Some(endpoint) = &s3.endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(plain_http);
    }

    if let Some(region) = &s3.region {
        builder = builder.with_region(region);
    }

    if let Some(credentials) = &s3.credentials {
        // All fields are replaced together: a token from the environment belongs to another key.
        let credential = AwsCredential {
            key_id: credentials.access_key_id.clone(),
            secret_key: credentials.secret_access_key.clone(),
            token: credentials.session_token.clone(),
        };

        builder = builder.with_credentials(Arc::new(StaticCredentialProvider::new(credential)));
    }

    match (s3.path_style, &s3.endpoint) {
        (Some(path_style), _) => builder.with_virtual_hosted_style_request(!path_style),
        (None, Some(_)) => builder.with_virtual_hosted_style_request(false),
        (None, None) => builder,
    }
}

/// Removes from an error the parts of the request that a store repeats when it cannot verify a
/// signature. They include the session token.
fn hide(error: object_store::Error) -> object_store::Error {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);

    while let Some(inner) = source {
        text.push_str(&inner.to_string());
        source = inner.source();
    }

    let tells = [
        "CanonicalRequest",
        "StringToSign",
        "security-token",
        "SecurityToken",
    ];

    if !tells.iter().any(|word| text.contains(word)) {
        return error;
    }

    let fault =
        "the store could not verify the request; its answer is not shown since it repeats secrets";
    object_store::Error::PermissionDenied {
        path: String::new(),
        source: fault.into(),
    }
}

impl fmt::Display for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.single.fmt(f)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for S3 {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.single
            .put_opts(location, payload, opts)
            .await
            .map_err(hide)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.uploads
            .put_multipart_opts(location, opts)
            .await
            .map_err(hide)
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.single.get_opts(location, options).await.map_err(hide)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        crate::retrying::get_ranges(self, location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.single
            .delete_stream(locations)
            .map(|deleted| deleted.map_err(hide))
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.single
            .list(prefix)
            .map(|meta| meta.map_err(hide))
            .boxed()
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.single
            .list_with_offset(prefix, offset)
            .map(|meta| meta.map_err(hide))
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.single.list_with_delimiter(prefix).await.map_err(hide)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.single.copy_opts(from, to, options).await.map_err(hide)
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.single
            .rename_opts(from, to, options)
            .await
            .map_err(hide)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_repeats_the_session_token_is_not_shown() {
        let source =
            "<Error><CanonicalRequest>x-amz-security-token:hunter2</CanonicalRequest></Error>"
                .into();
        let error = hide(object_store::Error::Generic {
            store: "S3",
            source,
        });

        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
