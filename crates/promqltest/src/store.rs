//! The store that a script loads samples into.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use duramen_blocks::{Blocks, Staging};
use duramen_bucket::{Bucket, DataDir, LocalStore, Tenants};
use duramen_ingest::{Ingester, Parts};
use duramen_limits::{Limits, LimitsHandle};
use duramen_manifest::Manifests;
use duramen_model::{Sample, TenantName};
use duramen_promql::{QueryContext, QueryLimits, RollupChoice};
use duramen_proto::Version;
use duramen_query::{RequestView, Storage};
use duramen_runtime::{Clock, Disk, MockClock, RealDisk, Tasks};
use duramen_source::{Heads, MemorySource, SeriesSource};
use tempfile::TempDir;

use crate::load::{LoadedSeries, LoadedValue};
use crate::store::write::body;

mod write;

/// Where the samples of a script are while its queries run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// In a source in memory. This tests the engine alone.
    Memory,
    /// In blocks in a local store, written through an ingester and flushed.
    Blocks,
    /// Every other sample of a series in a block, the rest in the head.
    Split,
}

impl Mode {
    pub const ALL: [Self; 3] = [Self::Memory, Self::Blocks, Self::Split];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Blocks => "blocks",
            Self::Split => "split",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let found = Self::ALL.into_iter().find(|mode| mode.as_str() == text);
        found
            .with_context(|| format!("there is no such mode: memory, blocks, split. mode=`{text}`"))
    }
}

/// The store of one script. Samples may have any time from the year 1 on: the clock of the ingester
/// stands at the epoch, and the limits allow samples far ahead of it.
pub struct Store(Kind);

enum Kind {
    Memory(MemorySource),
    System(Box<System>),
}

impl Store {
    pub async fn open(mode: Mode) -> anyhow::Result<Self> {
        let flush = match mode {
            Mode::Memory => return Ok(Self(Kind::Memory(MemorySource::default()))),
            Mode::Blocks => Flush::Everything,
            Mode::Split => Flush::EveryOther,
        };

        Ok(Self(Kind::System(Box::new(System::start(flush).await?))))
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        match &mut self.0 {
            Kind::Memory(source) => *source = MemorySource::default(),
            Kind::System(system) => system.generation += 1,
        }
    }

    /// Adds samples. On return, queries see all of them.
    ///
    /// # Errors
    /// If the ingester rejects a sample, or the store fails.
    pub async fn add(&mut self, series: &[LoadedSeries]) -> anyhow::Result<()> {
        match &mut self.0 {
            Kind::Memory(source) => series.iter().for_each(|series| push(source, series)),
            Kind::System(system) => system.add(series).await?,
        }

        Ok(())
    }

    /// Returns the context for queries over all samples that were added since the last
    /// [`Store::clear`].
    pub fn context(&self) -> QueryContext {
        let source: Arc<dyn SeriesSource> = match &self.0 {
            Kind::Memory(source) => Arc::new(source.clone()),
            Kind::System(system) => {
                let tenant = system.register.lookup(&system.tenant());
                let tenants = tenant.into_iter().collect();

                Arc::new(RequestView::new(
                    Arc::clone(&system.storage) as _,
                    tenants,
                    None,
                ))
            }
        };

        QueryContext {
            source,
            lookback_ms: None,
            first_reads: true,
            limits: QueryLimits::default(),
            rollups: RollupChoice::default(),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

fn push(source: &mut MemorySource, series: &LoadedSeries) {
    for sample in &series.samples {
        match &sample.value {
            LoadedValue::Float(value) => {
                source.push_with_life(
                    series.labels.clone(),
                    Sample::new(sample.ts_ms, *value),
                    sample.life,
                );
            }
            LoadedValue::Histogram(histogram) => {
                source.push_histogram(series.labels.clone(), sample.ts_ms, sample.life, histogram);
            }
        }
    }
}

/// Which samples of a load are flushed to blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flush {
    Everything,
    EveryOther,
}

/// An ingester, and the storage that queries read from. Its directory is removed with it.
struct System {
    flush: Flush,
    ingester: Ingester,
    register: Arc<Tenants>,
    storage: Arc<Storage>,
    tasks: Tasks,
    /// The number of clears. Each begins with a new tenant.
    generation: usize,
    _directory: TempDir,
}

impl System {
    async fn start(flush: Flush) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir().context("a directory for the store")?;
        let below = |name: &str| directory.path().join(name);
        let clock: Arc<dyn Clock> = MockClock::at(0);
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let store = Arc::new(LocalStore::open(
            Arc::clone(&disk),
            &below("store"),
            &*clock,
        )?);
        let config = duramen_bucket::Config::default();
        let bucket = Bucket::over(store, "promqltest".to_owned(), &config, Arc::clone(&clock));
        let writer = DataDir::open_unlocked(Arc::clone(&disk), &below("data"), &*clock)?.identity();
        let register = Arc::new(Tenants::open(bucket.clone(), writer.writer).await?);
        let manifests = Manifests::new(bucket.clone(), Arc::clone(&clock), writer);

        let parts = Parts {
            wal_dir: below("data/wal"),
            staging: Staging::open(Arc::clone(&disk), below("staging"))?,
            disk,
            ballast: None,
            clock,
            bucket: bucket.clone(),
            register: Arc::clone(&register),
            manifests: manifests.clone(),
            writer,
            log: writer.writer,
            limits: LimitsHandle::new(far_ahead(), HashMap::new()),
            metrics: duramen_ingest::Metrics::default(),
            memory: duramen_qos::Account::unbounded(),
            hash_seed: 1,
        };

        let tasks = Tasks::default();
        let (ingester, _) =
            Ingester::start(parts, duramen_ingest::Config::default(), &tasks).await?;
        let heads: Arc<dyn Heads> = Arc::new(ingester.clone());

        let blocks = Arc::new(Blocks::new(
            bucket,
            64 << 20,
            1000,
            duramen_qos::Account::unbounded(),
        ));

        let storage = Arc::new(Storage::new(
            heads,
            manifests,
            blocks,
            duramen_query::Metrics::default(),
        ));

        Ok(Self {
            flush,
            ingester,
            register,
            storage,
            tasks,
            generation: 0,
            _directory: directory,
        })
    }

    fn tenant(&self) -> TenantName {
        TenantName::parse(&format!("clear-{}", self.generation)).expect("a legal name")
    }

    async fn add(&self, series: &[LoadedSeries]) -> anyhow::Result<()> {
        match self.flush {
            Flush::Everything => {
                self.write(&body(series, |_| true)).await?;
                self.flush().await
            }
            Flush::EveryOther => {
                self.write(&body(series, |at| at % 2 == 0)).await?;
                self.flush().await?;
                self.write(&body(series, |at| at % 2 == 1)).await
            }
        }
    }

    async fn write(&self, body: &[u8]) -> anyhow::Result<()> {
        let report = self
            .ingester
            .write(&self.tenant(), Version::Two, body)
            .await?;

        if !report.rejected.is_empty() {
            bail!("{}", report.rejected);
        }

        Ok(())
    }

    async fn flush(&self) -> anyhow::Result<()> {
        self.ingester.flush(&self.tenant()).await?;
        Ok(())
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.tasks.shutdown().cancel();
    }
}

/// The default limits, except that samples may be centuries ahead of the clock.
fn far_ahead() -> Limits {
    let mut limits = Limits::default();
    limits.ingest.future_max = Duration::from_secs(u64::from(u32::MAX));
    limits
}
