//! An ingester over any store and disk, and the source that queries read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use duramen_bucket::{Bucket, DataDir, Tenants};
use duramen_ingest::{Config, Ingester, Parts, StartReport, WriteReport};
use duramen_limits::LimitsHandle;
use duramen_manifest::Manifests;
use duramen_model::{Labels, Matcher, TenantName, TimeRange};
use duramen_proto::{Version, WriteRequestEncoder};
use duramen_query::{Blocks, Storage};
use duramen_runtime::{Clock, Disk, Tasks};
use duramen_source::{Columns, Heads, SeriesRequest, SeriesSource};
use futures::TryStreamExt;
use tempfile::TempDir;

/// Samples by series and time, values as bits.
pub(crate) type Samples = BTreeMap<(String, i64), u64>;

/// See the module's text.
pub(crate) struct System {
    pub(crate) ingester: Ingester,
    pub(crate) report: StartReport,
    pub(crate) manifests: Manifests,
    pub(crate) bucket: Bucket,
    tenants: Arc<Tenants>,
    tasks: Tasks,
    _staging: TempDir,
}

impl System {
    /// Starts an ingester whose identity and WAL lie on `disk`. Heads are flushed on request only.
    pub(crate) async fn start(bucket: Bucket, disk: Arc<dyn Disk>, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let staging = tempfile::tempdir()?;
        let identity = DataDir::open_unlocked(Arc::clone(&disk), &PathBuf::from("/data"), &*clock)?.identity();
        let tenants = Arc::new(Tenants::open(bucket.clone(), identity.writer).await?);
        let manifests = Manifests::new(bucket.clone(), Arc::clone(&clock), identity);
        let parts = Parts {
            wal_dir: PathBuf::from("/data/wal"),
            disk,
            staging_dir: staging.path().to_path_buf(),
            clock,
            bucket: bucket.clone(),
            register: Arc::clone(&tenants),
            manifests: manifests.clone(),
            writer: identity,
            limits: LimitsHandle::default(),
            metrics: duramen_ingest::Metrics::default(),
            hash_seed: 1,
        };
        let tasks = Tasks::default();
        // Small segments, so that rotation and trimming happen.
        let config = Config { wal_segment_bytes_max: 2_000, ..Config::default() };
        let (ingester, report) = Ingester::start(parts, config, &tasks).await?;
        Ok(Self { ingester, report, manifests, bucket, tenants, tasks, _staging: staging })
    }

    /// The tenant of all writes, once there was one.
    pub(crate) fn tenant_id(&self) -> duramen_model::TenantId {
        self.tenants.lookup(&tenant()).expect("something was written")
    }

    /// What queries read, with `heads` instead of the ingester itself.
    pub(crate) fn storage(&self, heads: Arc<dyn Heads>) -> Storage {
        Storage::new(
            heads,
            self.manifests.clone(),
            Arc::new(Blocks::new(self.bucket.clone(), 1 << 20, 100)),
            duramen_query::Metrics::default(),
        )
    }

    /// Writes one sample to each of the series.
    pub(crate) async fn write(&self, samples: &[(String, i64, f64)]) -> Result<WriteReport, duramen_ingest::Error> {
        let mut encoder = WriteRequestEncoder::default();
        for (series, ts_ms, value) in samples {
            encoder.push([("__name__", "m"), ("series", series)], [(*ts_ms, *value)]);
        }
        self.ingester.write(&tenant(), Version::One, &encoder.finish()).await
    }

    /// Reads everything through `storage`; fails when a series or a time comes twice.
    pub(crate) async fn read(&self, storage: &Storage) -> anyhow::Result<Samples> {
        let request = SeriesRequest {
            tenants: self.tenants.lookup(&tenant()).into_iter().collect(),
            matchers: Arc::from([Matcher::equal("__name__", "m")]),
            range: TimeRange::ALL,
            columns: Columns::Samples,
            batch_series_max: 2,
            reads: Arc::default(),
        };
        let mut samples = Samples::new();
        let mut batches = storage.select(&request).await?;
        while let Some(batch) = batches.try_next().await? {
            for row in 0..batch.len() {
                let labels = Labels::from_encoded(batch.labels_at(row)).expect("labels are well formed");
                let (ts, values) = batch.samples_at(row);
                for (ts, value) in ts.iter().zip(values) {
                    let series = labels.get("series").unwrap_or("").to_owned();
                    let held = samples.insert((series, *ts), value.to_bits());
                    anyhow::ensure!(held.is_none(), "a sample came twice. series=`{labels}`, ts_ms=`{ts}`");
                }
            }
        }
        Ok(samples)
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.tasks.shutdown().cancel();
    }
}

pub(crate) fn tenant() -> TenantName {
    TenantName::parse("anonymous").expect("a legal name")
}
