//! The parts that all roles of a process share, and the right to write, which only the ingester
//! needs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use duramen_api::http::{BodyBounds, Door, Intake, Tenancy};
use duramen_bucket::{
    Access, Bucket, Claim, Credentials, DataDir, LogLeft, Opening, StoreCost, TakeOver, Tenants,
};
use duramen_limits::{LimitsHandle, LiveLimits};
use duramen_manifest::Manifests;
use duramen_metrics::Registry;
use duramen_model::TenantName;
use duramen_qos::Account;
use duramen_runtime::{Clock, Disk, OnFailure, RealDisk, Tasks, Workers};
use duramen_settings::Secret;

use tokio::sync::Notify;

use super::basics::Basics;
use crate::config::Config;

/// The longest time that a clean end waits for the store.
const RELEASE_WAIT_MAX: Duration = Duration::from_secs(5);

/// The parts that every role may use. None of them writes samples.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) bucket: Bucket,
    /// What a GET of the store costs.
    pub(crate) store_cost: StoreCost,
    pub(crate) register: Arc<Tenants>,
    pub(crate) manifests: Manifests,
    /// The account that bodies, heads, queries, answers and caches draw from.
    pub(crate) memory: Arc<Account>,
    /// The threads that compute.
    pub(crate) workers: Workers,
    /// The limits of each tenant, which are kept up to date.
    pub(crate) live_limits: Arc<LiveLimits>,
    /// The tenant of all data if multi-tenancy is off, and otherwise the tenant of the process's
    /// own metrics.
    pub(crate) own_tenant: TenantName,
    /// How bodies are read.
    pub(crate) bodies: BodyBounds,
    /// The checks that requests of every role pass.
    pub(crate) door: Door,
    /// Wakes the compactor, because deleted samples are to be removed soon.
    pub(crate) clean: Arc<Notify>,
}

/// The right to write to the store, and the data directory whose name it uses.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) claim: Claim,
    pub(crate) data_dir: DataDir,
}

impl Shared {
    /// Reads the limits, opens the data directory and the store, and claims the store.
    pub(crate) async fn open(
        config: &Config,
        basics: &Basics,
        registry: &mut Registry,
    ) -> anyhow::Result<(Self, Lease)> {
        let clock = Arc::clone(&basics.clock);
        let memory = Arc::clone(&basics.memory);

        let live_limits = LiveLimits::open(
            config.limits_file.clone(),
            config.limits(),
            Arc::clone(&clock),
            registry,
        )?;

        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let mut data_dir = DataDir::open(Arc::clone(&disk), &config.data_dir, &*clock)
            .context("open the data directory")?;
        let bucket = open_bucket(config, Access::Alone, &disk, &clock)?;
        bucket.metrics().register(registry);

        let Opening {
            claim,
            tenants: register,
            cost,
        } = Opening::open(&bucket, &mut data_dir, take_over(config)).await?;
        let store_cost = store_cost(config, cost);

        let manifests = Manifests::under(claim.clone(), bucket.clone(), Arc::clone(&clock));

        crate::memory::register(&memory, registry);

        let own_tenant = TenantName::parse(if config.multi_tenancy {
            "duramen"
        } else {
            "anonymous"
        })?;

        let bodies = body_bounds(config);
        let forms = Intake::of_forms(&bodies, &memory, &clock);
        let door = Door::new(tenancy(config, &own_tenant), Some(claim.clone()), forms);
        let workers = Workers::start("query").context("start the threads that evaluate queries")?;

        let shared = Self {
            clock,
            disk,
            bucket,
            store_cost,
            register: Arc::new(register),
            manifests,
            memory,
            workers,
            live_limits: Arc::new(live_limits),
            own_tenant,
            bodies,
            door,
            clean: Arc::default(),
        };

        Ok((shared, Lease { claim, data_dir }))
    }

    /// Returns the current limits of each tenant.
    pub(crate) fn limits(&self) -> LimitsHandle {
        self.live_limits.handle().clone()
    }
}

impl Lease {
    /// Ends the process if another one takes the store.
    pub(crate) fn watch(&self, tasks: &Tasks) {
        let claim = self.claim.clone();
        let shutdown = tasks.shutdown();

        tasks.spawn("claim", OnFailure::Fatal, async move {
            tokio::select! {
                () = shutdown.cancelled() => Ok(()),
                lost = claim.watch() => lost,
            }
        });
    }

    /// Makes the next start with this data directory take a new name.
    pub(crate) fn disown(&mut self) {
        match self.data_dir.disown() {
            Ok(()) => tracing::warn!(
                "another process has published under the name of this data directory: started again, it goes on under a new one"
            ),
            Err(error) => {
                tracing::error!(%error, "the data directory cannot note that it needs a new name")
            }
        }
    }

    /// Releases the store at the end of a process that was asked to stop, after `closed` has
    /// returned what is left in the log. Any other process may then take the store at once. A few
    /// seconds are enough for a store that answers. If the release fails, another data directory
    /// needs `--take-over`.
    pub(crate) async fn release(&self, closed: impl Future<Output = LogLeft>, clock: &dyn Clock) {
        let released = async {
            if let Err(error) = self.claim.release(closed.await).await {
                tracing::warn!(%error, "the store was not told that this process is done");
            }
        };

        tokio::select! {
            biased;
            () = released => {}
            () = clock.sleep(RELEASE_WAIT_MAX) => {
                tracing::warn!("the store was not told in time that this process is done");
            }
        }
    }
}

fn tenancy(config: &Config, own_tenant: &TenantName) -> Tenancy {
    Tenancy {
        is_multi: config.multi_tenancy,
        own_tenant: own_tenant.clone(),
        metrics_all: config.http.metrics_all,
    }
}

fn body_bounds(config: &Config) -> BodyBounds {
    BodyBounds {
        writes_bytes_max: config.http.bodies_bytes_max,
        read_max: config.http.body_read_max,
        bytes_per_second_min: config.http.body_bytes_per_second_min,
        wait_max: config.writes.wait_max,
    }
}

/// Returns what a GET costs, as the settings say. The measurement stands in for what they leave
/// out.
fn store_cost(config: &Config, measured: StoreCost) -> StoreCost {
    let set = config
        .bucket
        .bytes_per_second
        .and_then(|bytes| u64::try_from(bytes).ok());

    let cost = StoreCost {
        trip: config.bucket.trip.unwrap_or(measured.trip),
        bytes_per_second: set.unwrap_or(measured.bytes_per_second),
    };

    tracing::info!(
        trip_ms = cost.trip.as_millis(),
        bytes_per_second = cost.bytes_per_second,
        "what a GET of the store costs"
    );

    cost
}

const fn take_over(config: &Config) -> TakeOver {
    if config.take_over {
        TakeOver::Always
    } else {
        TakeOver::IfGone
    }
}

/// Makes the client of the store. It sends no request.
pub(crate) fn open_bucket(
    config: &Config,
    access: Access,
    disk: &Arc<dyn Disk>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Bucket> {
    let mut settings = duramen_bucket::Config {
        requests_max: config.bucket.requests_max,
        access,
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
