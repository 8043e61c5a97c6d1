//! Whose request it is.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use duramen_model::TenantName;

use crate::http::answer::failure::Failure;
use crate::http::request::door::Door;

/// The header that names the tenant while multi-tenancy is on.
const HEADER: &str = "x-scope-orgid";

/// The tenant of a request: from the header while multi-tenancy is on, else always the same.
#[derive(Debug)]
pub(crate) struct Tenant(pub(crate) TenantName);

impl<S> FromRequestParts<S> for Tenant
where
    Door: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let door = Door::from_ref(state);
        door.assure().await?;
        door.tenant(parts).map(Self)
    }
}

/// The tenant that the header names; `None` without a header.
pub(crate) fn named(parts: &Parts) -> Result<Option<TenantName>, Failure> {
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
