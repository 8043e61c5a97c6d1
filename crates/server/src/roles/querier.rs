//! The querier: it answers from heads and from the blocks in the store.

use std::sync::Arc;

use axum::Router;
use duramen_api::http::{QuerierState, RemoteReadMetrics};
use duramen_blocks::{Blocks, GetCost, HedgeMetrics, Hedges};
use duramen_cache::DiskCache;
use duramen_metrics::Registry;
use duramen_promql::{Engine, EngineConfig};
use duramen_query::{Parts, Querier, Storage};
use duramen_runtime::Tasks;
use duramen_source::{Heads, Views};

use super::shared::Shared;
use crate::config::Config;

/// The most block metas that are kept open. Each takes some 100 KiB.
const OPEN_BLOCKS_MAX: usize = 4096;

/// The parts that answer queries.
#[derive(Debug)]
pub(crate) struct Answering {
    storage: Arc<Storage>,
    querier: Arc<Querier>,
}

/// Makes a querier that reads `heads` and the store, with `disk` between them and the requests.
pub(crate) fn start(
    shared: &Shared,
    heads: Arc<dyn Heads>,
    disk: Option<Arc<DiskCache>>,
    config: &Config,
    registry: &mut Registry,
    tasks: &Tasks,
) -> Answering {
    let metrics = duramen_query::Metrics::default();
    metrics.register(registry);

    let blocks = Blocks::new(
        shared.bucket.clone(),
        config.cache.bytes_max,
        OPEN_BLOCKS_MAX,
        Arc::clone(&shared.memory),
    );

    blocks.register(registry);
    let blocks = match disk {
        Some(disk) => blocks.over(disk),
        None => blocks,
    };

    let cost = &shared.store_cost;
    let blocks = blocks.at_cost(GetCost::of(cost.trip, cost.bytes_per_second));
    let blocks = if config.bucket.hedges {
        let hedged = HedgeMetrics::default();
        hedged.register(registry);
        blocks.hedging(Hedges::new(Arc::clone(&shared.clock), hedged))
    } else {
        blocks
    };

    let storage = Storage::new(
        heads,
        shared.manifests.clone(),
        Arc::new(blocks),
        metrics.clone(),
    );
    let storage = Arc::new(storage.looking_every(config.query.look_interval, tasks));

    let engine = EngineConfig {
        lookback_ms: lookback_ms(config),
        features: config.features.0,
        ..EngineConfig::default()
    };

    let engine = Engine::new(engine, Arc::clone(&shared.clock)).within(Arc::clone(&shared.memory));
    let querier = Querier::new(Parts {
        engine,
        source: Arc::clone(&storage) as Arc<dyn Views>,
        register: Arc::clone(&shared.register),
        clock: Arc::clone(&shared.clock),
        workers: shared.workers.clone(),
        limits: shared.limits(),
        config: duramen_query::Config::default(),
        metrics,
    });

    Answering {
        storage,
        querier: Arc::new(querier),
    }
}

/// Returns the routes of the querier.
pub(crate) fn routes(
    shared: &Shared,
    config: &Config,
    answering: &Answering,
    remote_read: RemoteReadMetrics,
) -> Router {
    let state = QuerierState {
        door: shared.door.clone(),
        clock: Arc::clone(&shared.clock),
        limits: shared.limits(),
        memory: Arc::clone(&shared.memory),
        querier: Arc::clone(&answering.querier),
        storage: Arc::clone(&answering.storage),
        register: Arc::clone(&shared.register),
        lookback_ms: lookback_ms(config),
        remote_read,
    };

    Arc::new(state).routes()
}

fn lookback_ms(config: &Config) -> i64 {
    i64::try_from(config.query.lookback_delta.as_millis()).unwrap_or(i64::MAX)
}
