//! Whose request it is.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use duramen_model::TenantName;

use super::failure::Failure;
use crate::wiring::System;

/// The header that names the tenant while multi-tenancy is on.
const HEADER: &str = "x-scope-orgid";

/// The tenant of a request: from the header while multi-tenancy is on, else always the same.
#[derive(Debug)]
pub(super) struct Tenant(pub(super) TenantName);

impl FromRequestParts<Arc<System>> for Tenant {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, system: &Arc<System>) -> Result<Self, Failure> {
        if !system.config.multi_tenancy {
            return Ok(Self(system.own_tenant.clone()));
        }
        named(parts)?.map(Self).ok_or_else(|| Failure::unauthorized("no org id: the header X-Scope-OrgID is missing"))
    }
}

/// The tenant that the header names; `None` without a header.
fn named(parts: &Parts) -> Result<Option<TenantName>, Failure> {
    let mut values = parts.headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Failure::bad_data("the header X-Scope-OrgID stands twice"));
    }
    let name = value.to_str().map_err(|_| Failure::bad_data("the header X-Scope-OrgID is not ASCII"))?;
    TenantName::parse(name).map(Some).map_err(|e| Failure::bad_data(format!("the header X-Scope-OrgID: {e}")))
}
