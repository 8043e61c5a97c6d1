//! The name of a process that works on a store, and the object that shows that it lives.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use duramen_bucket::{Bucket, Error, keys};
use duramen_runtime::Clock;
use ulid::Ulid;

/// A process that works on a store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Worker {
    bucket: Bucket,
    id: Ulid,
    beats: Arc<AtomicU64>,
}

/// The time by the clock of the store, and what lies in the place for workers.
#[derive(Clone, Debug)]
pub struct StoreTime {
    pub now_ms: i64,
    /// When each worker last wrote its object.
    pub(crate) workers: BTreeMap<Ulid, i64>,
}

impl Worker {
    /// Makes up a name that no other process has. No request.
    pub fn new(bucket: Bucket, clock: &dyn Clock) -> Self {
        Self {
            bucket,
            id: clock.new_ulid(),
            beats: Arc::default(),
        }
    }

    pub const fn id(&self) -> Ulid {
        self.id
    }

    /// Writes the object of this worker, with another content than before. 1 PUT.
    pub async fn beat(&self) -> Result<(), Error> {
        let beat = self.beats.fetch_add(1, Ordering::Relaxed) + 1;
        self.bucket
            .put(&keys::worker(self.id), beat.to_string())
            .await
    }

    /// Removes the object of this worker, at its end. 1 DELETE if there may be one.
    pub async fn leave(&self) -> Result<(), Error> {
        match self.beats.swap(0, Ordering::Relaxed) {
            0 => Ok(()),
            _ => self.bucket.delete(&keys::worker(self.id)).await,
        }
    }

    /// Asks the store what time it is there: the times of objects are by this clock, whichever
    /// process wrote them. 1 PUT and 1 LIST.
    pub async fn store_time(&self) -> Result<StoreTime, Error> {
        self.beat().await?;

        let prefix = keys::WORKERS.into();
        let objects = self.bucket.list(&prefix, None).await?;
        let named = objects.iter().filter_map(|object| {
            let id = object.location.filename()?.parse().ok()?;
            Some((id, object.last_modified.timestamp_millis()))
        });

        let workers: BTreeMap<Ulid, i64> = named.collect();
        let now_ms = workers.get(&self.id).copied();

        Ok(StoreTime {
            now_ms: now_ms.ok_or_else(|| Error::Corrupt {
                key: keys::worker(self.id).to_string(),
                fault: "written and not listed".to_owned(),
            })?,
            workers,
        })
    }
}
