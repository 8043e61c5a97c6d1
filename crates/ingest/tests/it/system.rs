//! An ingester for tests, which can be queried and restarted.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use duramen_blocks::Staging;
use duramen_bucket::{Bucket, DataDir, LocalStore, Tenants};
use duramen_ingest::{Config, Error, Ingester, Metrics, Parts, StartReport, WriteReport};
use duramen_limits::{IngestLimits, Limits, LimitsHandle};
use duramen_manifest::Manifests;
use duramen_metrics::Registry;
use duramen_model::{FamilyMetadata, Histogram, Labels, Life, TenantId, TenantName, TimeRange};
use duramen_proto::Version;
use duramen_qos::Account;
use duramen_runtime::{Clock, Disk, MockClock, RealDisk, Tasks};
use duramen_source::{Columns, Heads, Part, SeriesExemplars, SeriesRequest};
use duramen_testkit::SimDisk;
use duramen_testkit::s3::S3;
use futures::TryStreamExt;
use tempfile::TempDir;

/// The time of every test's clock at the start.
pub(crate) const NOW_MS: i64 = 1_760_400_000_000;

/// An ingester with its disk, bucket and clock. Dropping it stops its tasks.
pub(crate) struct System {
    pub(crate) ingester: Ingester,
    pub(crate) report: StartReport,
    pub(crate) limits: LimitsHandle,
    pub(crate) clock: Arc<MockClock>,
    pub(crate) disk: SimDisk,
    pub(crate) bucket: Bucket,
    config: Config,
    pub(crate) manifests: Manifests,
    /// The account of the process.
    pub(crate) memory: Arc<Account>,
    registry: Registry,
    tenants: Arc<Tenants>,
    tasks: Tasks,
    pub(crate) staging: TempDir,
}

/// The samples of a series: floats by time, and histograms.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Held {
    pub(crate) floats: Vec<(i64, f64, Life)>,
    pub(crate) histograms: Vec<(i64, Histogram, Life)>,
}

impl System {
    pub(crate) async fn start() -> Self {
        let clock = MockClock::at(NOW_MS);
        let bucket = Bucket::memory(Arc::clone(&clock) as Arc<dyn Clock>);

        Self::open(
            clock,
            SimDisk::new(),
            bucket,
            Config::default(),
            Account::new(1 << 30),
        )
        .await
    }

    /// Starts a system like [`System::start`], with other settings.
    pub(crate) async fn with(config: Config) -> Self {
        Self::within(Account::new(1 << 30), config).await
    }

    /// Starts a system like [`System::with`], with an account of memory.
    pub(crate) async fn within(memory: Arc<Account>, config: Config) -> Self {
        let clock = MockClock::at(NOW_MS);
        let bucket = Bucket::memory(Arc::clone(&clock) as Arc<dyn Clock>);
        Self::open(clock, SimDisk::new(), bucket, config, memory).await
    }

    /// Starts a system like [`System::start`], with the bucket on a disk that can become
    /// unavailable.
    pub(crate) async fn start_on(store_disk: &SimDisk) -> Self {
        let clock = MockClock::at(NOW_MS);
        let store = LocalStore::open(
            Arc::new(store_disk.clone()),
            &PathBuf::from("/store"),
            &*clock,
        )
        .unwrap();

        let mut config = duramen_bucket::Config::default();
        config.retry.attempts_max = 1;

        let bucket = Bucket::over(
            Arc::new(store),
            "away".to_owned(),
            &config,
            Arc::clone(&clock) as Arc<dyn Clock>,
        );

        Self::open(
            clock,
            SimDisk::new(),
            bucket,
            Config::default(),
            Account::new(1 << 30),
        )
        .await
    }

    /// Starts a system like [`System::start`], with the bucket on a server whose requests the test
    /// can make fail. Failed requests are not retried.
    pub(crate) async fn start_at(s3: &S3) -> Self {
        let clock = MockClock::at(NOW_MS);
        let mut config = duramen_bucket::Config::default();
        config.retry.attempts_max = 1;
        config.s3.endpoint = Some(s3.endpoint());
        config.s3.region = Some("us-east-1".to_owned());
        config.s3.credentials = Some(duramen_bucket::Credentials {
            access_key_id: "key-of-the-test".to_owned(),
            secret_access_key: "secret".to_owned(),
            session_token: None,
        });

        let url = "s3://test".parse().unwrap();
        let bucket = Bucket::open(
            &url,
            &config,
            Arc::new(RealDisk),
            Arc::clone(&clock) as Arc<dyn Clock>,
        )
        .unwrap();
        Self::open(
            clock,
            SimDisk::new(),
            bucket,
            Config::default(),
            Account::new(1 << 30),
        )
        .await
    }

    /// Crashes like [`System::crash`]. The next process has other settings.
    pub(crate) async fn crash_into(mut self, config: Config) -> Self {
        self.config = config;
        self.crash().await
    }

    /// Starts a process with its own disk and the bucket of another one.
    pub(crate) async fn beside(other: &Self) -> Self {
        let clock = Arc::clone(&other.clock);
        let bucket = other.bucket.clone();

        Self::open(
            clock,
            SimDisk::new(),
            bucket,
            other.config.clone(),
            Account::new(1 << 30),
        )
        .await
    }

    /// Crashes, and starts another process with what is left on the disk.
    pub(crate) async fn crash(self) -> Self {
        let clock = Arc::clone(&self.clock);
        let disk = self.disk.crash(1);
        let bucket = self.bucket.clone();
        let config = self.config.clone();
        let memory = Arc::clone(&self.memory);

        drop(self);
        Self::open(clock, disk, bucket, config, memory).await
    }

