//! The flush of heads.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::StatusCode;

use crate::http::answer::failure::Failure;
use crate::http::request::form::Params;
use crate::http::request::tenant::Tenant;
use crate::http::roles::state::ingester::IngesterState;

/// Flushes the head of one tenant, or of all with `?all=true`. With several tenants, only an
/// operator may flush all, or everybody if a setting says so. Answers 204 when everything that was
/// acknowledged before is committed in the store.
pub(crate) async fn flush(
    State(state): State<Arc<IngesterState>>,
    request: Request,
) -> Result<StatusCode, Failure> {
    let (mut parts, body) = request.into_parts();
    let params = Params::from_request(Request::from_parts(parts.clone(), body), &state).await?;
    let all = params.all("all").any(|value| value == "true");

    let flushed = if all {
        if !state.door.is_operator(&parts) && !state.flush_all {
            return Err(Failure::forbidden(
                "all tenants are flushed only at --http-operator-listen, or with --http-flush-all",
            ));
        }

        state.ingester.flush_all().await
    } else {
        let Tenant(tenant) = Tenant::from_request_parts(&mut parts, &state).await?;
        state.ingester.flush(&tenant).await.map(|_| ())
    };

    flushed
        .map(|()| StatusCode::NO_CONTENT)
        .map_err(|error| Failure::of_command(&error))
}
