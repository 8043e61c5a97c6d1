//! The parts of a process and how they are put together: the store first, then the roles, each from
//! exactly what it names.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use duramen_api::http::{
    BodyBounds, ConnectionBounds, Door, EdgeState, HttpMetrics, IngesterState, Intake, MetricsPage,
    ProcessState, QuerierState, Serving, Tenancy, router,
};
use duramen_blocks::{Blocks, Staging};
use duramen_bucket::{Bucket, Claim, Credentials, DataDir, Deployment, TakeOver, Tenants};
use duramen_ingest::{Ingester, StartReport};
use duramen_limits::{LimitsHandle, LiveLimits};
use duramen_manifest::Manifests;
use duramen_metrics::Registry;
use duramen_model::{ErrorKind, TenantName};
use duramen_promql::{Engine, EngineConfig};
use duramen_qos::Account;
use duramen_query::{Querier, Storage};
use duramen_runtime::{Clock, Disk, OnFailure, RealDisk, SystemClock, Tasks, Workers};
use duramen_settings::Secret;
use parking_lot::Mutex;

use crate::config::{Config, Settings};

/// A running system.
#[derive(Debug)]
pub struct System {
    pub config: Config,
    pub clock: Arc<dyn Clock>,
    /// What bodies, heads, queries, answers and caches draw from.
    pub memory: Arc<Account>,
    pub metrics: Arc<MetricsPage>,
    http_metrics: HttpMetrics,
    pub ingester: Ingester,
    /// All that is served.
    pub router: Router,
    /// What the store is, without secrets.
    pub store: String,
    /// Everything's tenant while multi-tenancy is off, and otherwise the tenant of the process's
    /// own metrics.
    pub own_tenant: TenantName,
    pub replayed: StartReport,
    /// The right to write to the store and to answer from it.
    pub claim: Claim,
    /// Holds the data directory's lock.
    data_dir: Mutex<DataDir>,
}

/// What the roles share.
struct Shared {
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
    data_dir: DataDir,
    bucket: Bucket,
    claim: Claim,
    register: Arc<Tenants>,
    manifests: Manifests,
    memory: Arc<Account>,
}

/// The most `meta`s that are kept open; each takes some 100 KiB.
const OPEN_BLOCKS_MAX: usize = 4096;

impl System {
    /// Probes the store, replays the log and starts the roles.
    pub async fn start(settings: Settings, tasks: &Tasks) -> anyhow::Result<Self> {
        let mut registry = Registry::default();
        let config_yaml = settings.yaml();
        let config = settings.config;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());

        let live_limits = Arc::new(LiveLimits::open(
            config.limits_file.clone(),
            config.limits(),
            Arc::clone(&clock),
            &mut registry,
        )?);

        let limits = live_limits.handle().clone();
        let mut shared = Shared::open(&config, clock, &mut registry).await?;
        shared.watch_claim(tasks);

        let (ingester, replayed) =
            ingester(&mut shared, &config, &limits, &mut registry, tasks).await?;
        let metrics = duramen_query::Metrics::default();
        metrics.register(&mut registry);

        let storage = storage(&shared, &config, &ingester, &metrics);
        let workers = Workers::start("query").context("start the threads that evaluate queries")?;
        let querier = querier(
            &shared,
            &config,
            &limits,
            Arc::clone(&storage),
            workers.clone(),
            metrics,
        );
        live_limits.watch(tasks)?;

        let http_metrics = HttpMetrics::default();
        http_metrics.register(&mut registry);

        let own_tenant = if config.multi_tenancy {
            "duramen"
        } else {
            "anonymous"
        };

        let own_tenant = TenantName::parse(own_tenant)?;

        let tenancy = Tenancy {
            is_multi: config.multi_tenancy,
            own_tenant: own_tenant.clone(),
            metrics_all: config.http.metrics_all,
        };

        let bodies = BodyBounds {
            writes_bytes_max: config.http.bodies_bytes_max,
            read_max: config.http.body_read_max,
            bytes_per_second_min: config.http.body_bytes_per_second_min,
            wait_max: config.writes.wait_max,
        };

        let forms = Intake::of_forms(&bodies, &shared.memory, &shared.clock);
        let door = Door::new(tenancy, Some(shared.claim.clone()), forms);

        let metrics = Arc::new(MetricsPage::new(registry, {
            let ingester = ingester.clone();
            move || ingester.observe()
        }));

        let asked = QuerierState {
            door: door.clone(),
            clock: Arc::clone(&shared.clock),
            limits: limits.clone(),
            memory: Arc::clone(&shared.memory),
            querier: Arc::new(querier),
            storage,
            register: Arc::clone(&shared.register),
            lookback_ms: lookback_ms(&config),
            remote_read: http_metrics.remote_read.clone(),
        };

