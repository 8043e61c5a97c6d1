//! What an operator asks for.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use duramen_model::ErrorKind;

use super::failure::{Failure, with_causes};
use super::tenant::Tenant;
use crate::wiring::System;

/// Flushes one tenant's head, or all with `?all=true`. With several tenants, all is not for one of them to ask: only where a flag
/// says that whoever reaches the port is an operator. Answers 204 when everything acknowledged before is committed in the store.
pub(super) async fn flush(State(system): State<Arc<System>>, request: Request) -> Result<StatusCode, Failure> {
    let (mut parts, _) = request.into_parts();
    let all = url::form_urlencoded::parse(parts.uri.query().unwrap_or("").as_bytes())
        .any(|(name, value)| name == "all" && value == "true");
    let flushed = if all {
        if system.config.multi_tenancy && !system.config.http.flush_all {
            return Err(Failure::forbidden("all tenants are flushed only with --http-flush-all"));
        }
        system.ingester.flush_all().await
    } else {
        let Tenant(tenant) = Tenant::from_request_parts(&mut parts, &system).await?;
        system.ingester.flush(&tenant).await.map(|_| ())
    };
    match flushed {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) if error.kind() == ErrorKind::Unavailable => Err(Failure::unavailable(with_causes(&error))),
        Err(error) => Err(Failure::internal(with_causes(&error))),
    }
}
