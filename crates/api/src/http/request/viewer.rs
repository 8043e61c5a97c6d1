//! What of the process a request may see: with several tenants, what tells of others is for the
//! operator.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use duramen_bucket::Tenants;
use duramen_model::TenantName;

use crate::http::admin::metric_lines::parse_line;
use crate::http::answer::failure::Failure;
use crate::http::request::door::Door;
use crate::http::request::tenant;

/// Marks requests that came in at the operator's own listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OperatorListener;

/// Who looks at the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Viewer {
    /// Sees everything.
    Operator,
    /// Sees what is its own, and what is nobody's; without a name the latter alone.
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

        tenant::named(parts).map(Self::Tenant)
    }
}

impl Viewer {
    /// Those lines of the metrics of the process that may be seen. Tenants have ids by `register`.
    pub(crate) fn visible(&self, text: String, register: &Tenants) -> String {
        let Self::Tenant(name) = self else {
            return text;
        };
        let id = name
            .as_ref()
            .and_then(|name| register.lookup(name))
            .map(|id| id.to_string());

        visible(&text, name.as_ref().map(TenantName::as_str), id.as_deref())
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