        let written = IngesterState {
            door: door.clone(),
            limits,
            ingester: ingester.clone(),
            bodies: Intake::of_writes(&bodies, &shared.memory, &shared.clock),
            flush_all: config.http.flush_all,
        };

        let process = ProcessState {
            door,
            clock: Arc::clone(&shared.clock),
            metrics: Arc::clone(&metrics),
            register: shared.register,
            workers,
            config_yaml,
            flags: config.flags(),
            limits: live_limits,
            features: config.features.0,
            started_ms: shared.clock.now_ms(),
            lost_records: replayed.lost_records,
        };

        let edge = EdgeState {
            clock: Arc::clone(&shared.clock),
            metrics: http_metrics.clone(),
            cors_origin: config.http.cors_origin.0.clone(),
        };

        let roles = [
            Arc::new(asked).routes(),
            Arc::new(written).routes(),
            Arc::new(process).routes(),
        ];

        Ok(Self {
            store: shared.bucket.name().to_owned(),
            config,
            clock: shared.clock,
            memory: shared.memory,
            metrics,
            http_metrics,
            ingester,
            router: router(edge, roles),
            own_tenant,
            replayed,
            claim: shared.claim,
            data_dir: Mutex::new(shared.data_dir),
        })
    }

    /// How connections are served.
    pub fn serving(&self) -> Serving {
        let http = &self.config.http;
        let bounds = ConnectionBounds {
            connections_max: http.connections_max,
            answer_stall_max: http.answer_stall_max,
            answer_write_max: http.answer_write_max,
            stop_wait_max: http.stop_wait_max,
        };

        Serving::new(&bounds, &self.memory, &self.http_metrics.connections)
    }

    /// Lets the store go at the end of a process that was asked to stop: any other may have it at
    /// once. A second is enough for a store that answers; without it, another data directory needs
    /// `--take-over`.
    pub async fn release(&self) {
        let released = async {
            let log = self.ingester.close().await;
            if let Err(error) = self.claim.release(log).await {
                tracing::warn!(%error, "the store was not told that this process is done");
            }
        };

        tokio::select! {
            biased;
            () = released => {}
            () = self.clock.sleep(RELEASE_WAIT_MAX) => {
                tracing::warn!("the store was not told in time that this process is done");
            }
        }
    }

    /// Makes the next start take a new name when another process has published under this one's.
    pub fn note_end(&self) {
        if self.ingester.is_fenced() {
            disown(&mut self.data_dir.lock());
        }
    }
}

impl Shared {
    async fn open(
        config: &Config,
        clock: Arc<dyn Clock>,
        registry: &mut Registry,
    ) -> anyhow::Result<Self> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let mut data_dir = DataDir::open(Arc::clone(&disk), &config.data_dir, &*clock)
            .context("open the data directory")?;
        let bucket = open_bucket(config, &disk, &clock)?;

        bucket.metrics().register(registry);
        duramen_bucket::probe::probe(&bucket)
            .await
            .context("probe the store")?;

        let deployment = Deployment::open(&bucket)
            .await
            .context("identify the store")?;
        data_dir.bind(&deployment)?;

        let take_over = if config.take_over {
            TakeOver::Always
        } else {
            TakeOver::IfGone
        };

        let claim = Claim::take(&bucket, &mut data_dir, take_over)
            .await
            .context("claim the store")?;
        claim.outlast().await;

        let writer = claim.identity().writer;
        let register = Arc::new(
            Tenants::open(bucket.clone(), writer)
                .await
                .context("load the tenants")?,
        );

        let manifests = Manifests::under(claim.clone(), bucket.clone(), Arc::clone(&clock));

        // Settings that were not loaded but made up, in a test, may leave it out.
        let memory = config
            .memory
            .bytes_max
            .map_or_else(Account::unbounded, Account::new);

        crate::memory::register(&memory, registry);
        Ok(Self {
            clock,
            disk,
            data_dir,
            bucket,
            claim,
            register,
            manifests,
            memory,
        })
    }

    /// Ends the process when another has taken the store.
    fn watch_claim(&self, tasks: &Tasks) {
        let claim = self.claim.clone();
        let shutdown = tasks.shutdown();

        tasks.spawn("claim", OnFailure::Fatal, async move {
            tokio::select! {
                () = shutdown.cancelled() => Ok(()),
                lost = claim.watch() => lost,
            }
        });
    }
}

/// The longest that a clean end waits for the store.
const RELEASE_WAIT_MAX: Duration = Duration::from_secs(5);

