//! Stores for tests.

use std::sync::Arc;
use std::time::Duration;

use duramen_bucket::{Bucket, Config, Credentials, RetryPolicy, S3Config, StoreUrl};
use duramen_model::WriterId;
use duramen_runtime::{Clock, RealDisk, SystemClock};
use duramen_testkit::s3::{S3, S3Options};
use ulid::Ulid;

pub(crate) const WRITER: WriterId = WriterId(Ulid(7));

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::default())
}

/// Returns a policy that retries often and without waiting.
pub(crate) fn eager() -> RetryPolicy {
    RetryPolicy {
        attempts_max: 30,
        backoff_first: Duration::from_millis(1),
        backoff_max: Duration::from_millis(4),
        saved_max: 1_000_000,
        saved_per_success: 1.0,
    }
}

pub(crate) fn config(s3: &S3) -> Config {
    let credentials = Some(Credentials {
        access_key_id: "key-of-the-test".to_owned(),
        secret_access_key: "hunter2".to_owned(),
        session_token: None,
    });

    let region = Some("us-east-1".to_owned());
    let s3 = S3Config {
        endpoint: Some(s3.endpoint()),
        region,
        path_style: None,
        credentials,
    };

    Config {
        s3,
        retry: eager(),
        ..Config::default()
    }
}

pub(crate) fn bucket_with(s3: &S3, url: &str, config: &Config) -> Bucket {
    let _ = s3;
    Bucket::open(&url.parse().unwrap(), config, Arc::new(RealDisk), clock()).unwrap()
}

/// Returns a new client of the server, like another process.
pub(crate) fn bucket(s3: &S3) -> Bucket {
    bucket_with(s3, "s3://test", &config(s3))
}

pub(crate) async fn server() -> S3 {
    S3::start(S3Options::default()).await.unwrap()
}

/// Returns a prefix of its own in the bucket `test` of the S3 server at `DURAMEN_TEST_S3_ENDPOINT`,
/// with the credentials of the usual environment. If that is not set, prints a line and returns
/// `None`. This is never a failure: to run these tests, set a server.
pub(crate) fn real_s3() -> Option<Bucket> {
    let Ok(endpoint) = std::env::var("DURAMEN_TEST_S3_ENDPOINT") else {
        eprintln!("skipped: DURAMEN_TEST_S3_ENDPOINT is not set");
        return None;
    };

    let region = Some("us-east-1".to_owned());
    let s3 = S3Config {
        endpoint: Some(endpoint),
        region,
        path_style: None,
        credentials: None,
    };

    let url = format!("s3://test/{}", clock().new_ulid()).parse().unwrap();
    Some(
        Bucket::open(
            &url,
            &Config {
                s3,
                ..Config::default()
            },
            Arc::new(RealDisk),
            clock(),
        )
        .unwrap(),
    )
}

pub(crate) fn directory(path: &std::path::Path) -> Bucket {
    let url = StoreUrl::File(path.to_path_buf());
    Bucket::open(&url, &Config::default(), Arc::new(RealDisk), clock()).unwrap()
}
