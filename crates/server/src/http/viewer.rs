//! What of the process a request may see: with several tenants, what tells of others is for the
//! operator.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use duramen_model::TenantName;

use super::failure::Failure;
use super::tenant;
use crate::self_scrape::parse_line;
use crate::wiring::System;

/// Marks requests that came in at the operator's own listener.
#[derive(Clone, Copy, Debug)]
pub(super) struct OperatorListener;

/// Who looks at the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Viewer {
    /// Sees everything.
    Operator,
    /// Sees what is its own, and what is nobody's; without a name the latter alone.
    Tenant(Option<TenantName>),
}

/// Whether a request came from the operator, whatever the settings let others do.
pub(super) fn is_operator(parts: &Parts, system: &System) -> bool {
    !system.config.multi_tenancy || parts.extensions.get::<OperatorListener>().is_some()
}

impl FromRequestParts<Arc<System>> for Viewer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, system: &Arc<System>) -> Result<Self, Failure> {
        if is_operator(parts, system) || system.config.http.metrics_all {
            return Ok(Self::Operator);
        }

        tenant::named(parts).map(Self::Tenant)
    }
}

impl Viewer {
    /// The metrics of the process that may be seen, in the OpenMetrics text format.
    pub(super) fn metrics_text(&self, system: &System) -> String {
        let all = system.metrics_text();
        let Self::Tenant(name) = self else { return all };
        let id = name
            .as_ref()
            .and_then(|name| system.register.lookup(name))
            .map(|id| id.to_string());

        visible(&all, name.as_ref().map(TenantName::as_str), id.as_deref())
    }
}

/// The lines of nobody in particular, and those of the tenant of this name and id.
fn visible(text: &str, name: Option<&str>, id: Option<&str>) -> String {
    let is_visible = |line: &str| {
        let Some((_, labels, _)) = parse_line(line) else {
            return true;
        };
        labels.iter().all(|(label, value)| match label.as_str() {
            "tenant" => Some(value.as_str()) == name,
            "tenant_id" => Some(value.as_str()) == id,
            _ => true,
        })
    };

    let mut seen = String::with_capacity(text.len());
    for line in text.lines().filter(|line| is_visible(line)) {
        seen.push_str(line);
        seen.push('\n');
    }

    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_sees_its_own_lines_and_those_of_nobody() {
        let text = "# HELP a A.\n# TYPE a counter\na_total 1\na_total{tenant=\"x\"} 2\na_total{reason=\"r\",tenant=\"y\"} 3\n\
                    b{tenant_id=\"01X\"} 4\nb{tenant_id=\"01Y\"} 5\n# EOF\n";
        let comments = "# HELP a A.\n# TYPE a counter\na_total 1\n";

        assert_eq!(visible(text, None, None), format!("{comments}# EOF\n"));

        let own = "a_total{tenant=\"x\"} 2\nb{tenant_id=\"01X\"} 4\n";
        assert_eq!(
            visible(text, Some("x"), Some("01X")),
            format!("{comments}{own}# EOF\n")
        );
    }
}
