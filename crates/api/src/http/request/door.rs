//! What every role asks of a request before it looks at it: who sends it, whether this process may
//! still answer, and where its form is read.

use std::sync::Arc;

use axum::http::request::Parts;
use duramen_bucket::Claim;
use duramen_model::TenantName;

use crate::http::answer::failure::Failure;
use crate::http::config::Tenancy;
use crate::http::request::intake::Intake;

/// The header that names the tenant while multi-tenancy is on.
const HEADER: &str = "x-scope-orgid";

/// Marks requests that came in at the operator's own listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OperatorListener;

/// The part of every role's state that the extractors see. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Door {
    tenancy: Arc<Tenancy>,
    /// The right to answer from the store, where this process has taken it.
    claim: Option<Claim>,
    forms: Arc<Intake>,
}

impl Door {
    pub fn new(tenancy: Tenancy, claim: Option<Claim>, forms: Intake) -> Self {
        Self {
            tenancy: Arc::new(tenancy),
            claim,
            forms: Arc::new(forms),
        }
    }

    /// Where forms and other questions are read.
    pub(crate) fn forms(&self) -> &Intake {
        &self.forms
    }

    /// Nobody who was overtaken may answer for a tenant, nor take samples for it.
    pub(crate) async fn assure(&self) -> Result<(), Failure> {
        let Some(claim) = &self.claim else {
            return Ok(());
        };

        claim
            .assure()
            .await
            .map_err(|error| Failure::unavailable(error.to_string()))
    }

    /// The tenant of a request.
    pub(crate) fn tenant(&self, parts: &Parts) -> Result<TenantName, Failure> {
        let own = &self.tenancy.own_tenant;
        if !self.tenancy.is_multi {
            return Ok(own.clone());
        }

        let missing = || Failure::unauthorized("no org id: the header X-Scope-OrgID is missing");
        let name = tenant_named(parts)?.ok_or_else(missing)?;

        // The metrics of the process name all the other tenants.
        if name == *own && !self.sees_all(parts) {
            return Err(Failure::forbidden(format!(
                "the tenant {name} has the process's own metrics, which tell of all tenants: it is \
                 open at --http-operator-listen, or with --http-metrics-all"
            )));
        }

        Ok(name)
    }

    /// Under which name the body of a request is counted while it is read, also where the route
    /// does not ask for a tenant.
    pub(crate) fn named_or_own(&self, parts: &Parts) -> TenantName {
        let named = if self.tenancy.is_multi {
            tenant_named(parts).ok().flatten()
        } else {
            None
        };

        named.unwrap_or_else(|| self.tenancy.own_tenant.clone())
    }

    /// Whether a request came from the operator, whatever the settings let others do.
    pub(crate) fn is_operator(&self, parts: &Parts) -> bool {
        !self.tenancy.is_multi || parts.extensions.get::<OperatorListener>().is_some()
    }

    /// Whether a request may see what tells of all tenants.
    pub(crate) fn sees_all(&self, parts: &Parts) -> bool {
        self.is_operator(parts) || self.tenancy.metrics_all
    }
}

/// The tenant that the header names; `None` without a header.
pub(crate) fn tenant_named(parts: &Parts) -> Result<Option<TenantName>, Failure> {
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
