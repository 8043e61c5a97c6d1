//! Named snapshots of a tenant.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value as Json, json};

use super::deletions::{manifest, read};
use crate::http::answer::envelope::success;
use crate::http::answer::failure::Failure;
use crate::http::request::form::Params;
use crate::http::request::tenant::Tenant;
use crate::http::roles::state::ingester::IngesterState;

/// Flushes a tenant and gives the state after it a name, so that its blocks are kept.
pub(crate) async fn create(
    State(state): State<Arc<IngesterState>>,
    request: Request,
) -> Result<Response, Failure> {
    let (tenant, params) = read(&state, request).await?;
    let name = name(&params)?;

    let made = state.ingester.make_snapshot(&tenant, name).await;
    let made = made.map_err(|error| Failure::of_deletion(&error))?;

    match made {
        Some(sequence) => Ok(success(&shown(name, sequence), &[])),
        None => Err(Failure::not_found("the tenant has no data")),
    }
}

/// Drops a named snapshot.
pub(crate) async fn drop(
    State(state): State<Arc<IngesterState>>,
    request: Request,
) -> Result<StatusCode, Failure> {
    let (tenant, params) = read(&state, request).await?;
    let dropped = state.ingester.drop_snapshot(&tenant, name(&params)?).await;

    match dropped.map_err(|error| Failure::of_deletion(&error))? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Failure::not_found("the tenant has no data")),
    }
}

/// Lists the named snapshots of a tenant, by name.
pub(crate) async fn list(
    State(state): State<Arc<IngesterState>>,
    Tenant(tenant): Tenant,
) -> Result<Response, Failure> {
    let manifest = manifest(&state, &tenant).await?;
    let all = manifest.iter().flat_map(|manifest| {
        let all = manifest.snapshots.iter();
        all.map(|(name, sequence)| shown(name, *sequence))
    });

    Ok(success(
        &json!({ "snapshots": all.collect::<Vec<_>>() }),
        &[],
    ))
}

fn name(params: &Params) -> Result<&str, Failure> {
    let name = params.given("name");
    name.ok_or_else(|| Failure::bad_data("no name parameter provided"))
}

fn shown(name: &str, sequence: u64) -> Json {
    json!({ "name": name, "sequence": sequence })
}
