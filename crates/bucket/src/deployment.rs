//! The deployment that a store belongs to.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, PutMode, PutPayload};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::retry::is_passing;
use crate::{Bucket, Error, keys};

/// The identity of a deployment: the contents of `duramen.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    #[serde(rename = "deployment")]
    pub id: Ulid,
    /// The version of all formats in the store. A store with another version is refused.
    pub format: u64,
}

impl Deployment {
    /// The version that this program reads and writes.
    pub const FORMAT: u64 = 1;
    const BYTES_MAX: u64 = 64 << 10;

    /// Reads which deployment the store belongs to. If it belongs to none, makes a new identity for
    /// it. One GET; the first time also one PUT and another GET.
    ///
    /// # Errors
    /// [`Error::Format`] if the store has another format, [`Error::Corrupt`] if its identity cannot
    /// be read.
    pub async fn open(bucket: &Bucket) -> Result<Self, Error> {
        if let Some(found) = Self::find(bucket).await? {
            return Ok(found);
        }

        let key = Path::from(keys::DEPLOYMENT);
        let own = Self {
            id: bucket.clock().new_ulid(),
            format: Self::FORMAT,
        };

        let body = serde_json::to_vec(&own).expect("plain values have JSON");
        let mut attempts = 0;

        loop {
            let payload = PutPayload::from(body.clone());
            let error = match bucket
                .store()
                .put_opts(&key, payload, PutMode::Create.into())
                .await
            {
                Ok(_) => return Ok(own),
                Err(error) => error,
            };

            let is_conflict = matches!(error, object_store::Error::AlreadyExists { .. });
            if !is_conflict && !is_passing(&error) {
                return Err(Error::store("create", &key, error));
            }

            // Whichever process was first, its identity counts.
            if let Some(bytes) = bucket.get_if_exists(&key, Self::BYTES_MAX).await? {
                return Self::decode(&key, &bytes);
            }

            attempts += 1;
            if !bucket.retries().again(attempts).await {
                return Err(Error::OutcomeUnknown {
                    key: key.to_string(),
                    attempts,
                    source: error,
                });
            }
        }
    }

    /// Reads which deployment the store belongs to; `None` if it belongs to none. One GET.
    ///
    /// # Errors
    /// Those of [`Deployment::open`].
    pub async fn find(bucket: &Bucket) -> Result<Option<Self>, Error> {
        let key = Path::from(keys::DEPLOYMENT);
        let found = bucket.get_if_exists(&key, Self::BYTES_MAX).await?;
        found.map(|bytes| Self::decode(&key, &bytes)).transpose()
    }

    fn decode(key: &Path, bytes: &Bytes) -> Result<Self, Error> {
        let found: Self = serde_json::from_slice(bytes).map_err(|e| Error::Corrupt {
            key: key.to_string(),
            fault: e.to_string(),
        })?;

        if found.format != Self::FORMAT {
            return Err(Error::Format {
                key: key.to_string(),
                found: found.format,
                known: Self::FORMAT,
            });
        }

        Ok(found)
    }
}