    async fn open(
        clock: Arc<MockClock>,
        disk: SimDisk,
        bucket: Bucket,
        config: Config,
        memory: Arc<Account>,
    ) -> Self {
        let staging = tempfile::tempdir().unwrap();
        let on_disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let as_clock: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let identity =
            DataDir::open_unlocked(Arc::clone(&on_disk), &PathBuf::from("/data"), &*clock)
                .unwrap()
                .identity();

        let tenants = Arc::new(
            Tenants::open(bucket.clone(), identity.writer)
                .await
                .unwrap(),
        );

        let metrics = Metrics::default();
        let limits = LimitsHandle::default();
        let tasks = Tasks::default();
        let mut registry = Registry::default();

        metrics.register(&mut registry);

        let manifests = Manifests::new(bucket.clone(), Arc::clone(&as_clock), identity);
        let parts = Parts {
            wal_dir: PathBuf::from("/data/wal"),
            disk: on_disk,
            staging: Staging::open(Arc::new(RealDisk), staging.path().to_path_buf()).unwrap(),
            ballast: None,
            clock: as_clock,
            bucket: bucket.clone(),
            register: Arc::clone(&tenants),
            manifests: manifests.clone(),
            writer: identity,
            log: identity.writer,
            limits: limits.clone(),
            metrics,
            memory: Arc::clone(&memory),
            hash_seed: 1,
        };

        let (ingester, report) = Ingester::start(parts, config.clone(), &tasks)
            .await
            .unwrap();
        Self {
            ingester,
            report,
            limits,
            clock,
            disk,
            bucket,
            config,
            manifests,
            memory,
            registry,
            tenants,
            tasks,
            staging,
        }
    }

    /// Changes the limits.
    pub(crate) fn limit(&self, set: impl FnOnce(&mut IngestLimits)) {
        let mut limits = Limits::default();
        set(&mut limits.ingest);
        self.limits.replace(limits, HashMap::new());
    }

    pub(crate) async fn write(&self, body: &[u8]) -> Result<WriteReport, Error> {
        self.ingester.write(&tenant(), Version::One, body).await
    }

    /// Writes a body, and asserts that nothing of it is refused.
    pub(crate) async fn store(&self, body: &[u8]) -> WriteReport {
        let report = self.write(body).await.unwrap();
        assert!(
            report.rejected.is_empty()
                && report.lost_exemplars.is_empty()
                && report.lost_metadata.is_empty(),
            "{report:?}"
        );

        report
    }

    /// Returns the value of a metric, or 0 if it does not exist. `name` includes its labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        self.ingester.observe();

        let text = duramen_metrics::text(&self.registry.collect());

        let found = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        found.unwrap_or(0.0)
    }

    /// Returns the samples of one series in the head. Asserts that no sample is there twice.
    pub(crate) async fn held(&self, name: &str) -> Held {
        let mut held = Held::default();

        for part in self.parts().await {
            let mut batches = part
                .source
                .select(&self.request(Columns::Everything))
                .await
                .unwrap();

            while let Some(batch) = batches.try_next().await.unwrap() {
                for row in 0..batch.len() {
                    let labels = Labels::from_encoded(batch.labels_at(row)).unwrap();
                    if labels.get("__name__") != Some(name) {
                        continue;
                    }

                    let (ts, values) = batch.samples_at(row);
                    let of = |column: Option<&[i64]>, at: usize| column.map_or(0, |all| all[at]);

                    held.floats.extend(ts.iter().zip(values).enumerate().map(
                        |(at, (ts, value))| {
                            let life = Life {
                                start_ms: of(batch.starts_at(row), at),
                                ttl_ms: of(batch.ttls_at(row), at),
                            };

                            (*ts, *value, life)
                        },
                    ));

                    let histograms = batch.histograms_at(row);
                    held.histograms.extend(
                        histograms
                            .map(|h| (h.ts_ms, Histogram::from_bytes(h.bytes).unwrap(), h.life)),
                    );
                }
            }
        }

        held
    }

    pub(crate) async fn exemplars(&self) -> Vec<SeriesExemplars> {
        let mut all = Vec::new();

        for part in self.parts().await {
            all.extend(
                part.source
                    .exemplars(&self.request(Columns::Samples))
                    .await
                    .unwrap(),
            );
        }

        all
    }

    /// Returns the metadata of the tenant's head, through its open generation; none if there is no
    /// head, as after a trim.
    pub(crate) async fn families(&self) -> Vec<FamilyMetadata> {
        let parts = self.parts().await;
        let Some(open) = parts.last() else {
            return Vec::new();
        };
        open.source.metadata().await.unwrap()
    }

    /// Returns the tenant of all writes, once there was one.
    pub(crate) fn tenant_id(&self) -> TenantId {
        self.tenants.lookup(&tenant()).unwrap()
    }

    pub(crate) fn id_of(&self, name: &TenantName) -> TenantId {
        self.tenants.lookup(name).unwrap()
    }

    pub(crate) fn name_of(&self, id: TenantId) -> TenantName {
        self.tenants.name_of(id).unwrap()
    }

    pub(crate) async fn parts(&self) -> Vec<Part> {
        let Some(id) = self.tenants.lookup(&tenant()) else {
            return Vec::new();
        };
        let snapshots = self.ingester.snapshots(id).await.unwrap();
        snapshots
            .into_iter()
            .flat_map(|snapshot| snapshot.parts)
            .collect()
    }

    pub(crate) fn request(&self, columns: Columns) -> SeriesRequest {
        SeriesRequest {
            matchers: Arc::from([]),
            range: TimeRange::ALL,
            columns,
            batch_series_max: 2,
            reads: Arc::default(),
        }
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.tasks.shutdown().cancel();
    }
}

pub(crate) fn tenant() -> TenantName {
    TenantName::parse("anonymous").unwrap()
}
