//! What every role checks in a request first: who sends it, and whether this process may still
//! answer. It also has the place where forms are read.

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
    /// The right to answer from the store, if this process has claimed it.
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

    /// The intake for forms and other small bodies.
    pub(crate) fn forms(&self) -> &Intake {
        &self.forms
    }

    /// Checks that no other process has taken the store over. If one has, this process may not
    /// answer and may not take samples.
    pub(crate) async fn assure(&self) -> Result<(), Failure> {
        let Some(claim) = &self.claim else {
            return Ok(());
        };

        claim
            .assure()
            .await
            .map_err(|error| Failure::unavailable(error.to_string()))
    }

    /// Returns the tenant of a request.
    pub(crate) fn tenant(&self, parts: &Parts) -> Result<TenantName, Failure> {
        let own = &self.tenancy.own_tenant;
        if !self.tenancy.is_multi {
            return Ok(own.clone());
        }

        let missing = || Failure::unauthorized("no org id: the header X-Scope-OrgID is missing");
        let name = tenant_named(parts)?.ok_or_else(missing)?;

        // The process's own metrics name all the other tenants.
        if name == *own && !self.sees_all(parts) {
            return Err(Failure::forbidden(format!(
                "the tenant {name} has the process's own metrics, which tell of all tenants: it is \
                 open at --http-operator-listen, or with --http-metrics-all"
            )));
        }

        Ok(name)
    }

    /// Returns the name under which the body of a request is counted while it is read. Routes that
    /// need no tenant use it too.
    pub(crate) fn named_or_own(&self, parts: &Parts) -> TenantName {
        let named = if self.tenancy.is_multi {
            tenant_named(parts).ok().flatten()
        } else {
            None
        };

        named.unwrap_or_else(|| self.tenancy.own_tenant.clone())
    }

    /// Returns whether a request came from the operator. Settings that open more to others do not
    /// count.
    pub(crate) fn is_operator(&self, parts: &Parts) -> bool {
        !self.tenancy.is_multi || is_at_operator_listener(parts)
    }

    /// Returns whether a request may see data about all tenants.
    pub(crate) fn sees_all(&self, parts: &Parts) -> bool {
        self.is_operator(parts) || self.tenancy.metrics_all
    }
}

/// Returns whether a request came in at the operator's own listener.
pub(crate) fn is_at_operator_listener(parts: &Parts) -> bool {
    parts.extensions.get::<OperatorListener>().is_some()
}

/// Returns the tenant that the header names, or `None` without a header.
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
