//! An ingester over any store and disk, and the source that queries read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use duramen_block::BlockLimits;
use duramen_blocks::{Blocks, Staging};
use duramen_bucket::{Bucket, DataDir, Tenants};
use duramen_ingest::{Config, Ingester, Parts, StartReport, WriteReport};
use duramen_limits::LimitsHandle;
use duramen_manifest::Manifests;
use duramen_model::{AsOf, Exemplar, Histogram, Labels, Life, Matcher, TenantName, TimeRange};
use duramen_proto::{Version, WriteRequestEncoder};
use duramen_query::Storage;
use duramen_runtime::{Clock, Disk, RealDisk, Tasks};
use duramen_source::{
    Columns, Heads, SeriesBatch, SeriesExemplars, SeriesRequest, SeriesSource, Views,
};
use futures::TryStreamExt;
use tempfile::TempDir;

use crate::ledger::{Contents, Value};

/// Samples by series and time, values as bits.
pub(crate) type Samples = BTreeMap<(String, i64), u64>;

/// An ingester over any store and disk, and the parts of the source that queries read.
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
    /// Starts an ingester with its identity and WAL on `disk`. Heads are flushed only on request.
    pub(crate) async fn start(
        bucket: Bucket,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        Self::start_with(bucket, disk, clock, BlockLimits::default()).await
    }

    /// Starts a system like [`System::start`], whose blocks have these limits.
    pub(crate) async fn start_with(
        bucket: Bucket,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        block_limits: BlockLimits,
    ) -> anyhow::Result<Self> {
        let staging = tempfile::tempdir()?;
        let identity =
            DataDir::open_unlocked(Arc::clone(&disk), &PathBuf::from("/data"), &*clock)?.identity();
        let tenants = Arc::new(Tenants::open(bucket.clone(), identity.writer).await?);
        let manifests = Manifests::new(bucket.clone(), Arc::clone(&clock), identity);

        let parts = Parts {
            wal_dir: PathBuf::from("/data/wal"),
            disk,
            staging: Staging::open(Arc::new(RealDisk), staging.path().to_path_buf())?,
            ballast: None,
            clock,
            bucket: bucket.clone(),
            register: Arc::clone(&tenants),
            manifests: manifests.clone(),
            writer: identity,
            log: identity.writer,
            limits: LimitsHandle::default(),
            metrics: duramen_ingest::Metrics::default(),
            memory: duramen_qos::Account::unbounded(),
            hash_seed: 1,
        };

        let tasks = Tasks::default();

        // Small segments, so that rotation and trimming happen.
        let config = Config {
            wal_segment_bytes_max: 2_000,
            block_limits,
            ..Config::default()
        };

        let (ingester, report) = Ingester::start(parts, config, &tasks).await?;
        Ok(Self {
            ingester,
            report,
            manifests,
            bucket,
            tenants,
            tasks,
            _staging: staging,
        })
    }

    /// Returns the tenant of all writes. There must have been a write.
    pub(crate) fn tenant_id(&self) -> duramen_model::TenantId {
        self.tenants
            .lookup(&tenant())
            .expect("something was written")
    }

    pub(crate) fn tenants(&self) -> Arc<Tenants> {
        Arc::clone(&self.tenants)
    }

    /// Returns the source that queries read, with `heads` instead of the ingester itself.
    pub(crate) fn storage(&self, heads: Arc<dyn Heads>) -> Storage {
        Storage::new(
            heads,
            self.manifests.clone(),
            Arc::new(Blocks::new(
                self.bucket.clone(),
                1 << 20,
                100,
                duramen_qos::Account::unbounded(),
            )),
            duramen_query::Metrics::default(),
        )
    }

    /// Writes one sample to each of the series.
    pub(crate) async fn write(
        &self,
        samples: &[(String, i64, f64)],
    ) -> Result<WriteReport, duramen_ingest::Error> {
        let mut encoder = WriteRequestEncoder::default();
        for (series, ts_ms, value) in samples {
            encoder.push([("__name__", "m"), ("series", series)], [(*ts_ms, *value)]);
        }

        self.ingester
            .write(&tenant(), Version::One, &encoder.finish())
            .await
    }

    /// Writes a message of remote write 2.0.
    pub(crate) async fn write_message(
        &self,
        message: &[u8],
    ) -> Result<WriteReport, duramen_ingest::Error> {
        self.ingester.write(&tenant(), Version::Two, message).await
    }

    /// Returns what the tenant has now, through `storage`.
    pub(crate) async fn view(&self, storage: &Storage) -> anyhow::Result<Arc<dyn SeriesSource>> {
        let tenants: Vec<_> = self.tenants.lookup(&tenant()).into_iter().collect();
        Ok(storage.view(&tenants, None, None).await?)
    }

    /// Reads everything of every kind through `storage`. Fails if a series, a time or a family
    /// occurs twice, or if a life span is longer than the maximum that the storage reports.
    pub(crate) async fn contents(&self, storage: &Storage) -> anyhow::Result<Contents> {
        let request = self.request(&[], Columns::Everything);
        let mut contents = Contents::default();
        let view = self.view(storage).await?;
        let mut batches = view.select(&request).await?;

        while let Some(batch) = batches.try_next().await? {
            for row in 0..batch.len() {
                let series = name_of(
                    &Labels::from_encoded(batch.labels_at(row)).expect("labels are well formed"),
                );

                for (ts_ms, value, life) in samples_of(&batch, row) {
                    let held = contents
                        .samples
                        .insert((series.clone(), ts_ms), (value, life));
                    anyhow::ensure!(
                        held.is_none(),
                        "a sample came twice. series=`{series}`, ts_ms=`{ts_ms}`"
                    );
                }
            }
        }

        for SeriesExemplars { labels, exemplars } in view.exemplars(&request).await? {
            for Exemplar {
                ts_ms,
                value,
                labels: trace,
            } in exemplars
            {
                let trace = trace.get("trace_id").unwrap_or("").to_owned();
                let is_new =
                    contents
                        .exemplars
                        .insert((name_of(&labels), ts_ms, value.to_bits(), trace));

                anyhow::ensure!(
                    is_new,
                    "an exemplar came twice. series=`{labels}`, ts_ms=`{ts_ms}`"
                );
            }
        }

        for family in view.metadata().await? {
            let held = contents
                .families
                .insert(family.family, family.help.parse()?);
            anyhow::ensure!(held.is_none(), "a family came twice");
        }

        let longest_ms = contents
            .samples
            .values()
            .map(|(_, life)| life.ttl_ms)
            .max()
            .unwrap_or(0);

        let told_ms = view.ttl_max_ms().await?;
        anyhow::ensure!(
            told_ms >= longest_ms,
            "a life span is {longest_ms} ms, and the longest that is told {told_ms}"
        );

        Ok(contents)
    }

    fn request(&self, matchers: &[Matcher], columns: Columns) -> SeriesRequest {
        SeriesRequest {
            matchers: Arc::from(matchers),
            range: TimeRange::ALL,
            columns,
            batch_series_max: 2,
            reads: Arc::default(),
        }
    }

    /// Reads all floats of `m` through `storage`. Fails if a series or a time occurs twice.
    pub(crate) async fn read(&self, storage: &Storage) -> anyhow::Result<Samples> {
        self.read_as_of(storage, None).await
    }

    /// Reads a past state as [`System::read`] does.
    pub(crate) async fn read_as_of(
        &self,
        storage: &Storage,
        as_of: Option<&AsOf>,
    ) -> anyhow::Result<Samples> {
        let request = self.request(&[Matcher::equal("__name__", "m")], Columns::Samples);
        let tenants: Vec<_> = self.tenants.lookup(&tenant()).into_iter().collect();
        let view = storage.view(&tenants, as_of, None).await?;
        let mut samples = Samples::new();
        let mut batches = view.select(&request).await?;

        while let Some(batch) = batches.try_next().await? {
            for row in 0..batch.len() {
                let labels =
                    Labels::from_encoded(batch.labels_at(row)).expect("labels are well formed");
                let (ts, values) = batch.samples_at(row);

                for (ts, value) in ts.iter().zip(values) {
                    let series = labels.get("series").unwrap_or("").to_owned();
                    let held = samples.insert((series, *ts), value.to_bits());
                    anyhow::ensure!(
                        held.is_none(),
                        "a sample came twice. series=`{labels}`, ts_ms=`{ts}`"
                    );
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

fn name_of(labels: &Labels) -> String {
    labels.get("__name__").unwrap_or("").to_owned()
}

/// Returns the floats and histograms of a row.
fn samples_of(batch: &SeriesBatch, row: usize) -> impl Iterator<Item = (i64, Value, Life)> {
    let (ts, values) = batch.samples_at(row);
    let starts = batch.starts_at(row);
    let ttls = batch.ttls_at(row);
    let of = |column: Option<&[i64]>, at: usize| column.map_or(0, |all| all[at]);

    let floats = ts
        .iter()
        .zip(values)
        .enumerate()
        .map(move |(at, (ts_ms, value))| {
            (
                *ts_ms,
                Value::Bits(value.to_bits()),
                Life {
                    start_ms: of(starts, at),
                    ttl_ms: of(ttls, at),
                },
            )
        });

    let histograms = batch.histograms_at(row).map(|held| {
        let histogram = Histogram::from_bytes(held.bytes).expect("histograms are well formed");
        (held.ts_ms, Value::Histogram(Box::new(histogram)), held.life)
    });

    floats.chain(histograms)
}

pub(crate) fn tenant() -> TenantName {
    TenantName::parse("anonymous").expect("a legal name")
}
