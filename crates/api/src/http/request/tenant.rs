//! The tenant of a request.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use duramen_model::TenantName;

use crate::http::answer::failure::Failure;
use crate::http::request::door::Door;

/// The tenant of a request: the one in the header if multi-tenancy is on, else always the same.
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
