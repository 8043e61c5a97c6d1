//! A client for the server under test.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::time::Duration;

use duramen_testkit::s3::{S3, S3Options};
use object_store::aws::{AmazonS3, AmazonS3Builder, S3CopyIfNotExists};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt, PutMode, PutPayload, PutResult,
    RetryConfig,
};

/// Starts a server with the default options.
pub(crate) async fn start() -> S3 {
    S3::start(S3Options::default()).await.unwrap()
}

/// Returns a client that retries up to `max_retries` times, with short pauses.
pub(crate) fn client(s3: &S3, max_retries: usize) -> AmazonS3 {
    builder(s3, max_retries).build().unwrap()
}

pub(crate) fn builder(s3: &S3, max_retries: usize) -> AmazonS3Builder {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(5),
        ..BackoffConfig::default()
    };

    let retry = RetryConfig {
        backoff,
        max_retries,
        retry_timeout: Duration::from_secs(20),
    };

    AmazonS3Builder::new()
        .with_endpoint(s3.endpoint())
        .with_bucket_name("test")
        .with_region("us-east-1")
        .with_access_key_id("key-of-the-test")
        .with_secret_access_key("secret")
        .with_allow_http(true)
        .with_copy_if_not_exists(S3CopyIfNotExists::Multipart)
        .with_client_options(
            ClientOptions::new()
                .with_allow_http(true)
                .with_timeout(Duration::from_secs(30)),
        )
        .with_retry(retry)
}

pub(crate) async fn create(
    store: &AmazonS3,
    key: &str,
    body: &str,
) -> object_store::Result<PutResult> {
    store
        .put_opts(
            &Path::from(key),
            PutPayload::from(body.to_owned()),
            PutMode::Create.into(),
        )
        .await
}

pub(crate) async fn read(store: &AmazonS3, key: &str) -> object_store::Result<String> {
    let body = store.get(&Path::from(key)).await?.bytes().await?;
    Ok(String::from_utf8(body.to_vec()).unwrap())
}
