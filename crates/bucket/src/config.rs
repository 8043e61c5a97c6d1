//! The settings of the bucket.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::RetryPolicy;

/// How to connect to the store. [`crate::StoreUrl`] says where the store is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub s3: S3Config,
    /// The largest number of requests at the same time. More hides more of the store's latency, and
    /// takes memory for as many bodies.
    pub requests_max: usize,
    #[serde(skip)]
    pub retry: RetryPolicy,
    /// The longest wait for one request, including its body.
    #[serde(skip)]
    pub request_timeout: Duration,
    #[serde(skip)]
    pub connect_timeout: Duration,
    #[serde(skip)]
    pub access: Access,
}

/// What a process does with a store in a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// It reads and writes, and keeps other processes away.
    #[default]
    Alone,
    /// It only reads, beside a process that may have the store.
    Reads,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            s3: S3Config::default(),
            // One query may send 64 requests at once. As many are left for all others.
            requests_max: 128,
            retry: RetryPolicy::default(),
            request_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(5),
            access: Access::Alone,
        }
    }
}

/// What an S3 store needs beside its URL. A value that is not set here comes from the usual
/// environment variables (`AWS_REGION`, `AWS_ENDPOINT_URL`, ...). So do the credentials:
/// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, a web identity, or those of the instance.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3Config {
    /// The URL of a store that is not AWS, such as `http://127.0.0.1:9000`. With `http:` the
    /// connection is not encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Whether the bucket is in the path rather than in the host name. Default: true if `endpoint`
    /// is set, otherwise false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_style: Option<bool>,
    /// Replaces the credentials from the environment.
    #[serde(skip)]
    pub credentials: Option<Credentials>,
}

/// The credentials that sign requests. They are never printed.
#[derive(Clone)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    /// Belongs to temporary credentials.
    pub session_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hidden")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_printed() {
        let credentials = Some(Credentials {
            access_key_id: "hunter2-id".to_owned(),
            secret_access_key: "hunter2".to_owned(),
            session_token: Some("hunter2-token".to_owned()),
        });

        let config = Config {
            s3: S3Config {
                credentials,
                ..S3Config::default()
            },
            ..Config::default()
        };

        assert!(!format!("{config:?}").contains("hunter2"));
        assert!(!serde_json::to_string(&config).unwrap().contains("hunter2"));
    }

    #[test]
    fn unknown_settings_are_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"s3": {"endpont": "x"}}"#).is_err());
    }
}
