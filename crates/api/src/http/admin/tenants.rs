//! The tenants of the store, for its operator: they are listed, renamed, cloned and deleted.

use std::sync::Arc;

use axum::extract::{FromRequest, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use duramen_bucket::{DeletedTenant, NotRenamed};
use duramen_ingest::NotCloned;
use duramen_model::TenantName;
use serde_json::{Value as Json, json};

use super::deletions::check_allowed;
use crate::http::answer::envelope::success;
use crate::http::answer::failure::Failure;
use crate::http::answer::number::seconds;
use crate::http::request::form::Params;
use crate::http::roles::state::ingester::IngesterState;

/// Lists the tenants in the order of their adding, and those that were deleted.
pub(crate) async fn list(
    State(state): State<Arc<IngesterState>>,
    request: Request,
) -> Result<Response, Failure> {
    read(&state, request).await?;

    let found = state.ingester.registered().await;
    let (tenants, deleted) = found.map_err(|error| Failure::of_deletion(&error))?;

    let tenants = tenants.iter();
    let tenants: Vec<Json> = tenants
        .map(|tenant| json!({ "name": tenant.name, "id": tenant.id.to_string() }))
        .collect();
    let deleted: Vec<Json> = deleted.iter().map(shown).collect();

    let data = json!({ "tenants": tenants, "deleted": deleted });
    Ok(success(&data, &[]))
}

/// Gives a tenant another name.
pub(crate) async fn rename(
    State(state): State<Arc<IngesterState>>,
    request: Request,
) -> Result<StatusCode, Failure> {
    let params = read(&state, request).await?;
    let from = name(&params, "from")?;
    let to = name(&params, "to")?;

    let renamed = state.ingester.rename_tenant(&from, &to).await;

    match renamed.map_err(|error| Failure::of_deletion(&error))? {
        Ok(_) => Ok(StatusCode::NO_CONTENT),
        Err(error @ NotRenamed::Unknown(_)) => Err(Failure::not_found(error.to_string())),
        Err(error @ NotRenamed::Taken(_)) => Err(Failure::parameter("to", error)),
    }
}

/// Makes a tenant that begins with what another one has now, and answers with its id.
pub(crate) async fn clone(
    State(state): State<Arc<IngesterState>>,
    request: Request,
) -> Result<Response, Failure> {
    let params = read(&state, request).await?;
    let from = name(&params, "from")?;
    let to = name(&params, "to")?;

    let cloned = state.ingester.clone_tenant(&from, &to).await;

    match cloned.map_err(|error| Failure::of_deletion(&error))? {
        Ok(id) => Ok(success(&json!({ "name": to, "id": id.to_string() }), &[])),
        Err(error @ NotCloned::Unknown(_)) => Err(Failure::not_found(error.to_string())),
        Err(error @ NotCloned::Taken(_)) => Err(Failure::parameter("to", error)),
        Err(error @ NotCloned::StillShares { .. }) => Err(Failure::parameter("from", error)),
    }
}

/// Deletes a tenant with all that it has, and answers with its receipt.
pub(crate) async fn delete(
    State(state): State<Arc<IngesterState>>,
    request: Request,
) -> Result<Response, Failure> {
    let params = read(&state, request).await?;
    let name = name(&params, "name")?;

    let deleted = state.ingester.delete_tenant(&name).await;
    let deleted = deleted.map_err(|error| Failure::of_deletion(&error))?;

    match deleted {
        // It is deleted, whether its objects can be counted now or not.
        Some(deleted) => match receipt(&state, &deleted).await {
            Ok(receipt) => Ok(receipt),
            Err(_) => Ok(success(&shown(&deleted), &[])),
        },
        None => Err(Failure::not_found(format!(
            "there is no such tenant. tenant=`{name}`"
        ))),
    }
}

/// Returns the receipt of a tenant that was deleted.
pub(crate) async fn one_deleted(
    State(state): State<Arc<IngesterState>>,
    uri: Uri,
    request: Request,
) -> Result<Response, Failure> {
    read(&state, request).await?;
    let id = uri.path().rsplit('/').next().unwrap_or_default();

    let found = state.ingester.registered().await;
    let (_, deleted) = found.map_err(|error| Failure::of_deletion(&error))?;
    let mut deleted = deleted.iter();

    match deleted.find(|deleted| deleted.id.to_string() == id) {
        Some(deleted) => receipt(&state, deleted).await,
        None => Err(Failure::not_found("no tenant with this id was deleted")),
    }
}

async fn receipt(state: &IngesterState, deleted: &DeletedTenant) -> Result<Response, Failure> {
    let left = state.ingester.remains(deleted.id).await;
    let left = left.map_err(|error| Failure::of_deletion(&error))?;

    let mut receipt = shown(deleted);
    receipt["left"] = json!({ "objects": left.objects, "bytes": left.bytes });
    Ok(success(&receipt, &[]))
}

fn shown(deleted: &DeletedTenant) -> Json {
    let DeletedTenant {
        id,
        name,
        deleted_ms,
    } = deleted;

    json!({ "id": id.to_string(), "name": name, "deletedAt": seconds(*deleted_ms) })
}

/// Returns the parameters of a request that the operator has sent.
async fn read(state: &Arc<IngesterState>, request: Request) -> Result<Params, Failure> {
    let (parts, body) = request.into_parts();
    check_operator(state, &parts)?;

    Params::from_request(Request::from_parts(parts, body), state).await
}

/// Refuses a tenant that would see or change others.
fn check_operator(state: &IngesterState, parts: &Parts) -> Result<(), Failure> {
    check_allowed(state, parts)?;

    match state.door.is_operator(parts) {
        true => Ok(()),
        false => Err(Failure::forbidden(
            "tenants are listed, renamed, cloned and deleted at --http-operator-listen only",
        )),
    }
}

fn name(params: &Params, parameter: &str) -> Result<TenantName, Failure> {
    let text = params.given(parameter);
    let text = text.ok_or_else(|| Failure::parameter(parameter, "a tenant is needed"))?;
    TenantName::parse(text).map_err(|error| Failure::parameter(parameter, error))
}
