//! The deletion of series, and what became of it.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use duramen_ingest::SnapshotBlocks;
use duramen_limits::Selector;
use duramen_manifest::{State as Manifest, Tombstone};
use duramen_model::{Deletion, Matcher, TenantName, TimeRange, ValueTest};
use serde_json::{Value as Json, json};

use crate::http::answer::envelope::success;
use crate::http::answer::failure::Failure;
use crate::http::request::door::is_at_operator_listener;
use crate::http::request::form::Params;
use crate::http::request::tenant::Tenant;
use crate::http::roles::state::ingester::IngesterState;

/// The longest text of a selector. The manifest bounds the whole deletion.
const SELECTOR_BYTES_MAX: usize = 4 << 10;
/// A receipt lists so many blocks of each kind.
const LISTED_MAX: usize = 1_000;

/// Deletes the samples of series. Answers 204 when no query finds them any more, with the place of
/// the receipt.
pub(crate) async fn delete_series(
    State(state): State<Arc<IngesterState>>,
    request: Request,
) -> Result<Response, Failure> {
    let (tenant, params) = read(&state, request).await?;
    let deletion = deletion(&params)?;
    let author = params.given("author").unwrap_or_default().to_owned();

    let deleted = state.ingester.delete(&tenant, deletion, author).await;
    let deleted = deleted.map_err(|error| Failure::of_deletion(&error))?;

    let place = deleted.map(|id| format!("/api/v1/admin/tsdb/deletions/{id}"));
    let place = place.and_then(|place| HeaderValue::try_from(place).ok());

    Ok(match place {
        Some(place) => (StatusCode::NO_CONTENT, [(header::LOCATION, place)]).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Has all deleted samples removed from the store soon, not only hidden.
pub(crate) async fn clean_tombstones(
    State(state): State<Arc<IngesterState>>,
    request: Request,
) -> Result<StatusCode, Failure> {
    let (tenant, _params) = read(&state, request).await?;
    let cleaned = state.ingester.clean_deletions(&tenant).await;
    cleaned.map_err(|error| Failure::of_deletion(&error))?;

    state.clean.notify_one();
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the deletions of a tenant, the last one first.
pub(crate) async fn deletions(
    State(state): State<Arc<IngesterState>>,
    Tenant(tenant): Tenant,
) -> Result<Response, Failure> {
    let manifest = manifest(&state, &tenant).await?;
    let snapshots = snapshots(&state, &tenant, manifest.as_deref()).await?;
    let all = manifest.iter().flat_map(|manifest| {
        let all = manifest.deletions.all().rev();
        all.map(|tombstone| receipt(manifest, &snapshots, tombstone))
    });

    Ok(success(
        &json!({ "deletions": all.collect::<Vec<_>>() }),
        &[],
    ))
}

/// Returns the receipt of a deletion.
pub(crate) async fn one_deletion(
    State(state): State<Arc<IngesterState>>,
    Tenant(tenant): Tenant,
    uri: Uri,
) -> Result<Response, Failure> {
    let id = uri.path().rsplit('/').next().unwrap_or_default();
    let manifest = manifest(&state, &tenant).await?;
    let snapshots = snapshots(&state, &tenant, manifest.as_deref()).await?;
    let found = manifest.as_ref().and_then(|manifest| {
        let tombstone = manifest.deletions.get(id.parse().ok()?)?;
        Some(receipt(manifest, &snapshots, tombstone))
    });

    match found {
        Some(receipt) => Ok(success(&receipt, &[])),
        None => Err(Failure::not_found("there is no such deletion")),
    }
}

pub(super) async fn manifest(
    state: &IngesterState,
    tenant: &TenantName,
) -> Result<Option<Arc<Manifest>>, Failure> {
    let manifest = state.ingester.manifest(tenant).await;
    manifest.map_err(|error| Failure::of_deletion(&error))
}

/// Returns the named snapshots with their blocks, if there is a deletion that they may hold up.
async fn snapshots(
    state: &IngesterState,
    tenant: &TenantName,
    manifest: Option<&Manifest>,
) -> Result<Vec<SnapshotBlocks>, Failure> {
    let Some(manifest) = manifest.filter(|manifest| !manifest.deletions.in_force.is_empty()) else {
        return Ok(Vec::new());
    };

    let snapshots = state.ingester.snapshot_blocks(tenant, manifest).await;
    snapshots.map_err(|error| Failure::of_deletion(&error))
}

/// Returns the tenant and the parameters of a request that may change what is kept.
pub(super) async fn read(
    state: &Arc<IngesterState>,
    request: Request,
) -> Result<(TenantName, Params), Failure> {
    let (mut parts, body) = request.into_parts();
    check_allowed(state, &parts)?;

    let params = Params::from_request(Request::from_parts(parts.clone(), body), state).await?;
    let Tenant(tenant) = Tenant::from_request_parts(&mut parts, state).await?;
    Ok((tenant, params))
}

/// Refuses, as Prometheus does, unless a setting allows it or the operator asks.
pub(super) fn check_allowed(state: &IngesterState, parts: &Parts) -> Result<(), Failure> {
    match state.admin_api || is_at_operator_listener(parts) {
        true => Ok(()),
        false => Err(Failure::unavailable(
            "admin APIs disabled: --http-admin-api allows them, and --http-operator-listen has them",
        )),
    }
}

/// Reads what is to be deleted.
fn deletion(params: &Params) -> Result<Deletion, Failure> {
    let mut selectors = Vec::new();
    for text in params.all("match[]") {
        selectors.push(selector(text)?);
    }

    if selectors.is_empty() {
        return Err(Failure::bad_data("no match[] parameter provided"));
    }

    let start_ms = params.time_ms("start")?.unwrap_or(i64::MIN);
    let end_ms = params.time_ms("end")?.unwrap_or(i64::MAX);
    let range = TimeRange::closed(start_ms, end_ms);
    let range = range.ok_or_else(|| Failure::bad_data("the end is before the start"))?;

    let value = params.given("value").map(|text| {
        let why = "a comparison with a number is expected, such as \"> 5\"";
        ValueTest::parse(text).ok_or_else(|| Failure::parameter("value", why))
    });

    Ok(Deletion {
        selectors,
        range,
        value: value.transpose()?,
    })
}

fn selector(text: &str) -> Result<Vec<Matcher>, Failure> {
    let fault = |why: String| Failure::parameter("match[]", why);
    if text.len() > SELECTOR_BYTES_MAX {
        let why = format!("a selector is longer than {SELECTOR_BYTES_MAX} bytes");
        return Err(fault(why));
    }

    let selector = Selector::parse(text).map_err(fault)?;
    let matchers = selector.matchers();

    if matchers.iter().all(Matcher::matches_empty) {
        let why = "match[] must contain at least one non-empty matcher";
        return Err(fault(why.to_owned()));
    }

    Ok(matchers.to_vec())
}

/// Tells what was deleted, and what is still there of it.
fn receipt(manifest: &Manifest, snapshots: &[SnapshotBlocks], tombstone: &Tombstone) -> Json {
    let asked = &tombstone.asked;
    let deletion = &asked.deletion;
    let range = deletion.range;
    let is_open = range.end_ms() == i64::MAX;

    let selectors = deletion.selectors.iter().map(|matchers| {
        let matchers = matchers.iter().map(Matcher::to_string);
        format!("{{{}}}", matchers.collect::<Vec<_>>().join(", "))
    });

    let (logs, blocks) = match tombstone.gone_ms {
        Some(_) => (Vec::new(), Vec::new()),
        None => (
            manifest.waits_for(tombstone).collect(),
            manifest.holds_deleted(tombstone).collect(),
        ),
    };

    let is_hidden = tombstone.gone_ms.is_none();
    let holding = snapshots
        .iter()
        .filter(|snapshot| is_hidden && snapshot.may_hold(tombstone));

    let logs = logs.iter().map(ToString::to_string);
    let listed = blocks.iter().take(LISTED_MAX);
    let listed = listed.map(|entry| entry.id.to_string());
    let remains = tombstone.remains.iter();

    json!({
        "id": asked.id.to_string(),
        "selectors": selectors.collect::<Vec<_>>(),
        "startMs": (range.start_ms() > i64::MIN).then_some(range.start_ms()),
        "endMs": (!is_open).then_some(range.last_ms()),
        "value": deletion.value.map(|test| test.to_string()),
        "author": asked.author,
        "requestedMs": asked.at_ms,
        "sequence": tombstone.number,
        "status": if tombstone.gone_ms.is_some() { "gone" } else { "hidden" },
        "goneMs": tombstone.gone_ms,
        "left": {
            "logs": logs.collect::<Vec<_>>(),
            "blocksTotal": blocks.len(),
            "blocks": listed.collect::<Vec<_>>(),
            "objectsTotal": remains.len(),
            "objects": remains.take(LISTED_MAX).map(ToString::to_string).collect::<Vec<_>>(),
            "snapshots": holding.map(|snapshot| &snapshot.name).collect::<Vec<_>>(),
        },
    })
}
