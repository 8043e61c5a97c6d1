//! What a request may see of the process. With several tenants, only the operator sees data about
//! all of them.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use duramen_bucket::Tenants;
use duramen_metrics::MetricFamily;
use duramen_model::TenantName;

use crate::http::answer::failure::Failure;
use crate::http::request::door::{Door, tenant_named};

/// Who asks about the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Viewer {
    /// Sees everything.
    Operator,
    /// Sees its own data and data that belongs to no tenant. Without a name it sees only the
    /// latter.
    Tenant(Option<TenantName>),
}

impl<S> FromRequestParts<S> for Viewer
where
    Door: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        if Door::from_ref(state).sees_all(parts) {
            return Ok(Self::Operator);
        }

        tenant_named(parts).map(Self::Tenant)
    }
}

impl Viewer {
    /// Returns the metrics of the process that the viewer may see. `register` has the ids of
    /// tenants.
    pub(crate) fn visible(
        &self,
        families: Vec<MetricFamily>,
        register: &Tenants,
    ) -> Vec<MetricFamily> {
        let Self::Tenant(name) = self else {
            return families;
        };
        let id = name
            .as_ref()
            .and_then(|name| register.lookup(name))
            .map(|id| id.to_string());

        visible(
            families,
            name.as_ref().map(TenantName::as_str),
            id.as_deref(),
        )
    }
}

/// Returns the metrics that belong to no tenant, and those of the tenant with this name and id.
fn visible(
    mut families: Vec<MetricFamily>,
    name: Option<&str>,
    id: Option<&str>,
) -> Vec<MetricFamily> {
    for family in &mut families {
        family.metrics.retain(|metric| {
            metric.labels.iter().all(|(label, value)| match *label {
                "tenant" => Some(value.as_str()) == name,
                "tenant_id" => Some(value.as_str()) == id,
                _ => true,
            })
        });
    }

    families
}

#[cfg(test)]
mod tests {
    use duramen_metrics::{Collected, CollectedValue, MetricKind};

    use super::*;

    #[test]
    fn a_tenant_sees_its_own_metrics_and_those_of_nobody() {
        let counted = |labels: &[(&'static str, &str)], count| Collected {
            labels: labels
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
            value: CollectedValue::Counter(count),
        };

        let of_names = [
            counted(&[], 1),
            counted(&[("tenant", "x")], 2),
            counted(&[("reason", "r"), ("tenant", "y")], 3),
        ];

        let of_ids = ["01X", "01Y"].map(|id| counted(&[("tenant_id", id)], 4));

        let families = vec![
            MetricFamily::new("a", "A.", MetricKind::Counter, of_names.clone()),
            MetricFamily::new("b", "B.", MetricKind::Counter, of_ids.clone()),
        ];

        let seen = visible(families.clone(), None, None);
        assert_eq!(seen[0].metrics, of_names[..1]);
        assert!(seen[1].metrics.is_empty());

        let seen = visible(families, Some("x"), Some("01X"));
        assert_eq!(seen[0].metrics, of_names[..2]);
        assert_eq!(seen[1].metrics, of_ids[..1]);
    }
}
