//! `status/tsdb/blocks`: the blocks of a tenant.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use duramen_model::BlockEntry;
use serde_json::json;

use crate::http::answer::envelope::success;
use crate::http::answer::failure::Failure;
use crate::http::request::tenant::Tenant;
use crate::http::roles::state::querier::QuerierState;

/// Lists the blocks that the manifest names, the oldest first. Our blocks have no chunks. Levels
/// are shifted, because Prometheus counts them from 1. The sources of a merged block are not kept.
pub(crate) async fn blocks(
    State(state): State<Arc<QuerierState>>,
    Tenant(tenant): Tenant,
) -> Result<Response, Failure> {
    let mut entries = match state.register.lookup(&tenant) {
        Some(tenant) => state
            .storage
            .blocks(tenant, None)
            .await
            .map_err(duramen_query::Error::from)?,
        None => vec![],
    };

    entries.sort_by_key(|entry| (entry.stats.min_ts_ms, entry.id));

    let block = |entry: &Arc<BlockEntry>| {
        let stats = &entry.stats;
        let range = entry.stats.range();

        let sources = if entry.level == 0 {
            vec![entry.id.to_string()]
        } else {
            vec![]
        };

        json!({
            "ulid": entry.id.to_string(),
            "minTime": range.start_ms(),
            "maxTime": range.end_ms(),
            "stats": {
                "numSamples": stats.samples + stats.histograms,
                "numFloatSamples": stats.samples,
                "numHistogramSamples": stats.histograms,
                "numSeries": stats.series,
                "numChunks": 0,
            },
            "compaction": { "level": u16::from(entry.level) + 1, "sources": sources },
            "version": 1,
        })
    };

    Ok(success(
        &json!({ "blocks": entries.iter().map(block).collect::<Vec<_>>() }),
        &[],
    ))
}