fn disown(data_dir: &mut DataDir) {
    match data_dir.disown() {
        Ok(()) => tracing::warn!(
            "another process has published under the name of this data directory: started again, it goes on under a new one"
        ),
        Err(error) => {
            tracing::error!(%error, "the data directory cannot note that it needs a new name")
        }
    }
}

fn open_bucket(
    config: &Config,
    disk: &Arc<dyn Disk>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Bucket> {
    let mut settings = duramen_bucket::Config {
        requests_max: config.bucket.requests_max,
        ..duramen_bucket::Config::default()
    };

    settings.s3.endpoint = config.s3.endpoint.clone();
    settings.s3.region = config.s3.region.clone();
    settings.s3.path_style = config.s3.path_style;

    let exposed =
        |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
    let key = exposed(&config.s3.access_key_id).zip(exposed(&config.s3.secret_access_key));

    settings.s3.credentials = key.map(|(access_key_id, secret_access_key)| Credentials {
        access_key_id,
        secret_access_key,
        session_token: exposed(&config.s3.session_token),
    });

    let url = config.store_url()?;
    let bucket = Bucket::open(&url, &settings, Arc::clone(disk), Arc::clone(clock));
    bucket.with_context(|| format!("open the store {url}"))
}

async fn ingester(
    shared: &mut Shared,
    config: &Config,
    limits: &LimitsHandle,
    registry: &mut Registry,
    tasks: &Tasks,
) -> anyhow::Result<(Ingester, StartReport)> {
    let metrics = duramen_ingest::Metrics::default();
    metrics.register(registry);

    let settings = duramen_ingest::Config {
        flush_interval: config.flush.interval,
        head_bytes_max: config.head.bytes_max,
        series_bytes_max: config.head.series_bytes_max,
        wal_segment_bytes_max: config.wal.segment_bytes_max as u64,
        writes_in_flight_bytes_max: config.writes.in_flight_bytes_max,
        write_wait_max: config.writes.wait_max,
        tenants_max: config.tenants_max,
        type_and_unit_labels: config.features.type_and_unit_labels(),
    };

    let staging = Staging::open(Arc::clone(&shared.disk), config.data_dir.join("staging"))
        .context("empty the directory for staged blocks")?;

    let parts = duramen_ingest::Parts {
        wal_dir: config.data_dir.join("wal"),
        staging,
        disk: Arc::clone(&shared.disk),
        ballast: Some(Arc::clone(shared.data_dir.ballast())),
        clock: Arc::clone(&shared.clock),
        bucket: shared.bucket.clone(),
        register: Arc::clone(&shared.register),
        manifests: shared.manifests.clone(),
        writer: shared.claim.identity(),
        log: shared.data_dir.log(),
        limits: limits.clone(),
        metrics,
        memory: Arc::clone(&shared.memory),
        hash_seed: shared.clock.entropy().number(),
    };

    let started = Ingester::start(parts, settings, tasks).await;
    if started
        .as_ref()
        .is_err_and(|error| error.kind() == ErrorKind::Fenced)
    {
        disown(&mut shared.data_dir);
    }
    started.context("start the ingester")
}

fn storage(
    shared: &Shared,
    config: &Config,
    ingester: &Ingester,
    metrics: &duramen_query::Metrics,
) -> Arc<Storage> {
    let blocks = Blocks::new(
        shared.bucket.clone(),
        config.cache.bytes_max,
        OPEN_BLOCKS_MAX,
        Arc::clone(&shared.memory),
    );

    let heads = Arc::new(ingester.clone());
    Arc::new(Storage::new(
        heads,
        shared.manifests.clone(),
        Arc::new(blocks),
        metrics.clone(),
    ))
}

fn querier(
    shared: &Shared,
    config: &Config,
    limits: &LimitsHandle,
    storage: Arc<Storage>,
    workers: Workers,
    metrics: duramen_query::Metrics,
) -> Querier {
    let engine = EngineConfig {
        lookback_ms: lookback_ms(config),
        features: config.features.0,
        ..EngineConfig::default()
    };

    let engine = Engine::new(engine, Arc::clone(&shared.clock)).within(Arc::clone(&shared.memory));
    let bounds = (limits.clone(), duramen_query::Config::default());
    let register = Arc::clone(&shared.register);
    let clock = Arc::clone(&shared.clock);

    Querier::new(engine, storage, register, clock, workers, bounds, metrics)
}

fn lookback_ms(config: &Config) -> i64 {
    i64::try_from(config.query.lookback_delta.as_millis()).unwrap_or(i64::MAX)
}
