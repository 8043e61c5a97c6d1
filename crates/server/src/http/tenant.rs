//! Whose request it is.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use duramen_model::TenantName;

use super::failure::Failure;
use super::viewer;
use crate::wiring::System;

/// The header that names the tenant while multi-tenancy is on.
const HEADER: &str = "x-scope-orgid";

/// The tenant of a request: from the header while multi-tenancy is on, else always the same.
#[derive(Debug)]
pub(super) struct Tenant(pub(super) TenantName);

impl FromRequestParts<Arc<System>> for Tenant {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, system: &Arc<System>) -> Result<Self, Failure> {
        // Nobody who was overtaken may answer for a tenant, nor take samples for it.
        system
            .claim
            .assure()
            .await
            .map_err(|error| Failure::unavailable(error.to_string()))?;

        if !system.config.multi_tenancy {
            return Ok(Self(system.own_tenant.clone()));
        }

        let missing = || Failure::unauthorized("no org id: the header X-Scope-OrgID is missing");
        let name = named(parts)?.ok_or_else(missing)?;

        // Its metrics name all the others.
        let is_operators = name == system.own_tenant;
        if is_operators && !viewer::is_operator(parts, system) && !system.config.http.metrics_all {
            return Err(Failure::forbidden(format!(
                "the tenant {name} has the process's own metrics, which tell of all tenants: it is open at --http-operator-listen, or \
                 with --http-metrics-all"
            )));
        }

        Ok(Self(name))
    }
}

/// Under which name the body of a request is counted while it is read, also where the route does
/// not ask for a tenant.
pub(super) fn of_bodies(parts: &Parts, system: &System) -> String {
    let named = if system.config.multi_tenancy {
        named(parts).ok().flatten()
    } else {
        None
    };

    named
        .as_ref()
        .unwrap_or(&system.own_tenant)
        .as_str()
        .to_owned()
}

/// The tenant that the header names; `None` without a header.
pub(super) fn named(parts: &Parts) -> Result<Option<TenantName>, Failure> {
    let mut values = parts.headers.get_all(HEADER).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };

    if values.next().is_some() {
        return Err(Failure::bad_data("the header X-Scope-OrgID stands twice"));
    }

    let name = value
        .to_str()
        .map_err(|_| Failure::bad_data("the header X-Scope-OrgID is not ASCII"))?;
    TenantName::parse(name)
        .map(Some)
        .map_err(|e| Failure::bad_data(format!("the header X-Scope-OrgID: {e}")))
}
