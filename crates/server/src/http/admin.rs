//! What an operator asks for.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::StatusCode;
use duramen_model::ErrorKind;

use super::failure::{Failure, with_causes};
use super::params::Params;
use super::tenant::Tenant;
use super::viewer;
use crate::wiring::System;

/// Flushes one tenant's head, or all with `?all=true`. With several tenants, all is not for one of
/// them to ask: only where a flag says that whoever reaches the port is an operator. Answers 204
/// when everything acknowledged before is committed in the store.
pub(super) async fn flush(
    State(system): State<Arc<System>>,
    request: Request,
) -> Result<StatusCode, Failure> {
    let (mut parts, body) = request.into_parts();
    let params = Params::from_request(Request::from_parts(parts.clone(), body), &system).await?;
    let all = params.all("all").any(|value| value == "true");

    let flushed = if all {
        if !viewer::is_operator(&parts, &system) && !system.config.http.flush_all {
            return Err(Failure::forbidden(
                "all tenants are flushed only at --http-operator-listen, or with --http-flush-all",
            ));
        }

        system.ingester.flush_all().await
    } else {
        let Tenant(tenant) = Tenant::from_request_parts(&mut parts, &system).await?;
        system.ingester.flush(&tenant).await.map(|_| ())
    };

    match flushed {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            Err(Failure::unavailable(with_causes(&error)))
        }
        Err(error) => Err(Failure::internal(with_causes(&error))),
    }
}
